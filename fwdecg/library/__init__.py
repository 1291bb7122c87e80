"""Libraries of simulated cases: drawn, simulated on a Ray cluster, described, read."""
