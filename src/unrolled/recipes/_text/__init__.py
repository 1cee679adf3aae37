"""The parts of the text recipe: what is read, what is learnt of it, what it is held against."""
