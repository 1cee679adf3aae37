"""Say one label of each whole sequence: who speaks, which word, what a movement is.

An LSTM reads a sequence of any length in both directions, its outputs are averaged over the steps,
and a linear layer makes a probability of each label of it.  It is judged on sequences that nothing
was learned from or chosen by, beside what needs no LSTM: the nearest sequence under time warping,
and a ridge on random kernels.  Without a file the task is a made-up one, of two bumps in noise.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from torch import nn

from unrolled.errors import InvalidValueError
from unrolled.errors.expected import between
from unrolled.explorer import Explorable
from unrolled.files.columns import Floats, Integers
from unrolled.files.tables import Reading
from unrolled.inside.passage import Passage
from unrolled.recipes._labels import answers, told
from unrolled.recipes._labels.collection import Collection, counted, labelled
from unrolled.recipes._labels.files import Asked, classes_of, fitting, joined, read_collection
from unrolled.recipes._labels.learning import Learning, Lesson, part
from unrolled.recipes._labels.made_up import made_up
from unrolled.recipes._labels.mattering import explorables, mattering
from unrolled.recipes._labels.parts import Division, check_classes, divide
from unrolled.recipes._labels.reader import Readers, predict
from unrolled.recipes._labels.rivals import Rival, rivals
from unrolled.recipes._labels.scores import bins_of, confusion, scores
from unrolled.recipes._labels.tabled import Columns
from unrolled.steps.network import Network

SOURCE = "document 001 (speech), which names the use and gives no figure"

PUBLISHED = None  # the document has none

FRESH = 20  # made-up sequences that `unrolled try` labels
SHOWN, EXAMPLES = 3, 12  # sequences in the picture of steps, and on the page


@dataclass(frozen=True)
class Recipe(Learning, Reading):
    """The hyperparameters of a reader of labels."""

    data: Path | None = None
    """What is learned from: a .ts file of the UCR/UEA archive; a table with a row for each step
    (.csv, .tsv, .xlsx, .parquet, …); a .npz file; a folder with a folder of sound for each label;
    none: a made-up task."""
    test_data: Path | None = None
    """What judges, of the same kind; none: a part of --data is drawn for it."""
    sequence: str = ""
    """Of a table: the column that tells the sequences apart."""
    label: str = ""
    """Of a table: the column of labels, one for each sequence."""
    time: str = ""
    """Of a table: the column that says when each row was; it has to rise, and is no channel."""
    channels: tuple[str, ...] = ()
    """Of a table: the channels, in this order; empty: every other column."""
    group: str = ""
    """What all sequences of one person share, so that they lie on one side: a column of a table; of
    sound, a mark before which a file's name says who speaks, such as _ for anna_1.wav."""
    test_share: Annotated[float, part] = 0.25
    """The share that judges, where there is no --test-data; as one over the nearest whole number,
    so that .25 is every fourth."""
    mel_bands: Annotated[int, between(4, 256)] = 40
    """Of sound: bands of the log-mel features, 25 ms wide, one every 10 ms."""
    count: Annotated[int, between(30, 1_000_000)] = 600
    """Of the made-up task: sequences."""

    def check(self) -> None:
        """Raise ValueError where fields do not fit each other, or the data."""
        if importlib.util.find_spec("sklearn") is None:
            raise InvalidValueError(
                "labels are scored with scikit-learn: pip install 'unrolled[cli]' brings it."
            )
        if self.data is None:
            for name in ("test_data", "sequence", "label", "time", "channels", "group"):
                if value := getattr(self, name):
                    raise InvalidValueError(
                        f"{name} = {str(value)!r} is of no file: add --data FILE."
                    )
        _ = self.lesson  # which reads, and so looks over, the whole file

    @property
    def comparable(self) -> bool:
        """No figure was published."""
        return False

    # --- the data ---

    @cached_property
    def _files(self) -> list[Collection]:
        """What the file that is learned from holds, and the one that judges, if there is one."""
        if self.data is None:
            return [made_up(self.count, np.random.default_rng([self.seed, 0]))]
        known = labelled(read_collection(self.data, self._asked()))
        if self.test_data is None:
            return [known]
        test = read_collection(self.test_data, self._asked(known), known.rate)
        return [known, labelled(fitting(test, known))]

    def _asked(self, known: Collection | None = None, *, labelled: bool = True) -> Asked:
        channels = known.channels if known and self.sequence else self.channels
        columns = Columns(self.sequence, self.time, self.label, self.group, channels)
        return Asked(columns, self, self.mel_bands, labelled)

    @cached_property
    def _all(self) -> Collection:
        """All sequences, those that are learned from first."""
        return joined(*self._files) if len(self._files) > 1 else self._files[0]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The labels that are learned, in the order of the alphabet, or of numbers."""
        labels = self._files[0].labels
        return tuple(
            sorted(
                set(labels), key=lambda word: (len(word), word) if word.isdecimal() else (0, word)
            )
        )

    @cached_property
    def _classes(self) -> Integers:
        return np.concatenate([classes_of(one, self.words) for one in self._files])

    @cached_property
    def _division(self) -> Division:
        classes, groups, given = self._classes, self._all.groups, None
        if self.test_data is not None:
            given = np.arange(len(self._files[0]), len(classes))
        shares = (self.test_share, self.validation_share)
        division = divide(classes, groups, given, shares, self.ensemble, self.seed)
        check_classes(division, classes, self.words, groups)
        return division

    @cached_property
    def lesson(self) -> Lesson:
        """The sequences, and the fold of each network."""
        folds = self._division.folds
        return Lesson(self._all.sequences, self._classes, len(self.words), folds)

    # --- judging ---

    def _said(self, model: Readers) -> Floats:
        """Probabilities of the test part."""
        return predict(model, [self._all.sequences[place] for place in self._division.test])

    @cached_property
    def _rivals(self) -> list[Rival]:
        return rivals(self.lesson, self._division.test, self.seed)

    def result(self, model: Readers) -> dict[str, Any]:
        """Scores on the test part, of the network and of those that need none."""
        test = self._division.test
        classes = self.lesson.answers[test]
        figures: dict[str, Any] = {**self.metrics(model), **scores(self._said(model), classes)}
        for rival in self._rivals:
            if rival.said is not None:
                table = np.eye(len(self.words))[rival.said]
                found = scores(table, classes)
                for name in ("accuracy", "balanced_accuracy"):
                    figures[f"{name}_{rival.key}"] = found[name]
        return {**figures, "test_sequences": len(test)}

    def summary(self, model: Readers) -> str:
        """How it was read and cut, the table of rivals, who won, what is taken for what."""
        figures = self.result(model)
        names = self._names(figures)
        count = figures["test_sequences"]
        title = f"test part, {counted(count, 'sequence')}"
        found = confusion(self._said(model), self.lesson.answers[self._division.test])
        return "\n".join(
            [
                *(one.told for one in self._files),
                self._cut,
                "",
                *told.table(title, figures, names),
                told.winner(figures, names, count),
                "",
                *told.confusion_table(found, self.words),
            ]
        )

    def _names(self, figures: Mapping[str, Any]) -> dict[str, str]:
        ours = "LSTM" if self.ensemble == 1 else f"{self.ensemble} LSTMs"
        return {"": ours} | {
            f"_{rival.key}": rival.name
            for rival in self._rivals
            if f"accuracy_{rival.key}" in figures
        }

    @property
    def _cut(self) -> str:
        """How the parts were made."""
        fold, groups = self._division.folds[0], self._all.groups
        how = f"drawn by seed {self.seed}" + (", each group on one side" if groups else "")
        test = how if self.test_data is None else f"from {self.test_data.name}"
        again = "; then learned anew from both" if self.refit else ""
        return (
            f"{len(fold.training):,} to learn from and {len(fold.validation):,} that chose the "
            f"weights ({how}{again}), {counted(len(self._division.test), 'test sequence')} ({test})"
        )

    # --- showing ---

    @property
    def _shown(self) -> list[int]:
        """Places of test sequences of as many labels as there can be."""
        classes = self.lesson.answers[self._division.test]
        _, first = np.unique(classes, return_index=True)
        order = [*first.tolist(), *(n for n in range(len(classes)) if n not in set(first.tolist()))]
        return [int(self._division.test[place]) for place in order]

    def draw(self, model: Readers, history: list[dict[str, Any]], folder: Path) -> list[Path]:
        """How it learned, what it takes for what, how honest it is, and what it hangs on."""
        from unrolled.pictures import plots
        from unrolled.recipes._labels import pictures

        said, classes = self._said(model), self.lesson.answers[self._division.test]
        error = scores(said, classes)["calibration_error"]
        part = "validation" if self.chosen_by else "training"
        return [
            plots.learning_curve(
                history,
                folder / "learning.png",
                metric=f"{part}_accuracy",
                title=f"Labels: learning ({part} part)",
            ),
            pictures.draw_confusion(confusion(said, classes), self.words, folder / "confusion.png"),
            pictures.draw_reliability(bins_of(said, classes), error, folder / "reliability.png"),
            pictures.draw_mattering(
                [self._picture(model, place) for place in self._shown[:SHOWN]],
                self._all.channels,
                folder / "steps.png",
            ),
        ]

    def _picture(self, model: Readers, place: int) -> Any:
        from unrolled.recipes._labels.pictures import Shown

        values = self._all.sequences[place]
        found = mattering(model, values)
        true = self._all.labels[place]
        return Shown(self._all.names[place], true, self.words[found.said], values, found)

    def further(self, folder: str) -> list[str]:
        """New files, and a look inside."""
        new = "" if self.data is None else " NEW_FILE --out labels.csv"
        return [f"unrolled try {folder}{new}", f"unrolled explore {folder} --open"]

    def explorer(self, model: Readers) -> list[Explorable]:
        """The first network over some test sequences, each direction by itself."""
        named = {
            f"{self._all.names[place]} ({self._all.labels[place]})": self._all.sequences[place]
            for place in self._shown[:EXAMPLES]
        }
        return explorables(model.first, named, self._all.channels, self.words)

    def look(self, model: Readers) -> list[Passage]:
        """One test sequence, and the label that was said of it."""
        import torch

        member, place = model.first, self._shown[0]
        values = torch.from_numpy(self._all.sequences[place])[:, None]
        lengths = torch.tensor([len(values)])
        said = int(predict(model, [self._all.sequences[place]]).argmax())
        return [
            Passage(
                call=lambda: member(values, lengths),
                inputs=[str(step) for step in range(len(values))],
                followed=lambda: member(values, lengths)[0, said],
                following=f"the logit of {self.words[said]!r}",
                within="members.0" if len(model.members) > 1 else "",
            )
        ]

    def exported(self, model: Readers) -> dict[str, nn.Module]:
        """Each network's LSTM and readout, over standardised values: logits at every step.

        Their mean over the steps is what the labels' probabilities are made of, where pooling is
        mean; where it is last, and there is one direction, it is the last step's.
        """
        return {
            f"{number}": Network(member.lstm, member.readout)
            for number, member in enumerate(model.each, 1)
        }

    def attempt(self, model: Readers, arguments: list[str]) -> str:
        """The label of each sequence of new files, and a CSV file that says so."""
        asked = answers.read_label_question(arguments, built_in=self.data is None)
        found = [self._new(path) for path in asked.files] or [
            made_up(FRESH, np.random.default_rng([self.seed, 1]))
        ]
        said = [predict(model, collection.sequences) for collection in found]
        lines = []
        for collection, probabilities in zip(found, said, strict=True):
            lines.append(f"{collection.file}:")
            lines += answers.answer_lines(collection, self.words, probabilities)
        if asked.out is not None:
            answers.write_labels(asked.out, found, self.words, said)
            lines.append(f"every label and probability is in {asked.out}")
        return "\n".join(lines)

    def _new(self, path: Path) -> Collection:
        """A file that may lack labels."""
        known = self._files[0]
        asked = self._asked(known, labelled=False)
        return fitting(read_collection(path, asked, known.rate), known)
