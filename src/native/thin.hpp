// Products with few columns: the input where it has only a few features, and the bias, which is a column
// of ones.  As vectors of columns they would be mostly padding; here a vector holds units of gates.
#pragma once

#include "product.hpp"

namespace unrolled::LEVEL {

// Whether so few columns are taken one by one.
template <class T> UNROLLED_INLINE bool thin(long columns) { return columns <= lanes<T> / 2; }

// The sum of a vector's numbers, in every one of them.
template <class T, int S = 1> UNROLLED_INLINE Vec<T> total(Vec<T> v) {
  Vec<T> other = v;
  exchange<T, S>(v, other);
  if constexpr (2 * S < lanes<T>) return total<T, 2 * S>(v + other);
  return v + other;
}

// sums[0] += Σ_k d_a[k] and sums[1 + n] += Σ_k d_a[k] · x[k][n] for N columns; N = 0: the bias alone.
// d_a: [rows][lanes], one block of a panel.  x: row k at x + at[k]·step.  sums: [1 + N][lanes].
// S sums for each, of every S-th row, or each addition would wait for the one before it.
template <class T, int N>
static void thin_tile(const T* d_a, long rows, const T* x, const long* at, long step, T* sums) {
  constexpr long L = lanes<T>;
  constexpr int S = N > 3 ? 1 : N > 1 ? 2 : 4;
  Vec<T> sum[S][1 + N] = {};
  for (long k = 0; k < rows; k += S)
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      if (k + s == rows) break;
      const Vec<T> d = load(d_a + (k + s) * L);
      sum[s][0] += d;
      if constexpr (N > 0) {
        const T* row = x + at[k + s] * step;
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sum[s][1 + n] += d * all<T>(row[n]);
      }
    }
#pragma GCC unroll 8
  for (int n = 0; n <= N; ++n) {
    Vec<T> v = load(sums + n * L);
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) v += sum[s][n];
    store(sums + n * L, v);
  }
}

template <class T> using ThinTile = void (*)(const T*, long, const T*, const long*, long, T*);

template <class T, int N = lanes<T> / 2> static ThinTile<T> thin_tile_of(long columns) {
  if constexpr (N > 0)
    if (columns < N) return thin_tile_of<T, N - 1>(columns);
  return thin_tile<T, N>;
}

// The gradient of the bias, and of the weights of a few columns of x.
// d_a: panels [gate_blocks][pitch][lanes], the first `rows` rows of each.
// sums: [gate_blocks][1 + columns][lanes], the bias first.
template <class T>
static void thin_gradient(const T* d_a, long pitch, long rows, long gate_blocks, const T* x, const long* at, long columns,
                          T* sums) {
  constexpr long L = lanes<T>;
  for (long block = 0; block < gate_blocks; ++block)
    thin_tile_of<T>(columns)(d_a + block * pitch * L, rows, x, at, columns, sums + block * (1 + columns) * L);
}

// w: [G·H, columns].  to: [columns][G·blocks][lanes]; units beyond H are 0.
template <class T> static void pack_thin(const T* w, long G, long H, long columns, T* to) {
  constexpr long L = lanes<T>;
  const long units = blocks_of(H, L) * L;
  for (long n = 0; n < columns; ++n)
    for (long g = 0; g < G; ++g)
      for (long u = 0; u < units; ++u, ++to) *to = u < H ? w[(g * H + u) * columns + n] : T(0);
}

// The gradient of row k of x, at x + at[k]·columns: Σ over gates and units of d_a · w.  w: pack_thin.
template <class T>
static void thin_input(const T* d_a, long pitch, long rows, long gate_blocks, const T* w, long columns, const long* at, T* x) {
  constexpr long L = lanes<T>;
  for (long k = 0; k < rows; ++k)
    for (long n = 0; n < columns; ++n) {
      Vec<T> even{}, odd{};
      const T *d = d_a + k * L, *weights = w + n * gate_blocks * L;
      long block = 0;
      for (; block + 2 <= gate_blocks; block += 2) {
        even += load(d + block * pitch * L) * load(weights + block * L);
        odd += load(d + (block + 1) * pitch * L) * load(weights + (block + 1) * L);
      }
      if (block < gate_blocks) even += load(d + block * pitch * L) * load(weights + block * L);
      x[at[k] * columns + n] = total<T>(even + odd)[0];
    }
}

}  // namespace unrolled::LEVEL
