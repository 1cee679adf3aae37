"""The parts of the recipe `memory`."""
