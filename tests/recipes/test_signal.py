"""The recipe `signal`: what it learns, in whole native steps, and how it is judged."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled import recipes, training
from unrolled.cli.main import main
from unrolled.estimators.opened import open_signal, open_trained
from unrolled.export import from_guitarml, from_rtneural, to_guitarml, to_rtneural
from unrolled.files.sound import read_sound, write_sound
from unrolled.recipes._signal.made_up import drive, played
from unrolled.recipes._signal.network import stream
from unrolled.training import runs
from unrolled.training.session import Session

SMALL: dict[str, Any] = {
    "length": 30_000,
    "hidden": 8,
    "batch_size": 8,
    "window": 256,
    "windows": 6,
    "warm_up": 100,
}


def recipe(**fields: Any) -> Any:
    return recipes.find("signal").recipe(**(SMALL | fields))


@cache
def learnt(**fields: Any) -> tuple[Any, Any]:
    """A run in memory: the recipe, and the model with the weights that are kept."""
    given = recipe(**fields)
    *_, last = training.train(given)
    return given, last.model


def test_a_memoryless_effect_is_learnt_better_than_a_filter_can(tmp_path: Path) -> None:
    x = 3 * played(30_000, 3)
    one, two = tmp_path / "in.wav", tmp_path / "out.wav"
    write_sound(one, [x], 48_000)
    write_sound(two, [np.tanh(8 * x)], 48_000)
    given = recipe(data=one, target=two, steps=500, learning_rate=0.02, report_every=100)
    *_, last = training.train(given)
    figures = given.result(last.model)
    assert figures["test_esr"] < 0.02 < 0.1 < figures["test_esr_linear"]
    assert "The LSTM wins" in given.summary(last.model)


@pytest.mark.parametrize(
    "fields",
    [{}, {"skip": True, "layers": 2}, {"emphasis": 0.85}, {"criterion": "mse", "cell": "peephole"}],
)
def test_native_updates_are_those_of_autograd(fields: dict[str, Any]) -> None:
    ours, theirs = (Session(recipe(**fields), plain) for plain in (False, True))
    assert ours.why_plain == ""
    for session in (ours, theirs):
        losses = []
        while session.step < 8:  # beyond the first six windows
            losses += session.advance_many(8 - session.step)
        session.losses = losses  # type: ignore[attr-defined]
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-3)  # type: ignore[attr-defined]
    for a, b in zip(ours.parameters, theirs.parameters, strict=True):
        assert torch.allclose(a, b, atol=2e-4)


def test_a_run_that_was_stopped_between_windows_goes_on_with_the_same_bits() -> None:
    given = recipe(steps=9)
    straight, stopped = Session(given), Session(given)
    first = straight.advance_many(4)
    first += straight.advance_many(2)
    first += straight.advance_many(3)
    begun = stopped.advance_many(4)
    saved = stopped.snapshot()
    stopped.advance_many(2)  # which writes to the state that is carried
    on = Session(given)
    on.restore(saved)
    again = begun + on.advance_many(2) + on.advance_many(3)
    assert again == first


def test_nothing_is_learnt_from_the_warm_up() -> None:
    given = recipe()
    native = given.native(training.build(given))
    batches = native.read(given.batches(0, torch.Generator().manual_seed(0)))
    wanted, begins = batches.target, batches.begins
    assert wanted[0, :100].isnan().all()
    assert not wanted[0, 100:].isnan().any()
    assert not wanted[1:].isnan().any()
    assert begins.tolist() == [True, *[False] * 5]


def test_the_loss_is_the_error_by_the_targets_energy() -> None:
    given = recipe(emphasis=0.5)
    signal, scales = given.parts.training, given.scales
    y = signal.outputs[:, 0] / scales.size_out[0]
    energy = np.square(y[1:] - 0.5 * y[:-1]).mean()
    silent = torch.zeros(len(y), 1, 1)
    target = torch.from_numpy(y.astype(np.float32))[:, None, None]
    filtered = np.square(np.append(y[0], y[1:] - 0.5 * y[:-1])).mean()
    known = (filtered + np.square(y.mean()) / 3) / energy
    assert float(given._loss(silent, target)) == pytest.approx(known, rel=1e-3)


def test_the_test_part_chooses_nothing() -> None:
    given = recipe()
    session = Session(given)
    before = given.metrics(session.model)
    begin, _ = given.parts.test
    outputs = given.signal.outputs.copy()
    outputs[begin:] = 7
    vars(given)["signal"] = given.signal.part(0, begin).telling()
    object.__setattr__(given.signal, "outputs", outputs)
    assert given.metrics(session.model) == before
    assert given.chosen_by in before


def test_the_exported_network_gives_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = 5 + 3 * random.standard_normal((400, 2))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x[:, :1] * 2 + 100)
    for skip in (False, True):
        given = recipe(
            data=tmp_path / "x.npy", target=tmp_path / "y.npy", skip=skip, window=20, warm_up=5
        )
        model = training.build(given)
        wanted = np.concatenate(list(stream(model, [x])))
        effect = given.exported(model)["network"]
        with torch.no_grad():
            found = effect(torch.from_numpy(x.astype(np.float32))[:, None])[0][:, 0].numpy()
        assert np.allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("skip", [False, True])
def test_files_of_others_play_the_same(skip: bool, tmp_path: Path) -> None:
    given, model = learnt(steps=2, skip=skip)
    wanted = given.output(model, 0, 300)[:, 0]
    x = torch.from_numpy(given.signal.inputs[:300])[:, None]
    effect = given.exported(model)["network"]
    for write, read in ((to_guitarml, from_guitarml), (to_rtneural, from_rtneural)):
        path = tmp_path / "amp.json"
        write(effect, path)
        with torch.no_grad():
            assert np.allclose(read(path)(x)[0][:, 0, 0].numpy(), wanted, atol=1e-6)


# --- a run ---


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two files that are gone."""
    folder = tmp_path_factory.mktemp("signal")
    x = played(20_000, 1)
    write_sound(folder / "in.wav", [x], 44_100, "16-bit")
    late = np.append(np.zeros(123), drive(x))
    write_sound(folder / "out.wav", [late], 44_100, "16-bit")
    sizes = {"steps": 4, "report-every": 2, "hidden": 4, "window": 128, "windows": 4}
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    files = ["--data", str(folder / "in.wav"), "--target", str(folder / "out.wav")]
    assert main(["train", "signal", *files, *words, "--out", str(folder / "run")]) == 0
    for name in ("in.wav", "out.wav"):
        (folder / name).rename(folder / f"gone_{name}")
    return folder / "run"


