"""The C file: the stepper's bits, on two compilers and three machines, with nothing asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from c_networks import (
    Case,
    cases,
    differ,
    engine_fuses,
    inputs,
    loaded,
    random_lstm,
    stepped,
)
from torch import nn
from torch.nn import functional

from c_compilers import ARM64, CORTEX_M4, HOSTS, M4, compiled, needs, on_cortex_m4
from cases import CELLS, name_of
from unrolled import Network
from unrolled.equations import Cell
from unrolled.export import to_c

STEPS = 10_000


def exact(head: nn.Linear, h: np.ndarray) -> np.ndarray:
    """What the head makes of h, in double."""
    w, b = (None if t is None else t.detach().double() for t in (head.weight, head.bias))
    return functional.linear(torch.from_numpy(h).double(), w, b).numpy()


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, Case]:
    made = cases(tmp_path_factory.mktemp("c"))
    return {case.lstm.cell: case for case in made}


@needs(*HOSTS)
@pytest.mark.skipif(not engine_fuses(), reason="the engine here has no fused multiply-add")
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_ten_thousand_steps_have_the_steppers_bits(cell: Cell, networks: dict[Cell, Case]) -> None:
    case = networks[cell]
    x = inputs(case, STEPS)
    h, state = stepped(case.lstm, x)
    for compiler in HOSTS:
        c = loaded(case, compiler)
        y = c.run(x.numpy())
        assert not differ(c.state, state), compiler
        if case.head is None:
            assert not differ(y, h), compiler
        else:
            expected = exact(case.head, h)
            np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6 * abs(expected).max())


@needs("gcc")
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_without_fused_multiply_add_it_is_within_rounding(
    cell: Cell, networks: dict[Cell, Case]
) -> None:
    case = networks[cell]
    x = inputs(case, 40)
    _, state = stepped(case.lstm, x)
    c = loaded(case, "gcc", ("-O2",))
    c.run(x.numpy())
    np.testing.assert_allclose(c.state, state.reshape(-1), rtol=0, atol=1e-5 * abs(state).max())


@needs(CORTEX_M4, "qemu-system-arm", "gcc")
@pytest.mark.parametrize("cell", [CELLS[0], CELLS[4], CELLS[10]], ids=name_of)
def test_a_cortex_m4_has_the_bits_of_this_machine(cell: Cell, networks: dict[Cell, Case]) -> None:
    case = networks[cell]
    x = inputs(case, 100).numpy()
    assert not differ(on_cortex_m4(case.source, case.name, x), loaded(case, "gcc").run(x))


@needs(CORTEX_M4, "qemu-system-arm", "gcc")
def test_a_cortex_m4_without_its_fpu_is_within_rounding(networks: dict[Cell, Case]) -> None:
    case = networks[CELLS[0]]
    x = inputs(case, 100).numpy()
    soft = on_cortex_m4(case.source, case.name, x, ("-Os", "-mcpu=cortex-m4", "-mthumb"))
    y = loaded(case, "gcc").run(x)
    assert differ(soft, y)
    np.testing.assert_allclose(soft, y, rtol=0, atol=1e-5)


DRIVER = """
#include <stdio.h>
#include <stdlib.h>
{includes}
static float *row(size_t count)
{{
  float *found = malloc(count * sizeof *found);
  size_t k;
  if (!found) abort();
  for (k = 0; k < count; ++k) found[k] = (float)(k * 37 % 19) / 9.5f - 1.0f;
  return found;
}}
static void show(float *x, float *y, const float *numbers, size_t count)
{{
  union {{ float f; unsigned bits; }} both;
  size_t k;
  for (k = 0; k < count; ++k) {{ both.f = numbers[k]; printf("%08x\\n", both.bits); }}
  free(x);
  free(y);
}}
int main(void)
{{
  {calls}
  return 0;
}}
"""
CALL = """{{
    {name}_state *state = malloc(sizeof *state);
    float *x = row(7 * {NAME}_INPUTS), *y = row(7 * {NAME}_OUTPUTS);
    if (!state) abort();
    {name}_reset(state);
    {name}_run(state, x, y, 6);
    {name}_step(state, x + 6 * {NAME}_INPUTS, y + 6 * {NAME}_OUTPUTS);
    show(x, y, y, 7 * {NAME}_OUTPUTS);
    free(state);
  }}
