"""Experiments made of several stages."""
