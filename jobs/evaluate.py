"""Evaluate a trained surrogate on the test split of its library, and compare it with baselines."""

from fwdecg.experiment import command_line


def main() -> None:
    """Evaluate the surrogate, or print the report of an earlier evaluation."""
    parser = command_line.job_parser(f"{__doc__}\n\nErrors are of z-scored ECGs; times are in ms.")
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="surrogate to evaluate (default: best.safetensors in the folder of the training)",
    )
    arguments = parser.parse_args()
    experiment = command_line.load_experiment(arguments)

    from fwdecg.evaluation.evaluate import evaluate
    from fwdecg.evaluation.gallery import FIGURES
    from fwdecg.library.reader import open_library
    from fwdecg.training.checkpoint import BEST
    from fwdecg.training.trained_surrogate import load_surrogate

    library = open_library(experiment.library_store, experiment.library)
    trained = load_surrogate(arguments.checkpoint or experiment.folder("training") / BEST)
    folder = experiment.folder("evaluation")
    evaluate(library, trained, experiment.evaluation, folder)
    command_line.print_report(folder)
    print(f"  {folder}, with pictures in its folder {FIGURES}")


if __name__ == "__main__":
    command_line.run_job(main)
