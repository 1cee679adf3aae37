"""Classes and numbers of whole sequences, as scikit-learn has estimators."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

from processes import one_sentence
from unrolled import LSTMClassifier, LSTMRegressor

SMALL: dict[str, Any] = {"hidden": 6, "steps": 40, "batch_size": 16, "learning_rate": 0.02}


def sequences(count: int = 48, seed: int = 0) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Sequences of 5 to 12 steps that lie about a level; which half it is in; the level."""
    draw = np.random.default_rng(seed)
    level = draw.uniform(-2, 2, count)
    values = [draw.normal(at, 0.4, (int(draw.integers(5, 13)), 2)) for at in level]
    return values, np.where(level > 0, "high", "low"), level


def padded(values: list[Any], fill: float) -> tuple[np.ndarray, list[int]]:
    lengths = [len(v) for v in values]
    array = np.full((len(values), max(lengths), values[0].shape[1]), fill)
    for row, v in zip(array, values, strict=True):
        row[: len(v)] = v
    return array, lengths


def test_classes_are_learnt_of_sequences_of_unequal_length() -> None:
    x, y, _ = sequences()
    fitted = LSTMClassifier(**SMALL).fit(x, y)
    new, right, _ = sequences(60, seed=1)
    assert fitted.classes_.tolist() == ["high", "low"]
    assert fitted.score(new, right) > 0.9
    assert np.allclose(fitted.predict_proba(new).sum(1), 1)
    assert fitted.n_features_in_ == 2


def test_numbers_are_learnt() -> None:
    x, _, y = sequences()
    new, _, right = sequences(60, seed=1)
    fitted = LSTMRegressor(**{**SMALL, "steps": 120}).fit(x, y)
    assert fitted.score(new, right) > 0.8
    both = LSTMRegressor(**SMALL).fit(x, np.column_stack([y, -y]))
    assert both.predict(new).shape == (60, 2)


def test_a_padded_array_is_the_list(recwarn: pytest.WarningsRecorder) -> None:
    """By its lengths, whatever lies behind; or by NaN there."""
    x, y, _ = sequences()
    right = LSTMClassifier(**SMALL).fit(x, y).predict_proba(x)
    wild, lengths = padded(x, 1e9)
    marked, _ = padded(x, np.nan)
    by_lengths = LSTMClassifier(**SMALL).fit(wild, y, lengths=lengths)
    assert np.array_equal(by_lengths.predict_proba(wild, lengths=lengths), right)
    by_nan = LSTMClassifier(**SMALL).fit(marked, y)
    assert np.array_equal(by_nan.predict_proba(marked), right)
    assert np.array_equal(by_nan.predict_proba(x), right)


def test_it_is_cloned_pickled_and_searched() -> None:
    x, y, _ = sequences()
    fitted = LSTMClassifier(**SMALL, pooling="max").fit(x, y)
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "model_")
    thawed = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(thawed.predict_proba(x), fitted.predict_proba(x))
    search = GridSearchCV(LSTMClassifier(**SMALL), {"pooling": ["mean", "last"]}, cv=2)
    assert search.fit(x, y).best_score_ > 0.8
    doubled = make_pipeline(
        FunctionTransformer(lambda several: [2 * one for one in several]), LSTMClassifier(**SMALL)
    )
    assert cross_val_score(doubled, x, y, cv=2).mean() > 0.8


def test_the_same_seed_gives_the_same_bits_and_leaves_others_randomness_alone() -> None:
    x, y, _ = sequences()
    before = torch.get_rng_state().tolist()
    first, second = (LSTMClassifier(**SMALL, ensemble=2).fit(x, y) for _ in range(2))
    assert np.array_equal(first.predict_proba(x), second.predict_proba(x))
    assert not np.array_equal(
        first.predict_proba(x), LSTMClassifier(**SMALL, seed=1).fit(x, y).predict_proba(x)
    )
    assert torch.get_rng_state().tolist() == before


def test_one_person_is_on_one_side() -> None:
    from unrolled.estimators import whole_sequences

    x, y, _ = sequences()
    groups = [f"person {n % 6}" for n in range(len(x))]
    estimator = LSTMClassifier(**SMALL, ensemble=3)
    _, places = np.unique(y, return_inverse=True)
    for learns, chooses in estimator._drawn(places, ("high", "low"), groups):
        sides = [{groups[k] for k in part} for part in (learns, chooses)]
        assert len(learns)
        assert len(chooses)
        assert not sides[0] & sides[1]
    assert whole_sequences.LSTMClassifier(**SMALL).fit(x, y, groups=groups).score(x, y) > 0.8


