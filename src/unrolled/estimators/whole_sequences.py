"""Classes and numbers of whole sequences, by scikit-learn's conventions.

The recipe `labels` and these learn with the same code: `unrolled.recipes._labels.learning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from unrolled import training
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.errors.expected import at_least, check_argument
from unrolled.estimators.collected import collected, finite, named, paired
from unrolled.recipes._labels.learning import Fold, Learning, Lesson
from unrolled.recipes._labels.parts import check_classes, divide
from unrolled.recipes._labels.reader import predict

__all__ = ["LSTMClassifier", "LSTMRegressor"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Folds = Sequence[Fold]


@dataclass(frozen=True, kw_only=True)
class _Taught(Learning):
    """What is learnt of arrays: the lesson is put beside the fields."""

    @property
    def lesson(self) -> Lesson:
        """What `fit` was given."""
        given: Lesson = vars(self)["_given"]
        return given


class _OfSequences(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the two have in common: how sequences are learnt from, and answered."""

    def __init__(
        self,
        *,
        hidden: int = 64,
        layers: int = 1,
        cell: str = "vanilla",
        both_directions: bool = True,
        pooling: str = "mean",
        dropout: float = 0.0,
        input_noise: float = 0.1,
        steps: int = 1000,
        learning_rate: float = 0.003,
        batch_size: int = 32,
        ensemble: int = 1,
        validation_share: float = 0.2,
        refit: bool = True,
        seed: int = 0,
    ) -> None:
        self.hidden, self.layers, self.cell = hidden, layers, cell
        self.both_directions, self.pooling = both_directions, pooling
        self.dropout, self.input_noise = dropout, input_noise
        self.steps, self.learning_rate, self.batch_size = steps, learning_rate, batch_size
        self.ensemble, self.validation_share = ensemble, validation_share
        self.refit, self.seed = refit, seed

    def __sklearn_tags__(self) -> Any:
        """Which X is taken: sequences of one length in an array, and missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _learn(
        self, sequences: list[Floats], answers: npt.NDArray[Any], classes: int, folds: Folds
    ) -> None:
        recipe = replace(self._recipe(), report_every=max(self.steps // 20, 1))
        vars(recipe)["_given"] = Lesson(sequences, answers, classes, folds)
        with torch.enable_grad():
            *_, last = training.train(recipe)
        self.model_: Any = last.model.eval()
        self.n_features_in_ = sequences[0].shape[1]

    def _recipe(self) -> _Taught:
        """The hyperparameters, looked over."""
        own = self.get_params()
        own["balanced"] = own.pop("class_weight", None) == "balanced"
        for name in ("steps", "seed"):
            if isinstance(own[name], bool) or not isinstance(own[name], (int, np.integer)):
                raise InvalidTypeError(
                    f"{name}={own[name]!r} is a {type(own[name]).__name__}, expected a whole "
                    "number, such as 1."
                )
        check_argument("steps", self.steps, at_least(1))
        recipe = _Taught(**own)
        training.check(recipe)
        return recipe

    def _drawn(self, places: Integers, names: Sequence[Any], groups: Any) -> Folds:
        """For each network, which sequences it learns from and which choose its weights."""
        self._recipe()
        whose = [] if groups is None else named(groups)
        if whose and len(whose) != len(places):
            raise InvalidValueError(
                f"groups names {len(whose)} sequences, and there are {len(places)}: expected as "
                "many."
            )
        none, shares = np.zeros(0, np.int64), (0.5, self.validation_share)
        division = divide(places, whose, none, shares, self.ensemble, self.seed)
        if names:
            check_classes(division, places, [str(name) for name in names], whose)
        return division.folds

    def _said(self, X: Any, lengths: Any) -> Floats:
        check_is_fitted(self, "model_")
        return predict(self.model_, collected(X, lengths))


class LSTMClassifier(ClassifierMixin, _OfSequences):  # type: ignore[misc]
    """Gives each whole sequence a class, by LSTMs whose weights a validation part chooses.

    What `unrolled train labels` does, of arrays: each network reads the sequences at their own
    lengths, in both directions; what it has at all steps is pooled and read by a linear head.

    Parameters
    ----------
    hidden, layers, cell, both_directions : int, int, str, bool
        The LSTM: units in each direction, layers, `unrolled.CELLS`.
    pooling : {"mean", "max", "last"}
        What is made of the steps.
    dropout, input_noise : float
        In training: the share of numbers set to 0; noise, in units of each channel's spread.
    steps, learning_rate, batch_size : int, float, int
        Updates, how far each goes, and sequences in it.
    ensemble : int
        Networks whose probabilities are averaged, each with a validation part of its own.
    validation_share : float
        The share of the sequences, or of the groups, that chooses how many updates are made.
    refit : bool
        Whether the network is then trained anew on all of them.
    label_smoothing : float
        The share of each class's probability that is to lie on all classes alike, in training.
    class_weight : {None, "balanced"}
        Whether rare classes weigh as much as frequent ones.
    seed : int
        The same seed gives the same answers.

    Attributes
    ----------
    classes_ : array [K]
    model_ : torch.nn.Module
        The networks, each with an `unrolled.LSTM`.
    n_features_in_ : int
        C, the channels of a sequence.

    Examples
    --------
    >>> import numpy as np
    >>> draw = np.random.default_rng(0)
    >>> X = [draw.normal(k % 2, 1, (int(draw.integers(8, 20)), 3)) for k in range(40)]
    >>> y = ["low", "high"] * 20
    >>> classifier = LSTMClassifier(hidden=8, steps=60).fit(X, y)
    >>> classifier.predict_proba(X).shape
    (40, 2)
    >>> bool(classifier.score(X, y) > 0.9)
    True
    """

    def __init__(
        self,
        *,
        hidden: int = 64,
        layers: int = 1,
        cell: str = "vanilla",
        both_directions: bool = True,
        pooling: str = "mean",
        dropout: float = 0.3,
        input_noise: float = 0.1,
        steps: int = 1000,
        learning_rate: float = 0.003,
        batch_size: int = 32,
        ensemble: int = 1,
        validation_share: float = 0.2,
        refit: bool = True,
        label_smoothing: float = 0.0,
        class_weight: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            hidden=hidden,
            layers=layers,
            cell=cell,
            both_directions=both_directions,
            pooling=pooling,
            dropout=dropout,
            input_noise=input_noise,
            steps=steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            ensemble=ensemble,
            validation_share=validation_share,
            refit=refit,
            seed=seed,
        )
        self.label_smoothing, self.class_weight = label_smoothing, class_weight

    def fit(self, X: Any, y: Any, lengths: Any = None, groups: Any = None) -> LSTMClassifier:
        """Learn from sequences.

        Parameters
        ----------
        X : list of N arrays [T_i, C] or [T_i], or array [N, T, C] or [N, T]
            NaN is a value that is missing; at an array's end, in every channel, it is padding.
        y : sequence of N classes
        lengths : sequence of N whole numbers, optional
            Of an array: how many steps of each sequence count.
        groups : sequence of N names, optional
            Whose each sequence is: all of somebody's either learn or choose.

        Raises
        ------
        ValueError, TypeError
            In one sentence, if an argument makes no sense.
        """
        sequences, labels = paired(X, y, lengths)
        check_classification_targets(labels)
        if self.class_weight not in (None, "balanced"):
            raise InvalidValueError(
                f"class_weight={self.class_weight!r} is not known: expected None or 'balanced'."
            )
        self.classes_, places = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidValueError(
                f"y has one class alone, {self.classes_[0]!r}: expected two classes or more."
            )
        folds = self._drawn(places, self.classes_.tolist(), groups)
        self._learn(sequences, places, len(self.classes_), folds)
        return self

    def predict_proba(self, X: Any, lengths: Any = None) -> Floats:
        """The probability of each class, [N, K], in the order of `classes_`."""
        return self._said(X, lengths)

    def predict(self, X: Any, lengths: Any = None) -> npt.NDArray[Any]:
        """The most probable class of each sequence."""
        places = self.predict_proba(X, lengths).argmax(1)
        chosen: npt.NDArray[Any] = self.classes_[places]
        return chosen

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """The share of sequences whose class is right."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X, lengths)))


