"""Train variants of a preset's surrogate that lack one component each, and compare their errors."""

from fwdecg.experiment.command_line import (
    connect_to_ray,
    job_parser,
    load_experiment,
    print_report,
    run_job,
)


def main() -> None:
    """Train the missing variants and print the comparison of all."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())

    from fwdecg.ablation.study import ablate
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text

    library = open_library(experiment.library_store, experiment.library)
    connect_to_ray()
    folder = experiment.ablation_folder
    metrics = ablate(library, experiment.ablation, experiment.recipe, folder)
    print_report(folder)
    print(f"cost: {cost_text(metrics['cost'])}")
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main)
