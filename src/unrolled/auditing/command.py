"""What `unrolled audit` prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from unrolled.auditing.checks import audit_learner
from unrolled.auditing.cost import TASKS, Progress, train
from unrolled.auditing.guessing import guess
from unrolled.auditing.layers import as_learner, hold, load_layer
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.loading import load
from unrolled.auditing.published import DRAWS, LENGTHS, SYSTEMS, System, measure
from unrolled.auditing.template import write_template
from unrolled.files.whole import check_place

__all__ = ["DESCRIPTION", "AuditOptions", "options_from", "run"]

DESCRIPTION = (
    "Without FILE: the backward passes that the documents publish, what is wrong with each, and "
    "what it costs in training (a minute). With FILE: your own forward and backward pass, and "
    "which mistakes explain its numbers. With --layer: any module that is used as torch.nn.LSTM "
    "is, in fifteen ways. Exit status: 0 exact, 1 not exact, 2 cannot be audited."
)

Measured = Mapping[str, Mapping[int, tuple[float, float]]]


@dataclass(frozen=True)
class AuditOptions:
    """What was asked for."""

    file: Path | None
    layer: str | None
    template: Path | None
    no_training: bool
    guess: bool
    seed: int
    out: Path | None


def options_from(parser: argparse.ArgumentParser, arguments: list[str]) -> AuditOptions:
    """Read the command line."""
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="your own LSTM, a .py")
    parser.add_argument(
        "--template",
        metavar="NEW",
        type=Path,
        nargs="?",
        const=Path("my_lstm.py"),
        help="write the file to fill in (my_lstm.py), and nothing else",
    )
    parser.add_argument(
        "--layer",
        metavar="MODULE:CLASS",
        help="hold a drop-in LSTM to the equations, such as torch.nn:LSTM or mine.py:MyLSTM",
    )
    parser.add_argument("--no-training", action="store_true", help="leave the training out")
    parser.add_argument(
        "--guess",
        action="store_true",
        help="find out by trying what FILE would declare, print it, and audit with it",
    )
    parser.add_argument("--seed", type=int, default=0, help="what is drawn is drawn from it")
    parser.add_argument("--out", metavar="DIR", type=Path, help="draw the errors there, too")
    return AuditOptions(**vars(parser.parse_args(arguments)))


def run(options: AuditOptions) -> int:
    """Do it; 0, or 1 if the audited file is not exact.

    Raises
    ------
    unrolled.auditing.AuditError
        If something cannot be audited.
    unrolled.files.whole.PlaceError
        If something else is where a file is to be written.
    """
    if options.template is not None:
        if options.file is not None:
            raise AuditError(f"--template writes a file: leave out {options.file}, or --template.")
        path = write_template(options.template)
        print(f"{path} is written. Fill it in, then:\n  unrolled audit {path}")
        return 0
    if options.layer is not None:
        if options.file is not None or options.out is not None:
            raise AuditError("--layer audits a class: leave out FILE and --out.")
        with _one_thread():
            return audit_layer(options.layer, options.seed)
    if options.out is not None:
        check_place(options.out, folder=True, files=[_picture(options.file)])
    if options.guess and options.file is None:
        raise AuditError("--guess reads a FILE: name it.")
    with _one_thread():
        if options.file is not None:
            return audit_file(options.file, options.seed, options.out, options.guess)
        show_published(options.out)
        if not options.no_training:
            show_cost(options.seed)
    return 0


@contextmanager
def _one_thread() -> Generator[None]:
    """Tensors as small as an audit's are only slowed down by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _picture(file: Path | None) -> str:
    """The name of the picture of a file's errors, or of the documents'."""
    return f"{file.stem if file is not None else 'published'}.png"


