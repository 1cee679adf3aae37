"""Who looks on is told in every context, and the package survives the loss of each private name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from fresh import OPTIMISERS, FreshPython
from unrolled.engines import watching

# --- what is told in which context ---


class Told(NamedTuple):
    """What the questions are answered with, asked of one tensor."""

    watched: bool
    recorded: bool
    transformed: bool
    above: bool = False


def ask(t: Tensor) -> Told:
    return Told(
        watching.watched(),
        watching.recorded(),
        watching.transformed((None, t)),
        watching.watched_above(),
    )


def asked_within(run: Callable[[Callable[[Tensor], Tensor]], Any]) -> Told:
    """The answers inside a function that `run` hands to somebody who looks on."""
    told: list[Told] = []

    def function(t: Tensor) -> Tensor:
        told.append(ask(t))
        return t * 2

    run(function)
    return told[0]


def test_nobody_looks_on() -> None:
    plain = Told(False, False, False)
    assert ask(torch.ones(3)) == plain
    assert ask(torch.ones(3, requires_grad=True)) == plain
    with torch.no_grad():
        assert ask(torch.ones(3)) == plain
    with torch.inference_mode():
        assert ask(torch.ones(3)) == plain


def test_under_compile() -> None:
    """The compiler runs through the questions; `transformed` is asked in no recording."""

    @torch.compile(backend="eager", fullgraph=True)
    def function(t: Tensor) -> Tensor:
        return t + (10 if watching.watched() else 20) + (1 if watching.recorded() else 2)

    assert float(function(torch.zeros(()))) == 11


def test_under_make_fx() -> None:
    """Its own function mode is on beside the one that records."""
    told = asked_within(lambda f: make_fx(f)(torch.ones(3)))
    assert told == Told(True, True, False, above=True)


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")
def test_under_jit_trace() -> None:
    told = asked_within(lambda f: torch.jit.trace(f, torch.ones(3), check_trace=False))
    assert told == Told(True, True, False)
    assert not watching.traced()


def test_under_vmap() -> None:
    assert asked_within(lambda f: torch.func.vmap(f)(torch.ones(3))) == Told(True, False, True)


def test_under_grad() -> None:
    told = asked_within(lambda f: torch.func.grad(lambda t: f(t).sum())(torch.ones(3)))
    assert told == Told(True, False, True)


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")
def test_under_forward_ad() -> None:
    t = torch.ones(3)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(t, t)
        assert ask(dual) == Told(True, False, True)
        assert ask(t) == Told(True, False, False)  # a level is open, but this one has no tangent
    assert ask(t) == Told(False, False, False)


def test_under_autocast() -> None:
    t = torch.ones(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert ask(t) == Told(True, False, False)
        assert watching.autocast_dtype(t) == torch.bfloat16
        assert watching.autocast_dtype(t.double()) is None
    assert watching.autocast_dtype(t) is None


def test_under_a_function_mode() -> None:
    """It changes what `torch.empty` makes, and sees the call of the layer, not what is inside."""

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return function(*args, **(kwargs or {}))

    t = torch.ones(3)
    with Mode():
        assert ask(t) == Told(False, False, False, above=True)
    with torch.device("meta"):
        assert watching.watched_above()
    assert not watching.watched_above()


def test_under_a_dispatch_mode() -> None:
    with FakeTensorMode():
        assert ask(torch.ones(3)) == Told(True, True, False)


def test_gradients_that_come_at_once() -> None:
    """`is_grads_batched` is the older vmap, of which the transforms know nothing."""
    seen: list[bool] = []

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, t: Tensor) -> Tensor:
            return t * 2

        @staticmethod
        def backward(ctx: Any, *d: Any) -> Any:
            seen.append(watching.batched((None, *d)))
            return d[0] * 2

    t = torch.ones(3, requires_grad=True)
    y = Double.apply(t)
    torch.autograd.grad(y, t, torch.ones(3), retain_graph=True)
    torch.autograd.grad(y, t, torch.eye(3), is_grads_batched=True)
    assert seen == [False, True]


# --- torch without one of its private names ---

USE = """
import copy, torch
from torch import nn

torch.manual_seed(0)
theirs, x = nn.LSTM(3, 5, 2), torch.randn(7, 4, 3, requires_grad=True)
exact = theirs(x)[0]
exact_d = torch.autograd.grad(exact.square().sum(), [x, *theirs.parameters()])

{remove}
import unrolled
from unrolled.engines import watching
{restore}
assert watching.short_way_open is {open}, watching.short_way_open

def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)

