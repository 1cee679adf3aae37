"""Learn to add two numbers, bit by bit, least significant first.

At each step the network sees one bit of each number and gives one bit of the sum; the carry it has
to remember by itself.  Documents 000 (an LSTM in MATLAB) and 001 (an Elman network in NumPy, after
"Anyone can learn to code an LSTM-RNN in Python") train on one sum of eight bits at a time; here
the widths vary, and what is learnt holds at any width.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from unrolled import training
from unrolled.equations import CELLS
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, at_least, one_of
from unrolled.explorer import Bits, Explorable, ExplorerError, Output
from unrolled.inside.passage import Passage
from unrolled.layer.elman import Elman
from unrolled.recipes import Published
from unrolled.recipes._adder.carry import passage
from unrolled.recipes._adder.sums import (
    Adder,
    add,
    all_right,
    bits_of,
    random_bits,
    share_right,
    to_int,
    word,
)
from unrolled.steps.losses import Loss
from unrolled.steps.network import Network
from unrolled.steps.program import Native

SOURCE = "document 000 (LSTM, MATLAB) and document 001 (Elman network, NumPy; after iamtrask 2015)"

# Neither document counts its sums.  These are from running both as they are printed.
PUBLISHED = (
    Published("sums_right", 0.99, 6430, "document 000 as printed, median of 20 runs"),
    Published("sums_right", 1.0, 99_999, "document 000 as printed, 12 of 20 runs"),
    Published("sums_right", 1.0, 10_000, "document 001's Elman network, 5 of 5 runs"),
)

WIDTHS = (16, 64, 1000)


@dataclass(frozen=True)
class Recipe(training.Recipe):
    """The adder's hyperparameters."""

    steps: int = 1500
    """Updates: 2 to 4 seconds. All sums of 7 bits are right after the first 250."""
    learning_rate: float = 0.02
    """How far an update goes; 0.01 to 0.03 all do."""
    report_every: int = 250
    """Updates from one report to the next."""
    network: Annotated[str, one_of((*CELLS, "elman"))] = "vanilla"
    """The network: an LSTM's cell (vanilla, carousel, peephole, coupled, linear) or elman."""
    hidden: Count = 16
    """Hidden units. 8 add 1,000 bits in 10 of 10 runs too; the documents have 32 and 16 (Elman)."""
    activation: Literal["tanh", "sigmoid", "relu"] = "tanh"
    """What elman puts its sum through; an LSTM has its own. Document 001 has sigmoid."""
    bits: Annotated[int, at_least(2)] = 40
    """Bits of the longest sums trained on; the two numbers have one bit fewer."""
    fewest_bits: Annotated[int, at_least(2)] = 4
    """Bits of the shortest. Widths that vary are what carries on to 1,000 bits: networks trained
    on 8 bits alone mostly fail at 64."""
    batch_size: Count = 64
    """Sums in one update."""
    criterion: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    """What is made small, summed over the bits: the cross entropy, whose delta is document 000's,
    or half the squared error, document 001's."""
    document: bool = False
    """Begin as the documents: weights uniform in -1 to 1, one bias (elman: none), none on the
    output, and their range of numbers. See also --published, which sets this and the rest."""

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other."""
        if self.fewest_bits > self.bits:
            raise InvalidValueError(
                f"fewest_bits = {self.fewest_bits} is more than bits = {self.bits}: "
                f"add --fewest-bits {self.bits}."
            )
        if self.document and self.bits > 62:
            raise InvalidValueError(
                f"bits = {self.bits} is too wide for the document's range of numbers: expected "
                "62 or fewer, or --no-document."
            )

    def published(self) -> Recipe:
        """Document 001's hyperparameters for elman, document 000's for any LSTM."""
        document = dataclasses.replace(
            self,
            hidden=32,
            bits=8,
            fewest_bits=8,
            batch_size=1,
            criterion="cross_entropy",
            document=True,
            steps=99_999,
            optimizer="SGD",
            learning_rate=0.1,
            clip=0.0,
            steps_per_update=0,
            report_every=1000,
        )
        if self.network != "elman":
            return document
        return dataclasses.replace(
            document, hidden=16, activation="sigmoid", criterion="squared_error", steps=10_000
        )

    # --- learning ---

    def model(self) -> Adder:
        """A network and its output."""
        return Adder(self.network, self.hidden, self.activation, self.document)

    def batches(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Bits of two numbers [K, T, B, 2] and of their sum [K, T, B]; K is 1 where widths vary."""
        if self.fewest_bits < self.bits:
            bounds = (self.fewest_bits, self.bits + 1)
            length, count = int(torch.randint(*bounds, (), generator=generator)), 1
        else:
            length = self.bits
            count = max(1, min(1000, 2**16 // (length * self.batch_size)))
        sums = count * self.batch_size
        if self.document:
            a, b = self._document_numbers(length, sums, generator)
        else:
            a, b = random_bits(length, sums, generator)
        numbers, total = torch.stack((a, b), -1).float(), add(a, b).float()
        shape = (length, count, self.batch_size)
        numbers, total = numbers.view(*shape, 2), total.view(shape)
        return numbers.transpose(0, 1).contiguous(), total.transpose(0, 1).contiguous()

    def _document_numbers(
        self, length: int, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        half = 2 ** (length - 1)
        # MATLAB's randi counts from 1: a is 1 to 128 and b 1 to 127.  NumPy's is 0 to 127 for both.
        ends = ((0, half), (0, half)) if self.network == "elman" else ((1, half + 1), (1, half))
        a, b = (torch.randint(*end, (count,), generator=generator) for end in ends)
        return bits_of(a, length), bits_of(b, length)

    def native(self, model: Adder) -> Native:
        """The network and its loss, as the kernel takes them."""
        if self.criterion == "cross_entropy":
            loss = Loss("binary_cross_entropy", over="rows")
        else:
            loss = Loss("sigmoid_squared_error", over="rows", factor=0.5)
        return Native(Network(model.recurrent, model.readout), loss)

    def loss(self, model: Adder, batch: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """The loss of a sum, over its bits; the mean over the batch."""
        numbers, sums = batch
        logits, state = model(numbers, state)
        if self.criterion == "cross_entropy":
            total = binary_cross_entropy_with_logits(logits, sums, reduction="sum")
        else:
            total = 0.5 * (sums - logits.sigmoid()).square().sum()
        return total / sums.shape[1], state

    # --- judging ---

    def metrics(self, model: Adder) -> dict[str, float]:
        """All pairs of 7-bit numbers, and some sums of 64 bits."""
        return {"sums_right": all_right(model) / 16384, "sums_right_64": share_right(model, 64)}

    def report(self, model: Adder, step: int, batch: tuple[Tensor, ...]) -> str:
        """The documents' block, for the first sum of the batch."""
        numbers, sums = (tensor[:, :1] for tensor in batch)
        share = model(numbers)[0].sigmoid()
        error = (sums - share).abs().sum().item()
        bits = (share > 0.5).long()
        a, b = (to_int(numbers[:, 0, k]) for k in (0, 1))
        return "\n".join(
            (
                f"Error:{error:.5g}",
                f"Pred:{word(bits[:, 0])}",
                f"True:{word(sums[:, 0])}",
                f"{a} + {b} = {to_int(bits[:, 0])}",
                f"-------{step}------",
            )
        )

    def result(self, model: Adder) -> dict[str, Any]:
        """How many of the 16,384 sums are right, and what share at each width never seen."""
        right = all_right(model)
        shares = {f"sums_right_{width}": share_right(model, width) for width in WIDTHS}
        return {"right_of_16384": right, "sums_right": right / 16384, **shares}

    def draw(self, model: Adder, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """The learning curve, and the share of sums right at each width."""
        from unrolled.pictures import plots

        figures = self.result(model)
        figures.pop("right_of_16384")
        labels = ["all of 7 bits", *(f"{width:,} bits" for width in WIDTHS)]
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric="sums_right",
                published=PUBLISHED[0].value,
                title=f"adder, {self.network}",
            ),
            plots.bars(
                labels,
                list(figures.values()),
                folder / "widths.png",
                title=f"adder, {self.network}: sums right by width",
                ylabel="share of sums right",
            ),
        ]

    def explorer(self, model: Adder) -> list[Explorable]:
        """What the explorer shows."""
        if isinstance(model.recurrent, Elman):
            raise ExplorerError("this adder is an Elman network, which has no gates and no cell.")
        output = Output("sigmoid", ["bit of the sum"])
        return [Explorable([model.recurrent], model.readout, Bits(), output)]

    def attempt(self, model: Adder, arguments: list[str]) -> str:
        """The addition of two numbers, bit by bit."""
        if len(arguments) != 2:
            raise InvalidValueError(
                f"the adder takes two numbers, and was given {len(arguments)}: "
                "for example `unrolled try DIR 57 68`."
            )
        a, b = (_number(word) for word in arguments)
        length = max(a.bit_length(), b.bit_length()) + 1
        numbers = torch.tensor([[[a >> t & 1, b >> t & 1]] for t in range(length)]).float()
        with torch.no_grad():
            shares = model(numbers)[0][:, 0].sigmoid()
        return _addition(a, b, shares.tolist())

    def look(self, model: Adder) -> list[Passage]:
        """One sum, and 1,000 more; behind each step, whether there is a carry to be remembered."""
        return [passage(model)]


# --- what `unrolled try` prints ---


def _number(word: str) -> int:
    if not (word.isascii() and word.isdecimal()):
        raise InvalidValueError(
            f"{word!r} is not a number to add: expected digits alone, such as 57."
        )
    if len(word) > 4000:  # Python itself reads and writes no more than 4300
        raise InvalidValueError(
            f"a number of {len(word)} digits is too long: expected 4000 or fewer."
        )
    return int(word)


def _addition(a: int, b: int, shares: list[float], most: int = 40) -> str:
    lines = ["bit  a  b  carry  sum  probability of 1"]
    carry = total = wrong = skipped = 0
    for t, share in enumerate(shares):
        x, y, bit = a >> t & 1, b >> t & 1, int(share > 0.5)
        right = bit == x ^ y ^ carry
        wrong += not right
        total |= bit << t
        if right and len(shares) > most and 8 <= t < len(shares) - 8:
            skipped += 1
        else:
            mark = "" if right else "  wrong"
            lines.append(f"{t:>3}  {x}  {y}    {carry}     {bit}  {share:.4f}{mark}")
        if skipped and t == len(shares) - 9:
            lines.append(f"  …  {skipped} bits between, all right")
        carry = x + y + carry >> 1
    lines.append("")
    if wrong:
        lines.append(f"wrong in {wrong} of {len(shares)} bits: the sum is {a + b}")
    return "\n".join([*lines, f"{a} + {b} = {total}"])
