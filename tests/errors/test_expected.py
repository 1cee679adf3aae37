"""What a value has to be: what holds, what does not, and the one sentence for it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unrolled.errors import expected
from unrolled.errors.expected import (
    Expected,
    at_least,
    between,
    check_argument,
    check_field,
    check_flag,
    each,
    ending,
    one_of,
    only,
    some,
)

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (at_least(2), [2, 3, 2.5], [1, -1, NAN, INF]),
        (between(0, 3), [0, 1.5, 3], [-1, 4, NAN, INF]),
        (one_of(("a", "b")), ["a", "b"], ["c", "", "A"]),
        (only(0, "it is so"), [0, 0.0], [1, NAN]),
        (some("a"), [(1,), "a"], [(), ""]),
        (expected.distinct, [(), ("a", "b")], [("a", "a")]),
        (expected.finite, [0, -1.5], [NAN, INF, -INF]),
        (expected.positive, [1e-300, 2], [0, -1, NAN, INF]),
        (expected.share, [0.1, 0.999], [0, 1, -0.5, NAN]),
        (expected.below_one, [0, 0.999], [1, -0.1, NAN]),
        (expected.probability, [0, 0.5, 1], [-0.1, 1.1, NAN, True, "a", None]),
        (each(at_least(1)), [(), (1, 2)], [(0,), (1, 0)]),
    ],
)
def test_what_holds_and_what_does_not(rule: Expected, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        check_field("x", value, rule)
    for value in wrong:
        with pytest.raises(ValueError, match=r"^x = .* makes no sense: expected .*[.?]$"):
            check_field("x", value, rule)


def test_each_place_spells_a_value_as_it_was_written() -> None:
    for check, spelled in (
        (check_field, "x = 'b'"),
        (check_argument, "x='b'"),
        (check_flag, "x b"),
    ):
        with pytest.raises(ValueError, match=f"^{spelled} makes no sense: expected a or c"):
            check("x", "b", one_of(("a", "c")))


def test_of_several_things_the_wrong_one_is_named_and_the_nearest_proposed() -> None:
    cells = each(one_of(("vanilla", "linear"), "a Cell"))
    with pytest.raises(ValueError, match=r"^cells = .Vanila. ") as refusal:
        check_field("cells", ("linear", "Vanila"), cells)
    told = "expected vanilla, linear or a Cell; did you mean 'vanilla'?"
    assert str(refusal.value).endswith(told)


def test_an_ending_proposes_what_is_near_and_nothing_else() -> None:
    assert ending("stps", ["steps", "seed"]) == "; did you mean 'steps'?"
    assert ending("adm", ["Adam", "Adamax"], most=2) == "; did you mean 'Adam' or 'Adamax'?"
    assert ending("qqq", ["steps", "seed"]) == ending("", []) == "."
