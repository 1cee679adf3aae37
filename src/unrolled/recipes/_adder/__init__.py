"""The parts of the recipe `adder`."""
