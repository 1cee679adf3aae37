"""RTNeural, GuitarML and NAM files: held to their readers, and read back to the same samples."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cases import normal
from ecosystem_needs import needs
from processes import one_sentence
from unrolled import LSTM, Network
from unrolled.export import (
    Effect,
    ExportError,
    from_guitarml,
    from_nam,
    from_rtneural,
    to_guitarml,
    to_nam,
    to_rtneural,
)
from unrolled.export.targets import TARGETS, write

HERE = Path(__file__).parent
WRITERS = {"rtneural": to_rtneural, "guitarml": to_guitarml, "nam": to_nam}
READERS = {"rtneural": from_rtneural, "guitarml": from_guitarml, "nam": from_nam}


def network(inputs: int = 1, outputs: int = 1, **options: Any) -> Network:
    torch.manual_seed(17)
    made = Network(LSTM(inputs, 5, **options), nn.Linear(5, outputs))
    return made.eval()


def played(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.as_tensor(model(x)[0])


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return normal(generator, 40, 1, 1).float()


# --- readers of a few lines, from what the formats' own sources do ---


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def rtneural_player(document: dict[str, Any], samples: np.ndarray) -> np.ndarray:
    """What RTNeural's parseJson and forward do: W [I][4·H] in the order i, f, c, o, one bias."""
    rows = samples
    for layer in document["layers"]:
        arrays = [np.array(a) for a in layer["weights"]]
        if layer["type"] == "lstm":
            size = layer["shape"][-1]
            h = c = np.zeros(size)
            outputs = []
            for row in rows:
                a = row @ arrays[0] + h @ arrays[1] + arrays[2]
                i, f, g, o = a[:size], a[size : 2 * size], a[2 * size : 3 * size], a[3 * size :]
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                outputs.append(h)
            rows = np.stack(outputs)
        else:
            assert layer["type"] == "dense"
            assert layer["activation"] == ""
            rows = rows @ arrays[0] + arrays[1]
        assert rows.shape[-1] == layer["shape"][-1]
    return rows


