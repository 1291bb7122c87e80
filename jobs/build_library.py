"""Simulate a library of cases on a Ray cluster."""

from fwdecg.experiment import command_line


def main() -> None:
    """Build, resume or extend the library of a preset."""
    parser = command_line.job_parser(str(__doc__))
    experiment = command_line.load_experiment(parser.parse_args())

    from fwdecg.library.build import build_library
    from fwdecg.runtime.cost import cost_text

    command_line.connect_to_ray()
    manifest = build_library(experiment.library, experiment.library_store)
    usable, failed = (manifest["counts"][status]["all"]["all"] for status in ("ok", "quarantined"))
    error = manifest["largest_cv_error_estimate"]
    print(f"{usable} cases, {failed} quarantined, CV error up to {error:.1%}")
    print(f"cost: {cost_text(manifest['cost'].get('last_run'))}")
    print(f"  {experiment.library_store.label()}")
    print("next: run the job train with the same preset; show_library draws the library")


if __name__ == "__main__":
    command_line.run_job(main)
