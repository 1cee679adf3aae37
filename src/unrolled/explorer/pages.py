"""`explore`: any LSTM with a linear head, as a page to write, to open, or to see in a notebook."""

from __future__ import annotations

import html
import os
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unrolled.explorer import build, payload
from unrolled.explorer.explorable import MOST_STEPS, Explorable, ExplorerError, Output
from unrolled.explorer.inputs import Numbers
from unrolled.explorer.tracing import trace
from unrolled.files.whole import replace_file
from unrolled.layer.lstm import LSTM

__all__ = ["Explorer", "explore", "page_of"]


class Explorer:
    """A page that computes networks by itself; in a notebook it shows where it stands.

    Attributes
    ----------
    html : str
        The whole page.
    networks : list of Explorable
    """

    def __init__(self, title: str, networks: Sequence[Explorable], told: Sequence[Any]) -> None:
        self.networks = list(networks)
        self.html = build.page(f"{title} · unrolled", payload.written(title, told))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; a file that is there already is replaced whole."""
        place = Path(path)
        replace_file(place, lambda beside: beside.write_text(self.html, encoding="utf-8"))
        return place

    def open(self) -> Path:
        """Write the page to a temporary file and show it in the browser."""
        path = self.save(Path(tempfile.mkdtemp(prefix="unrolled-")) / "explorer.html")
        webbrowser.open(path.as_uri())
        return path

    def trace(self, text: str = "") -> list[dict[str, Any]]:
        """What the page computes of an input, computed by torch: see `unrolled explore --json`."""
        return [trace(network, text) for network in self.networks]

    def _repr_html_(self) -> str:
        """The page in a frame that can reach nothing of the notebook around it."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" width="100%" '
            'height="900" style="border: 0; border-radius: 12px"></iframe>'
        )


def page_of(title: str, networks: Sequence[tuple[Explorable, str, str]]) -> Explorer:
    """A page of networks, each with where it comes from and what it is, in words."""
    told = [payload.network(explorable, run, about) for explorable, run, about in networks]
    return Explorer(title, [explorable for explorable, _, _ in networks], told)


def explore(
    model: nn.Module,
    inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    *,
    head: nn.Linear | None = None,
    beside: nn.Module | None = None,
    names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    output: Literal["linear", "sigmoid", "softmax"] = "linear",
    at: Literal["every", "last"] = "every",
    title: str = "an LSTM",
) -> Explorer:
    """Show an LSTM in one page: watch it, take it apart, reach in.

    Parameters
    ----------
    model : nn.Module
        An `unrolled.LSTM` or `torch.nn.LSTM`, or a module that holds one, and at most one
        `torch.nn.Linear` that reads its hidden state.  One direction, no projection.
    inputs : Tensor, [T, I] or [T, B, I], or several
        Sequences to begin with, by name or not; [B, T, I] where the model is ``batch_first``.
    head : nn.Linear, optional
        From h to the output.  Without one, the output is h itself.
    beside : nn.Module, optional
        Another model to compare with, of the same input size.
    names, outputs : sequence of str, optional
        Words for each input and each output.
    output
        What the head's numbers are: values, logits of one bit each, or logits of which one.
    at
        Whether there is an output at every step, or at the last alone.
    title : str

    Returns
    -------
    Explorer
        It can be saved, opened, and shows inline in a notebook.

    Raises
    ------
    ExplorerError
        If the model or the inputs do not fit, in one sentence.

    Examples
    --------
    >>> import torch, unrolled
    >>> page = unrolled.explore(unrolled.LSTM(3, 8), torch.randn(20, 3))
    >>> page.html.startswith("<!doctype html>")
    True
    """
    models = {title: model} | ({} if beside is None else {f"{title}, beside it": beside})
    found = []
    for name, module in models.items():
        lstm, inner = _parts(module, head)
        examples = _examples(inputs, lstm)
        kept = Numbers(
            list(names or (f"x{k}" for k in range(lstm.input_size))), examples, *_range(examples)
        )
        size = inner.out_features if inner is not None else lstm.hidden_size
        words = list(outputs or (f"{'y' if inner is not None else 'h'}{k}" for k in range(size)))
        if kept.size != lstm.input_size:
            raise ExplorerError(
                f"{kept.size} names were given for {lstm.input_size} inputs: one for each."
            )
        explorable = Explorable([lstm], inner, kept, Output(output, words, at), name=name)
        about = f"{lstm.num_layers} × {lstm.hidden_size} units"
        found.append((explorable, "python", about))
    return page_of(title, found)


def _parts(model: nn.Module, head: nn.Linear | None) -> tuple[LSTM | nn.LSTM, nn.Linear | None]:
    """The LSTM and what reads it."""
    recurrent = [m for m in model.modules() if isinstance(m, LSTM | nn.LSTM)]
    if len(recurrent) != 1:
        raise ExplorerError(
            f"the model holds {len(recurrent)} LSTMs: expected one, or the one that is meant."
        )
    if head is None:
        linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
        if len(linear) > 1:
            raise ExplorerError(
                f"the model holds {len(linear)} linear layers: say head= which reads the LSTM."
            )
        head = linear[0] if linear else None
    return recurrent[0], head


def _examples(
    inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor], lstm: LSTM | nn.LSTM
) -> dict[str, Tensor]:
    """Sequences [T, I] by their names."""
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif isinstance(inputs, Tensor):
        given = {"": inputs}
    else:
        given = {f"sequence {n}": x for n, x in enumerate(inputs)}
    found: dict[str, Tensor] = {}
    for name, x in given.items():
        if not isinstance(x, Tensor) or x.dim() not in (2, 3) or x.shape[-1] != lstm.input_size:
            shape = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ExplorerError(
                f"inputs are {shape}, expected [T, {lstm.input_size}] or [T, B, {lstm.input_size}]."
            )
        rows = [x] if x.dim() == 2 else list(x.unbind(0 if lstm.batch_first else 1))
        for n, row in enumerate(rows[:20]):
            label = name if name and len(rows) == 1 else f"{name or 'sequence'} {n}"
            found[label] = row.detach()
    for x in found.values():
        if not 1 <= len(x) <= MOST_STEPS:
            raise ExplorerError(
                f"a sequence of {len(x)} steps: the explorer takes 1 to {MOST_STEPS}."
            )
        if not bool(torch.isfinite(x).all()):
            raise ExplorerError("inputs hold a number that is not finite: nothing to draw.")
    if not found:
        raise ExplorerError("inputs are empty: expected one sequence at least.")
    return found


def _range(examples: Mapping[str, Tensor]) -> tuple[float, float]:
    """Between which numbers one drags."""
    low = min(float(x.min()) for x in examples.values())
    high = max(float(x.max()) for x in examples.values())
    return (low, high) if high > low else (low - 1, high + 1)
