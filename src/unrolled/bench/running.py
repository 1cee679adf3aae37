"""Every contest in its turn: the table as it grows, the CSV file and the picture at the end."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from unrolled.bench.contests import contests
from unrolled.bench.drawn import Contest
from unrolled.bench.options import NUMBERS, PICTURE, TABLE, BenchOptions, Size, memory
from unrolled.bench.timing import LEAST_SLOW, NotMeasured, Time, timed
from unrolled.engines import Declined, cpu
from unrolled.files.whole import make_folder, replace_file

__all__ = ["Measurement", "run"]

LAYER = "torch.nn.LSTM"
COLUMNS = ("", "T,B,I,H", "peer", "peer µs", "±", "ours µs", "±", "ratio", "of peak")
FIGURES = "section what T B I H peer peer_us peer_spread ours_us ours_spread ratio of_peak"
WIDTHS = (34, 15, 31, 9, 4, 9, 4, 10, 7)


class Measurement(NamedTuple):
    """One peer of one contest."""

    section: str
    what: str
    size: Size
    peer: str
    theirs: Time
    ours: Time
    share: float | None  # of the machine's peak

    @property
    def ratio(self) -> float:
        """Their time over ours: above 1, we are faster."""
        return self.theirs.median / self.ours.median

    @property
    def name(self) -> str:
        """The section, and more where it does not say all."""
        return f"{self.section}: {self.what}" if self.what else self.section


def run(options: BenchOptions) -> None:
    """Measure, print the table as it grows, and write the three files.

    After Ctrl-C the files hold what was measured until then.

    Raises
    ------
    BenchError
        If a peer's results are not ours.
    OSError
        If the files cannot be written.
    """
    make_folder(options.out)
    threads = torch.get_num_threads()
    try:
        _Bench(options).run()
    finally:
        torch.set_num_threads(threads)


class _Bench:
    """What has been measured and printed so far."""

    def __init__(self, options: BenchOptions) -> None:
        self.options = options
        self.rows: list[Measurement] = []
        self.lines: list[str] = []
        self.notes: dict[str, None] = {}  # in order, each once
        torch.set_num_threads(options.threads)
        one = cpu.peak()
        self.peak = None if one is None else one * options.threads

    def run(self) -> None:
        asked = contests(self.options)
        self._say(self._heading())
        print(f"{len(asked)} contests: {self._forecast(asked)}\n", flush=True)
        self._say(_line(COLUMNS))
        self._say("|".join(["", *("-" * (width + 2) for width in WIDTHS), ""]))
        try:
            for number, contest in enumerate(asked, 1):
                self._measure(contest, f"{number} of {len(asked)}")
        except KeyboardInterrupt:
            self.notes["all that came after Ctrl-C"] = None
            self._finish()
            raise
        self._finish()

    def _measure(self, contest: Contest, place: str) -> None:
        torch.set_num_threads(self.options.threads)  # a contest of threads sets its own
        name = f"{contest.section} {contest.what}".rstrip()
        where = f"{name} at {contest.size}"
        if contest.size.bytes > memory():
            return self._note(f"{where}: it needs some {contest.size.bytes / 1e9:,.0f} GB")
        self._pass_by(f"{place}: {where}")
        try:
            field = contest.build()
            ours, theirs = timed(field, self.options.seconds, where, self._note)
        except NotMeasured as reason:
            self._note(str(reason))
            return
        except Declined as reason:
            self._note(f"{where}: {reason}")
            return
        finally:
            self._pass_by("")
        share = None
        if self.peak is not None:
            cores = 2 / self.options.threads if contest.section == "threads" else 1
            share = contest.operations / (ours.median * 1e-6) / (self.peak * cores)
        for peer, time in theirs.items():
            row = Measurement(contest.section, contest.what, contest.size, peer, time, ours, share)
            self.rows.append(row)
            self._say(_line(_cells(row)))

    def _finish(self) -> None:
        self._say("")
        slower = [row for row in self.rows if row.peer == LAYER and row.ratio < 1]
        if slower:
            self._say(f"slower than {LAYER}: " + ", ".join(map(_named, slower)) + ".")
        elif any(row.peer == LAYER for row in self.rows):
            self._say(f"No size was slower than {LAYER}.")
        for note in self.notes:
            self._say(f"not measured: {note}.")
        if not self.rows:
            return
        out = self.options.out
        replace_file(out / TABLE, lambda beside: beside.write_text("\n".join(self.lines) + "\n"))
        replace_file(out / NUMBERS, lambda beside: _write_csv(self.rows, beside))
        self._draw(out / PICTURE)
        print("\n".join(["", *(str(out / name) for name in (TABLE, NUMBERS, PICTURE))]))

    def _draw(self, path: Path) -> None:
        from unrolled.bench import picture

        panels: dict[str, dict[str, list[float]]] = {}
        for row in self.rows:
            heading, label = _place(row)
            panels.setdefault(heading, {}).setdefault(label, []).append(row.ratio)
        several = any(len(ratios) > 1 for labels in panels.values() for ratios in labels.values())
        picture.ratios(
            panels,
            path,
            title="unrolled beside what people use today",
            xlabel="their time over ours: to the right of 1, we are faster"
            + ("\nof several, a point each, and the bar to their median" if several else ""),
        )

    def _heading(self) -> str:
        threads = self.options.threads
        notes = [f"torch {torch.__version__}", f"{threads} thread{'s' * (threads > 1)}"]
        if self.peak is None:
            notes.append("the native engine is not built, so no share of the peak is known")
        else:
            notes.insert(1, f"level {cpu.level()}")
            notes.append(f"peak in float32 measured at {self.peak / 1e9:,.0f} GFLOP/s")
        return ", ".join(notes) + "."

    def _forecast(self, asked: Sequence[Contest]) -> str:
        """How long this may take: the seconds given, or the fewest turns where they take longer."""
        rate = 0.4 * (self.peak or 1e11)  # of two competitors, ours and one less quick
        calls = 2 * (LEAST_SLOW + 3)
        total = sum(max(self.options.seconds, calls * c.operations / rate) for c in asked)
        minutes = f"some {total / 60:.0f} minutes" if total > 90 else f"some {total:.0f} seconds"
        return minutes + (", and minutes more for each compilation" if self.options.compile else "")

    def _note(self, reason: str) -> None:
        self.notes[reason] = None

    def _say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def _pass_by(self, words: str) -> None:
        """One line on a terminal that the next one replaces; nothing elsewhere."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _cells(row: Measurement) -> tuple[str, ...]:
    return (
        row.name,
        str(row.size),
        row.peer,
        f"{row.theirs.median:,.1f}",
        f"{row.theirs.spread:.0%}",
        f"{row.ours.median:,.1f}",
        f"{row.ours.spread:.0%}",
        f"**{row.ratio:.2f}**",
        "" if row.share is None else f"{row.share:.0%}",
    )


