"""Evaluation: predictors and baselines, scores and report, ensembles and their uncertainty."""
