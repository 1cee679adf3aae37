"""Sound on disk: WAV, FLAC, AIFF and Ogg Vorbis, read whole or block by block, and written whole.

libsndfile decodes, by the package soundfile.  A file that decodes to fewer samples than its header
tells, and samples that are no finite number, it passes over without a word; here they are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.errors import InvalidValueError
from unrolled.errors.mistakes import one_line
from unrolled.files.sound_header import (
    DEPTHS,
    SOUNDS,
    SoundFile,
    damaged,
    described,
    library,
    opened,
    sound_file,
)
from unrolled.files.whole import check_place, replace_file

__all__ = [
    "DEPTHS",
    "SOUNDS",
    "Samples",
    "SoundFile",
    "depths_of",
    "read_sound",
    "sound_blocks",
    "sound_file",
    "write_sound",
]

Samples = npt.NDArray[np.float32]

WRITTEN = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF"}
BITS = {"8-bit": 8, "16-bit": 16, "24-bit": 24, "32-bit": 32}
BLOCK = 65_536
MOST = 2**28  # numbers in memory: 1 GiB in float32, 93 minutes of one channel at 48,000 Hz


def read_sound(path: Path) -> tuple[SoundFile, Samples]:
    """Read a file of sound into memory.

    Returns
    -------
    SoundFile
    samples : array of float32, [T, C]
        Full scale is 1: an integer of b bits is divided by 2**(b - 1).  Of a depth of more than 24
        bits, float32 keeps the first 24.

    Raises
    ------
    ValueError
        As `sound_file`; also where a sample is not a finite number, or the sound is too long.
    """
    found = sound_file(path)
    if found.length * found.channels > MOST:
        raise InvalidValueError(
            f"{path.name} is {found.seconds / 60:,.0f} minutes long, too much to be read at once: "
            f"expected {MOST // found.channels // found.rate // 60} at most; cut it into parts."
        )
    return found, np.concatenate(list(sound_blocks(path, BLOCK)))


def sound_blocks(path: Path, size: int = BLOCK, begin: int = 0) -> Iterator[Samples]:
    """Read a file of sound of any length, ``size`` samples at a time.

    Parameters
    ----------
    begin
        How many samples are passed over first.

    Yields
    ------
    array of float32, [≤ size, C]

    Raises
    ------
    ValueError
        As `read_sound`.
    """
    with opened(path) as file:
        length = described(path, file).length
        at = file.seek(min(begin, length))
        while at < length:
            block = _read(path, file, min(size, length - at), at)
            yield block
            at += len(block)


def _read(path: Path, file: Any, size: int, at: int) -> Samples:
    import soundfile

    try:
        block: Samples = file.read(size, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise damaged(path, error) from None
    if len(block) < size:
        raise InvalidValueError(
            f"{path.name} ends at sample {at + len(block):,}, and its header says that there are "
            "more: it is cut short; copy it again."
        )
    _check_finite(block, at, f" of {path.name}", "write the file again, or cut it there")
    return block


def _check_finite(block: Samples, at: int, where: str, mend: str) -> None:
    bad = np.argwhere(~np.isfinite(block))
    if len(bad):
        step, channel = bad[0]
        raise InvalidValueError(
            f"sample {at + step:,} of channel {channel}{where} is {block[step, channel]}, expected "
            f"a finite number: {mend}."
        )


# --- writing ---


def write_sound(
    path: Path, blocks: Iterable[Samples], rate: int, depth: str = "32-bit float"
) -> int:
    """Write sound that comes block by block; the file is there when the last one came.

    Parameters
    ----------
    path
        Its ending tells the format: .wav, .flac or .aiff.
    blocks
        Arrays [T, C], or [T] of one channel; full scale is 1.
    rate
        Samples a second, in Hz.
    depth
        A key of `DEPTHS`.

    Returns
    -------
    int
        How many numbers lay beyond full scale, which an integer depth cannot say: these are now
        the largest, or the least, that it can.

    Raises
    ------
    ValueError
        In one sentence: the format has no such depth, a number is not finite, there is no block, or
        nothing may be written there.
    """
    check_place(path)
    kind = _format(path, depth)
    clipped = 0

    def write(beside: Path) -> None:
        nonlocal clipped
        clipped = _write(beside, blocks, rate, kind, depth)

    replace_file(path, write)
    return clipped


def depths_of(path: Path) -> list[str]:
    """The depths that a file with that ending can have.

    Raises
    ------
    ValueError
        If the ending is of no sound that is written.
    """
    soundfile, kind = library(), _kind(path)
    return [name for name in DEPTHS if soundfile.check_format(kind, _subtype(kind, name))]


def _kind(path: Path) -> str:
    kind = WRITTEN.get(path.suffix.lower())
    if kind is None:
        raise InvalidValueError(
            f"{path.name} has no ending of sound that is written: expected {', '.join(WRITTEN)}."
        )
    return kind


def _format(path: Path, depth: str) -> str:
    kind = _kind(path)
    if depth not in DEPTHS:
        raise InvalidValueError(f"depth={depth!r} is not known: expected {', '.join(DEPTHS)}.")
    if depth not in (known := depths_of(path)):
        raise InvalidValueError(
            f"{kind} has no depth {depth!r}: expected {', '.join(known)}, or a .wav file."
        )
    return kind


def _subtype(kind: str, depth: str) -> str:
    return "PCM_S8" if depth == "8-bit" and kind != "WAV" else DEPTHS[depth]


def _write(beside: Path, blocks: Iterable[Samples], rate: int, kind: str, depth: str) -> int:
    soundfile, clipped, file, at = library(), 0, None, 0
    try:
        for given in blocks:
            block = np.asarray(given, np.float32)
            block = block[:, None] if block.ndim == 1 else block
            if file is None:
                subtype = _subtype(kind, depth)
                file = soundfile.SoundFile(beside, "w", rate, block.shape[1], subtype, format=kind)
            _check_finite(block, at, "", "sound has no other numbers")
            stored, beyond = _stored(block, depth)
            clipped += beyond
            file.write(stored)
            at += len(block)
        if file is None:
            raise InvalidValueError("there is no sound to write: expected a block or more.")
    except soundfile.SoundFileError as error:
        raise InvalidValueError(f"the sound cannot be written ({one_line(str(error))}).") from None
    finally:
        if file is not None:
            file.close()
    return clipped


def _stored(block: Samples, depth: str) -> tuple[npt.NDArray[Any], int]:
    """What is handed on to be stored, and how many numbers lay beyond full scale.

    libsndfile would cut an integer's fraction off; so it is given integers, rounded, whose lowest
    bits are those that the depth does not have.
    """
    bits = BITS.get(depth)
    if bits is None:
        return block, 0
    full = 2 ** (bits - 1)
    rounded = np.rint(block.astype(np.float64) * full)
    kept = rounded.clip(-full, full - 1)
    return kept.astype(np.int32) * np.int32(2 ** (32 - bits)), int((kept != rounded).sum())
