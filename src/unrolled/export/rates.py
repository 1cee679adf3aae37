"""A network trained on sound of one rate, run on sound of another.

At r times the rate a state has to be as old, in seconds, as it was in training: r samples.  So h
and c are read r samples back, between two samples in proportion: the linear interpolation of
Chowdhury, "Sample-rate agnostic recurrent neural networks" (2022), compared with others by Carson
et al., "Sample rate independent recurrent neural networks for audio effects processing" (DAFx
2024).  RTNeural's ``SampleRateCorrectionMode::LinInterp`` is the same recurrence; its output is the
state as it is read, hence r − 1 samples later than here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unrolled.errors import InvalidStateError
from unrolled.errors.expected import check_argument, positive
from unrolled.export.parts import ExportError, parts_of
from unrolled.layer.effect import Effect

__all__ = ["AtRate", "at_rate"]

MOST = 64  # times the rate: each is a state to keep


def at_rate(module: nn.Module, trained: float, wanted: float, batch_size: int = 1) -> AtRate:
    """A network that was trained on sound of one rate, for sound of another.

    Parameters
    ----------
    module : nn.Module
        An `unrolled.LSTM`, an `unrolled.Network` or an `Effect`.
    trained, wanted : float
        The two rates, in Hz.
    batch_size : int, default 1
        How many rows of sound are run at once.

    Returns
    -------
    AtRate
        What is called with the samples, and goes on from its state at the next call.

    Raises
    ------
    ExportError
        If ``wanted`` is below ``trained``: the state would be read before it is there.
    InvalidValueError
        If the layer cannot be stepped.

    Examples
    --------
    >>> louder = at_rate(effect, trained=44100, wanted=96000)
    >>> y = louder(samples)
    """
    check_argument("trained", trained, positive)
    check_argument("wanted", wanted, positive)
    if not 1 <= wanted / trained <= MOST:
        raise ExportError(
            f"wanted={wanted} is {wanted / trained:.3g} times trained={trained}, expected 1 to "
            f"{MOST} times: below it, resample the sound, since a state cannot be read early."
        )
    effect = module if isinstance(module, Effect) else Effect(*parts_of(module))
    return AtRate(effect, wanted / trained, batch_size)


class AtRate:
    """A network whose state is read ``ratio`` samples back; made by `at_rate`.

    It steps: no autograd, the equations of ``eval()``, weights read when it is made.

    Parameters
    ----------
    effect : Effect
    ratio : float
        How many samples there are for one of the training, 1 or more.
    batch_size : int

    Attributes
    ----------
    ratio : float
    """

    def __init__(self, effect: Effect, ratio: float, batch_size: int = 1) -> None:
        self.ratio = ratio
        self._effect, self._stepper = effect, effect.lstm.stepper(batch_size)
        self._whole = math.floor(ratio)
        self._part = ratio - self._whole
        length = self._whole + (1 if self._part else 0)
        shape = (length, *self._stepper.h.shape)
        self._h = list(self._stepper.h.new_zeros(shape))
        self._c = list(self._stepper.h.new_zeros(shape))
        self.reset()

    def reset(self) -> None:
        """Begin again: every state before the first sample is the network's first one."""
        start = self._effect.start(self._stepper.x.shape[0])
        for states, first in zip((self._h, self._c), start or (None, None), strict=True):
            for state in states:
                state.zero_() if first is None else state.copy_(first)
        self._now = 0  # where the next state goes: the oldest one's place

    @torch.no_grad()
    def __call__(self, input: Tensor) -> Tensor:
        """Run over samples, and keep the states for the next call.

        Parameters
        ----------
        input : Tensor, [T, B, I]; [B, T, I] where the LSTM has ``batch_first``

        Returns
        -------
        Tensor, [T, B, O] or [B, T, O]
            The output, not delayed: at an integer ratio, each sample of the training's rate gives
            what it gave there.
        """
        first = self._effect.lstm.batch_first
        steps = input.transpose(0, 1) if first and input.dim() == 3 else input
        rows, width = self._stepper.x.shape
        if steps.dim() != 3 or steps.shape[1:] != (rows, width) or not len(steps):
            raise InvalidStateError(
                f"the input is {list(input.shape)}, expected one step or more of {rows} rows of "
                f"{width} numbers."
            )
        h = torch.stack([self._step(x) for x in steps.unbind()])
        return self._effect.read(h.transpose(0, 1) if first else h, input)

    def _step(self, x: Tensor) -> Tensor:
        stepper, length = self._stepper, len(self._h)
        now = self._now
        # One list for both: the oldest state is where the new one will go.
        for states, state in ((self._h, stepper.h), (self._c, stepper.c)):
            newer = states[(now - self._whole) % length]
            if self._part:
                torch.lerp(newer, states[now], self._part, out=state)
            else:
                state.copy_(newer)
        h = stepper(x).clone()
        self._h[now].copy_(stepper.h)
        self._c[now].copy_(stepper.c)
        self._now = (now + 1) % length
        return h
