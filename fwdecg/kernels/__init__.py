"""Compiled loops over arrays that no library runs fast; NumPy and numba only."""
