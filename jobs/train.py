"""Train the surrogate of a preset on its library."""

from fwdecg.experiment.command_line import connect_to_ray, job_parser, load_experiment, run_job


def main() -> None:
    """Start or resume the training."""
    experiment = load_experiment(job_parser(str(__doc__)).parse_args())

    from fwdecg.library.reader import open_library
    from fwdecg.pictures.learning_picture import LEARNING_FILE, write_learning_curves
    from fwdecg.runtime.cost import cost_text
    from fwdecg.training.trainer import train

    library = open_library(experiment.library_store, experiment.library)
    if experiment.training.workers > 0:
        connect_to_ray()
    metrics = train(library, experiment.model, experiment.training, experiment.training_folder)
    write_learning_curves(experiment.training_folder)
    print(
        f"best validation R2 {metrics['best_validation_r2']:.4f} in epoch {metrics['best_epoch']}"
    )
    print(f"cost: {cost_text(metrics.get('cost'))}")
    print(f"  {experiment.training_folder}, with learning curves in {LEARNING_FILE}")
    print("next: run the job evaluate with the same preset")


if __name__ == "__main__":
    run_job(main)
