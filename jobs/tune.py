"""Search the hyperparameters of a preset's surrogate on its library, by ASHA on Ray Tune."""

from functools import partial

from fwdecg.experiment.command_line import (
    connect_to_ray,
    job_parser,
    load_experiment,
    print_report,
    run_job,
)


def main() -> None:
    """Start or resume the search."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())

    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text
    from fwdecg.tuning.search import PRESET, plan_search, tune

    library = open_library(experiment.library_store, experiment.library)
    search = plan_search(library, experiment.recipe, experiment.tuning)
    connect_to_ray()
    folder = experiment.tuning_folder
    metrics = tune(search, folder, partial(experiment.retraining_preset, library.config))
    print_report(folder)
    print(f"cost: {cost_text(metrics.get('cost'))}")
    print(f"  {folder}, with the best settings in {PRESET}")


if __name__ == "__main__":
    run_job(main)
