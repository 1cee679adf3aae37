"""The explorer: one self-contained page that computes a trained LSTM, and lets one reach in."""

from unrolled.explorer.explorable import Explorable, ExplorableInputs, ExplorerError, Output, Units
from unrolled.explorer.inputs import Bits, Numbers, Tokens, Window
from unrolled.explorer.pages import Explorer, explore

__all__ = [
    "Bits",
    "Explorable",
    "ExplorableInputs",
    "Explorer",
    "ExplorerError",
    "Numbers",
    "Output",
    "Tokens",
    "Units",
    "Window",
    "explore",
]
