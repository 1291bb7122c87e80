"""The hyperparameter search: search space, trials, ASHA, results."""
