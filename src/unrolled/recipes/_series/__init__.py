"""The parts of the recipe `series`."""
