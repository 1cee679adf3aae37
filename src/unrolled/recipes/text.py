"""Learn a text by its characters or words, and write on: any text, or this library's source.

Document 004 learnt its LSTM from char-rnn (Karpathy 2015), which reads a file character by
character and foretells the next.  Held-out text is judged in bits per character, beside what gzip,
bz2 and xz need for it when they have seen the training text first.  Document 001 names vectors for
words as the first use of an LSTM: `--tokens words` learns them, `unrolled try DIR --near WORD`
shows what lies near.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from unrolled import training
from unrolled.errors import InvalidValueError
from unrolled.errors.expected import Count, at_least, below_one
from unrolled.explorer import Explorable, Output, Tokens
from unrolled.inside.passage import Passage
from unrolled.recipes import Published
from unrolled.recipes._text import compressors, scoring, told
from unrolled.recipes._text.network import LanguageModel, State, TokenNetwork
from unrolled.recipes._text.parts import TextParts
from unrolled.recipes._text.sampling import answer, sample
from unrolled.recipes._text.sizes import NetworkSizes
from unrolled.recipes._text.vocabulary import Encoded, encode

SOURCE = "document 004 (after Karpathy's char-rnn, Torch7), document 001 (vectors for words)"

# Neither document has a figure for it: what it is held against is gzip, bz2 and xz.
PUBLISHED: tuple[Published, ...] = ()

# The defaults were chosen among some settings by the bits of the held-out parts, one seed each, of
# this library's source, of 150,000 characters of the King James Version (Matthew and Mark), and of
# a manual as long.  At the same rate an output that reads all layers was far ahead of one that
# reads the last alone after two passes, and ahead of a single layer of 400 units.  With a dropout
# of 0.4 the manual was no longer learnt but by heart after 2,500 steps (2.154 bits, 2.181 at
# 4,000), with 0.25 after 1,500 (2.196).  Of the rates of learning on from 0.0003 to 0.002, 0.0005
# was best or near it.


@dataclass(frozen=True)
class Recipe(NetworkSizes, TextParts, training.Recipe):
    """The hyperparameters of a language model."""

    seed: int = 0
    """Draws the weights and every dropout mask; the text is read in order."""
    steps: int = 2500
    """Updates: about 3 minutes of one core. A text of 150,000 characters is read 19 times, and may
    be learnt by heart beyond that; 300,000 and more gain by more steps."""
    learning_rate: float = 0.004
    """How far an update goes: what the optimiser is given as its rate."""
    steps_per_update: Count = 64
    """Truncated backpropagation: tokens in one update; the state is carried to the next."""
    report_every: int = 250
    """Updates from one report to the next."""
    weight_decay: Annotated[float, at_least(0)] = 0.0
    """How strongly the optimiser draws the weights to 0."""
    batch_size: Count = 16
    """Places in the text that are read side by side; each reads on where it stopped."""
    smoothing: Annotated[float, below_one] = 0.95
    """RMSprop's alone: how much of its mean of squares stays (char-rnn's decay_rate)."""
    learning_on: Annotated[float, at_least(0)] = 0.0005
    """Adam's rate for a second look at what is held out, in which the network goes on learning from
    what it has read of it, as the compressors do (dynamic evaluation); 0: there is none."""

    carry_state = True

    def check(self) -> None:
        """Raise ValueError where the text is too short."""
        if len(self.vocabulary) < 3:
            raise InvalidValueError(
                f"fewer than two {self.tokens} occur {self.least} times in the training part of "
                f"{self.corpus.name}: give a longer text, or --least 1."
            )

    def published(self) -> Recipe:
        """The hyperparameters of char-rnn, on whatever text this has; 50 passes over its own.

        Three things are not char-rnn's: its output reads the last layer alone, it limits each
        number of the gradient to 5, not its norm, and from its tenth pass on it lowers the rate by
        3 % a pass.
        """
        return dataclasses.replace(
            self,
            least=1,
            validation_share=0.05,
            test_share=0.0,
            inputs="one_hot",
            hidden=128,
            layers=2,
            dropout=0.0,
            recurrent_dropout=0.0,
            average=0.0,
            weight_decay=0.0,
            batch_size=50,
            steps=21_150,
            optimizer="RMSprop",
            learning_rate=0.002,
            smoothing=0.95,
            clip=5.0,
            steps_per_update=50,
            report_every=1000,
        )

    def optimizer_options(self) -> dict[str, Any]:
        """What the optimiser is given beside the learning rate."""
        options = {"weight_decay": self.weight_decay} if self.weight_decay else {}
        return options | ({"alpha": self.smoothing} if self.optimizer == "RMSprop" else {})

    # --- learning ---

    def model(self) -> LanguageModel:
        """Embedding or one-hot, layers of LSTM, logits; and the running mean of it all."""
        network = TokenNetwork(
            len(self.vocabulary),
            self.inputs,
            self.embedding,
            self.hidden,
            self.layers,
            self.dropout,
            self.recurrent_dropout,
        )
        return LanguageModel(self.vocabulary, network, self.average)

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Tokens [T, B], those that follow, and where a row stands at the text's beginning again.

        Each row reads on from update to update, through the whole training part and round again;
        the rows begin evenly spread.  Nothing is drawn.
        """
        ids = self.training.ids
        count = len(ids) - 1
        starts = np.arange(self.batch_size) * count // self.batch_size
        times = step * self.steps_per_update + np.arange(self.steps_per_update)
        places = (starts[None] + times[:, None]) % count
        read, follow = (torch.from_numpy(ids[p].astype(np.int64)) for p in (places, places + 1))
        return read, follow, torch.from_numpy(places == 0)

    def loss(
        self, model: LanguageModel, batch: tuple[Tensor, ...], state: State | None
    ) -> tuple[Tensor, State]:
        """Bits per token."""
        read, follow, resets = batch
        logits, state = model(read, state, resets if resets.any() else None)
        return functional.cross_entropy(logits.flatten(0, 1), follow.flatten()) / scoring.BIT, state

    # --- judging ---

    @property
    def chosen_by(self) -> str:
        """The bits of the validation part, where another one is judged."""
        return "validation_bits" if self.test_share else ""

    def metrics(self, model: LanguageModel) -> dict[str, float]:
        """Bits per character of the validation part, all of it."""
        bits = scoring.bits(model, self.training.ids, self.validation.ids)
        return {self.chosen_by or "bits_per_character": _per_character(bits, self.validation)}

    def _figures(self, model: LanguageModel) -> dict[str, float]:
        """Bits per character of what is judged, as it is, and of a network that goes on learning.

        They are looked up where the weights are known.
        """
        key = scoring.digest(model)
        if key not in self._judged:
            part = self.held_out
            bits = scoring.bits(model, self._before, part.ids)
            found = {"bits_per_character": _per_character(bits, part)}
            if self.learning_on:
                given = (self._before, part.ids, self.learning_on)
                bits = scoring.bits_learning_on(model, *given)
                found["bits_per_character_learning_on"] = _per_character(bits, part)
            self._judged[key] = found
        return self._judged[key]

    @cached_property
    def _judged(self) -> dict[str, dict[str, float]]:
        """What `_figures` found, by a digest of the weights: it takes some seconds each."""
        return {}

    def report(self, model: LanguageModel, step: int, batch: tuple[Tensor, ...]) -> str:
        """A line that the network writes; at the end the table, and a longer piece."""
        last = step == self.steps
        length = (400 if last else 70) // (1 if self.tokens == "characters" else 4)
        generator = torch.Generator().manual_seed(self.seed)
        text = model.vocabulary.join(sample(model, [], length, 0.8, generator))
        if not last:
            return f"  {text!r}"
        return f"{self._table(model)}\n\nit writes, at temperature 0.8:\n\n{text}\n"

    def result(self, model: LanguageModel) -> dict[str, Any]:
        """Bits per character, the compressors' too, and what was not known."""
        unknown = {"training": self.training, "held_out": self.held_out}
        return {
            **self._figures(model),
            **(self.metrics(model) if self.test_share else {}),
            **self._compressors,
            "characters": self.held_out.characters,
            "known": len(self.vocabulary) - 1,
            **{f"unknown_in_{name}": part.unknown.total() for name, part in unknown.items()},
        }

    @property
    def _names(self) -> dict[str, str]:
        """The words for each that is judged, by its figure."""
        ours = {"bits_per_character": "LSTM"}
        ours["bits_per_character_learning_on"] = "LSTM, learning on"
        return ours | {name: name for name in self._compressors}

    def _table(self, model: LanguageModel) -> str:
        figures = self.result(model)
        names = {name: key for key, name in self._names.items() if key in figures}
        held, name = self.held_out, self.corpus.name
        rows = [f"  {name:<19}{figures[key]:>6.3f}" for name, key in names.items()]
        lines = [told.title(name, self.training, held), *rows, *self._told]
        return "\n".join([*lines, *told.unknown(self.tokens, self.training, held)])

    @property
    def _told(self) -> list[str]:
        """What a reader has to know of the table."""
        chosen = told.chosen(self.validation) if self.test_share else []
        return [*chosen, *compressors.said(self._compressors, self._judged_from)]

    # --- showing ---

    def draw(self, model: LanguageModel, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, beside the compressors; and a held-out passage, coloured by surprise."""
        from unrolled.pictures import plots
        from unrolled.recipes._text.pictures import surprise

        figures = self.result(model)
        judged = {key: name for key, name in self._names.items() if key in figures}
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric=self.chosen_by or "bits_per_character",
                levels=self._compressors,
                title=f"{self.corpus.name}: learning (loss: bits per token learnt from)",
            ),
            plots.bars(
                list(judged.values()),
                [figures[key] for key in judged],
                folder / "bits.png",
                title="Bits per character of what is held out",
                ylabel="bits",
                ours=range(len(judged) - len(self._compressors)),
            ),
            surprise(
                *self._passage(model),
                folder / "surprise.png",
                title=f"{self.corpus.name}: surprise where what is held out begins",
            ),
        ]

    def _passage(self, model: LanguageModel) -> tuple[list[str], list[float]]:
        """The first tokens of the held-out part, as they are written, and the bits of each."""
        ids = self.held_out.ids[:1500]
        bits = scoring.bits(model, self._before, ids)
        return self.vocabulary.written(ids.tolist()), bits.tolist()

    def explorer(self, model: LanguageModel) -> list[Explorable]:
        """What the explorer shows: the network that predicts, and the held-out text."""
        network, vocabulary = model.used, model.vocabulary
        known = [vocabulary.show(number) for number in range(len(vocabulary))]
        vectors = None if network.embedding is None else network.embedding.weight.detach()
        held = self.vocabulary.written(self.held_out.ids[:2000].tolist())
        held = held[held.index("\n") + 1 if "\n" in held[:400] else 0 :]  # from a line's beginning
        inputs = Tokens(
            known, vocabulary.kind, vectors, "".join(held[:100]).lstrip()[:60], "".join(held)
        )
        output = Output("softmax", known)
        return [Explorable(list(network.layers), network.readout, inputs, output, "all")]

    def attempt(self, model: LanguageModel, arguments: list[str]) -> str:
        """A text that goes on from a primer, or the neighbours of a word."""
        return answer(model, arguments)

    def look(self, model: LanguageModel) -> list[Passage]:
        """The first 3,000 tokens of the held-out part, and where they stand in their text."""
        from unrolled.recipes._text.looking import passage

        # In the model's own numbers: the text may have changed since.
        held_out, known = self.corpus.points[self._judged_from :], self._training_points
        return [passage(model, encode(model.vocabulary, held_out[:20_000], known).ids[:3000])]


def _per_character(bits: npt.NDArray[np.float64], part: Encoded) -> float:
    return (float(bits.sum()) + part.spelling) / part.characters
