"""The parts of `signal`."""
