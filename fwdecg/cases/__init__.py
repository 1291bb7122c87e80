"""Cases: tissue conditions, splits, random draws, pacing, and the simulation of one case."""