def test_a_run_leaves_pictures_and_the_sounds(run: Path) -> None:
    result = runs.read_result(run)
    assert result is not None
    made = {"learning.png", "waves.png", "error_spectrum.png"}
    made |= {f"test_{name}.wav" for name in ("input", "target", "output")}
    assert made == set(result["pictures"])
    lengths = {read_sound(run / name)[0].length for name in made if name.endswith(".wav")}
    assert len(lengths) == 1
    assert result["figures"]["rate"] == 44_100


def test_a_run_is_shown_and_explored_without_its_files(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(run)]) == 0
    assert main(["export", str(run), "--to", "c", "--out", str(tmp_path / "amp.c")]) == 0
    assert main(["explore", str(run), "--out", str(tmp_path / "page.html")]) == 0
    opened = open_trained(run)
    (passage,) = opened.recipe.look(opened.model)
    passage.call()
    capsys.readouterr()


def test_try_judges_another_pair(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [str(run.parent / f"gone_{name}") for name in ("in.wav", "out.wav")]
    assert main(["try", str(run), *pair]) == 0
    said = capsys.readouterr().out
    assert "the target comes 123 steps later" in said
    assert "error-to-signal ratio over 0.45 s" in said
    assert main(["try", str(run)]) != 0
    assert "what is to be tried?" in capsys.readouterr().err


def test_a_damaged_record_of_the_signal_is_one_sentence(run: Path, tmp_path: Path) -> None:
    recipe = open_signal(run).recipe
    with pytest.raises((KeyError, ValueError)):
        recipe.remembering({"names": [["0"], ["0"]]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": Path("x.wav")}, "is of no file"),
        ({"delay": 3}, "is of no file"),
        ({"criterion": "mse", "emphasis": 0.9}, "leave it out with mse"),
        ({"window": 0}, "expected 1 or more"),
        ({"window": 9_000}, "lower --window"),
        ({"warm_up": 256}, "lower --warm-up"),
        ({"validation_share": 0.00001}, "the validation part"),
        ({"validation_share": 0.6, "test_share": 0.6}, "expected less than 1 together"),
        ({"steps_per_update": 5}, "--window says"),
    ],
)
def test_fields_that_do_not_fit_are_one_sentence(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.check(recipe(**fields))