WRONG: dict[str, tuple[Any, ...]] = {
    "no sequence": ([], []),
    "a word": ("abc", [1, 2, 3]),
    "empty": ([np.zeros((0, 2)), np.zeros((3, 2))], [0, 1]),
    "other channels": ([np.zeros((4, 2)), np.zeros((3, 3))], [0, 1]),
    "words inside": ([["a", "b"], ["c", "d", "e"]], [0, 1]),
    "infinite": ([np.zeros((4, 2)), np.full((3, 2), np.inf)], [0, 1]),
    "another number of answers": ([np.zeros((4, 2)), np.ones((3, 2))], [0]),
    "one class": ([np.zeros((4, 2)), np.ones((3, 2))], [1, 1]),
    "NaN throughout": (np.full((2, 3, 1), np.nan), [0, 1]),
    "four dimensions": (np.zeros((2, 3, 4, 5)), [0, 1]),
    "lengths of a list": ([np.zeros((4, 2)), np.ones((3, 2))], [0, 1], [4, 3]),
    "too long a length": (np.zeros((2, 3, 1)), [0, 1], [3, 4]),
    "a length of 0": (np.zeros((2, 3, 1)), [0, 1], [3, 0]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_one_sentence(name: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        LSTMClassifier(**SMALL).fit(*WRONG[name])
    assert one_sentence(caught.value)


@pytest.mark.parametrize(
    "argument",
    [
        *({"pooling": "sum"}, {"class_weight": "heavy"}, {"steps": -1}, {"hidden": 0}),
        *({"steps": 0}, {"steps": "5"}, {"validation_share": 0}, {"validation_share": 0.8}),
        *({"seed": None}, {"seed": -1}, {"label_smoothing": 1.0}),
    ],
)
def test_an_argument_that_makes_no_sense_is_one_sentence(argument: dict[str, Any]) -> None:
    x, y, _ = sequences(8)
    said = str(next(iter(argument.values())))
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        LSTMClassifier(**{**SMALL, **argument}).fit(x, y)
    assert one_sentence(caught.value)


@pytest.mark.parametrize("groups", [3, [None] * 4 + ["a"] * 4, [float("nan")] * 8, ["a"] * 8])
def test_groups_that_make_no_sense_are_one_sentence(groups: Any) -> None:
    x, y, _ = sequences(8)
    with pytest.raises((ValueError, TypeError), match="group") as caught:
        LSTMClassifier(**SMALL).fit(x, y, groups=groups)
    assert one_sentence(caught.value)


def test_what_stands_beside_a_sequence_changes_nothing_and_neither_what_lies_behind_it() -> None:
    x, y, _ = sequences()
    x[0][1, 0] = x[1][-1] = np.nan  # values are missing, in a list also at a sequence's end
    fitted = LSTMClassifier(**SMALL).fit(x, y)
    alone = np.concatenate([fitted.predict_proba([one]) for one in x])
    assert np.allclose(alone, fitted.predict_proba(x), atol=1e-6)
    array, lengths = padded(x, np.inf)
    assert np.allclose(fitted.predict_proba(array, lengths=lengths), alone, atol=1e-6)


def test_it_learns_where_no_gradient_is_wanted_and_a_score_is_of_every_answer() -> None:
    x, y, _ = sequences(12)
    with torch.no_grad():
        fitted = LSTMClassifier(**SMALL).fit(x, y)
    for wrong in (y[:1], "high"):
        with pytest.raises((ValueError, TypeError)):
            fitted.score(x, wrong)
    assert fitted.score(x, y[:, None]) == fitted.score(x, y)


# What scikit-learn's own checks of tables do not fit: a sequence may have any number of steps.
NOT_TABLES = {
    "check_n_features_in": "an array [N, T] holds sequences of T steps, and C is 1",
    "check_n_features_in_after_fitting": "an array [N, T] holds sequences of T steps, and C is 1",
    "check_class_weight_classifiers": "class_weight is None or 'balanced'",
    # Sequences of any length can be answered, whatever length was learnt from.
    "check_classifiers_train": "a table of another width holds sequences of another length",
    "check_regressors_train": "a table of another width holds sequences of another length",
}
CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for made in (LSTMClassifier, LSTMRegressor)
    for estimator, check in estimator_checks_generator(
        made(hidden=2, steps=3, batch_size=8, refit=False)
    )
    if check.func.__name__ not in NOT_TABLES
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
