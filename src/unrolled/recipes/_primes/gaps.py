"""The next gap between primes: something to learn, judged on primes that come after."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from unrolled.errors import InvalidValueError
from unrolled.files.columns import Floats
from unrolled.inside.passage import Passage
from unrolled.layer.lstm import LSTM
from unrolled.recipes._asked import whole_number
from unrolled.recipes._primes.numbers import first_primes, primes_between
from unrolled.recipes._primes.order_k import Score, choose_table, score, tables, told

__all__ = ["GapModel", "Gaps"]

WARM = 500  # gaps read before the first that is judged
PRIME = "a number to look for a prime after"
FARTHEST = 10**12  # what `try` takes: the sieve's memory is √n


class GapModel(nn.Module):
    """From gaps to the logits of the next one, all as symbols: gap 2 is 0, gap 4 is 1, …"""

    def __init__(self, symbols: int, hidden: int, cell: str) -> None:
        super().__init__()
        self.symbols = symbols
        self.lstm = LSTM(symbols, hidden, cell=cell)
        self.readout = nn.Linear(hidden, symbols)

    def read(self, gaps: Tensor) -> Tensor:
        """Symbols [T, B] as the network reads them [T, B, symbols]."""
        return one_hot(gaps, self.symbols).to(self.readout.weight.dtype)

    def forward(self, gaps: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits [T, B, symbols] after gaps [T, B], and the state."""
        y, state = self.lstm(self.read(gaps), state)
        return self.readout(y), state


