"""`LSTM`: what `torch.nn.LSTM` is, and what it does not give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unrolled.engines import Choice, Forward, Inputs, check_name
from unrolled.engines.masks import StateMasks, blank, row_masks
from unrolled.equations import Cell, Gates
from unrolled.errors import InvalidTypeError, InvalidValueError
from unrolled.layer import direct, initialisation
from unrolled.layer.exchange import Exchanged
from unrolled.layer.followed import Followed
from unrolled.layer.layout import Layout, Rows, State, enter, enter_state, rows
from unrolled.layer.packed import choice_for_packed, run_packed
from unrolled.layer.places import Placed
from unrolled.layer.plan import Planned
from unrolled.layer.recurrence import choice_for, recurrence
from unrolled.layer.regularisation import Noise
from unrolled.layer.settings import PROJECTION, WEIGHTS, Settings, cell_named
from unrolled.layer.stepper import Stepper
from unrolled.layer.trace import Trace, gates_of

__all__ = ["LSTM"]


class LSTM(Followed, Planned, Placed, Exchanged):
    """A long short-term memory, as `torch.nn.LSTM`, with more cells, masks, and every gate in view.

    Every argument of `torch.nn.LSTM` is taken, positionally and by name, with the same meaning,
    default, initialisation and parameter names: ``load_state_dict`` works both ways.  The equations
    are E1–E8 of `unrolled.equations`.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, \
