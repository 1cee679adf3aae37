"""The parts of the recipe labels: sequences, their files, the network, its rivals and judges."""