class SimpleRNN(nn.Module):
    """The module that trains and reads GuitarML's files, by its names."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__()
        self.rec = nn.LSTM(data["input_size"], data["hidden_size"], data["num_layers"])
        self.lin = nn.Linear(data["hidden_size"], data["output_size"], bias=data["bias_fl"])
        self.skip = data["skip"]

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        y = self.lin(self.rec(x)[0])
        return (y + x[:, :, : self.skip] if self.skip else y), None


def guitarml_player(document: dict[str, Any]) -> SimpleRNN:
    model = SimpleRNN(document["model_data"])
    state = {name: torch.tensor(value) for name, value in document["state_dict"].items()}
    model.load_state_dict(state, strict=True)
    return model


# --- out, held to the reader ---


@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bias": False}], ids=str)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 2)])
def test_rtneurals_reader_gives_the_same(
    tmp_path: Path, generator: torch.Generator, options: dict[str, Any], inputs: int, outputs: int
) -> None:
    model, path = network(inputs, outputs, **options), tmp_path / "amp.json"
    assert to_rtneural(model, path, sample_rate=44100) == [path]
    document = json.loads(path.read_text())
    assert document["in_shape"] == [None, None, inputs]
    assert document["metadata"]["samplerate"] == 44100  # what AIDA-X reads
    samples = normal(generator, 40, 1, inputs).float()
    found = rtneural_player(document, samples[:, 0].numpy())
    torch.testing.assert_close(
        torch.from_numpy(found).float(), played(model, samples)[:, 0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("bias", [True, False])
def test_guitarmls_reader_gives_the_same(tmp_path: Path, x: Tensor, skip: int, bias: bool) -> None:
    model, path = network(bias=bias), tmp_path / "amp.json"
    effect = Effect(model.recurrent, model.head, skip=skip)
    to_guitarml(effect, path)
    found = played(guitarml_player(json.loads(path.read_text())), x)
    torch.testing.assert_close(found, played(effect, x), rtol=1e-5, atol=1e-6)
    assert (path.read_text().count("true"), skip) == (1, effect.skip)


@needs("nam", "pydantic")
def test_neural_amp_modeler_gives_the_same_samples(
    tmp_path: Path, x: Tensor, generator: torch.Generator
) -> None:
    effects: dict[str, Effect] = {}
    for k, options in enumerate(({}, {"num_layers": 2}, {"bias": False})):
        model = network(**options)
        h, c = (normal(generator, model.recurrent.num_layers, 5).float() for _ in range(2))
        for begun, state in enumerate((None, (h, c))):
            effect = Effect(model.recurrent, model.head, state=state)
            path = str(tmp_path / f"{k}{begun}.nam")
            to_nam(effect, path, sample_rate=48000)
            effects[path] = effect
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "nam_reader.py"), *effects],
        input=json.dumps(x[:, 0, 0].tolist()),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for theirs, (path, effect) in zip(json.loads(done.stdout), effects.items(), strict=True):
        found = torch.tensor(theirs["samples"])
        torch.testing.assert_close(found, played(effect, x)[:, 0, 0], rtol=1e-5, atol=1e-6)
        assert theirs["sample_rate"] == 48000
        ours = json.loads(Path(path).read_text())["weights"]
        assert len(theirs["weights"]) == len(ours)  # as its own writer lays them
        assert theirs["weights"][: 20 * 7] == ours[: 20 * 7]  # up to the first state


# --- back in ---


@pytest.mark.parametrize("who", WRITERS)
def test_what_was_written_comes_back(tmp_path: Path, x: Tensor, who: str) -> None:
    model, path = network(), tmp_path / f"amp{TARGETS[who].suffix}"
    assert write(model, who, path) == [path]
    back = READERS[who](path)
    torch.testing.assert_close(played(back, x), played(model, x), rtol=1e-6, atol=1e-6)
    assert back.starts_at_zero
    again = tmp_path / "again"
    WRITERS[who](back, again)
    assert again.read_bytes() == path.read_bytes()
    exact = READERS[who](path, dtype=torch.float64)
    assert exact.lstm.weight_ih_l0.dtype == torch.float64


def test_double_precision_keeps_its_bits(tmp_path: Path) -> None:
    model = network().double()
    for who, to in WRITERS.items():
        to(model, tmp_path / who)
        back = READERS[who](tmp_path / who, dtype=torch.float64)
        assert torch.equal(back.lstm.weight_hh_l0, model.recurrent.weight_hh_l0), who
        assert torch.equal(back.head.weight, model.head.weight), who


def test_what_a_file_says_of_the_sound_comes_back(tmp_path: Path) -> None:
    model = network()
    state = (torch.ones(1, 5), torch.full((1, 5), 2.0))
    to_nam(Effect(model.recurrent, model.head, state=state, sample_rate=96000), tmp_path / "n")
    back = from_nam(tmp_path / "n")
    assert back.sample_rate == 96000
    assert torch.equal(back.h_0, state[0])
    assert torch.equal(back.c_0, state[1])
    to_rtneural(Effect(model.recurrent, model.head, skip=1, sample_rate=44100), tmp_path / "r")
    back = from_rtneural(tmp_path / "r")
    assert (back.skip, back.sample_rate) == (1, 44100)


def test_a_rate_that_is_a_word_is_read(tmp_path: Path) -> None:
    to_rtneural(network(), tmp_path / "r", sample_rate=48000)
    text = (tmp_path / "r").read_text().replace("48000", '"48000"')
    (tmp_path / "r").write_text(text)
    assert from_rtneural(tmp_path / "r").sample_rate == 48000


# --- what they cannot say ---


@pytest.mark.parametrize("who", WRITERS)
@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda: network(cell="peephole"), "no cell peephole"),
        (lambda: network(cell="coupled"), "no cell coupled"),
        (lambda: network(zoneout=0.1), "no zoneout"),
        (lambda: LSTM(1, 5, bidirectional=True), "one direction"),
        (lambda: LSTM(1, 5, proj_size=2), "proj_size=2"),
        (lambda: LSTM(1, 5, dtype=torch.complex64), "complex"),
        (lambda: Network(LSTM(1, 5), units=1), "gives a part of h"),
        (lambda: nn.Linear(2, 3), "none"),
        (lambda: broken_by_nan(network()), "NaN"),
    ],
)
def test_what_no_format_can_say_is_refused(
    tmp_path: Path, who: str, module: Callable[[], nn.Module], words: str
) -> None:
    path = tmp_path / "amp"
    path.write_text("good")
    with pytest.raises(ExportError, match=words) as caught:
        WRITERS[who](module(), path)
    one_sentence(caught.value)
    assert path.read_text() == "good"


def broken_by_nan(model: Network) -> Network:
    with torch.no_grad():
        model.recurrent.weight_hh_l0[0, 0] = float("nan")
    return model


def begun() -> Effect:
    model = network()
    return Effect(model.recurrent, model.head, state=(torch.ones(1, 5), torch.ones(1, 5)))


@pytest.mark.parametrize(
    ("to", "module", "words"),
    [
        (to_guitarml, lambda: network(num_layers=2), "num_layers=2"),
        (to_guitarml, lambda: network(outputs=2), "one of 2 outputs"),
        (to_guitarml, lambda: LSTM(1, 5), "there is none"),
        (to_guitarml, begun, "starts at zero"),
        (to_rtneural, begun, "starts at zero"),
        (to_nam, lambda: network(inputs=2), "there are 2 in"),
        (to_nam, lambda: network(outputs=2), "2 out"),
        (to_nam, lambda: LSTM(1, 5), "no head"),
        (to_nam, lambda: Effect(LSTM(1, 5), nn.Linear(5, 1), skip=1), "skip=1"),
    ],
)
def test_what_one_format_cannot_say_is_refused(
    tmp_path: Path, to: Callable[..., Any], module: Callable[[], nn.Module], words: str
) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        to(module(), tmp_path / "amp")
    one_sentence(caught.value)
    assert not list(tmp_path.iterdir())


def test_two_rates_are_refused(tmp_path: Path) -> None:
    effect = Effect(LSTM(1, 5), nn.Linear(5, 1), sample_rate=44100)
    with pytest.raises(ExportError, match="48000 was given and the effect has 44100"):
        to_nam(effect, tmp_path / "amp.nam", sample_rate=48000)


def test_other_targets_do_not_drop_what_an_effect_adds(tmp_path: Path) -> None:
    for effect in (Effect(LSTM(1, 5), nn.Linear(5, 1), skip=1), begun()):
        with pytest.raises(ExportError, match="cannot say"):
            write(effect, "torch", tmp_path / "w.safetensors")


# --- files from strangers ---


def changed(who: str, path: Path, change: Callable[[Any], object]) -> None:
    WRITERS[who](network(), path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("who", "change", "words"),
    [
        ("nam", lambda d: d.update(architecture="WaveNet"), "'WaveNet', and only 'LSTM'"),
        ("nam", lambda d: d.pop("config"), "config is missing"),
        ("nam", lambda d: d["config"].update(hidden_size=10**9), "hidden_size is 1000000000"),
        ("nam", lambda d: d["config"].update(hidden_size=True), "hidden_size is True"),
        ("nam", lambda d: d["config"].update(hidden_size=6), "expected a list of"),
        ("nam", lambda d: d["config"].update(bidirectional=True), "'bidirectional', which is not"),
        ("nam", lambda d: d["config"].update(out_channels=2), "out_channels is 2"),
        ("nam", lambda d: d["weights"].pop(), "weights has 155 of them"),
        ("nam", lambda d: d["weights"].append(1.0), "weights has 157 of them"),
        ("nam", lambda d: d["weights"].__setitem__(3, "x"), "holds 'x'"),
        ("nam", lambda d: d["weights"].__setitem__(3, float("nan")), "holds nan"),
        ("nam", lambda d: d["weights"].__setitem__(3, 10**400), "finite number"),
        ("nam", lambda d: d["weights"].__setitem__(3, 1e308), "1e\\+308, which torch.float32"),
        ("nam", lambda d: d.update(sample_rate=-1), "sample_rate is -1"),
        ("guitarml", lambda d: d["model_data"].update(unit_type="GRU"), "'GRU'"),
        ("guitarml", lambda d: d["model_data"].update(skip=7), "skip is 7"),
        (
            "guitarml",
            lambda d: d["model_data"].update(num_layers=2),
            "ih_l1 has missing",
        ),
        ("guitarml", lambda d: d["state_dict"].pop("rec.bias_hh_l0"), "rec.bias_hh_l0 has missing"),
        ("guitarml", lambda d: d["state_dict"].update(extra=[]), "'extra', which is not read"),
        ("guitarml", lambda d: d["state_dict"]["rec.weight_hh_l0"][0].pop(), "4 of them"),
        ("rtneural", lambda d: d["layers"].reverse(), "layer 0 is 'dense'"),
        ("rtneural", lambda d: d["layers"].pop(0), "layer 0 is 'dense'"),
        ("rtneural", lambda d: d.update(layers=[]), "no LSTM"),
        ("rtneural", lambda d: d.update(layers=3), "layers is 3"),
        ("rtneural", lambda d: d["layers"][0].update(type="gru"), "layer 0 is 'gru'"),
        ("rtneural", lambda d: d["layers"][1].update(activation="tanh"), "activation is 'tanh'"),
        ("rtneural", lambda d: d["layers"][0]["weights"].pop(), "has 2 arrays"),
        ("rtneural", lambda d: d.update(in_gain=3), "in_gain is 3"),
        ("rtneural", lambda d: d.update(in_shape=[]), "in_shape is missing"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(
    tmp_path: Path, who: str, change: Callable[[Any], object], words: str
) -> None:
    path = tmp_path / "f"
    changed(who, path, change)
    with pytest.raises(ExportError, match=words) as caught:
        READERS[who](path)
    assert str(path) in one_sentence(caught.value)


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize("text", ["", "[]", "{", "7", "[" * 100_000, "\x80\x04pickle", "{}"])
def test_what_is_no_such_file_is_refused_in_a_sentence(tmp_path: Path, who: str, text: str) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(ExportError, match="is no file of") as caught:
        READERS[who](path)
    one_sentence(caught.value)


def test_an_effect_refuses_parts_that_do_not_fit() -> None:
    for make, words in (
        (lambda: Effect(nn.LSTM(1, 5)), "is a LSTM, expected an unrolled.LSTM"),
        (lambda: Effect(LSTM(1, 5), nn.Linear(4, 1)), "head reads 4"),
        (lambda: Effect(LSTM(1, 5), nn.Linear(5, 1), skip=2), "skip=2"),
        (lambda: Effect(LSTM(1, 5), nn.Linear(5, 1), skip=[1]), r"skip=\[1\]"),
        (lambda: Effect(LSTM(1, 5), sample_rate=0), "sample_rate=0"),
        (lambda: Effect(LSTM(1, 5), state=(torch.ones(1, 4),) * 2), r"a state is \[1, 4\]"),
    ):
        with pytest.raises((ValueError, TypeError), match=words) as caught:
            make()
        one_sentence(caught.value)


# --- the target torch ---


def test_a_safetensors_file_is_taken_by_torch(tmp_path: Path, generator: torch.Generator) -> None:
    from safetensors.torch import load_file

    model, path = network(3, 2, num_layers=2, bidirectional=False), tmp_path / "w.safetensors"
    assert write(model, "torch", path) == [path]
    state = load_file(path)
    head = nn.Linear(5, 2)
    head.load_state_dict({n[5:]: state.pop(n) for n in list(state) if n.startswith("head.")})
    theirs = nn.LSTM(3, 5, 2)
    theirs.load_state_dict(state)
    x = normal(generator, 6, 2, 3).float()
    with torch.no_grad():
        torch.testing.assert_close(head(theirs(x)[0]), played(model, x), rtol=1e-5, atol=1e-6)
    with pytest.raises(ExportError, match="no cell linear") as caught:
        write(network(cell="linear"), "torch", path)
    one_sentence(caught.value)
