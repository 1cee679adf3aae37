"""What `unrolled.LSTM` adds: lengths, resets, missing steps, cells, noise, starts, traces.

Most of these are metamorphic: two ways of saying the same thing give the same numbers.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import CELLS, error, name_of, normal
from unrolled import LSTM, Cell, Declined
from unrolled.engines.masks import bernoulli

T, B, I, H = 7, 4, 3, 5


def layer(**arguments: Any) -> LSTM:
    torch.manual_seed(0)
    return LSTM(I, H, dtype=torch.float64, **arguments)


def batch(seed: int = 0) -> torch.Tensor:
    return normal(torch.Generator().manual_seed(seed), T, B, I)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_rows_run_alone(cell: Cell, bidirectional: bool) -> None:
    m, x, lengths = (
        layer(cell=cell, num_layers=2, bidirectional=bidirectional),
        batch(),
        [7, 1, 0, 4],
    )
    g = torch.Generator().manual_seed(9)
    count = 4 if bidirectional else 2
    hx = (normal(g, count, B, H), normal(g, count, B, H))
    y, (h, c) = m(x, hx, lengths=torch.tensor(lengths))
    for k, n in enumerate(lengths):
        assert (y[n:, k] == 0).all()
        alone = (hx[0][:, k], hx[1][:, k])
        if n == 0:
            close(h[:, k], alone[0])
            close(c[:, k], alone[1])
        else:
            y_k, (h_k, c_k) = m(x[:n, k], alone)
            close(y[:n, k], y_k)
            close(h[:, k], h_k)
            close(c[:, k], c_k)


@pytest.mark.parametrize("poison", [math.nan, math.inf, 1e300])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_lies_in_the_padding_changes_nothing(poison: float, bidirectional: bool) -> None:
    m, lengths = layer(num_layers=2, bidirectional=bidirectional), torch.tensor([7, 1, 0, 4])
    resets = torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.4
    outside = torch.arange(T)[:, None] >= lengths
    found = []
    for dirty in (False, True):
        x = torch.where(outside[..., None], poison, batch()) if dirty else batch()
        x.requires_grad_()
        flags = resets | outside if dirty else resets & ~outside
        y, (h, c) = m(x, lengths=lengths, resets=flags)
        d_x, *grads = torch.autograd.grad(
            y.sin().sum() + h.sum() + (c * c).sum(), [x, *m.parameters()]
        )
        assert (d_x[outside] == 0).all()
        found.append([y, h, c, d_x, *grads])
    for clean, dirty_one in zip(*found, strict=True):
        assert torch.equal(clean, dirty_one)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("reset_to", ["zero", "initial"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_reset_is_two_runs(cell: Cell, reset_to: str, bidirectional: bool) -> None:
    m, x, at = layer(cell=cell, bidirectional=bidirectional), batch(), 3
    g = torch.Generator().manual_seed(9)
    count = 2 if bidirectional else 1
    hx = (normal(g, count, B, H), normal(g, count, B, H))
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[at] = True
    y, (h, c) = m(x, hx, resets=resets, reset_to=reset_to)
    zero = (torch.zeros_like(hx[0]), torch.zeros_like(hx[1]))
    # The forward direction starts the second part anew, the reverse direction the first.
    new = zero if reset_to == "zero" else hx
    pairs = list(zip(hx, new, strict=True))
    first, (h_1, c_1) = m(x[:at], [torch.cat([a[:1], b[1:]]) for a, b in pairs])
    second, (h_2, c_2) = m(x[at:], [torch.cat([b[:1], a[1:]]) for a, b in pairs])
    close(y, torch.cat([first, second]))
    close(h, torch.cat([h_2[:1], h_1[1:]]))
    close(c, torch.cat([c_2[:1], c_1[1:]]))


def test_resets_differ_from_row_to_row() -> None:
    m, x = layer(), batch()
    resets = torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.4
    y, (h, c) = m(x, resets=resets)
    h_t = c_t = torch.zeros(1, B, H, dtype=torch.float64)
    for t in range(T):
        go_on = ~resets[t][None, :, None]
        y_t, (h_t, c_t) = m(x[t : t + 1], (h_t * go_on, c_t * go_on))
        close(y[t], y_t[0])
    close(h, h_t)
    close(c, c_t)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_missing_step_is_a_step_left_out(bidirectional: bool) -> None:
    m, x = layer(bidirectional=bidirectional), batch()
    there = torch.tensor([True, False, True, True, False, False, True])
    x[~there] = math.nan
    y, (h, c) = m(x, mask=there[:, None].expand(T, B))
    y_there, (h_there, c_there) = m(x[there])
    close(y[there], y_there)
    close(h, h_there)
    close(c, c_there)
    close(y[1, :, :H], y[0, :, :H])  # held
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in m.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_masks_of_ones_are_no_masks(cell: Cell) -> None:
    m, x = layer(cell=cell, bidirectional=True), batch()
    ones = torch.ones(T, B, dtype=torch.bool)
    expected = m(x)
    for arguments in ({"mask": ones}, {"resets": ~ones}, {"lengths": [T] * B}):
        y, (h, c) = m(x, **arguments)
        close(y, expected[0])
        close(h, expected[1][0])
        close(c, expected[1][1])


@given(st.lists(st.integers(0, T), min_size=1, max_size=4), st.integers(0, 9))
def test_a_batch_is_its_rows(lengths: list[int], seed: int) -> None:
    m = layer(cell="peephole", num_layers=2)
    g = torch.Generator().manual_seed(seed)
    x = normal(g, T, len(lengths), I)
    resets = torch.rand(T, len(lengths), generator=g) < 0.2
    mask = torch.rand(T, len(lengths), generator=g) < 0.8
    y, (h, c) = m(x, lengths=lengths, resets=resets, mask=mask)
    for k, n in enumerate(lengths):
        y_k, (h_k, c_k) = m(x[:, k], lengths=n, resets=resets[:, k], mask=mask[:, k])
        close(y[:, k], y_k)
        close(h[:, k], h_k)
        close(c[:, k], c_k)


def test_batch_first_turns_the_masks_too() -> None:
    m, turned = layer(), layer(batch_first=True)
    g = torch.Generator().manual_seed(2)
    arguments = {name: torch.rand(T, B, generator=g) < 0.7 for name in ("mask", "resets")}
    y, _ = m(batch(), **arguments)
    y_turned, _ = turned(batch().transpose(0, 1), **{n: v.T for n, v in arguments.items()})
    close(y, y_turned.transpose(0, 1))
    t = turned.trace(batch().transpose(0, 1))
    assert t.f.shape == (B, T, H)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_the_trace_is_what_happened(cell: Cell, engine: str) -> None:
    m, x = layer(cell=cell, num_layers=2, bidirectional=True, engine=engine), batch()
    t = m.trace(x)
    y, (h, c) = m(x)
    close(t.output, y)
    close(t.state[0], h)
    close(t.state[1], c)
    assert list(t) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    close(torch.cat([t["l1"].h, t["l1_reverse"].h], -1), y)
    for k, key in enumerate(t):
        i, f, g, o, c_t, h_t = t[key]
        if key.endswith("reverse"):
            i, f, g, o, c_t, h_t = (s.flip(0) for s in t[key])
        c_before = torch.cat([torch.zeros_like(c_t[:1]), c_t[:-1]])
        close(c_t, f * c_before + i * g)
        close(h_t, o * (c_t.tanh() if cell.output == "tanh" else c_t))
        close(c_t[-1], c[k])
    if cell.forget == "one":
        assert (t["l0"].f == 1).all()
    if cell.forget == "coupled":
        close(t["l0"].f, 1 - t["l0"].i)


def test_the_trace_of_one_layer_needs_no_name() -> None:
    t = layer().trace(batch())
    assert torch.equal(t.f, t["l0"].f)
    with pytest.raises(KeyError, match="no 'l1': its layers are l0"):
        t["l1"]
    with pytest.raises(AttributeError, match="name one"):
        _ = layer(num_layers=2).trace(batch()).c
    assert layer().trace(batch()[:, 0]).c.shape == (T, H)


def test_a_loss_on_the_gates_has_the_exact_gradient() -> None:
    m, x = layer(cell="peephole", bidirectional=True), batch().requires_grad_()
    lengths = torch.tensor([7, 3, 0, 5])

    def loss(x: torch.Tensor) -> torch.Tensor:
        t = m.trace(x, lengths=lengths)
        return sum((k + 1) * s.sin().sum() for key in t for k, s in enumerate(t[key]))  # type: ignore[return-value]

    assert torch.autograd.gradcheck(loss, x)


def test_gates_of_a_step_that_is_not_live_read_zero() -> None:
    t = layer(cell="carousel").trace(batch(), lengths=[7, 3, 0, 5])
    for gate in (t.i, t.f, t.g, t.o):
        assert (gate[3:, 1] == 0).all()
    assert (t.c[3:, 1] == t.c[2, 1]).all()
    assert (t.f[:3, 1] == 1).all()


def test_zoneout_is_its_expectation_in_eval_and_random_in_training() -> None:
    m, x = layer(zoneout=(0.3, 0.0)), batch()
    m.eval()
    y, _ = m(x)
    h = c = torch.zeros(1, B, H, dtype=torch.float64)
    plain = layer()
    for t in range(T):
        _, (new, c) = plain(x[t : t + 1], (h, c))
        h = h + 0.7 * (new - h)
        close(y[t], h[0])
    m.train()
    a, b, d = (m(x, generator=torch.Generator().manual_seed(s))[0] for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, d)
    always = layer(zoneout=1.0)
    assert (always(x)[0] == 0).all()


def test_recurrent_dropout_is_one_mask_for_all_steps() -> None:
    """With W_ih, biases and o's bias arranged by nothing: check against the loop by hand."""
    m, x = layer(recurrent_dropout=0.5), batch()
    y, _ = m(x, generator=torch.Generator().manual_seed(3))
    keep = bernoulli(x, (B, H), 0.5, torch.Generator().manual_seed(3))
    h = c = torch.zeros(1, B, H, dtype=torch.float64)
    plain = layer()
    for t in range(T):
        _, (h, c) = plain(x[t : t + 1], (h * keep / 0.5, c))
        close(y[t], h[0])
    assert torch.equal(m.eval()(x)[0], plain(x)[0])


