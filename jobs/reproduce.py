"""Build the library of a preset, train its surrogate, evaluate it; finished stages are skipped."""

from fwdecg.command import connect, job_parser, load_experiment, run_job
from fwdecg.evaluation.evaluate import evaluate
from fwdecg.library.build import build_library
from fwdecg.library.reader import open_library
from fwdecg.training.checkpoint import load_surrogate
from fwdecg.training.run import BEST
from fwdecg.training.trainer import train


def main() -> None:
    """Run the three stages."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())
    connect()
    build_library(experiment.library, experiment.library_folder)
    library = open_library(experiment.library_folder)
    train(library, experiment.model, experiment.training, experiment.training_folder)
    best = load_surrogate(experiment.training_folder / BEST)
    evaluate(library, best, experiment.evaluation, experiment.evaluation_folder)


if __name__ == "__main__":
    run_job(main)
