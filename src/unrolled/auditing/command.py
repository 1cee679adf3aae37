"""What `unrolled audit` prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from unrolled.auditing.checks import audit_learner
from unrolled.auditing.cost import TASKS, Progress, train
from unrolled.auditing.learner import load
from unrolled.auditing.published import LENGTHS, SYSTEMS, System, measure

__all__ = ["audit_file", "show_cost", "show_published"]

Measured = Mapping[str, Mapping[int, tuple[float, float]]]


def audit_file(path: Path, seed: int = 0, out: Path | None = None) -> int:
    """Audit a learner's file; 0 if it is exact and 1 if not.

    Raises
    ------
    unrolled.auditing.AuditError
        If it cannot be audited.
    """
    report = audit_learner(load(path), seed=seed)
    print(f"{path}\n")
    print(report)
    if out is not None and report.errors:
        from unrolled.auditing.picture import draw_errors

        errors = {"your gradient": report.errors}
        drawn = draw_errors(errors, out / f"{path.stem}.png", report.tolerance)
        print(f"\n{drawn}")
    return 0 if report.exact else 1


def show_published(out: Path | None = None) -> int:
    """Print the documents' backward passes beside the exact gradient."""
    print("The backward passes that the documents publish, against the exact gradient:")
    print("relative error and cosine of each parameter's gradient, medians of 20 draws, float64.")
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
        print(f"\n{draw_errors(errors, out / 'published.png', 1e-9)}")
    return 0


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


def show_cost(seed: int = 0) -> int:
    """Train with the published gradients and with the exact one, and print what came of it."""
    print("\nWhat it costs in training, one run of each:")
    for task in TASKS:
        print(f"\n{task.name}; after {task.updates:,} updates, {task.figure}:")
        for name, faults in task.faults.items():
            value = train(task, faults, seed, _progress(name))
            print(f"  {name:<20} {value:.4f}", flush=True)
    print("\nTo train longer, or with other networks: `unrolled train adder --help`.")
    return 0


def _progress(name: str) -> Progress | None:
    """A line that counts, where somebody is looking."""
    if not sys.stderr.isatty():
        return None

    def tell(update: int, total: int) -> None:
        line = f"\r  {name}: update {update:,} of {total:,}"
        wipe = "\r" + " " * len(line) + "\r" if update == total else ""
        print(line + wipe, end="", file=sys.stderr, flush=True)

    return tell
