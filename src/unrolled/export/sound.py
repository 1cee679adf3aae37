"""What the formats of sound effects share: what they can say, and JSON out and in.

A file may come from anybody: it is JSON of a bounded size, each list in it is looked at before it
is a tensor, and what is wrong is said in a sentence that names the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidValueError
from unrolled.export.orders import check_sayable
from unrolled.export.parts import ExportError, parts_of
from unrolled.files.bounded import parse_json, read_at_most
from unrolled.files.whole import replace_file
from unrolled.layer.effect import Effect

__all__ = [
    "Document",
    "as_effect",
    "check_starts_at_zero",
    "head_numbers",
    "linear",
    "numbers",
    "write_document",
]


def as_effect(module: nn.Module, who: str, sample_rate: float | None = None) -> Effect:
    """A module as an effect that every format can say: vanilla, one direction, no projection.

    Raises
    ------
    ExportError
        If it is something else, in a sentence that names the format.
    """
    effect = module if isinstance(module, Effect) else Effect(*parts_of(module))
    if getattr(module, "units", None) is not None:
        raise ExportError(f"{who} gives all of h and this network a part of it: expected a head.")
    check_sayable(effect.lstm, who, ends=1)
    if not effect.lstm.weight_ih_l0.is_floating_point():
        raise ExportError(f"{who} has real numbers, and the weights are complex.")
    if sample_rate is None or sample_rate == effect.sample_rate:
        return effect
    if effect.sample_rate is not None:
        raise ExportError(
            f"sample_rate={sample_rate} was given and the effect has {effect.sample_rate}."
        )
    return Effect(
        effect.lstm, effect.head, skip=effect.skip, state=_state(effect), sample_rate=sample_rate
    )


def _state(effect: Effect) -> tuple[Tensor, Tensor] | None:
    h, c = effect.h_0, effect.c_0
    return None if h is None or c is None else (h, c)


def check_starts_at_zero(effect: Effect, who: str) -> None:
    """Refuse a state to start from, where a format has no place for it."""
    if not effect.starts_at_zero:
        raise ExportError(f"{who} starts at zero: expected an effect without a state of its own.")


def numbers(name: str, weight: Tensor) -> Any:
    """A weight as lists of numbers, each of which gives the same bits when it is read.

    Raises
    ------
    ExportError
        If one of them is not finite: JSON has no word for it.
    """
    if not weight.isfinite().all():
        raise ExportError(f"{name} holds NaN or an infinity, expected finite numbers.")
    return weight.detach().cpu().double().tolist()


def head_numbers(head: nn.Linear) -> tuple[Any, Any]:
    """The weight [O][H] and the bias [O] of a head, zeros where it has none."""
    bias = head.weight.new_zeros(head.out_features) if head.bias is None else head.bias
    return numbers("head.weight", head.weight), numbers("head.bias", bias)


def write_document(path: Path, document: dict[str, Any]) -> list[Path]:
    """Write JSON whole; gives the path."""
    text = json.dumps(document, allow_nan=False)
    replace_file(Path(path), lambda beside: beside.write_text(text + "\n", encoding="utf-8"))
    return [Path(path)]


class Document:
    """A JSON object out of a file, of which each part is looked at before it is used.

    Raises
    ------
    ExportError
        If it is none: the sentence names the file.
    """

    def __init__(self, path: Path, reader: str) -> None:
        self.path, self.reader = Path(path), reader
        try:
            self.top = parse_json(read_at_most(self.path))
        except InvalidValueError as error:
            self.refuse(str(error))
        self.mapping("the file", self.top)

    def refuse(self, why: str) -> NoReturn:
        """Raise with the file's name before the reason."""
        raise ExportError(f"{self.path} is no file of {self.reader}: {why}.") from None

    def mapping(self, name: str, value: Any) -> dict[str, Any]:
        """A JSON object."""
        if not isinstance(value, dict):
            self.refuse(f"{name} is {_kind(value)}, expected an object")
        return value

    def sequence(self, name: str, value: Any) -> list[Any]:
        """A JSON list."""
        if not isinstance(value, list):
            self.refuse(f"{name} is {_kind(value)}, expected a list")
        return value

    def count(self, name: str, value: Any, least: int = 1, most: int = 2**20) -> int:
        """A whole number in bounds."""
        right = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        if not right:
            self.refuse(f"{name} is {_kind(value)}, expected a whole number from {least} to {most}")
        return int(value)

    def only(self, name: str, value: Any, expected: Any) -> None:
        """That value and no other."""
        if value != expected:
            self.refuse(f"{name} is {_kind(value)}, and only {expected!r} is read")

    def rate(self, name: str, value: Any) -> float | None:
        """A sample rate, which may be missing; some write it as a word."""
        if value is None:
            return None
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not 0 < found < math.inf:
            self.refuse(f"{name} is {_kind(value)}, expected a number of samples in a second")
        return found

    def tensor(
        self, name: str, value: Any, shape: Sequence[int], dtype: torch.dtype | None
    ) -> Tensor:
        """Numbers in lists of lists, of that shape and no other."""
        flat = self._flat(name, value, list(shape))
        exact = torch.tensor(flat, dtype=torch.float64).reshape(*shape)
        found = exact.to(dtype or torch.get_default_dtype())
        if not found.isfinite().all():
            self.refuse(f"{name} holds {exact.abs().max():.3g}, which {found.dtype} has not")
        return found

    def _flat(self, name: str, value: Any, shape: list[int]) -> list[float]:
        if not shape:
            if not _is_finite(value):
                self.refuse(f"{name} holds {_kind(value)}, expected a finite number")
            return [value]
        if not isinstance(value, list) or len(value) != shape[0]:
            there = f"{len(value)} of them" if isinstance(value, list) else _kind(value)
            self.refuse(f"{name} has {there}, expected a list of {shape[0]}")
        return [number for one in value for number in self._flat(name, one, shape[1:])]


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= torch.finfo(torch.float64).max  # a whole number may be larger than any


def _kind(value: Any) -> str:
    """A value from a stranger in a few letters."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    return "missing" if value is None else repr(value)[:40]


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A head with these weights."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight)
    if bias is not None:
        made.bias = nn.Parameter(bias)
    return made
