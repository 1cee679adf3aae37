"""C compilers, and machines that are imitated: skipped without them, but required in .ci/run."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

__all__ = [
    "ARM64",
    "CORTEX_M4",
    "HOSTS",
    "M4",
    "STRICT",
    "Loaded",
    "compiled",
    "needs",
    "on_cortex_m4",
]

REQUIRED = os.environ.get("UNROLLED_REQUIRE_COMPILERS") == "1"
HOSTS = ("gcc", "clang")
ARM64 = "aarch64-linux-gnu-gcc"
CORTEX_M4 = "arm-none-eabi-gcc"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
PACKAGES = {  # Debian's
    ARM64: "gcc-aarch64-linux-gnu",
    CORTEX_M4: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-aarch64": "qemu-user",
    "qemu-system-arm": "qemu-system-arm",
    "nm": "binutils",
    "size": "binutils",
}
Floats = npt.NDArray[np.float32]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip with a reason where one is missing; where they are required, let the test fail."""
    missing = [program for program in programs if shutil.which(program) is None]
    names = " ".join(PACKAGES.get(program, program) for program in missing)
    reason = f"{', '.join(missing)} not installed: on Debian, apt-get install {names}"
    return pytest.mark.skipif(bool(missing) and not REQUIRED, reason=reason)


def compiled(compiler: str, to: Path, sources: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    """Compile, with every warning an error."""
    done = subprocess.run(
        [compiler, *STRICT, *flags, *map(str, sources), "-o", str(to)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return to


class Loaded:
    """A network's C file in this process, with a state of its own.

    Parameters
    ----------
    library : Path
        The shared library that it was compiled to.
    name : str
        What its names begin with.
    sizes : (int, int, int)
        Of x, of y, and of the whole state in floats.
    """

    def __init__(self, library: Path, name: str, sizes: tuple[int, int, int]) -> None:
        self._library = ctypes.CDLL(str(library))
        self._name = name
        self.inputs, self.outputs, size = sizes
        self.state = np.full(size, np.nan, np.float32)
        self.reset()

    def reset(self) -> None:
        self._function("reset")(self._at(self.state))

    def step(self, x: Floats) -> Floats:
        y = np.full(self.outputs, np.nan, np.float32)
        self._function("step")(self._at(self.state), self._at(x), self._at(y))
        return y

    def run(self, x: Floats) -> Floats:
        """x: [T, I]."""
        y = np.full((len(x), self.outputs), np.nan, np.float32)
        self.run_into(x, y)
        return y

    def run_into(self, x: Floats, y: Floats) -> None:
        assert x.flags.c_contiguous
        steps = ctypes.c_size_t(len(x))
        self._function("run")(self._at(self.state), self._at(x), self._at(y), steps)

    def _function(self, what: str) -> ctypes._NamedFuncPointer:
        function = getattr(self._library, f"{self._name}_{what}")
        function.restype = None
        return function

    @staticmethod
    def _at(array: Floats) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)


_START = """
#include "{name}.h"
typedef unsigned int word;
void reset(void);
__attribute__((section(".vectors"), used))
static const word vectors[2] = {{0x20100000u, (word)reset}};
static void call(word what, const void *with)
{{
  register word r0 __asm__("r0") = what;
  register const void *r1 __asm__("r1") = with;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}}
static void say(float value)
{{
  union {{ float f; word w; }} both;
  char text[10];
  int k;
  both.f = value;
  for (k = 0; k < 8; ++k) text[k] = "0123456789abcdef"[both.w >> (28 - 4 * k) & 15];
  text[8] = ' ';
  text[9] = 0;
  call(4, text);
}}
static const float x[] = {{ {x} }};
void reset(void)
{{
  static {name}_state state; /* in RAM that is full of anything */
  float y[{NAME}_OUTPUTS];
  word t, j;
  *(volatile word *)0xe000ed88u |= 0xfu << 20; /* the FPU on */
  __asm__ volatile("dsb\\n isb");
  {name}_reset(&state);
  for (t = 0; t < {steps}; ++t) {{
    {name}_step(&state, x + t * {NAME}_INPUTS, y);
    for (j = 0; j < {NAME}_OUTPUTS; ++j) say(y[j]);
  }}
  call(0x18, (void *)0x20026);
}}
"""
_PLACES = """
SECTIONS
{
  .text 0x0 : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  .bss 0x20000000 (NOLOAD) : { *(.data*) *(.bss*) *(COMMON) }
  /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) }
}
"""


def on_cortex_m4(source: Path, name: str, x: Floats, flags: Sequence[str] = ("-Os", *M4)) -> Floats:
    """Y of each step, [T, O], made by a Cortex-M4 of QEMU's without any system on it."""
    folder = source.parent
    main, places = folder / f"{name}_main.c", folder / "places.ld"
    numbers = ", ".join(f"{v:.9e}f" for v in x.reshape(-1).tolist())
    text = _START.format(name=name, NAME=name.upper(), x=numbers, steps=len(x))
    main.write_text(text, encoding="utf-8")
    places.write_text(_PLACES, encoding="utf-8")
    linked = ("-ffp-contract=off", "-nostartfiles", f"-T{places}")
    program = compiled(CORTEX_M4, folder / f"{name}.elf", [source, main], [*flags, *linked])
    done = subprocess.run(
        ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting", "-kernel", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    words = (done.stdout + done.stderr).split()  # which of the two is QEMU's affair
    bits = np.array([int(word, 16) for word in words], np.uint32)
    return bits.view(np.float32).reshape(len(x), -1)
