"""What is simulated: conditions, random draws, tissue, pacing, and one simulated case."""
