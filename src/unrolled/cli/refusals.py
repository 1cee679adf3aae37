"""How the command line says no: one sentence, and where to read more."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any, NoReturn

from unrolled.cli.failures import DEBUG
from unrolled.errors import UnrolledError

__all__ = ["RUNS", "Parser", "Refusal", "need"]

RUNS = Path("runs")


class Refusal(UnrolledError):
    """What the user asked cannot be done, in one sentence."""


class Parser(argparse.ArgumentParser):
    """argparse, but refusing in one sentence; it tells of --debug, which is taken out before."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG)

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message}; see `{self.prog} --help`.")


def need(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(
            f"this needs {' and '.join(missing)}: pip install 'unrolled[cli]' brings all of it."
        )
