"""Search the hyperparameters of a preset's surrogate on its library, by ASHA on Ray Tune."""

from functools import partial

from fwdecg.experiment import command_line


def main() -> None:
    """Start or resume the search."""
    parser = command_line.job_parser(str(__doc__))
    experiment = command_line.load_experiment(parser.parse_args())

    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text
    from fwdecg.tuning.search import PRESET, plan_search, tune

    library = open_library(experiment.library_store, experiment.library)
    search = plan_search(library, experiment.recipe, experiment.tuning)
    command_line.connect_to_ray()
    folder = experiment.folder("tuning")
    metrics = tune(search, folder, partial(experiment.retraining_preset, library.config))
    command_line.print_report(folder)
    print(f"cost: {cost_text(metrics.get('cost'))}")
    print(f"  {folder}, with the best settings in {PRESET}")


if __name__ == "__main__":
    command_line.run_job(main)
