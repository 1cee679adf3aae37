"""A layer as `torch.nn.LSTM` and back, with the same numbers: for tools that know torch's alone.

What comes in may be a module, its quantised form, or a state dict, of which the sizes are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor, nn

from unrolled.equations import CELLS, Cell
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.layer.quantised import is_quantised, unpacked, unpacked_state
from unrolled.layer.regularisation import Noise

__all__ = ["Exchanged", "State", "read_state"]

State = Mapping[str, Any]

_KNOWN = (
    "an nn.LSTM, an nn.LSTMCell, one that quantize_dynamic made of them, or a state dict of these"
)
_SHARED = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")
_OURS = ("zoneout", "recurrent_dropout", "update_dropout", "engine", "batch_first", "dropout")
_NAME = re.compile(r"(.*?)((?:weight|bias)_(?:ih|hh|hr))(_l\d+(?:_reverse)?)?", re.DOTALL)


class Exchanged(nn.Module):
    """A layer that goes to `torch.nn.LSTM` and comes from it: `unrolled.LSTM` is one."""

    cell: Cell
    noise: Noise
    proj_size: int
    dropout: float
    _names: list[str]

    def to_torch(self) -> nn.LSTM:
        """The layer as `torch.nn.LSTM`, with copies of the weights: the same numbers.

        ``quantize_dynamic``, TorchScript, OpenVINO and whatever else asks for torch's own take it.
        Layers, directions, projection, biases, dropout, dtype, device, whether it trains and which
        weights are trained go with it; hooks, ``engine`` and how it was initialised do not.

        Returns
        -------
        nn.LSTM

        Raises
        ------
        InvalidValueError
            If `torch.nn.LSTM` cannot say what the layer is: another cell, zoneout, or dropout
            within the recurrence.

        Examples
        --------
        >>> scripted = torch.jit.script(nn.Sequential(LSTM(3, 8).to_torch()))
        """
        self._check_torch_has_it()
        shared: dict[str, Any] = {name: getattr(self, name) for name in _SHARED}
        made = nn.LSTM(**shared, proj_size=self.proj_size, device="meta")
        made.dropout = self.dropout  # afterwards: torch warns where there is one layer, as we did
        for name in self._names:
            setattr(made, name, _copied(getattr(self, name)))
        made.flatten_parameters()
        return made.train(self.training)

    @classmethod
    def from_torch(cls, module: nn.Module | State, **arguments: Any) -> Self:
        """A layer with copies of the weights of a `torch.nn.LSTM`.

        Parameters
        ----------
        module : nn.Module or state dict
            An `nn.LSTM`, an `nn.LSTMCell`, what ``quantize_dynamic`` made of one of them, or a
            state dict that has the weights of one of these, with anything before their names.
            Weights that were quantised are in floating point here, and a warning says so; a state
            dict of such may ask whether it is ``bidirectional``.
        **arguments
            Of the layer, where torch's has none or a state dict does not tell: ``engine``,
            ``zoneout``, ``batch_first``, ``dropout``.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If it is something else, or its weights are no LSTM's.

        Examples
        --------
        >>> layer = LSTM.from_torch(torch.nn.LSTM(3, 8, bidirectional=True))
        """
        found, weights = _read(module, arguments.get("bidirectional"))
        others = sorted(arguments.keys() - {*found, *_OURS})
        if others:
            raise InvalidTypeError(
                f"{', '.join(others)} cannot be chosen for weights that are there already: "
                f"expected no more than {', '.join(_OURS)}."
            )
        for name, value in found.items():
            if arguments.setdefault(name, value) != value:
                raise InvalidValueError(
                    f"{name}={arguments[name]!r} was given and the weights have {name}={value!r}."
                )
        made = cls(**arguments, device="meta")
        for name, weight in weights.items():
            setattr(made, name, _copied(weight))
        return made.train(module.training if isinstance(module, nn.Module) else True)

    def _check_torch_has_it(self) -> None:
        if "_run_layer" in vars(self):
            raise InvalidValueError(
                "this LSTM runs under an intervention, which is no part of its weights: export it "
                "outside of the `with`."
            )
        if self.cell != Cell():
            preset = next((name for name, cell in CELLS.items() if cell == self.cell), None)
            raise InvalidValueError(
                f"torch.nn.LSTM has no cell {preset or self.cell}: it computes the vanilla one "
                "alone, so that this layer cannot be written as it."
            )
        if self.noise != Noise():
            raise InvalidValueError(
                f"torch.nn.LSTM has no {', '.join(self.noise.described())}: expected a layer "
                "without noise in its recurrence, such as one with the same weights and 0 there."
            )


def _copied(weight: Tensor) -> nn.Parameter:
    # Trained where it is trained there, and where a tensor is not called a parameter at all.
    trained = weight.requires_grad if isinstance(weight, nn.Parameter) else True
    return nn.Parameter(weight.detach().clone(), requires_grad=trained)


def _read(
    module: nn.Module | State, bidirectional: bool | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The arguments that a module or its state dict tells of, and its weights by their names."""
    if isinstance(module, Mapping):
        return read_state(unpacked_state(module, bidirectional))
    if not is_quantised(module) and not isinstance(module, (nn.LSTM, nn.LSTMCell)):
        raise InvalidTypeError(f"a {type(module).__name__} came, expected {_KNOWN}.")
    state = (
        unpacked(module)
        if is_quantised(module)
        else {name: getattr(module, name) for name in _names_of(module)}
    )
    found, weights = read_state(state)
    for name in ("batch_first", "dropout"):
        if hasattr(module, name):
            found[name] = getattr(module, name)
    return found, weights


