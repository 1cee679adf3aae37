"""The command line: what `unrolled COMMAND` does, and how it says no."""

from unrolled.cli.main import main, process

__all__ = ["main", "process"]