device, dtype
        As in `torch.nn.LSTM`.
    cell : Cell or str, default "vanilla"
        Which equations: a `Cell`, or ``"vanilla"``, ``"carousel"`` (1997: f = 1), ``"peephole"``,
        ``"coupled"`` (f = 1 − i) or ``"linear"`` (h = o⊙c).  A cell whose forget gate is not
        learned has no weights for it: its parameters have 3·H rows, in the order i, g, o.  A cell
        with peepholes has ``weight_ph_l0`` too: [3, H] for i, f, o, or [2, H] for i, o.
    zoneout : float or (float, float), default 0
        Probability with which a unit of h (and, as a pair, of c) keeps its old value: Krueger et
        al. 2017.  One number is for both.  Random in training, the expected value in ``eval()``.
    recurrent_dropout : float, default 0
        Dropout on h in the recurrent product, one mask for the whole sequence: Gal & Ghahramani
        2016; Keras' argument of this name.
    update_dropout : float, default 0
        Dropout on g, a new mask at every step: Semeniuta et al. 2016.
    forget_bias : float, optional
        The forget gate's bias at the start (``bias_ih`` holds it, ``bias_hh`` is 0 there); 1 is
        Gers et al. 2000 and Jozefowicz et al. 2015.
    init : {"torch", "orthogonal"}, default "torch"
        Uniform in ±1/√H, or orthogonal W_hh for each gate (Saxe et al. 2014), Glorot-uniform W_ih
        and zero biases, as in Keras.
    engine : str, default "auto"
        Which engine runs: the first that supports what is asked, or the one named, which raises if
        it does not.  See `engine_for`.  Under torch.func, and for second derivatives, it is always
        the reference.

    Raises
    ------
    TypeError, ValueError
        For an argument that makes no sense, in one sentence.

    Examples
    --------
    >>> lstm = LSTM(10, 20, cell="peephole")
    >>> y, (h, c) = lstm(torch.randn(5, 3, 10), lengths=[5, 0, 2])
    >>> y.shape, h.shape
    (torch.Size([5, 3, 20]), torch.Size([1, 3, 20]))
    """

    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        cell: Cell | str = "vanilla",
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        update_dropout: float = 0.0,
        forget_bias: float | None = None,
        init: str = "torch",
        engine: str = "auto",
    ) -> None:
        super().__init__()
        settings = Settings(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
        )
        settings.check()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.cell = cell_named(cell)
        self.noise = Noise.checked(zoneout, recurrent_dropout, update_dropout)
        self.init = init
        self.forget_bias = forget_bias
        self.engine = check_name(engine)
        ends = ("", "_reverse") if bidirectional else ("",)
        self._keys = [f"l{layer}{end}" for layer in range(num_layers) for end in ends]
        initialisation.check(init, forget_bias, self.cell, bias)
        self._names = [name for name, _ in settings.shapes(self.cell)]
        for name, shape in settings.shapes(self.cell):
            weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, weight)
        self.reset_parameters()

    _run_layer: Callable[..., Forward] = staticmethod(recurrence)  # see `stepped`

    def _plain_layers(self) -> list[str]:
        quiet = self.noise == Noise() and not (self.training and self.dropout)
        simple = not self.bidirectional and not self.proj_size
        plain = quiet and simple and self.engine in ("auto", "cpu")
        return [f"_{key}" for key in self._keys] if plain else []

    def reset_parameters(self) -> None:
        """Draw all parameters again, as ``init`` and ``forget_bias`` say."""
        initialisation.fill(self, self.cell, self.hidden_size, self.init, self.forget_bias)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Tensor | Sequence[int] | int | None = None,
        resets: Tensor | None = None,
        mask: Tensor | None = None,
        reset_to: str = "zero",
        generator: torch.Generator | None = None,
    ) -> tuple[Any, State]:
        """Run over a sequence.

        Parameters
        ----------
        input : Tensor or PackedSequence
            [T, B, I]; [B, T, I] with ``batch_first``; [T, I] for one sequence; or packed.
        hx : (Tensor, Tensor), optional
            h_0 [L·D, B, P] and c_0 [L·D, B, H] (P = H without a projection; no B for one
            sequence).  Zero if left out.
        lengths : Tensor or sequence of int, [B], optional
            Each row's number of steps, 0 to T, in any order and on any device.  What lies beyond
            is not read, NaN included; the output there is 0, as after ``pad_packed_sequence``; the
            final state is the one at each row's own end, and the initial one for length 0.  Under
            ``torch.compile`` the values are not checked.
        resets : Tensor of bool, [T, B], optional
            True: a new sequence begins with this step, so the state before it is zero (or, with
            ``reset_to="initial"``, hx).  In the reverse direction nothing crosses the same border.
            [B, T] with ``batch_first``, [T] for one sequence.
        mask : Tensor of bool, as ``resets``, optional
            False: the step is missing.  Its input is not read and the state is held, in the output
            too.
        reset_to : {"zero", "initial"}
            What a reset goes back to.
        generator : torch.Generator, optional
            Where dropout and zoneout draw from; torch's own generator of the device if left out.

        Returns
        -------
        output : Tensor or PackedSequence
            h of the last layer at every step, as the input lies; the directions side by side.
        (h_n, c_n) : (Tensor, Tensor)
            The final state of every layer and direction, shaped like hx.

        Raises
        ------
        ValueError, RuntimeError, TypeError
            For shapes, types and values that do not fit, in one sentence; where `torch.nn.LSTM`
            raises, the same type.
        unrolled.engines.Declined
            If ``engine`` was named and does not support what is asked.
        """
        if lengths is None and resets is None and mask is None and reset_to == "zero":
            short = direct.run(self, input, hx)
            if short is not None:
                return short
            if isinstance(input, PackedSequence):
                whole = run_packed(self, input, hx, generator)
                if whole is not None:
                    return whole
        layout, x, known, state = self._enter(input, hx, lengths, resets, mask, reset_to)
        y, (h, c), _ = self._layers(x, state, known, reset_to == "initial", generator, False)
        return layout.output(y, known.lengths), (layout.state(h), layout.state(c))

    def trace(
        self,
        input: Tensor,
        hx: State | None = None,
        *,
        lengths: Tensor | Sequence[int] | int | None = None,
        resets: Tensor | None = None,
        mask: Tensor | None = None,
        reset_to: str = "zero",
        generator: torch.Generator | None = None,
    ) -> Trace:
        """Run over a sequence and keep i, f, g, o, c and h of every step, layer and direction.

        Takes what the call takes, but for a `PackedSequence` (use ``lengths``).  Differentiable.

        Raises
        ------
        TypeError
            For a `PackedSequence`.
        """
        if isinstance(input, PackedSequence):
            raise InvalidTypeError(
                "trace() got a PackedSequence, expected a padded tensor: use lengths=."
            )
        if lengths is None and resets is None and mask is None and reset_to == "zero":
            layers: list[Forward] = []
            short = direct.run(self, input, hx, layers)
            if short is not None:
                inner = Layout(batch_first=self.batch_first)
                gates = (gates_of(out, inner.outward) for out in layers)
                return Trace(*short, dict(zip(self._keys, gates, strict=True)))
        layout, x, known, state = self._enter(input, hx, lengths, resets, mask, reset_to)
        y, (h, c), seen = self._layers(x, state, known, reset_to == "initial", generator, True)
        directions = {
            key: Gates(*(layout.outward(t) for t in gates)) for key, gates in seen.items()
        }
        return Trace(layout.outward(y), (layout.state(h), layout.state(c)), directions)

    def engine_for(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Tensor | Sequence[int] | int | None = None,
        resets: Tensor | None = None,
        mask: Tensor | None = None,
        trace: bool = False,
    ) -> Choice:
        """Which engine will run for this call, and why those before it declined."""
        if isinstance(input, PackedSequence) and not trace:
            choice = choice_for_packed(self, input)
            if choice is not None:
                return choice
        _, x, known, state = self._enter(input, hx, lengths, resets, mask, "zero")
        # Noise from a generator of its own: to ask changes nothing.
        own = torch.Generator(x.device) if x.device.type in ("cpu", "cuda") else None
        masks = self._masks(x, known, False, False, own)
        return choice_for(self.cell, self.inputs_of("l0", x, state[0]), masks, self.engine, trace)

    def stepper(self, batch_size: int = 1) -> Stepper:
        """One step at a time, in place and without autograd: for audio and control loops.

        See `unrolled.Stepper`.

        Raises
        ------
        ValueError
            If the layer is bidirectional, or ``batch_size`` is below 1.
        unrolled.engines.Declined
            If the native engine does not support the layer.
        """
        return Stepper(self, batch_size)

    def flatten_parameters(self) -> None:
        """Nothing: for code written for `torch.nn.LSTM`, where cuDNN wants it."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, as in `torch.nn.LSTM`."""
        return [
            [getattr(self, n) for n in self._names if n.endswith(f"_{key}")] for key in self._keys
        ]

    def _enter(
        self,
        input: Tensor | PackedSequence,
        hx: State | None,
        lengths: Tensor | Sequence[int] | int | None,
        resets: Tensor | None,
        mask: Tensor | None,
        reset_to: str,
    ) -> tuple[Layout, Tensor, Rows, list[State]]:
        if reset_to not in ("zero", "initial"):
            named = repr(reset_to) if isinstance(reset_to, str) else f"a {type(reset_to).__name__}"
            raise InvalidValueError(f"reset_to={named} is not known: use 'zero' or 'initial'.")
        layout, x, packed_lengths = enter(
            input, self.input_size, self.batch_first, self.weight_ih_l0.dtype
        )
        known = rows(layout, x, packed_lengths, lengths, resets, mask)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        state = enter_state(hx, layout, x, sizes, len(self._keys))
        return layout, x, known, state

    def _masks(
        self,
        x: Tensor,
        known: Rows,
        reverse: bool,
        to_start: bool,
        generator: torch.Generator | None,
    ) -> StateMasks:
        masks = row_masks(
            known.inside, known.present, known.resets, reverse=reverse, to_start=to_start
        )
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        return self.noise.added(masks, x, sizes, self.training, generator)

    def inputs_of(self, key: str, x: Tensor, state: State) -> Inputs:
        """What an engine reads for the layer and direction ``key``, such as ``l0_reverse``."""
        names = [f"{name}_{key}" for name in (*WEIGHTS, PROJECTION)]
        weights: list[Any] = [getattr(self, n) if n in self._names else None for n in names]
        return Inputs(x, *state, *weights)

    def _layers(
        self,
        x: Tensor,
        state: list[State],
        known: Rows,
        to_start: bool,
        generator: torch.Generator | None,
        trace: bool,
    ) -> tuple[Tensor, State, dict[str, Gates]]:
        """Layer over layer; within one, each direction in its own order of time."""
        keys = self._keys
        directions = 2 if self.bidirectional else 1
        ends: list[Forward] = []
        seen: dict[str, Gates] = {}
        for layer in range(self.num_layers):
            ys = []
            for reverse in (False, True)[:directions]:
                key = keys[len(ends)]
                masks = self._masks(x, known, reverse, to_start, generator)
                read = x.flip(0) if reverse else x
                inputs = self.inputs_of(key, read, state[len(ends)])
                out = self._run_layer(self.cell, inputs, masks, engine=self.engine, trace=trace)
                ends.append(out)
                ys.append(out.y.flip(0) if reverse else out.y)
                if trace:
                    turned = partial(torch.flip, dims=(0,))
                    seen[key] = gates_of(out, turned if reverse else Layout().outward)
            x = ys[0] if directions == 1 else torch.cat(ys, -1)
            if layer < self.num_layers - 1:
                x = self.noise.between(x, self.dropout, self.training, generator)
        # In a trace h holds in the padding, which the output does not show.
        y = blank(x, known.inside) if trace else x
        # Stacked, one layer too: what is returned is the caller's, to be changed in place.
        h_n = torch.stack([end.h_n for end in ends])
        c_n = torch.stack([end.c_n for end in ends])
        return y, (h_n, c_n), seen

    def extra_repr(self) -> str:
        """The arguments that are not at their defaults, as in `torch.nn.LSTM`."""
        words = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "cell": Cell(),
            "forget_bias": None,
            "init": "torch",
            "engine": "auto",
        }
        words += [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return ", ".join([*words, *self.noise.described()])
