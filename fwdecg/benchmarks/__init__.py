"""Benchmarks of the solver, the library build, the surrogate, ECG cost per case, and the search."""
