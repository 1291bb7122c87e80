"""All figures and animations, in one style."""
