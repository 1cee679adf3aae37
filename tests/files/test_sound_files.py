"""Sound on disk: every depth comes back, what is damaged is one sentence, and nothing is lost."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from processes import one_sentence
from unrolled.files import sound
from unrolled.files.sound import DEPTHS, read_sound, sound_blocks, sound_file, write_sound

RATE = 8_000
KEPT = {"8-bit": 8, "16-bit": 16, "24-bit": 24}  # bits; of the others, as many as float32 has


def noise(length: int = 1_000, channels: int = 2, seed: int = 0) -> sound.Samples:
    """Sound that uses the whole scale."""
    draw = np.random.default_rng(seed)
    return draw.uniform(-0.99, 0.99, (length, channels)).astype(np.float32)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("ending", [".wav", ".flac", ".aiff"])
def test_every_depth_comes_back(tmp_path: Path, depth: str, ending: str) -> None:
    path = tmp_path / f"noise{ending}"
    if ending == ".flac" and depth not in ("8-bit", "16-bit", "24-bit"):
        with pytest.raises(ValueError, match="no depth") as caught:
            write_sound(path, [noise()], RATE, depth)
        assert one_sentence(caught.value)
        assert not path.exists()
        return
    assert write_sound(path, [noise()], RATE, depth) == 0
    found, samples = read_sound(path)
    assert samples.dtype == np.float32
    assert np.abs(samples - noise()).max() <= 2.0 ** (1 - KEPT.get(depth, 24)) / 2
    told = (found.rate, found.channels, found.length, found.depth.replace("8 bit", "8-bit"))
    assert told[:3] == (RATE, 2, 1_000)
    assert depth in found.told or "8" in found.depth
    again = tmp_path / f"again{ending}"
    write_sound(again, [samples], RATE, depth)
    assert np.array_equal(read_sound(again)[1], samples)


def test_full_scale_is_one(tmp_path: Path) -> None:
    """An integer of 16 bits is divided by 32,768, written by the standard library here."""
    import wave

    path = tmp_path / "scale.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack("<4h", -32_768, -1, 0, 32_767))
    assert read_sound(path)[1][:, 0].tolist() == [-1, -1 / 32_768, 0, 32_767 / 32_768]


def test_what_is_beyond_full_scale_is_counted(tmp_path: Path) -> None:
    block = np.array([[0.5], [1.5], [-1.0], [-1.1], [1.0]], np.float32)
    assert write_sound(tmp_path / "a.wav", [block], RATE, "16-bit") == 3
    assert read_sound(tmp_path / "a.wav")[1].max() == 32_767 / 32_768
    assert write_sound(tmp_path / "b.wav", [block], RATE) == 0
    assert np.array_equal(read_sound(tmp_path / "b.wav")[1], block)


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_blocks_are_the_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"noise{ending}"
    write_sound(path, iter([noise()[:300], noise()[300:]]), RATE, "16-bit")
    _, whole = read_sound(path)
    assert np.array_equal(np.concatenate(list(sound_blocks(path, 77))), whole)
    assert np.array_equal(np.concatenate(list(sound_blocks(path, 77, 501))), whole[501:])
    assert list(sound_blocks(path, 77, 5_000)) == []


def test_a_recorder_that_did_not_tell_the_length(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    write_sound(path, [noise()], RATE, "16-bit")
    raw = bytearray(path.read_bytes())
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    found, samples = read_sound(path)
    assert len(samples) == 1_000
    assert "does not say how long" in found.told


def wav() -> bytearray:
    """A whole WAV file of 16 bits, whose chunk of samples begins at byte 44."""
    samples = (noise() * 32_767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 2, RATE, RATE * 4, 4, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples))
    return bytearray(b"RIFF" + struct.pack("<I", len(chunks) + len(samples)) + chunks + samples)


def changed(at: int, what: bytes) -> bytes:
    """The whole file with other bytes at one place."""
    raw = wav()
    raw[at : at + len(what)] = what
    return bytes(raw)


def of_floats(value: float) -> bytes:
    """A WAV file of floats, one of which is no number."""
    samples = np.array([0, 0.5, value, 0], "<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, RATE, RATE * 4, 4, 32)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(chunks) + len(samples)) + chunks + samples


DAMAGED = {
    "empty": b"",
    "four letters": b"RIFF",
    "header alone": bytes(wav()[:44]),
    "cut in the header": bytes(wav()[:30]),
    "cut in the samples": bytes(wav()[:2_000]),
    "the last byte is gone": bytes(wav()[:-1]),
    "no format": changed(12, b"fnt "),
    "no channel": changed(22, b"\0\0"),
    "no rate": changed(24, b"\0\0\0\0"),
    "an unknown coding": changed(20, b"\x77\x77"),
    "too long a length": changed(40, struct.pack("<I", 400_000)),
    "text": b"time,value\n1,2\n" * 100,
    "zeros": bytes(4_000),
    "not a number": of_floats(float("nan")),
    "infinite": of_floats(float("inf")),
    "a NumPy file": b"\x93NUMPY" + bytes(500),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match=r"x\.wav") as caught:
        read_sound(path)
    assert one_sentence(caught.value)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_damaged_flac_is_one_sentence(tmp_path: Path, share: float, flipped: bool) -> None:
    path = tmp_path / "x.flac"
    write_sound(path, [noise(20_000)], RATE, "16-bit")
    raw = bytearray(path.read_bytes())
    at = int(len(raw) * share)
    if flipped:
        raw[at : at + 64] = bytes(64)
    path.write_bytes(raw if flipped else raw[:at])
    with pytest.raises(ValueError, match=r"x\.flac") as caught:
        read_sound(path)
    assert one_sentence(caught.value)


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.wav"):
        with pytest.raises(ValueError, match=path.name) as caught:
            sound_file(path)
        assert one_sentence(caught.value)


def test_a_sound_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.wav"
    write_sound(path, [noise()], RATE)
    monkeypatch.setattr(sound, "MOST", 1_000)
    with pytest.raises(ValueError, match="minutes long") as caught:
        read_sound(path)
    assert one_sentence(caught.value)


def test_nothing_good_is_lost(tmp_path: Path) -> None:
    """A block that fails, or is not finite, leaves the file of before and nothing beside it."""
    path = tmp_path / "x.wav"
    write_sound(path, [noise()], RATE)
    before = path.read_bytes()

    def failing():
        yield noise()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sound(path, failing(), RATE)
    for blocks, word in (([np.full((2, 1), np.nan, np.float32)], "finite"), ([], "no sound")):
        with pytest.raises(ValueError, match=word) as caught:
            write_sound(path, blocks, RATE)
        assert one_sentence(caught.value)
    with pytest.raises(ValueError, match="ending"):
        write_sound(tmp_path / "x.mp3", [noise()], RATE)
    with pytest.raises(ValueError, match="depth"):
        write_sound(path, [noise()], RATE, "12-bit")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]
