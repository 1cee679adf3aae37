"""Lengths, resets and missing steps as masks."""

import torch

from unrolled.engines.masks import StateMasks, bernoulli, blank, row_masks, until


def flags(*rows: str) -> torch.Tensor:
    """[T, B] from one string of 0 and 1 for each row of the batch."""
    return torch.tensor([[c == "1" for c in row] for row in rows]).T


def test_until() -> None:
    assert torch.equal(until(torch.tensor([0, 2, 3]), 3), flags("000", "110", "111"))


def test_nothing_asked_is_nothing_masked() -> None:
    masks = row_masks(None, None, None)
    assert masks == StateMasks()
    assert masks.names() == ()


def test_a_step_is_live_if_inside_and_present() -> None:
    masks = row_masks(flags("1110"), flags("1011"), None)
    assert masks.live is not None
    assert torch.equal(masks.live, flags("1010"))


def test_resets_in_the_padding_are_padding() -> None:
    masks = row_masks(flags("1100"), None, flags("0101"))
    assert masks.carry is not None
    assert torch.equal(~masks.carry, flags("0100"))


def test_in_reverse_a_sequence_ends_where_it_began() -> None:
    """0 1 | 2 3: read backwards, 1 is the step that begins anew, third in that order."""
    masks = row_masks(None, None, flags("0010"), reverse=True)
    assert masks.carry is not None
    assert torch.equal(~masks.carry, flags("0010"))
    masks = row_masks(None, None, flags("0100"), reverse=True)
    assert masks.carry is not None
    assert torch.equal(~masks.carry, flags("0001"))
    masks = row_masks(flags("1100"), None, None, reverse=True)
    assert masks.live is not None
    assert torch.equal(masks.live, flags("0011"))


def test_blank_reads_nothing_where_not_live() -> None:
    x = torch.full((2, 1, 3), torch.nan)
    x[0] = 1
    assert torch.equal(blank(x, flags("10"))[:, 0, 0], torch.tensor([1.0, 0.0]))
    x[1] = 2
    assert blank(x, flags("11")) is x


def test_blank_is_the_same_under_transforms() -> None:
    x = torch.full((3, 2, 4), torch.nan)
    live = torch.tensor([[True, True], [True, False], [False, True]])
    x[live] = torch.rand(4, 4)
    eager = blank(x, live)
    assert torch.equal(eager, torch.where(live[..., None], x, 0.0))
    mapped = torch.func.vmap(blank, in_dims=(0, None))(torch.stack((x, 2 * x)), live)
    assert torch.equal(mapped, torch.stack((eager, 2 * eager)))
    recorded = torch.compile(blank, backend="eager", fullgraph=True)
    assert torch.equal(recorded(x, live), eager)


def test_bernoulli_draws_from_the_generator_alone() -> None:
    like = torch.zeros((), dtype=torch.bfloat16)
    before = torch.get_rng_state()
    a = bernoulli(like, (100, 100), 0.3, torch.Generator().manual_seed(5))
    b = bernoulli(like, (100, 100), 0.3, torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, b)
    assert a.dtype == torch.bfloat16
    assert set(a.unique().tolist()) == {0.0, 1.0}
    assert abs(float(a.float().mean()) - 0.3) < 0.02


def test_bernoulli_has_the_probability_that_was_asked_for() -> None:
    generator = torch.Generator().manual_seed(1)
    like = torch.empty(0, dtype=torch.float64)
    for keep in (0.0, 1e-12, 0.02, 0.5, 0.9, 1 - 1e-12, 1.0):
        drawn = bernoulli(like, (401, 999), keep, generator)
        assert set(drawn.unique().tolist()) <= {0.0, 1.0}
        spread = (keep * (1 - keep) / drawn.numel()) ** 0.5
        assert abs(drawn.mean().item() - keep) <= 5 * spread + 1e-9
    # Of the numbers that come from one draw, none says anything about its neighbour.
    pairs = bernoulli(like, (200_000, 4), 0.5, generator)
    assert abs((pairs[:, :-1] * pairs[:, 1:]).mean().item() - 0.25) < 0.005


def test_bernoulli_has_probabilities_finer_than_its_numbers() -> None:
    generator = torch.Generator().manual_seed(2)
    for rare in (5e-6, 20e-6):  # 1/3 and 4/3 of 2⁻¹⁶
        drawn = bernoulli(torch.empty(0), (4000, 4000), rare, generator)
        expected = rare * drawn.numel()
        assert abs(drawn.sum().item() - expected) < 5 * expected**0.5
        drawn = bernoulli(torch.empty(0), (4000, 4000), 1 - rare, generator)
        assert abs((1 - drawn).sum().item() - expected) < 5 * expected**0.5