def test_update_dropout_leaves_the_cell_where_it_drops() -> None:
    m = layer(cell="carousel", update_dropout=0.5)
    t = m.trace(batch(), generator=torch.Generator().manual_seed(3))
    moved = t.c - torch.cat([torch.zeros_like(t.c[:1]), t.c[:-1]])
    dropped = moved == 0
    assert 0.3 < dropped.double().mean() < 0.7
    close(moved[~dropped], (2 * t.i * t.g)[~dropped])


def test_dropout_between_layers_draws_from_the_generator() -> None:
    m, x = layer(num_layers=2, dropout=0.5), batch()
    before = torch.get_rng_state()
    a, b = (m(x, generator=torch.Generator().manual_seed(4))[0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, b)
    assert not torch.equal(a, m(x, generator=torch.Generator().manual_seed(5))[0])


def test_forget_bias() -> None:
    m = layer(num_layers=2, forget_bias=1.0)
    plain = layer(num_layers=2)
    for key in ("l0", "l1"):
        f = slice(H, 2 * H)
        assert (getattr(m, f"bias_ih_{key}")[f] == 1).all()
        assert (getattr(m, f"bias_hh_{key}")[f] == 0).all()
        rest = torch.ones(4 * H, dtype=torch.bool)
        rest[f] = False
        ours, theirs = getattr(m, f"bias_ih_{key}"), getattr(plain, f"bias_ih_{key}")
        assert torch.equal(ours[rest], theirs[rest])


@pytest.mark.parametrize("cell", ["vanilla", "carousel", "peephole"])
def test_orthogonal(cell: str) -> None:
    m = layer(cell=cell, init="orthogonal", proj_size=2)
    for gate in layer(cell=cell, init="orthogonal").weight_hh_l0.chunk(len(m.cell.gates)):
        close(gate @ gate.T, torch.eye(H, dtype=torch.float64))
    bound = math.sqrt(6 / (I + H))
    assert 0.8 * bound < float(m.weight_ih_l0.detach().abs().max()) <= bound
    assert (m.bias_ih_l0 == 0).all()
    close(m.weight_hr_l0 @ m.weight_hr_l0.T, torch.eye(2, dtype=torch.float64))


def test_shapes_of_the_parameters() -> None:
    shapes = {n: tuple(p.shape) for n, p in layer(cell="peephole", proj_size=2).named_parameters()}
    assert shapes == {
        "weight_ih_l0": (20, 3),
        "weight_hh_l0": (20, 2),
        "bias_ih_l0": (20,),
        "bias_hh_l0": (20,),
        "weight_hr_l0": (2, 5),
        "weight_ph_l0": (3, 5),
    }
    assert layer(cell="coupled").weight_ih_l0.shape == (15, 3)
    assert layer(cell=Cell("one", peephole=True)).weight_ph_l0.shape == (2, 5)


def test_engine_for_says_why() -> None:
    m, x = layer(), batch()
    assert str(m.engine_for(x)) == "cpu"
    m, x = m.bfloat16(), batch().bfloat16()
    assert m.engine_for(x).engine == "aten"
    choice = m.engine_for(x, lengths=[1] * B)
    assert choice.engine == "reference"
    assert choice.declined[1] == ("aten", "torch has no masks inside the loop (live)")
    assert "does not show its gates" in str(m.engine_for(x, trace=True))
    with pytest.raises(Declined, match="engine='aten' declined: torch has the vanilla cell only"):
        layer(cell="linear", engine="aten")(batch())


@pytest.mark.parametrize(
    ("arguments", "error_type", "says"),
    [
        ({"lengths": [1, 2]}, ValueError, r"lengths has shape \[2\], expected \[4\]"),
        ({"lengths": [1, 2, 3, 8]}, ValueError, "lengths holds 8, expected 0 to 7"),
        ({"lengths": [1, 2, 3, -1]}, ValueError, "lengths holds -1"),
        ({"lengths": torch.ones(4)}, TypeError, "expected integers"),
        ({"mask": torch.ones(T, B)}, TypeError, r"mask is torch.float32, expected torch.bool"),
        ({"resets": torch.ones(B, T).bool()}, ValueError, r"resets has shape .* \[T, B\] = \[7, 4"),
        ({"reset_to": "start"}, ValueError, "reset_to='start' is not known"),
    ],
)
def test_bad_calls_are_refused(
    arguments: dict[str, Any], error_type: type[Exception], says: str
) -> None:
    with pytest.raises(error_type, match=says):
        layer()(batch(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "error_type", "says"),
    [
        ({"cell": "lstm"}, ValueError, "cell='lstm' .* expected vanilla, .* or a Cell"),
        ({"cell": 3}, TypeError, "cell is a int"),
        ({"zoneout": 1.5}, ValueError, "zoneout=1.5 .* a number from 0 to 1"),
        ({"zoneout": (0.1, 0.2, 0.3)}, ValueError, "zoneout=.* one probability or a pair"),
        ({"recurrent_dropout": 1.0}, ValueError, "recurrent_dropout=1.0 .* below 1"),
        ({"update_dropout": "a"}, ValueError, "update_dropout='a' .* a number from"),
        ({"forget_bias": 1.0, "cell": "carousel"}, ValueError, "needs a learned forget gate"),
        ({"forget_bias": 1.0, "bias": False}, ValueError, "needs a bias"),
        ({"init": "zeros"}, ValueError, "init='zeros' .* expected torch or orthogonal"),
    ],
)
def test_bad_settings_are_refused(
    arguments: dict[str, Any], error_type: type[Exception], says: str
) -> None:
    with pytest.raises(error_type, match=says):
        layer(**arguments)


def test_an_unknown_engine_is_refused_when_built() -> None:
    with pytest.raises(ValueError, match="engine='turbo' makes no sense: expected auto"):
        layer(engine="turbo")


def test_a_trace_of_a_packed_sequence_is_refused() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([batch()[:, 0]])
    with pytest.raises(TypeError, match="use lengths="):
        layer().trace(packed)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="which has its own lengths"):
        layer()(packed, lengths=[7])


def test_lengths_in_half_precision_and_over_all_masks_at_once() -> None:
    m = layer(cell="peephole", num_layers=2, bidirectional=True, zoneout=0.2).eval()
    g = torch.Generator().manual_seed(2)
    arguments: dict[str, Any] = {n: torch.rand(T, B, generator=g) < 0.7 for n in ("mask", "resets")}
    y, _ = m(batch(), lengths=[7, 2, 0, 5], **arguments)
    low, _ = m.bfloat16()(batch().bfloat16(), lengths=[7, 2, 0, 5], **arguments)
    assert error(low, y) < 0.05
