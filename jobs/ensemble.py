"""Assess the uncertainty of an ensemble: several trainings of a preset with different seeds.

The standard deviation of the members' ECGs is scaled by one factor, which is fitted on the
validation split of the library. The test split, and the test split of each shift, show how well the
scaled standard deviation covers the error. Errors refer to z-scored ECGs.
"""

from fwdecg.experiment import command_line


def main() -> None:
    """Assess the ensemble, or print the report of an earlier assessment."""
    parser = command_line.job_parser(str(__doc__))
    parser.add_argument(
        "--checkpoints",
        metavar="CHECKPOINT",
        nargs="+",
        required=True,
        help="best.safetensors of two or more trainings",
    )
    arguments = parser.parse_args()
    experiment = command_line.load_experiment(arguments)

    from fwdecg.evaluation.ensemble import load_members
    from fwdecg.evaluation.uncertainty import assess_uncertainty
    from fwdecg.library.reader import open_library

    library = open_library(experiment.library_store, experiment.library)
    members = load_members(arguments.checkpoints)
    folder = experiment.folder("results") / "ensemble"
    assess_uncertainty(library, members, folder, batch_size=experiment.evaluation.batch_size)
    command_line.print_report(folder)
    print(f"  {folder}")


if __name__ == "__main__":
    command_line.run_job(main)
