"""Training: a recipe's steps one by one, in a folder from which they can go on.

It receives a recipe and knows none by name.
"""

from unrolled.errors.expected import at_least, between, one_of, only, share
from unrolled.steps.program import TrainingError
from unrolled.training.loop import Step, build, train
from unrolled.training.recipe import Recipe, check

__all__ = [
    "Recipe",
    "Step",
    "TrainingError",
    "at_least",
    "between",
    "build",
    "check",
    "one_of",
    "only",
    "share",
    "train",
]
