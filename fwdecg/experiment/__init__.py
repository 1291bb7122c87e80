"""Presets as experiments, the complete reproduction, and the command line of the jobs."""
