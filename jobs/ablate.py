"""Train the surrogate of a preset without one part after another, and test what each is worth."""

from fwdecg.command import connect, job_parser, load_experiment, run_job
from fwdecg.storage import REPORT


def main() -> None:
    """Train what is missing of the study, and show what all of it found."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())

    from fwdecg.cost import cost_text
    from fwdecg.library.reader import open_library
    from fwdecg.studies.ablation import ablate

    library = open_library(experiment.library_store, experiment.library)
    connect()
    folder = experiment.ablation_folder
    metrics = ablate(library, experiment.ablation, experiment.recipe, folder)
    print((folder / REPORT).read_text(encoding="utf-8"))
    print(f"cost: {cost_text(metrics['cost'])}")
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main)
