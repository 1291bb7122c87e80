"""Train variants of a preset's surrogate that lack one component each, and compare their errors."""

from fwdecg.experiment import command_line


def main() -> None:
    """Train the missing variants and print the comparison of all variants."""
    parser = command_line.job_parser(str(__doc__))
    experiment = command_line.load_experiment(parser.parse_args())

    from fwdecg.ablation.study import ablate
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text

    library = open_library(experiment.library_store, experiment.library)
    command_line.connect_to_ray()
    folder = experiment.folder("ablation")
    metrics = ablate(library, experiment.ablation, experiment.recipe, folder)
    command_line.print_report(folder)
    print(f"cost: {cost_text(metrics['cost'])}")
    print(f"  {folder}")


if __name__ == "__main__":
    command_line.run_job(main)
