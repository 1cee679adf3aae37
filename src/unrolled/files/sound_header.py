"""What a file of sound says of itself, looked over before its samples are read.

libsndfile decodes, by the package soundfile.  A WAV file that ends before its header says so it
reads without a word; here that is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from unrolled.errors import InvalidValueError
from unrolled.errors.mistakes import one_line

__all__ = [
    "DEPTHS",
    "SOUNDS",
    "SoundFile",
    "damaged",
    "described",
    "library",
    "opened",
    "sound_file",
]

SOUNDS = (".wav", ".flac", ".aiff", ".aif", ".ogg")
READ = ("WAV", "WAVEX", "RF64", "FLAC", "AIFF", "OGG")
DEPTHS = {  # as people say it, and as libsndfile does
    "8-bit": "PCM_U8",
    "16-bit": "PCM_16",
    "24-bit": "PCM_24",
    "32-bit": "PCM_32",
    "32-bit float": "FLOAT",
    "64-bit float": "DOUBLE",
}
UNTOLD = (0, 0xFFFFFFFF)  # the length that a program writes which could not go back to tell it


@dataclass(frozen=True)
class SoundFile:
    """What a file of sound says of itself.

    Attributes
    ----------
    path : Path
    rate : int
        Samples a second of each channel, in Hz.
    channels : int
    length : int
        Samples of each channel.
    format : str
        Such as ``"WAV"``.
    depth : str
        How a sample is stored: a key of `DEPTHS`, or what libsndfile calls it.
    untold : bool
        Whether the header does not say how long the sound is, so that the file's end tells it.
    """

    path: Path
    rate: int
    channels: int
    length: int
    format: str
    depth: str
    untold: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.length / self.rate

    @property
    def told(self) -> str:
        """One line for a person: format, depth, rate, channels, seconds."""
        many = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        told = f"{self.depth} {self.format}, {self.rate:,} Hz, {many}, {self.seconds:.2f} s"
        return told + ", up to its end, since its header does not say how long it is" * self.untold


def sound_file(path: Path) -> SoundFile:
    """Look over what a file of sound says of itself; its samples are not read.

    Raises
    ------
    ValueError
        In one sentence: there is no such file, it is of another kind, empty, or cut short.
    """
    with opened(path) as file:
        return described(path, file)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, opened by libsndfile, once it is known to be a file."""
    soundfile = library()
    if path.is_dir():
        raise InvalidValueError(f"{path} is a folder: expected a file of sound.")
    if not path.is_file():
        raise InvalidValueError(f"there is no file {path}: check the path.")
    if path.stat().st_size == 0:
        raise InvalidValueError(f"{path.name} is empty (0 bytes): expected a file of sound.")
    try:
        # By its descriptor, so that neither the name's letters nor its ending count.
        with open(path, "rb") as plain, soundfile.SoundFile(plain.fileno(), closefd=False) as file:
            yield file
    except soundfile.SoundFileError as error:
        raise damaged(path, error) from None
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}.") from None


def library() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):  # the second where libsndfile itself is not there
        raise InvalidValueError(
            "sound is read and written with soundfile: pip install 'unrolled[sound]' brings it."
        ) from None
    return soundfile


def damaged(path: Path, error: Exception) -> InvalidValueError:
    said = one_line(str(error).rpartition(": ")[2] or str(error), 120).rstrip(".")
    return InvalidValueError(
        f"{path.name} is no file of sound that can be read ({said}): expected WAV, FLAC, AIFF or "
        "Ogg Vorbis, whole; export it again."
    )


def described(path: Path, file: Any) -> SoundFile:
    if file.format not in READ:
        raise InvalidValueError(
            f"{path.name} is {file.format_info}: expected WAV, FLAC, AIFF or Ogg Vorbis; export it "
            "as WAV."
        )
    depth = next((name for name, word in DEPTHS.items() if word == file.subtype), "")
    kind = "WAV" if file.format in ("WAVEX", "RF64") else file.format
    untold = kind == "WAV" and _check_wav(path)
    found = SoundFile(
        path,
        file.samplerate,
        file.channels,
        file.frames,
        kind,
        depth or str(file.subtype_info),
        untold,
    )
    if not found.length:
        raise InvalidValueError(f"{path.name} holds no sample: expected some sound.")
    return found


def _check_wav(path: Path) -> bool:
    """Refuse a WAV file that is cut short; True where its header does not say how long it is.

    A WAV file is chunks, each with its length in front (Microsoft and IBM, "Multimedia Programming
    Interface and Data Specifications 1.0", 1991): the samples are the chunk ``data``.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF":
            return False  # RF64 has its lengths elsewhere
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                return _check_data(path, file, length, size)
            file.seek(length + length % 2, 1)
    return False


def _check_data(path: Path, file: IO[bytes], length: int, size: int) -> bool:
    there = size - file.tell()
    if length in UNTOLD:
        return there > 0
    if length > there:
        raise InvalidValueError(
            f"{path.name} has {there:,} bytes of sound, and its header says {length:,}: it is cut "
            "short; copy it again."
        )
    return False