def _line(cells: Sequence[str]) -> str:
    padded = [
        f"{cell:<{width}}" if place < 3 else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _named(row: Measurement) -> str:
    return f"{row.what or row.section} at {row.size} ({row.ratio:.2f})"


def _place(row: Measurement) -> tuple[str, str]:
    """The heading and the label of a row in the picture."""
    if row.section in ("inference", "training"):
        return f"{row.section}, against {row.peer}", str(row.size)
    if row.section == "grid":
        return f"{row.what} over the grid, against {row.peer}", f"H = {row.size.H}"
    if row.section == "masks":
        return "masks, against our vanilla", row.what.partition(", ")[2]
    if row.section == "variants":
        return "variants, training", f"{row.what}: {row.peer}"
    if row.section == "steps":
        return f"steps, against {row.peer}", str(row.size)
    if row.section == "trace":
        return row.section, f"{row.size}: {row.peer}"
    if row.section == "threads":
        return f"two threads, {row.what}", f"{row.size}: {row.peer.partition(',')[0]}"
    return f"{row.section}, at {row.size}", row.peer


def _write_csv(rows: Sequence[Measurement], beside: Path) -> None:
    with open(beside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIGURES.split())
        for r in rows:
            share = "" if r.share is None else r.share
            writer.writerow([*r[:2], *r.size, r.peer, *r.theirs, *r.ours, r.ratio, share])
