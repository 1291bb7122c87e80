"""Training of the surrogate: data, loss, epochs, checkpoints, workers, export."""
