"""Predictions, baselines, report and pictures of a trained surrogate."""