ours = unrolled.LSTM(3, 5, 2)
ours.load_state_dict(theirs.state_dict())
y = ours(x)[0]
close(y, exact)
for a, b in zip(torch.autograd.grad(y.square().sum(), [x, *ours.parameters()]), exact_d):
    close(a, b)
with torch.no_grad():
    close(ours(x)[0], exact)

# The reference has bfloat16 on every machine, which torch's own LSTM has not.
low = unrolled.LSTM(3, 5, engine="reference")
with torch.autocast("cpu", torch.bfloat16):
    y = low(x)[0]
assert y.dtype == torch.bfloat16
torch.testing.assert_close(y.float(), low(x)[0], rtol=0, atol=0.05)

double = unrolled.LSTM(2, 3, dtype=torch.float64)
x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradcheck(lambda x: double(x)[0], (x,))
assert torch.autograd.gradgradcheck(lambda x: double(x)[0], (x,))
many = torch.randn(2, 3, 2, 2, dtype=torch.float64)
close(torch.func.vmap(lambda x: double(x)[0])(many), torch.stack([double(x)[0] for x in many]))

data = (torch.randn(4, 6, 2, 3), torch.randn(4, 6, 2, 1))
network = unrolled.Network(unrolled.LSTM(3, 5), nn.Linear(5, 1))
found = []
for engine in ("native", "plain"):
    one = copy.deepcopy(network)
    optimizer = torch.optim.Adam(one.parameters(), lr=0.01)
    losses = unrolled.train_steps(one, optimizer, unrolled.Loss(), data, engine=engine)
    found.append([losses, *one.parameters()])
for a, b in zip(*found):
    close(a, b)
print("done")
"""


UseWithout = Callable[..., None]


@pytest.fixture
def use_without(fresh_python: FreshPython) -> UseWithout:
    def use(remove: str, restore: str = "", is_open: bool = False) -> None:
        code = USE.format(remove=remove, restore=restore, open=is_open)
        done = fresh_python(code, having=OPTIMISERS)
        assert done.stdout.strip() == "done", done.stderr

    return use


# Torch's own code, on the way of what is tried above, fails without these: `Function.apply` and the
# call of a module ask two of them, and `torch._dynamo`, which an optimiser imports, wants the
# others.  So they come back once the package has been imported, which by then has looked for each.
TORCH_NEEDS = {
    "_C._are_functorch_transforms_active",
    "_C._len_torch_function_stack",
    "_C._get_tracing_state",
    "_C._is_any_autocast_enabled",
    "_C._dispatch_tls_local_include_set",
    "_C._dispatch_tls_local_exclude_set",
}

# Without these it is torch's engine that declines to be trained under torch.compile.
RECORDING = {
    "_C._ForceDispatchKeyGuard",
    "_C._dispatch_tls_local_include_set",
    "_C._dispatch_tls_local_exclude_set",
}


@pytest.mark.parametrize("name", watching.PRIVATE)
def test_without_a_private_name(name: str, use_without: UseWithout) -> None:
    owner, _, last = f"torch.{name}".rpartition(".")
    remove = f"kept = {owner}.{last}; del {owner}.{last}"
    restore = f"{owner}.{last} = kept" if name in TORCH_NEEDS else ""
    if name in RECORDING:
        restore += """
from unrolled.engines import Request, choose
vanilla = Request(unrolled.Cell(), (), torch.float32, "cuda", compiled=True)
assert choose("auto", vanilla).engine == "reference"
"""
    use_without(remove, restore, is_open=name in RECORDING)


def test_with_another_hierarchy_of_functions(use_without: UseWithout) -> None:
    """What lies above `Function` has no `apply`; torch's own calls that one, so it comes back."""
    remove = """
class Gone:
    def __get__(self, owner, kind=None):
        raise AttributeError("apply")

above = torch.autograd.Function.__mro__[1]
above.apply = Gone()
"""
    restore = """
del above.apply
from unrolled.layer import direct, recurrence
assert direct._apply == direct._Direct.apply
assert recurrence._apply == recurrence._Recurrence.apply
"""
    use_without(remove, restore, is_open=True)


def test_with_another_place_for_parameters(use_without: UseWithout) -> None:
    """All modules of torch keep them in ``_parameters``, so these do it again afterwards."""
    remove = """
made = nn.Module.__init__

def without(self, *args, **more):
    made(self, *args, **more)
    del self.__dict__["_parameters"]

nn.Module.__init__ = without
"""
    restore = """
nn.Module.__init__ = made
assert type(watching.parameters_of).__name__ == "function"
"""
    use_without(remove, restore, is_open=True)


def test_with_nothing_gone(use_without: UseWithout) -> None:
    use_without(
        "",
        "from unrolled.layer import direct; assert direct._apply != direct._Direct.apply",
        is_open=True,
    )
