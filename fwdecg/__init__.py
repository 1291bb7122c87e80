"""Simulated heart-tissue activations, their ECGs, and neural surrogates of the forward problem."""
