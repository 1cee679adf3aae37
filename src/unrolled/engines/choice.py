"""Which engine runs: the first that supports what is asked, or the one that was named."""

from __future__ import annotations

from unrolled.engines import aten, cpu, reference
from unrolled.engines.protocol import Choice, Declined, Engine, Request
from unrolled.errors.expected import check_argument, one_of

__all__ = ["check_name", "choose", "engine_named", "engine_names"]

# In the order in which "auto" tries them.
_ENGINES: dict[str, Engine] = {"cpu": cpu, "aten": aten, "reference": reference}
_NAMED = one_of(("auto", *_ENGINES))


def engine_names() -> tuple[str, ...]:
    """The engines in the order in which ``"auto"`` tries them."""
    return tuple(_ENGINES)


def engine_named(name: str) -> Engine:
    """The engine of that name."""
    return _ENGINES[name]


def check_name(name: str) -> str:
    """``name`` itself; ValueError if it is neither ``"auto"`` nor an engine."""
    if name not in _NAMED.names:  # asked at every call
        check_argument("engine", name, _NAMED)
    return name


def choose(name: str, request: Request) -> Choice:
    """The engine for a request.

    Raises
    ------
    ValueError
        If there is no engine of that name.
    Declined
        If the engine was asked for by name and does not support the request.
    """
    if name != "auto":
        reason = _ENGINES[check_name(name)].supports(request)
        if reason is not None:
            raise Declined(f"engine={name!r} declined: {reason}; engine='auto' takes another.")
        return Choice(name)
    declined: list[tuple[str, str]] = []
    for known, engine in _ENGINES.items():
        reason = engine.supports(request)
        if reason is None:
            return Choice(known, tuple(declined))
        declined.append((known, reason))
    raise Declined("no engine takes this: " + "; ".join(f"{n}: {r}" for n, r in declined) + ".")
