"""Who is compared with whom, at which sizes; nothing is built before its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from unrolled.bench import ourselves, peers, streaming, whole_steps
from unrolled.bench.drawn import OURS, Contest, Drawn, live, operations, over
from unrolled.bench.options import BenchOptions, Size
from unrolled.bench.timing import Field, Peer
from unrolled.equations import CELLS

__all__ = ["SIZES", "contests"]

MIDDLE = Size(100, 32, 64, 128)
SIZES: dict[str, tuple[Size, ...]] = {
    "variants": (MIDDLE,),
    "lengths": (Size(200, 64, 32, 64),),
    "resets": (Size(128, 64, 64, 128),),
    "stream": (Size(1, 1, 64, 64),),
    "masks": (MIDDLE,),
    "trace": (Size(50, 1, 64, 64), MIDDLE),
    "steps": (
        Size(8, 1, 2, 32),
        Size(10, 1, 50, 100),
        Size(50, 1, 64, 64),
        Size(40, 64, 2, 16),
        MIDDLE,
        Size(100, 32, 256, 256),
    ),
    "threads": (Size(100, 32, 256, 256), Size(365, 256, 5, 64)),
    "grid": tuple(
        Size(T, B, H, H)
        for T, B, H in product((1, 7, 100, 1000), (1, 4, 33, 256), (16, 40, 100, 256, 512))
    ),
}
SIZES["inference"] = SIZES["training"] = (
    Size(1, 1, 64, 64),
    Size(8, 1, 2, 32),
    Size(10, 1, 50, 100),
    Size(50, 1, 64, 64),
    Size(2048, 1, 1, 32),
    Size(1000, 1, 64, 256),
    Size(50, 64, 64, 128),
    Size(1000, 32, 1, 40),
    Size(365, 256, 5, 64),
    Size(100, 32, 256, 256),
    Size(100, 64, 512, 512),
)


def contests(options: BenchOptions) -> list[Contest]:
    """All that was asked for, in order."""
    made = {
        "inference": _inference,
        "training": _training,
        "variants": _variants,
        "lengths": _lengths,
        "resets": _resets,
        "stream": _stream,
        "masks": ourselves.masks,
        "trace": ourselves.trace,
        "steps": whole_steps.steps,
        "threads": ourselves.threads,
        "grid": _grid,
    }
    return [
        contest
        for section in options.sections
        for size in options.sizes or SIZES[section]
        for contest in made[section](size, options)
    ]


# --- against torch.nn.LSTM ------------------------------------------------------------------


def _inference(size: Size, options: BenchOptions, section: str = "inference") -> Iterator[Contest]:
    def build() -> Field:
        d = Drawn(size)
        layer = over(peers.torch_layer(d.ours))
        return Field(
            Peer(OURS, peers.in_inference(d.run(), d.x)),
            [lambda: Peer("torch.nn.LSTM", peers.in_inference(layer, d.x))],
        )

    what = "" if section == "inference" else "inference"
    yield Contest(section, what, size, operations(size), build)


def _training(size: Size, options: BenchOptions, section: str = "training") -> Iterator[Contest]:
    def build() -> Field:
        d = Drawn(size)
        return Field(
            Peer(OURS, d.trained(d.run())),
            [lambda: Peer("torch.nn.LSTM", d.torch_trained(over))],
        )

    what = "" if section == "training" else "training"
    yield Contest(section, what, size, 3 * operations(size), build)


def _grid(size: Size, options: BenchOptions) -> Iterator[Contest]:
    yield from _inference(size, options, "grid")
    yield from _training(size, options, "grid")


# --- against loops over time and packing, in training ---------------------------------------


def _variants(size: Size, options: BenchOptions) -> Iterator[Contest]:
    for name in CELLS:

        def build(name: str = name) -> Field:
            d = Drawn(size, cell=name)
            weights = [t.detach().clone().requires_grad_() for t in d.ours.parameters()]
            written = peers.written_loop(d.ours.cell, weights)
            label = "loop written in torch"

            def loop() -> Peer:
                return Peer(label, d.trained(written, weights))

            def of_cells() -> Peer:
                cell = peers.torch_cell(d.ours)
                run = peers.looped_cell(cell)
                return Peer("loop over LSTMCell", d.trained(run, list(cell.parameters())))

            def library() -> Peer:
                return Peer("torchrecurrent", d.trained(*peers.torchrecurrent_layer(d.ours)))

            def compiled() -> Peer:
                return peers.compiled(
                    f"{label}, compiled", written, lambda run: d.trained(run, weights)
                )

            first = of_cells if name == "vanilla" else library
            others = [loop, first, compiled] if options.compile else [loop, first]
            return Field(Peer(OURS, d.trained(d.run())), others)

        yield Contest("variants", name, size, 3 * operations(size, name), build)


def _lengths(size: Size, options: BenchOptions) -> Iterator[Contest]:
    share = live(size)

    def build() -> Field:
        d = Drawn(size)

        def packed() -> Peer:
            return Peer(
                "PackedSequence", d.torch_trained(lambda layer: peers.packed(layer, d.lengths))
            )

        return Field(
            Peer(OURS, d.trained(d.run(lengths=d.lengths))),
            [packed, lambda: Peer("ours, every step", d.trained(d.run()), alike=False)],
        )

    what = f"{share:.0%} of the steps live"
    yield Contest("lengths", what, size, 3 * operations(size, share=share), build)


def _resets(size: Size, options: BenchOptions) -> Iterator[Contest]:
    def build() -> Field:
        d = Drawn(size)
        keep = (~d.begins).float()
        cell = peers.torch_cell(d.ours)
        loop, weights = peers.looped_cell(cell, keep), list(cell.parameters())
        others: list[Callable[[], Peer]] = [
            lambda: Peer("loop over LSTMCell", d.trained(loop, weights)),
            lambda: Peer(
                "loop over nn.LSTM", d.torch_trained(lambda layer: peers.looped_layer(layer, keep))
            ),
        ]
        if options.compile:
            others.append(
                lambda: peers.compiled(
                    "loop over LSTMCell, compiled", loop, lambda run: d.trained(run, weights)
                )
            )
        return Field(Peer(OURS, d.trained(d.run(resets=d.begins))), others)

    yield Contest("resets", "", size, 3 * operations(size), build)


def _stream(size: Size, options: BenchOptions) -> Iterator[Contest]:
    one = size._replace(T=1)

    def build() -> Field:
        d = Drawn(one)
        x = d.x[0]
        return Field(
            streaming.our_step(d.ours, x),
            [
                lambda: streaming.torch_layer_step(d.ours, x),
                lambda: streaming.torch_cell_step(d.ours, x),
                lambda: streaming.numpy_step(d.ours, x, options.threads),
                lambda: streaming.onnx_step(d.ours, x, options.threads),
            ],
        )

    yield Contest("stream", "", one, operations(one), build)
