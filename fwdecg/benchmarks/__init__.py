"""Benchmarks of the solver, the library builder, the surrogate and the search."""
