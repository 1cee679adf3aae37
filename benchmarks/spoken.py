"""Spoken digits: synthesised by espeak-ng in many voices, learnt from some, judged on others.

    python benchmarks/spoken.py --folder digits          # makes digits/WORD/VOICE_….wav
    python benchmarks/spoken.py --folder digits --seeds 3

Every sound is synthesised: this says how well the recipe tells words apart in voices that it never
heard, not how well it does on people.  A voice is a variant of espeak-ng (m1, f3, …), which says
every digit in three accents, at several speeds and pitches that are drawn by its name; all of it is
on one side.
"""

from __future__ import annotations

import argparse
import subprocess
import zlib
from pathlib import Path

import numpy as np

from unrolled import training
from unrolled.recipes.labels import Recipe
from unrolled.training.session import Session

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt2")
TIMES = 3  # that a voice says each digit


def speak(folder: Path) -> int:
    """Make the folder, WORD/VOICE_ACCENT_SPEED_PITCH.wav; how many files are new."""
    made = 0
    for accent in ACCENTS:
        for variant in VARIANTS:
            made += speak_voice(folder, accent, variant)
    return made


def speak_voice(folder: Path, accent: str, variant: str) -> int:
    """Let a voice say every digit in one accent; how many files are new."""
    voice = f"{accent}+{variant}"
    generator = np.random.default_rng(zlib.crc32(voice.encode()))
    made = 0
    for word in DIGITS:
        (folder / word).mkdir(parents=True, exist_ok=True)
        for _ in range(TIMES):
            speed, pitch = int(generator.integers(110, 231)), int(generator.integers(20, 81))
            path = folder / word / f"{variant}_{accent}_{speed}_{pitch}.wav"
            if not path.exists():
                how = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path)]
                subprocess.run(["espeak-ng", *how, word], check=True)
                made += 1
    return made


def judged(folder: Path, seed: int, ensemble: int) -> dict[str, float]:
    """The figures of one run with the recipe's defaults, held out by voice."""
    recipe = Recipe(data=folder, group="_", seed=seed, ensemble=ensemble, report_every=250)
    training.check(recipe)
    session = Session(recipe)
    while session.step < recipe.steps:
        session.advance()
        if session.step % recipe.report_every == 0:
            session.look()
    with session.looking():
        print(recipe.summary(session.model), flush=True)
        return recipe.result(session.model)


def main() -> None:
    """Make what is not there yet, train, and print a line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--ensemble", type=int, default=1)
    asked = parser.parse_args()
    print(f"{speak(asked.folder):,} sounds were synthesised")
    found = [judged(asked.folder, seed, asked.ensemble) for seed in range(asked.seeds)]
    for seed, figures in enumerate(found):
        told = {name: round(value, 4) for name, value in figures.items() if "accuracy" in name}
        print(f"seed {seed}: {told}")


if __name__ == "__main__":
    main()
