"""Train the surrogate of a preset on its library."""

from fwdecg.experiment import command_line


def main() -> None:
    """Start or resume the training."""
    parser = command_line.job_parser(str(__doc__))
    experiment = command_line.load_experiment(parser.parse_args())

    from fwdecg.library.reader import open_library
    from fwdecg.pictures.learning_picture import LEARNING_FILE, write_learning_curves
    from fwdecg.runtime.cost import cost_text
    from fwdecg.training.trainer import train

    library = open_library(experiment.library_store, experiment.library)
    if experiment.training.workers > 0:
        command_line.connect_to_ray()
    folder = experiment.folder("training")
    metrics = train(library, experiment.model, experiment.training, folder)
    write_learning_curves(folder)
    print(
        f"best validation R2 {metrics['best_validation_r2']:.4f} in epoch {metrics['best_epoch']}"
    )
    print(f"cost: {cost_text(metrics.get('cost'))}")
    print(f"  {folder}, with learning curves in {LEARNING_FILE}")
    print("next: run the job evaluate with the same preset")


if __name__ == "__main__":
    command_line.run_job(main)