class LSTMRegressor(RegressorMixin, _OfSequences):  # type: ignore[misc]
    """Gives each whole sequence a number, or several, by LSTMs as `LSTMClassifier` has them.

    Parameters
    ----------
    hidden, layers, cell, both_directions, pooling, dropout, input_noise, steps, learning_rate, \
batch_size, ensemble, validation_share, refit, seed
        As of `LSTMClassifier`.

    Attributes
    ----------
    model_ : torch.nn.Module
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> draw = np.random.default_rng(0)
    >>> y = draw.uniform(-2, 2, 60)
    >>> X = [draw.normal(level, 0.3, (int(draw.integers(8, 20)), 1)) for level in y]
    >>> regressor = LSTMRegressor(hidden=8, steps=150).fit(X, y)
    >>> bool(regressor.score(X, y) > 0.8)
    True
    """

    def fit(self, X: Any, y: Any, lengths: Any = None, groups: Any = None) -> LSTMRegressor:
        """Learn from sequences and their numbers: y is [N] or [N, K]; else as `LSTMClassifier`."""
        sequences, given = paired(X, y, lengths)
        numbers = finite(given)
        self._flat = numbers.ndim == 1
        folds = self._drawn(np.zeros(len(sequences), np.int64), (), groups)
        self._learn(sequences, numbers.reshape(len(sequences), -1), 0, folds)
        return self

    def predict(self, X: Any, lengths: Any = None) -> Floats:
        """The number of each sequence, [N], or [N, K] as y had them."""
        found = self._said(X, lengths)
        return found[:, 0] if self._flat else found

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """The coefficient of determination, as scikit-learn's regressors have it."""
        from sklearn.metrics import r2_score

        return float(r2_score(y, self.predict(X, lengths)))