def audit_file(path: Path, seed: int = 0, out: Path | None = None, guessed: bool = False) -> int:
    """Audit a learner's file; 0 if it is exact and 1 if not.

    With ``guessed``, what it declares is found out by trying, and printed.

    Raises
    ------
    unrolled.auditing.AuditError
        If it cannot be audited.
    """
    if guessed:
        found = guess(path)
        learner = found.learner
        print(f"{path} reads as if it declared:\n\n{found.declared}\n")
        if not found.exact:
            print(
                "Nothing that was tried makes its forward pass exact. This is the first "
                "declaration under which it runs: the order of the gates is not known.\n"
            )
    else:
        learner = load(path)
    report = audit_learner(learner, seed=seed)
    print(f"{path}\n")
    print(report)
    if out is not None and report.errors:
        from unrolled.auditing.picture import draw_errors

        errors = {"your gradient": report.errors}
        drawn = draw_errors(errors, out / _picture(path), report.tolerance)
        print(f"\n{drawn}")
    return 0 if report.exact else 1


def audit_layer(name: str, seed: int = 0) -> int:
    """Hold a class to the equations; 0 if it is exact in all that it takes, and 1 if not.

    Raises
    ------
    unrolled.auditing.AuditError
        If it is no such class.
    """
    build = load_layer(name)
    found = hold(build, name, seed)
    print(found, flush=True)
    plain = found.findings[0]
    if not plain.exact:
        print("\nOne layer, from states of zero:\n")
        print(audit_learner(as_learner(build), seed=seed))
    return 0 if found.exact else 1


def show_published(out: Path | None = None) -> None:
    """Print the documents' backward passes beside the exact gradient."""
    print("The backward passes that the documents publish, against the exact gradient:")
    print(
        "relative error and cosine of each parameter's gradient, "
        f"medians of {DRAWS} draws, float64."
    )
    measured = {}
    for system in SYSTEMS:
        found = measured[system.name] = measure(system)
        print()
        print("\n".join(_table(system, found)), flush=True)
    if out is not None:
        from unrolled.auditing.picture import draw_errors

        errors = {
            name: {
                parameter: {steps: error for steps, (error, _) in of.items()}
                for parameter, of in found.items()
            }
            for name, found in measured.items()
            if any(error > 1e-9 for of in found.values() for error, _ in of.values())
        }
        print(f"\n{draw_errors(errors, out / _picture(None), 1e-9)}")


def _table(system: System, found: Measured) -> list[str]:
    lines = [f"{system.name}", f"  ({system.setting})"]
    lines.append("  " + f"{'':<8}" + "".join(f"{f'T = {t}':^18}" for t in LENGTHS).rstrip())
    for name, of in found.items():
        cells = "".join(f"{_cell(*of[t]):^18}" for t in LENGTHS)
        lines.append(f"  {name:<8}{cells}".rstrip())
    if not system.faults:
        return [*lines, "  Nothing is wrong with it."]
    lines.append("  It equals the exact gradient with:")
    return lines + [f"    - {fault.wrong}" for fault in system.faults]


def _cell(error: float, cosine: float) -> str:
    return "exact" if error < 1e-9 else f"{error:.2g} / {cosine:.3g}"


def show_cost(seed: int = 0) -> None:
    """Train with the published gradients and with the exact one, and print what came of it."""
    print("\nWhat it costs in training, one run of each:")
    for task in TASKS:
        print(f"\n{task.name}; after {task.updates:,} updates, {task.figure}:")
        for name, document in task.gradients.items():
            value = train(task, document, seed, _progress(name))
            print(f"  {name:<20} {value:.4f}", flush=True)
    print("\nTo train longer, or others: unrolled train adder --help, unrolled train memory --help")


def _progress(name: str) -> Progress | None:
    """A line that counts, where somebody is looking."""
    if not sys.stderr.isatty():
        return None

    def tell(update: int, total: int) -> None:
        line = f"\r  {name}: update {update:,} of {total:,}"
        wipe = "\r" + " " * len(line) + "\r" if update == total else ""
        print(line + wipe, end="", file=sys.stderr, flush=True)

    return tell
