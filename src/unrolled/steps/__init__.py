"""Whole training steps in one native call: network, loss, batches, update."""
