"""Inputs that are a little, or very, wrong: files with damage, flags with nonsense."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from any_recipe import FILE as RECIPE
from fuzzing.guarded import Ended, command

__all__ = ["Sample", "complaint", "mutated", "tried"]

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ["--hidden", "4", "--steps", "2"]


class Sample(NamedTuple):
    """A command that is right as it stands, and the files that it reads."""

    words: tuple[str, ...]
    files: dict[str, bytes]
    weight: int = 4


def _rows(header: str, row: Callable[[int], str], count: int) -> bytes:
    return "\n".join([header, *map(row, range(count)), ""]).encode()


SERIES = _rows("when,a,b", lambda n: f"2001-{1 + n // 28:02}-{1 + n % 28:02},{n % 7}.5,{n * 3}", 50)
EVENTS = _rows("t,a,b,e", lambda n: f"{n},{n % 7},{n % 3}.25,{int(n % 10 < 2)}", 200)
PAIRS = "".join(f"word {n}\t{n}\n" for n in range(60)).encode()
TEXT = ("It was the best of times, it was the “worst” of times; 1775.\n" * 40).encode()


def samples(runs: Path) -> list[Sample]:
    """One right command of each kind; ``runs`` holds a finished run of each recipe."""
    data = {"a.csv": SERIES, "e.csv": EVENTS, "p.tsv": PAIRS, "t.txt": TEXT}
    train = ("train",)

    def on(name: str) -> dict[str, bytes]:
        return {name: data[name]}

    def of(words: str, name: str, weight: int = 4) -> Sample:
        return Sample((*train, *words.split(), *SMALL, "--out", "out"), on(name), weight)

    adder, text, series = (str(runs / name) for name in ("adder", "text", "series"))
    none: dict[str, bytes] = {}
    return [
        of("series --data a.csv --column a --window 4 --horizon 2", "a.csv", 10),
        of("series --data a.csv --column b --time when --window 4", "a.csv", 8),
        of("events --data e.csv --event e --time t --window 16 --warm-up 2", "e.csv", 6),
        of("text --data t.txt --least 8 --most 8", "t.txt", 6),
        of("pairs --data p.tsv --batch-size 4", "p.tsv", 6),
        Sample((*train, "adder", *SMALL, "--out", "out"), none, 6),
        Sample((*train, "memory", "--steps", "2", "--out", "out"), none, 2),
        Sample((*train, "primes", "--steps", "2", "--out", "out"), none, 2),
        Sample((*train, "mine.py", "--out", "out"), {"mine.py": RECIPE.encode()}, 8),
        Sample(("try", adder, "57", "68"), none, 6),
        Sample(("try", text, "--primer", "so be it", "--length", "30"), none, 4),
        Sample(("try", series, "7"), none, 4),
        Sample(("show", adder), none, 3),
        Sample(("check", adder), none, 3),
        Sample(("list",), none, 1),
        Sample(("explore", adder, "--out", "page.html"), none, 2),
        Sample(("audit", "pass.py"), {"pass.py": (EXAMPLES / "my_lstm_wrong.py").read_bytes()}, 1),
        Sample(("audit", "--template", "t.py"), none, 2),
        Sample(("reproduce", "nothing", "nothing"), none, 1),
        Sample(("bench", "--only", "nothing"), none, 1),
    ]


# --- what is done to them ---

NASTY = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1a", b"\x85", b"\r", b"\r\n", b'"', b'""', b"'", b",",
    b";", b"\t", b"|", b"#", b"\\", b"-", b"--", b"NaN", b"inf", b"-1e999", b"1e-400", b"9" * 400,
    b"0x1p3", b"1_0", b"\xc3", "日本".encode(), "\u202e\u0000".encode(), b"1,234.5", b"1.234,5",
    b"12/31/99", b"2001-02-30", b"2001-13-01", b"\n\n\n", b"=1+1", b"None", b"true", b"[" * 300,
)  # fmt: skip
WORDS = (
    "", " ", "-", "--", "0", "-1", "-0", "1.5", "nan", "inf", "1e999", "9" * 40, "1000000000000",
    "True", "None", "[1]", "{}", "a b", "é", "日本", "\u202e", "%s", "{x}", "$HOME", "*", "--help",
    "--nothing", "-x", "--out", "a" * 5000, "..", "nowhere.csv", "a.csv", "vanilla", "SGD", "1,2",
)  # fmt: skip
# What takes long if it is large, and is not wrong then.
COSTLY = ("--steps", "--out", "--report-every", "--save-every", "--layers", "--length")


def mutated(r: random.Random, data: bytes) -> bytes:
    """A file with up to three things wrong in it."""
    for _ in range(r.choice((1, 1, 2, 3))):
        data = r.choice((_flip, _cut, _again, _put, _end, _swap, _fields))(r, data)
    return data


def _span(r: random.Random, data: bytes) -> tuple[int, int]:
    start = r.randrange(len(data) + 1)
    return start, min(len(data), start + r.choice((1, 2, 7, 40, 400)))


def _flip(r: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    k = r.randrange(len(data))
    return data[:k] + bytes([data[k] ^ 1 << r.randrange(8)]) + data[k + 1 :]


def _cut(r: random.Random, data: bytes) -> bytes:
    start, stop = _span(r, data)
    return data[:start] + data[stop:]


def _again(r: random.Random, data: bytes) -> bytes:
    start, stop = _span(r, data)
    return data[:stop] + data[start:stop] * r.choice((1, 2, 30)) + data[stop:]


def _put(r: random.Random, data: bytes) -> bytes:
    start, _ = _span(r, data)
    return data[:start] + r.choice(NASTY) + data[start:]


def _end(r: random.Random, data: bytes) -> bytes:
    return data[: r.choice((0, 1, 2, len(data) // 2, max(0, len(data) - 3)))]


def _swap(r: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    r.shuffle(lines)
    return b"".join(lines)


def _fields(r: random.Random, data: bytes) -> bytes:
    """One separator, decimal point or encoding for another, in the whole file."""
    old, new = r.choice(((b",", b";"), (b",", b"\t"), (b".", b","), (b"\n", b"\r\n"), (b"0", b"")))
    if r.random() < 0.2:
        return data.decode(errors="replace").encode(r.choice(("utf-16", "utf-8-sig", "utf-32")))
    return data.replace(old, new)


def _words(r: random.Random, words: tuple[str, ...], runs: Path) -> list[str]:
    """A command line with one thing wrong in it; what names a run outside stays."""
    found = list(words)
    k = r.randrange(len(found))
    costly = {found[k - 1], found[k]} & {*COSTLY} or str(runs) in found[k]
    # Without the name that is wrong these would go on for minutes, and rightly.
    if r.random() < 0.3 or found[0] in ("reproduce", "bench", "audit"):
        found.insert(k, r.choice(WORDS))
    elif r.random() < 0.2 and not costly:
        del found[k]
    elif not costly:
        found[k] = r.choice(WORDS)
    return found


# --- one case ---


def tried(r: random.Random, folder: Path, runs: Path) -> str | None:
    """Run a command that is wrong in some way; what there is to complain of, or None."""
    every = samples(runs)
    sample = r.choices(every, [one.weight for one in every])[0]
    words, files = list(sample.words), dict(sample.files)
    if files and r.random() < 0.7:
        name = r.choice(list(files))
        files[name] = mutated(r, files[name])
    else:
        words = _words(r, sample.words, runs)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    ended = command(words, folder)
    if words[:1] == ["audit"] and ended.rc == 1 and ended.out and not ended.err:
        return None  # the verdict that the pass is wrong
    why = complaint(ended)
    return why and f"unrolled {' '.join(map(repr, words))}: {why}"


def complaint(ended: Ended) -> str | None:
    """What is wrong with the way in which a command ended, or None."""
    said = [line for line in ended.err.splitlines() if line.strip()]
    if ended.rc < 0:
        return f"signal {-ended.rc} after {ended.seconds:.0f} s: {ended.err[-300:]}"
    if "Traceback" in ended.err or "OUTSIDE" in ended.err:
        return ended.err[-2000:]
    if ended.rc == 0 or (ended.rc == 2 and "unrolled COMMAND --help" in ended.out):
        return None
    if not said or not said[-1].startswith("unrolled: "):
        return f"status {ended.rc} without a sentence: {ended.err[-500:]!r}"
    if "fault of unrolled" in said[-1]:
        return said[-1]
    if sum(line.startswith("unrolled: ") for line in said) != 1 or len(said[-1]) > 1000:
        return f"not one sentence: {ended.err[-1500:]!r}"
    return None