def _names_of(module: nn.Module) -> list[str]:
    """What a module's weights are called; the names stay where a parametrisation replaces them."""
    parts = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ()))
    if isinstance(module, nn.LSTMCell):
        return list(parts)
    ends = ("", "_reverse") if module.bidirectional else ("",)
    parts += ("weight_hr",) if module.proj_size else ()
    layers = range(int(module.num_layers))  # type: ignore[arg-type]
    return [f"{part}_l{layer}{end}" for layer in layers for end in ends for part in parts]


def read_state(state: State) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a state dict of an LSTM tells: a constructor's arguments, and the weights by our names.

    Parameters
    ----------
    state
        Names and tensors.  The names may all have the same words before them, and there may be
        others that are no LSTM's.

    Raises
    ------
    InvalidValueError
        If there is no LSTM in it, or several, or its shapes do not fit together.
    """
    weights = _named(state)
    keys = {name.partition("_l")[2] for name in weights}
    layers = 1 + max(int(key.removesuffix("_reverse")) for key in keys)
    if layers > len(keys):  # a name alone makes nobody build a million layers
        raise InvalidValueError(f"there is a layer {layers - 1}, and not each of those before it.")
    first = weights.get("weight_ih_l0")
    projected = weights.get("weight_hr_l0")
    if first is None or first.dim() != 2 or first.shape[0] % 4:
        at = "none" if first is None else f"one of shape {list(first.shape)}"
        raise InvalidValueError(f"weight_ih_l0 should be [4·H, I], and there is {at}.")
    found = {
        "input_size": first.shape[1],
        "hidden_size": first.shape[0] // 4,
        "num_layers": layers,
        "bias": "bias_ih_l0" in weights,
        "bidirectional": any(key.endswith("_reverse") for key in keys),
        "proj_size": 0 if projected is None else projected.shape[0],
        "dtype": first.dtype,
    }
    _check_shapes(found, weights)
    return found, weights


def _named(state: State) -> dict[str, Tensor]:
    """The weights of the one LSTM in a state dict, by the names that a layer gives them."""
    matches = [(_NAME.fullmatch(str(name)), value) for name, value in state.items()]
    parts = [(*match.groups(), value) for match, value in matches if match is not None]
    before = sorted({prefix for prefix, *_ in parts})
    if len(before) != 1:
        words = f"those of {len(before)}: {', '.join(before)}" if before else "none"
        raise InvalidValueError(f"expected the weights of one LSTM, and there are {words}.")
    for _, part, end, value in parts:
        if not isinstance(value, Tensor):
            raise InvalidTypeError(
                f"{part}{end or ''} is a {type(value).__name__}, expected a tensor."
            )
    return {f"{part}{end or '_l0'}": value for _, part, end, value in parts}


def _check_shapes(found: dict[str, Any], weights: dict[str, Tensor]) -> None:
    # Which weights there have to be, and of what shape, is what torch's own layer says.
    sizes = {name: value for name, value in found.items() if name != "dtype"}
    if not 0 <= sizes["proj_size"] < sizes["hidden_size"] or 0 in (*weights["weight_ih_l0"].shape,):
        raise InvalidValueError(f"no LSTM has {', '.join(f'{n}={v}' for n, v in sizes.items())}.")
    wanted = {n: p.shape for n, p in nn.LSTM(**sizes, device="meta").named_parameters()}
    for name in sorted(wanted.keys() | weights.keys()):
        there, expected = weights.get(name), wanted.get(name)
        if there is None or expected is None or there.shape != expected:
            has = "none" if there is None else str(list(there.shape))
            right = "none" if expected is None else str(list(expected))
            raise InvalidValueError(f"{name} is {has}, and the other weights ask for {right}.")
