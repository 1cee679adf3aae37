"""`unrolled.LSTM` is `torch.nn.LSTM`: parameters, outputs, states, gradients, errors."""

import contextlib
import copy
import io
import pickle
import re
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import unrolled

SIZES = {"input_size": 3, "hidden_size": 5}


def twins(engine: str = "auto", **arguments: Any) -> tuple[torch.nn.LSTM, unrolled.LSTM]:
    """The same layer twice, from the same generator state."""
    arguments = SIZES | {"dtype": torch.float64} | arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dropout with a single layer: tested below
        torch.manual_seed(7)
        theirs = torch.nn.LSTM(**arguments)
        torch.manual_seed(7)
        ours = unrolled.LSTM(**arguments, engine=engine)
    return theirs, ours


def assert_same(theirs: Any, ours: Any) -> None:
    """Equal to 1e-12, through tuples and packed sequences."""
    if isinstance(theirs, PackedSequence):
        assert isinstance(ours, PackedSequence)
        assert_same(theirs.data, ours.data)
        assert torch.equal(theirs.batch_sizes, ours.batch_sizes)
        for a, b in zip(theirs[2:], ours[2:], strict=True):
            assert (a is None) == (b is None)
            assert a is None or torch.equal(a, b)
    elif isinstance(theirs, tuple):
        for a, b in zip(theirs, ours, strict=True):
            assert_same(a, b)
    else:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def both(
    theirs: torch.nn.LSTM,
    ours: unrolled.LSTM,
    x: torch.Tensor,
    hx: tuple[torch.Tensor, torch.Tensor] | None,
    pack: Any = None,
) -> None:
    """Outputs, states and every gradient."""
    found = []
    for m in (theirs, ours):
        torch.manual_seed(11)  # for dropout
        leaves = [t.detach().clone().requires_grad_() for t in ([x] if hx is None else [x, *hx])]
        y, (h, c) = m(leaves[0] if pack is None else pack(leaves[0]), *([leaves[1:]] if hx else []))
        flat = y.data if isinstance(y, PackedSequence) else y
        loss = flat.sin().sum() + h.cos().sum() + (c * c).sum()
        found.append((y, h, c, torch.autograd.grad(loss, [*leaves, *m.parameters()])))
    assert_same(*found)


@given(
    num_layers=st.integers(1, 3),
    bias=st.booleans(),
    batch_first=st.booleans(),
    dropout=st.sampled_from([0.0, 0.4]),
    bidirectional=st.booleans(),
    proj_size=st.sampled_from([0, 1, 4]),
    steps=st.integers(1, 6),
    batch=st.sampled_from([None, 1, 2, 4]),
    with_state=st.booleans(),
    engine=st.sampled_from(["auto", "aten", "reference"]),
    training=st.booleans(),
)
def test_every_argument_means_what_it_means_in_torch(
    num_layers: int,
    bias: bool,
    batch_first: bool,
    dropout: float,
    bidirectional: bool,
    proj_size: int,
    steps: int,
    batch: int | None,
    with_state: bool,
    engine: str,
    training: bool,
) -> None:
    theirs, ours = twins(
        engine,
        num_layers=num_layers,
        bias=bias,
        batch_first=batch_first,
        dropout=dropout,
        bidirectional=bidirectional,
        proj_size=proj_size,
    )
    theirs.train(training)
    ours.train(training)
    g = torch.Generator().manual_seed(steps)
    shape = [steps] if batch is None else [batch, steps] if batch_first else [steps, batch]
    x = torch.randn(*shape, 3, generator=g, dtype=torch.float64)
    hx = None
    if with_state:
        count = num_layers * (2 if bidirectional else 1)
        rows = [] if batch is None else [batch]
        hx = tuple(
            torch.randn(count, *rows, size, generator=g, dtype=torch.float64)
            for size in (proj_size or 5, 5)
        )
    both(theirs, ours, x, hx)  # type: ignore[arg-type]


@given(
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    proj_size=st.sampled_from([0, 2]),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    enforce_sorted=st.booleans(),
    with_state=st.booleans(),
)
def test_packed_sequences_as_in_torch(
    num_layers: int,
    bidirectional: bool,
    proj_size: int,
    lengths: list[int],
    enforce_sorted: bool,
    with_state: bool,
) -> None:
    theirs, ours = twins(num_layers=num_layers, bidirectional=bidirectional, proj_size=proj_size)
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    g = torch.Generator().manual_seed(len(lengths))
    x = torch.randn(max(lengths), len(lengths), 3, generator=g, dtype=torch.float64)
    hx = None
    if with_state:
        count = num_layers * (2 if bidirectional else 1)
        hx = tuple(
            torch.randn(count, len(lengths), size, generator=g, dtype=torch.float64)
            for size in (proj_size or 5, 5)
        )
    both(
        theirs,
        ours,
        x,
        hx,  # type: ignore[arg-type]
        lambda t: pack_padded_sequence(t, torch.tensor(lengths), enforce_sorted=enforce_sorted),
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_layers": 2, "bias": False},
        {"num_layers": 2, "bidirectional": True, "proj_size": 2, "dtype": torch.float32},
    ],
    ids=str,
)
def test_state_dict_both_ways(arguments: dict[str, Any]) -> None:
    theirs, ours = twins(**arguments)
    pairs = list(zip(theirs.named_parameters(), ours.named_parameters(), strict=True))
    assert all(a == b and torch.equal(p, q) for (a, p), (b, q) in pairs)
    ours.reset_parameters()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.reset_parameters()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert all(torch.equal(p, q) for (_, p), (_, q) in pairs)
    assert [[w.shape for w in ws] for ws in theirs.all_weights] == [
        [w.shape for w in ws] for ws in ours.all_weights
    ]
    ours.flatten_parameters()


