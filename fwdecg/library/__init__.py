"""Libraries of simulated cases: file format, distributed build, description and reading."""
