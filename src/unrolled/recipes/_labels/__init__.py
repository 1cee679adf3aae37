"""The parts of the recipe labels: sequences and their files, the network, its rivals, its judges."""