def test_arguments_by_position() -> None:
    theirs = torch.nn.LSTM(3, 5, 2, False, True, 0.1, True, 2, "cpu", torch.float64)
    ours = unrolled.LSTM(3, 5, 2, False, True, 0.1, True, 2, "cpu", torch.float64)
    assert str(theirs) == str(ours)
    assert theirs.state_dict().keys() == ours.state_dict().keys()


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": 0},
        {"hidden_size": 0},
        {"hidden_size": 4.0},
        {"input_size": "3"},
        {"num_layers": 0},
        {"dropout": 1.5},
        {"dropout": True},
        {"bias": 1},
        {"batch_first": None},
        {"proj_size": 5},
        {"proj_size": -1},
    ],
    ids=str,
)
def test_bad_arguments_raise_what_torch_raises(arguments: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as theirs:
        torch.nn.LSTM(**(SIZES | arguments))
    (name, value) = next(iter(arguments.items()))
    with pytest.raises(theirs.type, match=f"{name}={re.escape(str(value))}|{name}={value!r}"):
        unrolled.LSTM(**(SIZES | arguments))


def test_dropout_with_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match="dropout=0.5 acts between layers"):
        unrolled.LSTM(3, 5, dropout=0.5)


@pytest.mark.parametrize(
    ("x", "hx", "says"),
    [
        (torch.zeros(4), None, "is 1-dimensional, expected 2"),
        (torch.zeros(1, 1, 1, 3), None, "is 4-dimensional"),
        (torch.zeros(2, 2, 4), None, "is 4, expected input_size=3"),
        (torch.zeros(0, 2, 3), None, "no steps"),
        (torch.zeros(2, 2, 3, dtype=torch.float64), None, r"float64 and the weights are .*float32"),
        (torch.zeros(2, 2, 3), (torch.zeros(1, 3, 5),) * 2, r"h_0 is \[1, 3, 5\], expected \[1, 2"),
        (torch.zeros(2, 2, 3), (torch.zeros(2, 5),) * 2, r"h_0 is \[2, 5\]"),
        (torch.zeros(2, 3), (torch.zeros(1, 1, 5),) * 2, r"expected \[1, 5\]"),
    ],
)
def test_bad_shapes_raise_what_torch_raises(x: torch.Tensor, hx: Any, says: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as theirs:
        torch.nn.LSTM(3, 5)(x, hx)
    with pytest.raises(theirs.type, match=says):
        unrolled.LSTM(3, 5)(x, hx)


def test_a_state_that_is_no_pair_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a pair \(h_0, c_0\)"):
        unrolled.LSTM(3, 5)(torch.zeros(2, 2, 3), torch.zeros(1, 2, 5))


def test_an_empty_batch() -> None:
    y, (h, c) = unrolled.LSTM(3, 5)(torch.zeros(4, 0, 3))
    assert y.shape == (4, 0, 5)
    assert h.shape == c.shape == (1, 0, 5)
    y, _ = unrolled.LSTM(3, 5, cell="peephole")(torch.zeros(4, 0, 3))
    y.sum().backward()


def test_copied_pickled_and_saved() -> None:
    m = unrolled.LSTM(3, 5, 2, cell="peephole", zoneout=0.1, bidirectional=True).eval()
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = m(x)[0]
    file = io.BytesIO()
    torch.save(m.state_dict(), file)
    file.seek(0)
    loaded = unrolled.LSTM(3, 5, 2, cell="peephole", zoneout=0.1, bidirectional=True).eval()
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m)), loaded):
        assert torch.equal(other(x)[0], expected)


@pytest.mark.parametrize("cell", ["vanilla", "peephole"])
def test_moved_to_other_dtypes(cell: str) -> None:
    m = unrolled.LSTM(3, 5, cell=cell)
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = m(x)[0]
    for dtype, atol in ((torch.float64, 1e-6), (torch.bfloat16, 0.05), (torch.float16, 0.01)):
        y = copy.deepcopy(m).to(dtype)(x.to(dtype))[0]
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), expected, rtol=0, atol=atol)
    assert copy.deepcopy(m).half()(x.half())[0].dtype == torch.float16
    meta = copy.deepcopy(m).to("meta")
    assert meta(x.to("meta"))[0].shape == (4, 2, 5)


@pytest.mark.parametrize("cell", ["vanilla", "peephole"])
def test_autocast_as_in_torch(cell: str) -> None:
    m = unrolled.LSTM(3, 5, cell=cell)
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert m(x)[0].dtype == torch.bfloat16
        # Of processors without AVX-512 oneDNN may have no such primitive, and torch raises.
        with contextlib.suppress(RuntimeError):
            assert torch.nn.LSTM(3, 5)(x)[0].dtype == torch.bfloat16
        m(x)[0].float().sum().backward()
    assert m.weight_ih_l0.grad is not None
    assert m.weight_ih_l0.grad.dtype == torch.float32


def test_weights_behind_a_parametrisation_are_read() -> None:
    m = unrolled.LSTM(3, 5)
    torch.nn.utils.parametrizations.weight_norm(m, "weight_hh_l0")
    y, _ = m(torch.ones(4, 2, 3))
    y.sum().backward()
    assert all(p.grad is not None for p in m.parameters())
