#!/bin/sh
# `make sanitize`: the native engine under AddressSanitizer and UBSan, and the suites that run it at
# every level of instruction sets.  Arguments go to pytest.
# The package is put together in build/sanitize and found before the installed one; what was
# compiled stays there, so a second run compiles what has changed.
set -eu
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
there="$PWD/build/sanitize"
mkdir -p "$there/package"
# g++, as the runtime that is loaded below is gcc's.
"$PWD/.venv/bin/cmake" -S . -B "$there/objects" -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/.venv/bin/ninja" \
  -DCMAKE_CXX_COMPILER=g++ -DPython_EXECUTABLE="$python" -DUNROLLED_SANITIZE=ON \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo > /dev/null
"$PWD/.venv/bin/cmake" --build "$there/objects"
rm -rf "$there/package/unrolled"
cp -R src/unrolled "$there/package/"
cp "$there"/objects/_native*.so "$there/package/unrolled/"
# Python itself is not built with the sanitizer, so its runtime is loaded first; torch keeps memory
# to the end, so leaks are not looked for.  -s: a report that pytest had captured would be lost with
# the process, which dies of it.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
PYTHONPATH="$there/package" \
  "$python" -m pytest -n 2 -s -p no:cacheprovider tests/engines/test_engines.py tests/layer/test_stepper.py tests/engines/test_cpu.py \
  tests/steps/test_train_steps.py tests/steps/test_train_steps_ways.py \
  -k "conforms and cpu and not bfloat16 or steps_are or activations or threads or rows or nan or contiguous or every_level or heads_and_biases or many_sizes" "$@"
