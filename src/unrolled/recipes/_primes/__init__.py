"""The parts of the recipe `primes`."""