class Gaps:
    """The task: the first 80 % of the gaps are learned from, 10 % choose, the last 10 % judge."""

    def __init__(self, *, count: int, window: int, hidden: int, cell: str, batch_size: int) -> None:
        primes = first_primes(count)[1:]  # 2 has the only odd gap
        self._primes = primes[:-1]
        self._gaps = np.diff(primes) // 2 - 1
        self._symbols = int(self._gaps.max()) + 1
        self._border, self._second = (int(len(self._gaps) * share) for share in (0.8, 0.9))
        self._window, self._batch_size = window, batch_size
        self._network = (hidden, cell)

    def model(self) -> GapModel:
        return GapModel(self._symbols, *self._network)

    @cached_property
    def _training(self) -> Tensor:
        return torch.from_numpy(self._gaps[: self._border])

    def batch(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Stretches of gaps [T, B], and each one's next [T, B]."""
        last = self._border - self._window
        begins = torch.randint(last, (self._batch_size,), generator=generator)
        stretches = self._training[begins + torch.arange(self._window + 1)[:, None]]
        return stretches[:-1], stretches[1:]

    def loss(self, model: GapModel, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """Bits for each gap."""
        gaps, following = batch
        logits, state = model(gaps, state)
        nats = cross_entropy(logits.flatten(0, 1), following.flatten())
        return nats / math.log(2), state

    def native(self, model: GapModel) -> str:
        """Why the kernel makes no updates."""
        return "gaps are read by an embedding"

    # --- judging ---

    @torch.no_grad()
    def _foretold(self, model: GapModel, first: int, last: int) -> Floats:
        """Probabilities [last − first, symbols] of those gaps, each told all that came before."""
        start = max(first - WARM, 0)
        gaps = torch.from_numpy(self._gaps[start : last - 1])[:, None]
        logits = model(gaps)[0][first - start - 1 :, 0]
        probabilities: Floats = logits.double().softmax(-1).numpy()
        return probabilities

    def _score(self, model: GapModel, first: int, last: int) -> Score:
        return score(self._foretold(model, first, last), self._gaps[first:last])

    def metrics(self, model: GapModel) -> dict[str, float]:
        """On the part that choices are made by."""
        ours = self._score(model, self._border, self._second)
        return {"validation_bits": ours.bits, "validation_right": ours.right}

    @cached_property
    def _rivals(self) -> dict[str, Score]:
        """On the last part: who counts, and who is told what the prime leaves over."""
        gaps, border, count = self._gaps, self._border, self._symbols
        judged = np.arange(self._second, len(gaps))
        table = choose_table(gaps, border, np.arange(border, self._second), count)
        orders = list(tables(gaps, border, judged, count, table.weight))
        forecasts = {"most_frequent": orders[0], "table": orders[table.order]}
        for modulus in (6, 30):
            hints = self._primes % modulus
            forecasts[f"told_mod_{modulus}"] = told(hints, gaps, border, judged, count)
        self._order = table.order
        return {name: score(shares, gaps[judged]) for name, shares in forecasts.items()}

    def result(self, model: GapModel) -> dict[str, Any]:
        """Bits for each gap and the share guessed right on the last part, and the rivals'."""
        ours = self._score(model, self._second, len(self._gaps))
        figures: dict[str, Any] = {"bits": ours.bits, "right": ours.right}
        for name, rival in self._rivals.items():
            figures |= {f"bits_{name}": rival.bits, f"right_{name}": rival.right}
        judged = len(self._gaps) - self._second
        return {**figures, "table_order": self._order, "judged": judged, **self.metrics(model)}

    def report(self, model: GapModel) -> str:
        """The table of rivals."""
        figures = self.result(model)
        names = self._names
        width = max(map(len, names.values()))
        title = f"{figures['judged']:,} gaps held out"
        lines = [f"{title:<{width}}  bits per gap  right"]
        for end, name in names.items():
            bits, right = figures[f"bits{end}"], figures[f"right{end}"]
            lines.append(f"{name:<{width}}  {bits:>12.3f}  {right:>5.1%}")
        beaten = {
            metric: figures[metric] < figures[f"{metric}_table"]
            if metric == "bits"
            else figures[metric] > figures[f"{metric}_table"]
            for metric in ("bits", "right")
        }
        by = {"bits": "bits", "right": "gaps guessed right"}
        lost = [by[metric] for metric, won in beaten.items() if not won]
        lines.append(
            f"the table is better in {' and in '.join(lost)}"
            if lost
            else "the network is better than the table in both"
        )
        return "\n".join(lines)

    @property
    def _names(self) -> dict[str, str]:
        len(self._rivals)
        return {
            "": "LSTM",
            "_most_frequent": "most frequent gap",
            "_table": f"table of order {self._order}",
            "_told_mod_6": "told p mod 6",
            "_told_mod_30": "told p mod 30",
        }

    # --- showing ---

    def draw(self, model: GapModel, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, how good it is beside those who count, and what its gates do."""
        from unrolled.pictures import plots
        from unrolled.recipes._gates import draw_gates

        figures, names = self.result(model), self._names
        first = self._gaps[self._second : self._second + 60]
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric="validation_bits",
                levels={
                    f"{names[end]}, on the last part": figures[f"bits{end}"]
                    for end in ("_table", "_told_mod_30")
                },
                title="primes: learning the next gap",
            ),
            *(
                plots.bars(
                    list(names.values()),
                    [figures[metric + end] for end in names],
                    folder / f"{metric}.png",
                    title=f"primes: the next gap, {figures['judged']:,} held out",
                    ylabel=label,
                    ours=[0],
                )
                for metric, label in (("bits", "bits per gap"), ("right", "share guessed right"))
            ),
            draw_gates(
                model.lstm,
                model.read(torch.from_numpy(first)[:, None]),
                folder / "gates.png",
                steps=[str(2 * gap + 2) for gap in first.tolist()],
                title="primes: the gates over 60 gaps",
                xlabel="gap",
            ),
        ]

    def look(self, model: GapModel) -> list[Passage]:
        """3,000 gaps of the last part; behind each, what the prime before the next leaves over."""
        places = slice(self._second, self._second + 3000)
        gaps = torch.from_numpy(self._gaps[places])[:, None]
        # The gap at a place leads from this prime to the next: behind it stands the next.
        behind = self._primes[places] + 2 * (self._gaps[places] + 1)
        with torch.no_grad():
            likeliest = model(gaps[:60])[0][:, 0].argmax(-1)
        return [
            Passage(
                call=lambda: model(gaps),
                inputs=[str(2 * gap + 2) for gap in gaps[:60, 0].tolist()],
                outputs=[str(2 * symbol + 2) for symbol in likeliest.tolist()],
                followed=lambda: cross_entropy(model(gaps[:59])[0][-1], gaps[59]),
                following="the surprise at the 60th gap",
                properties={
                    "p mod 6 is 1": torch.from_numpy(behind % 6 == 1)[:, None],
                    "the last gap": gaps,
                },
            )
        ]

    def attempt(self, model: GapModel, arguments: list[str]) -> str:
        """The likeliest primes after a number, from the gaps before it."""
        words = " ".join(arguments)
        number = whole_number(words, PRIME, 5, FARTHEST, such_as=1_000_000)
        reach = 60 * number.bit_length() ** 2  # some 40 · WARM mean gaps on the way back
        primes = primes_between(3, number)
        if number > 10**6:
            primes = primes_between(number - reach, number)
        gaps = np.diff(primes[-WARM - 1 :]) // 2 - 1
        if gaps.size == 0 or gaps.max() >= self._symbols:
            widest = 2 * self._symbols
            raise InvalidValueError(
                f"the gaps before {number} hold one beyond {widest}, the widest that was learned."
                if gaps.size
                else f"{number} has no gap between odd primes before it: expected 5 or more."
            )
        with torch.no_grad():
            shares = model(torch.from_numpy(gaps)[:, None])[0][-1, 0].softmax(-1)
        last = int(primes[-1])
        truth = int(primes_between(last + 1, last + 40 * number.bit_length())[0])
        best = shares.topk(min(5, self._symbols))
        lines = [f"the last prime up to {number} is {last}; the next one is likely to be"]
        for share, symbol in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            prime = last + 2 * symbol + 2
            mark = "  (it is)" if prime == truth else ""
            lines.append(f"{prime:>12}  {share:6.1%}  gap {2 * symbol + 2}{mark}")
        lines.append(f"it is {truth}, gap {truth - last}")
        return "\n".join(lines)
