#!/bin/sh
# What `make demo` runs: learn to add, add two long numbers, forecast the sunspots.
# It can be run again and again; each run has a folder of its own.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

n=1
while [ -e "runs/demo-$n" ]; do n=$((n + 1)); done
demo="runs/demo-$n"

echo "--- learning to add ---"
unrolled train adder --out "$demo/adder"

echo
echo "--- two numbers of 1,000 bits, far longer than any it has seen ---"
long='import random; r = random.Random(1); print(*(r.getrandbits(999) | 1 << 999 for _ in "ab"))'
# shellcheck disable=SC2046  # two numbers, two words
unrolled try "$demo/adder" $(python -c "$long")

echo
echo "--- learning the yearly sunspot numbers, 1700 to 1946, to forecast the rest ---"
unrolled train series --out "$demo/sunspots" \
  --data examples/sunspots.csv --column sunspots --time year --horizon 11

echo
echo "--- the eleven years after the last in the file ---"
unrolled try "$demo/sunspots"

echo
echo "The pictures:"
ls "$demo"/*/*.png
