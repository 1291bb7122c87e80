"""Assess the uncertainty of an ensemble: several trainings of a preset that differ in their seed.

The spread of their ECGs is scaled by one factor, fitted on the validation split of the library; the
test split, and those of shifts, tell whether it covers the error. Errors are of z-scored ECGs.
"""

from fwdecg.experiment.command_line import job_parser, load_experiment, run_job


def main() -> None:
    """Assess, or show what an earlier assessment found."""
    parser = job_parser(str(__doc__))
    parser.add_argument(
        "--checkpoints",
        metavar="CHECKPOINT",
        nargs="+",
        required=True,
        help="best.safetensors of two or more trainings",
    )
    arguments = parser.parse_args()
    experiment = load_experiment(arguments)
    from fwdecg.evaluation.ensemble import load_members
    from fwdecg.evaluation.uncertainty import assess_uncertainty
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.storage import REPORT_FILE

    library = open_library(experiment.library_store, experiment.library)
    members = load_members(arguments.checkpoints)
    folder = experiment.results_folder / "ensemble"
    assess_uncertainty(library, members, folder, batch_size=experiment.evaluation.batch_size)
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))
    print(f"  {folder}")


if __name__ == "__main__":
    run_job(main)
