"""Evaluate a trained surrogate on the test split of its library, beside five baselines."""

from fwdecg.experiment.command_line import job_parser, load_experiment, run_job


def main() -> None:
    """Evaluate, or show what an earlier evaluation found."""
    parser = job_parser(f"{__doc__} Errors are of z-scored ECGs; times in ms.")
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="surrogate to evaluate; default: best.safetensors in the folder of the training",
    )
    arguments = parser.parse_args()
    experiment = load_experiment(arguments)
    from fwdecg.evaluation.evaluate import evaluate
    from fwdecg.evaluation.gallery import FIGURES
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.storage import REPORT_FILE
    from fwdecg.training.checkpoint import load_surrogate
    from fwdecg.training.run import BEST

    library = open_library(experiment.library_store, experiment.library)
    trained = load_surrogate(arguments.checkpoint or experiment.training_folder / BEST)
    folder = experiment.evaluation_folder
    evaluate(library, trained, experiment.evaluation, folder)
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))
    print(f"  {folder}, pictures in its folder {FIGURES}")


if __name__ == "__main__":
    run_job(main)
