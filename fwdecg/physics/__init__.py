"""The physics: tissue, cell model, stimuli, diffusion, time stepping, ECG. NumPy and numba only."""
