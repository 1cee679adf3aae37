"""What the recipe labels is made of: the network, parts, features, rivals, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unrolled.files.columns import Floats
from unrolled.recipes._labels.files import fitting
from unrolled.recipes._labels.kernels import ridge
from unrolled.recipes._labels.mattering import explorables, mattering
from unrolled.recipes._labels.melody import log_mel
from unrolled.recipes._labels.parts import check_classes, divide
from unrolled.recipes._labels.reader import Reader, Readers, Shape, Targets, predict
from unrolled.recipes._labels.scores import bins_of, scores
from unrolled.recipes._labels.sequences import Changes, Padded, Scaling, in_batches, pad
from unrolled.recipes._labels.tabled import read_padded
from unrolled.recipes._labels.warping import nearest, warped


def sequences(lengths: tuple[int, ...] = (3, 7, 1, 5), channels: int = 2) -> list[Floats]:
    generator = np.random.default_rng(0)
    return [generator.normal(2, 3, (length, channels)) for length in lengths]


def reader(pooling: str = "mean", missing: bool = False, **shape: object) -> Reader:
    torch.manual_seed(0)
    known = sequences()
    scaling = Scaling.of(known)
    scaling = Scaling(scaling.mean, scaling.scale, missing)
    return Reader(
        Shape(hidden=4, pooling=pooling, **shape),  # type: ignore[arg-type]
        scaling,
        Targets.classes([0, 1, 2, 1], 3),
    ).eval()


# --- sequences and the network ---


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
@pytest.mark.parametrize("both", [True, False])
def test_padding_changes_nothing(pooling: str, both: bool) -> None:
    model, known = reader(pooling, both_directions=both), sequences()
    together = predict(model, known)
    alone = np.concatenate([predict(model, [values]) for values in known])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    batch = pad(known)
    beyond = torch.arange(len(batch.values))[:, None] >= batch.lengths
    wild = batch.values.masked_fill(beyond[..., None], 1e6)
    torch.testing.assert_close(model(wild, batch.lengths), model(*batch))


def test_the_mean_is_over_a_sequences_own_steps() -> None:
    model, (values, *_) = reader(), sequences()
    x = model.scaled(torch.from_numpy(values)[:, None])
    y, _ = model.lstm(x)
    wanted = model.readout(y[:, 0].mean(0)).softmax(-1)
    np.testing.assert_allclose(predict(model, [values])[0], wanted.detach(), rtol=1e-5)


def test_what_is_missing_is_the_mean_and_says_so() -> None:
    model, (values, *_) = reader(missing=True), sequences()
    values[1, 0] = np.nan
    seen = model.scaled(torch.from_numpy(values)[:, None])
    assert seen[1, 0].tolist()[0::2] == [0.0, 1.0]
    assert seen.shape[-1] == 4
    with pytest.raises(ValueError, match="a value is missing"):
        predict(reader(), [values])


def test_numbers_are_learned_in_their_own_units() -> None:
    targets = Targets.numbers(np.array([[10.0], [30.0]]))
    model = Reader(Shape(hidden=2), Scaling.of(sequences()), targets).eval()
    logits = torch.tensor([[-1.0], [1.0]])
    assert model.said(logits).tolist() == [[10.0], [30.0]]
    assert model.loss(logits, torch.tensor([[10.0], [50.0]])).item() == pytest.approx(2.0)


def test_balanced_classes_weigh_alike() -> None:
    weights = Targets.classes([0, 0, 0, 1], 2, balanced=True).weights
    assert weights is not None
    np.testing.assert_allclose(weights * [3, 1], [2, 2])


def test_an_ensemble_is_the_mean_of_its_probabilities() -> None:
    members = [reader(), reader("max")]
    both = predict(Readers(members), sequences())
    np.testing.assert_allclose(both, np.mean([predict(m, sequences()) for m in members], 0))


def test_scaling_is_of_every_step_and_wrong_sequences_are_refused() -> None:
    scaling = Scaling.of(sequences())
    np.testing.assert_allclose(scaling.mean, np.concatenate(sequences()).mean(0))
    for wrong, sentence in (
        ([], "0 sequences"),
        ([np.ones((2, 2)), np.ones((2, 3))], "sequence 1 has 3 channels, expected 2"),
        ([np.ones((0, 2))], "sequence 0 has the shape"),
        ([np.full((1, 2), np.inf)], "sequence 0 holds an infinite value"),
    ):
        with pytest.raises(ValueError, match=sentence):
            predict(reader(), wrong)


def test_batches_of_about_one_length_hold_everything_once() -> None:
    known = sequences((9, 1, 4, 30, 2, 4))
    batches = list(in_batches(known, 12))
    assert sorted(np.concatenate(batches).tolist()) == list(range(6))
    assert max(len(b) * max(len(known[place]) for place in b) for b in batches[:-1]) <= 12


def test_changes_stretch_cut_and_mask(generator: torch.Generator) -> None:
    ramp = np.arange(100.0)[:, None]
    batch, mean = pad([ramp] * 50), torch.full((1,), -5.0, dtype=torch.float64)
    found = Changes(stretch=0.2, cut=0.1)(batch, mean, generator)
    assert found.lengths.min() < 85
    assert found.lengths.max() > 100
    for values, length in zip(found.values[..., 0].T, found.lengths.tolist(), strict=True):
        rates = values[:length].diff()
        assert bool((values[length:] == 0).all())
        torch.testing.assert_close(rates[:-1], rates[:1].expand(length - 2))
        assert 0 <= values[0] <= 10
        assert values[length - 1] <= 99
    masked = Changes(mask=0.5)(batch, mean, generator).values == -5
    assert 0 < masked.sum(0).max() <= 50
    assert Changes()(batch, mean, generator) is batch
    short = Changes(0.5, 0.4, 0.5)(pad([ramp[:1]] * 9), mean, generator)
    assert bool((short.lengths >= 1).all())


# --- parts ---


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_two_sides_and_nothing_twice(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 3, 90)
    groups = [f"p{n}" for n in generator.integers(0, 12, 90)]
    division = divide(classes, groups, None, (0.25, 0.2), 7, seed)
    for training, validation in division.folds:
        sides = [
            {groups[place] for place in part} for part in (training, validation, division.test)
        ]
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        whole = np.concatenate((training, validation, division.test))
        assert sorted(whole.tolist()) == list(range(90))


def test_each_class_is_dealt_out_evenly_and_members_have_their_own_folds() -> None:
    classes = np.repeat([0, 1], [80, 20])
    division = divide(classes, [], None, (0.25, 0.2), 5, 3)
    assert np.bincount(classes[division.test]).tolist() == [20, 5]
    assert np.bincount(classes[division.folds[0].validation]).tolist() == [12, 3]
    chosen = np.concatenate([fold.validation for fold in division.folds])
    assert len(set(chosen.tolist())) == len(chosen) == 75


def test_a_class_that_is_nowhere_to_be_learned_from_is_refused() -> None:
    classes = np.array([0] * 20 + [1] * 2)
    division = divide(classes, [], np.array([20, 21]), (0.25, 0.2), 1, 0)
    for groups, sentence in (
        ([], "the label 'b' has 2 sequences, of which 0 would be left"),
        (["p"] * 20 + ["q"] * 2, "the label 'b' has 2 sequences, of which 0 would be left"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check_classes(division, classes, ["a", "b"], groups)
    with pytest.raises(ValueError, match="every sequence has the label 'a'"):
        check_classes(division, classes, ["a"], [])
    with pytest.raises(ValueError, match="too few groups for a validation part"):
        divide(classes, ["p"] * 22, None, (0.25, 0.2), 1, 0)


# --- features and rivals ---


def test_log_mel_is_what_its_formula_says() -> None:
    rate, bands = 8000, 12
    samples = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    found = log_mel(samples, rate, bands)
    assert found.dtype == np.float32
    assert found.shape == (11, bands)  # frames of 200 samples, every 80
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), bands + 2)
    corner = 700 * (10 ** (mel / 2595) - 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200)
    for frame in (0, 10):
        x = samples[80 * frame : 80 * frame + 200] * window
        for band in range(bands):
            power = 0.0
            for k in range(129):
                at = k * rate / 256
                low, middle, high = corner[band : band + 3]
                height = max(0, min((at - low) / (middle - low), (high - at) / (high - middle)))
                wave = np.exp(-2j * np.pi * k * np.arange(200) / 256)
                power += height * abs(np.sum(x * wave)) ** 2 / np.sum(window**2)
            assert found[frame, band] == pytest.approx(np.log(power + 1e-8), abs=1e-4)


def plain_warping(one: Floats, other: Floats) -> float:
    sums = np.full((len(one) + 1, len(other) + 1), np.inf)
    sums[0, 0] = 0
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            before = min(sums[i, j], sums[i, j + 1], sums[i + 1, j])
            sums[i + 1, j + 1] = before + ((a - b) ** 2).sum()
    return float(sums[-1, -1])


def test_time_warping_is_what_a_plain_loop_finds() -> None:
    one, *others = sequences((6, 9, 1, 4, 12))
    wanted = [plain_warping(one, other) for other in others]
    np.testing.assert_allclose(warped(one, others), wanted)
    straight = warped(one, [one[::-1].copy()], band=0.0)
    assert straight[0] >= plain_warping(one, one[::-1])
    assert np.isfinite(straight[0])
    slow = np.repeat(one, 3, axis=0)
    assert warped(one, [slow])[0] == 0
    assert nearest([*others, slow], np.array([0, 0, 0, 0, 1]), [one]).tolist() == [1]


def test_a_ridge_on_random_kernels_learns_what_is_easy() -> None:
    generator = np.random.default_rng(0)
    classes = np.arange(60) % 2
    known = [
        np.sin(np.arange(40) * (0.3 + 0.5 * c))[:, None] + generator.normal(0, 0.3, (40, 1))
        for c in classes
    ]
    said = ridge(known[:40], classes[:40], known[40:], count=20)
    assert (said == classes[40:]).mean() > 0.9


def test_scores_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    found = scores(probabilities, np.array([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == 0.75
    assert found["auc"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.8, 0.3]).mean())
    assert found["calibration_error"] == pytest.approx((0.1 + 0.4 + 0.2 + 0.7) / 4)
    assert sum(one.many for one in bins_of(probabilities, np.array([0, 0, 1, 1]))) == 4


# --- which steps a label hangs on ---


def test_what_is_read_alone_is_what_the_label_hangs_on() -> None:
    """A network that reads one channel at one step of it: only there is something lost."""
    model = reader(both_directions=False, pooling="max")
    values = np.tile(model.mean.numpy(), (20, 1))
    values[7] += 4 * model.scale.numpy()
    found = mattering(Readers([model]), values, width=1)
    assert found.lost.shape == found.gradient.shape == (20,)
    assert np.abs(np.delete(found.lost, 7)).max() == 0
    assert abs(found.lost[7]) > 0
    assert np.abs(np.delete(found.gradient, 7)).max() == 0


def test_the_page_shows_each_direction_so_that_they_add_up() -> None:
    model, (values, *_) = reader(), sequences((6,))
    ways = explorables(model, {"one": values}, ("x", "y"), ("a", "b", "c"))
    logits = torch.zeros(3)
    for way in ways:
        (lstm,) = way.stack()
        assert isinstance(way.head, nn.Linear)
        logits += way.head(lstm(way.inputs.read("").x[:, None])[0]).mean((0, 1))
    batch: Padded = pad([values])
    torch.testing.assert_close(logits, model(*batch)[0])
    with pytest.raises(ValueError, match="in both directions in several layers"):
        explorables(reader(layers=2), {"one": values}, ("x", "y"), ("a", "b", "c"))


def test_channels_are_found_by_their_names(tmp_path: Path) -> None:
    """Another order is put right, another name refused; what names none is taken as it stands."""
    found = {}
    for name, channels in (
        ("ab", ["a", "b"]),
        ("ba", ["b", "a"]),
        ("ac", ["a", "c"]),
        ("no", None),
    ):
        path = tmp_path / f"{name}.npz"
        named = {} if channels is None else {"channels": np.array(channels)}
        np.savez(path, values=np.arange(12.0).reshape(2, 3, 2), **named)
        found[name] = read_padded(path)
    turned = fitting(found["ba"], found["ab"])
    assert turned.channels == ("a", "b")
    np.testing.assert_array_equal(turned.sequences[0], found["ba"].sequences[0][:, ::-1])
    assert fitting(found["no"], found["ab"]) is found["no"]
    with pytest.raises(ValueError, match=r"ac\.npz has a channel 'c', which ab\.npz has not"):
        fitting(found["ac"], found["ab"])
