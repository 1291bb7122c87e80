"""Training of the surrogate: data, loss, schedule, epochs, checkpoints, workers."""
