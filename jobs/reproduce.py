"""Build the library of a preset, train its surrogate, evaluate it; finished stages are skipped."""

from fwdecg.command import connect, job_parser, load_experiment, run_job


def main() -> None:
    """Run the three stages."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())
    from fwdecg.cost import Cost, cost_text
    from fwdecg.evaluation.evaluate import evaluate
    from fwdecg.evaluation.learning_picture import draw_learning
    from fwdecg.library.build import build_library
    from fwdecg.library.reader import open_library
    from fwdecg.storage import METRICS, REPORT, Store
    from fwdecg.training.checkpoint import load_surrogate
    from fwdecg.training.run import BEST
    from fwdecg.training.trainer import train

    connect()
    built = build_library(experiment.library, experiment.library_store)
    library = open_library(experiment.library_store)
    folder = experiment.training_folder
    trained = train(library, experiment.model, experiment.training, folder)
    draw_learning(folder)
    surrogate = load_surrogate(folder / BEST)
    evaluated = evaluate(library, surrogate, experiment.evaluation, experiment.evaluation_folder)
    costs = {
        "library": built["cost"].get("last_run"),
        "training": trained.get("cost"),
        "evaluation": evaluated.get("cost"),
    }
    total = sum((Cost.of(cost) for cost in costs.values() if cost), Cost()).as_dict()
    metrics = {
        "library": {key: built[key] for key in ("config_hash", "counts", "cost")},
        "training": trained,
        "evaluation": evaluated,
        "cost": total,
    }
    results = Store.at(experiment.results_folder)
    results.publish_json(METRICS, metrics)
    results.clear_staging()
    print((experiment.evaluation_folder / REPORT).read_text(encoding="utf-8"))
    print(f"library     {experiment.library_store.shown()}")
    print(f"training    {experiment.training_folder}")
    print(f"evaluation  {experiment.evaluation_folder}, pictures in its folder figures")
    print("cost")
    for stage, cost in (costs | {"all": total}).items():
        print(f"  {stage:10}  {cost_text(cost)}")


if __name__ == "__main__":
    run_job(main)
