"""Search the hyperparameters of a preset's surrogate on its library, by ASHA on Ray Tune."""

from functools import partial

from fwdecg.experiment.command_line import connect_to_ray, job_parser, load_experiment, run_job
from fwdecg.runtime.storage import REPORT_FILE


def main() -> None:
    """Search, or go on with an interrupted search."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())
    from fwdecg.library.reader import open_library
    from fwdecg.runtime.cost import cost_text
    from fwdecg.tuning.search import PRESET, plan_search, tune

    library = open_library(experiment.library_store, experiment.library)
    search = plan_search(library, experiment.recipe, experiment.tuning)
    connect_to_ray()
    folder = experiment.tuning_folder
    metrics = tune(search, folder, partial(experiment.retraining_preset, library.config))
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))
    print(f"cost: {cost_text(metrics.get('cost'))}")
    print(f"  {folder}, the best settings in its {PRESET}")


if __name__ == "__main__":
    run_job(main)
