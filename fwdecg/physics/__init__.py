"""What is true of tissue: geometry, cell model, diffusion, time stepping, ECG. NumPy and numba."""