"""


def driver(some: list[Case], name: str) -> Path:
    """A program that takes seven steps with each network, in rooms of exactly their sizes."""
    main = some[0].source.with_name(name)
    text = DRIVER.format(
        includes="\n".join(f'#include "{case.name}.h"' for case in some),
        calls="".join(CALL.format(name=case.name, NAME=case.name.upper()) for case in some),
    )
    main.write_text(text, encoding="utf-8")
    return main


def printed(*command: str | Path) -> np.ndarray:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    bits = np.array([int(line, 16) for line in done.stdout.split()], np.uint32)
    return bits.view(np.float32)


@pytest.fixture(scope="module")
def everything(networks: dict[Cell, Case]) -> list[Case]:
    """All networks, and two with int8 weights."""
    small = []
    for n, (cell, shape) in enumerate([(CELLS[0], (3, 17, 2, True)), (CELLS[5], (1, 6, 1, False))]):
        lstm = random_lstm(cell, *shape, seed=n)
        head = nn.Linear(shape[1], 2)
        folder = networks[CELLS[0]].source.parent
        source, _ = to_c(Network(lstm, head), folder / f"net_int8_{n}.c", weights="int8")
        small.append(Case(f"net_int8_{n}", lstm, head, source))
    return [*networks.values(), *small]


@pytest.fixture(scope="module")
def program(everything: list[Case]) -> list[Path]:
    """What is compiled: all networks in one program."""
    return [driver(everything, "main.c"), *(case.source for case in everything)]


@needs(*HOSTS)
@pytest.mark.parametrize("compiler", HOSTS)
def test_the_sanitizers_find_nothing(compiler: str, program: list[Path]) -> None:
    flags = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    built = compiled(compiler, program[0].with_name(f"sanitized_{compiler}"), program, flags)
    assert np.isfinite(printed(built)).all()


@needs(ARM64, "qemu-aarch64", "gcc")
def test_arm64_has_the_bits_of_this_machine(everything: list[Case]) -> None:
    some = everything[::3]  # to compile takes most of the time
    program = [driver(some, "some.c"), *(case.source for case in some)]
    flags = ("-O2", "-ffp-contract=off")
    there = compiled(ARM64, program[0].with_name("arm64"), program, (*flags, "-static"))
    here = compiled("gcc", program[0].with_name("here"), program, (*flags, "-march=native"))
    assert not differ(printed("qemu-aarch64", there), printed(here))


@needs(*HOSTS, ARM64, CORTEX_M4, "nm")
@pytest.mark.parametrize("compiler", [*HOSTS, ARM64, CORTEX_M4])
def test_nothing_is_asked_of_a_library_and_no_global_changes(
    compiler: str, everything: list[Case]
) -> None:
    """No malloc; and no fmaf, which where the machine has none is slow."""
    flags = ["-c", "-O2", *(M4 if compiler == CORTEX_M4 else ())]
    for case in (everything[1], everything[-1]):
        target = case.source.with_suffix(f".{compiler}.o")
        compiled(compiler, target, [case.source], flags)
        out = subprocess.run(["nm", target], capture_output=True, text=True, check=True).stdout
        kinds = {line.split()[-1]: line.split()[-2] for line in out.splitlines()}
        wanted = {name for name, kind in kinds.items() if kind == "U"}
        assert wanted <= {"memcpy", "memset"}, wanted
        public = {name for name, kind in kinds.items() if kind == "T"}
        assert public == {f"{case.name}_{what}" for what in ("reset", "step", "run")}
        assert not {kind for kind in kinds.values() if kind in "dDbBC"}, kinds


@needs("gcc")
def test_steps_are_the_run_and_a_reset_begins_again(networks: dict[Cell, Case]) -> None:
    case = networks[CELLS[0]]
    x = inputs(case, 30).numpy()
    c = loaded(case, "gcc")
    whole = c.run(x)
    assert differ(c.run(x), whole)  # the state went on
    c.reset()
    assert not c.state.any()
    assert not differ(np.stack([c.step(row) for row in x]), whole)
    c.reset()
    here = x.copy()  # one number in, one out: in place
    c.run_into(here, here)
    assert not differ(here, whole)


@needs("gcc")
@pytest.mark.skipif(not engine_fuses(), reason="the engine here has no fused multiply-add")
def test_zoneout_is_at_its_expected_value(tmp_path: Path) -> None:
    for n, (cell, zoneout) in enumerate([(CELLS[0], 0.125), (CELLS[5], 0.3), (CELLS[11], 0.1)]):
        lstm = random_lstm(cell, 2, 19, 2, True, seed=n, zoneout=zoneout)
        source, header = to_c(lstm, tmp_path / f"net{n}.c")
        assert f"+ {1 - zoneout:g} * (h - h_in)" in header.read_text()
        case = Case(f"net{n}", lstm, None, source)
        x = inputs(case, 1000)
        y, _ = stepped(lstm, x)
        assert not differ(loaded(case, "gcc").run(x.numpy()), y)
