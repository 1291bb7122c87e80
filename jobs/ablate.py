"""Train the surrogate of a preset without one part after another, and test what each is worth."""

from fwdecg.experiment.command_line import connect_to_ray, job_parser, load_experiment, run_job
from fwdecg.runtime.storage import REPORT_FILE


def main() -> None:
    """Train what is missing of the study, and show what all of it found."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())

    from fwdecg.ablation.study import ablate
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text

    library = open_library(experiment.library_store, experiment.library)
    connect_to_ray()
    folder = experiment.ablation_folder
    metrics = ablate(library, experiment.ablation, experiment.recipe, folder)
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))
    print(f"cost: {cost_text(metrics['cost'])}")
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main)
