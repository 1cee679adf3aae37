"""What single units do, against a plain recomputation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unrolled.inside import units


def test_a_half_life_is_when_half_is_left() -> None:
    """A cell multiplied by f at every step: after that many steps, half of it is there."""
    f = torch.tensor([0.5, 0.9, 0.999]).expand(7, 3)
    for value, steps in zip(f[0].tolist(), units.half_life(f).tolist(), strict=True):
        assert value**steps == pytest.approx(0.5, rel=1e-4)


def test_a_half_life_is_of_what_is_left_after_the_whole_passage() -> None:
    """Not of the mean gate: a gate at 1 and one at 1/4 leave 1/4 after two steps, as 1/2 twice."""
    f = torch.tensor([[1.0, 0.5], [0.25, 0.5]], dtype=torch.float64)
    assert units.half_life(f).tolist() == pytest.approx([1.0, 1.0])
    batch = torch.rand(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    left = batch.numpy().prod((0, 1))
    expected = 20 * math.log(0.5) / np.log(left)
    assert units.half_life(batch).tolist() == pytest.approx(expected.tolist())


def test_the_carousel_forgets_nothing_and_a_closed_gate_all() -> None:
    f = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 0.5]])
    assert units.half_life(f).tolist() == pytest.approx([math.inf, 0.0, 2.0])


def test_tracking_is_the_correlation(generator: torch.Generator) -> None:
    values = torch.randn(6, 5, 4, generator=generator, dtype=torch.float64)
    there = torch.rand(6, 5, generator=generator) < 0.3
    expected = [
        np.corrcoef(values[..., unit].flatten(), there.flatten())[0, 1] for unit in range(4)
    ]
    found = units.tracking(values, there)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    place = torch.arange(30).reshape(6, 5)
    line = torch.stack((2.0 * place + 1, -3.0 * place), -1)
    assert units.tracking(line, place).tolist() == pytest.approx([1, -1])


def test_what_is_constant_tracks_nothing(generator: torch.Generator) -> None:
    """0.1 some times has, in floating point, a mean that need not be 0.1: r is 0 all the same."""
    values = torch.stack((torch.full((30,), 0.1), torch.arange(30.0)), -1)
    rising = torch.arange(30.0) * 0.1
    assert units.tracking(values, rising).tolist() == pytest.approx([0.0, 1.0])
    for count in range(2, 40):
        same = torch.full((count, 1), 0.1, dtype=torch.float64)
        drawn = torch.rand(count, dtype=torch.float64, generator=generator)
        assert units.tracking(same, drawn).tolist() == [0.0]
    assert units.tracking(values, torch.full((30,), 0.1)).tolist() == [0.0, 0.0]
    assert units.tracking(values, torch.zeros(30, dtype=torch.bool)).tolist() == [0.0, 0.0]


def test_a_property_is_of_every_step() -> None:
    with pytest.raises(ValueError, match=r"property is \[4\], expected \[5\]: one number"):
        units.tracking(torch.zeros(5, 2), torch.zeros(4))


def test_a_mean_is_over_the_steps_where_something_is_there() -> None:
    values = torch.arange(12.0).reshape(3, 2, 2)
    there = torch.tensor([[True, False], [False, True], [False, False]])
    assert units.mean_where(values, there).tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match="no step to take the mean over"):
        units.mean_where(values, torch.zeros(3, 2, dtype=torch.bool))


def test_the_responsible_are_found_one_by_one() -> None:
    """Units 3 and 1 do nothing alone but 0.4 and 0.1, and together all the harm there is."""

    def harm(lost: tuple[int, ...]) -> float:
        return 1.0 if {1, 3} <= set(lost) else 0.4 if 3 in lost else 0.1 if 1 in lost else 0.0

    assert units.responsible(harm, 5, 0.99) == [3, 1]
    assert units.responsible(harm, 5, 0.3) == [3]
    assert units.responsible(lambda lost: 0.0, 5, 0.5) == [0]  # of equals the first; none adds
    assert units.responsible(lambda lost: float(len(lost)), 3, 9) == [0, 1, 2]
