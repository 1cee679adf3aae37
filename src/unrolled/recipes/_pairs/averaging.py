"""A network whose weights are also kept as an average over the last updates."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unrolled.recipes._pairs.translator import Translator

__all__ = ["Averaged"]


class Averaged(nn.Module):
    """A translator that learns, and the average of it that answers (Polyak and Juditsky 1992).

    Adam at a constant rate throws a network that was nearly perfect back by several points, every
    few hundred updates, for some tens of them.  The average hardly notices.

    Parameters
    ----------
    learner
        What is trained.
    decay
        How much of the average stays at each update: 0.99 is an average over about 100 of them; 0
        is none, and the learner itself answers.
    """

    def __init__(self, learner: Translator, decay: float) -> None:
        super().__init__()
        self.learner = learner
        self.average: AveragedModel | None = None
        if decay:
            take_in = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(learner, multi_avg_fn=take_in)
            self.average.requires_grad_(False)

    @property
    def answerer(self) -> Translator:
        """The network to be asked."""
        if self.average is None:
            return self.learner
        module = self.average.module
        assert isinstance(module, Translator)
        return module

    def loss(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """The learner's loss; in training the average first takes in the weights as they are."""
        if self.average is not None and self.training:
            self.average.update_parameters(self.learner)
        return self.learner.loss(source, lengths, target)
