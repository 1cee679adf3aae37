// y = W x + b for many x at once, and back: what a head and an Elman network are made of.
#pragma once

#include "product.hpp"

namespace unrolled::LEVEL {

// to[m][n] = start[n] + Σ_k rows[m][k] · w[k][n] for R rows and N vectors, of which `columns` numbers
// are written.
template <class T, int R, int N>
static void affine_tile(const T* from, long from_step, const T* w, long w_step, long K, const T* start, T* to,
                        long to_step, long columns) {
  constexpr long L = lanes<T>;
  Vec<T> sum[R][N];
  const T* rows[R];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) {
    rows[m] = from + m * from_step;
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[m][n] = start ? load(start + n * L) : Vec<T>{};
  }
  multiply_add<T, R, N>(sum, rows, 1, w, w_step, K);
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      T* at = to + m * to_step + n * L;
      if ((n + 1) * L <= columns)
        store(at, sum[m][n]);
      else
        store(at, sum[m][n], columns - n * L);
    }
}

template <class T> using AffineTile = void (*)(const T*, long, const T*, long, long, const T*, T*, long, long);

template <class T, int N> static AffineTile<T> affine_tile_of(long rows) {
  switch (rows) {
    case 1: return affine_tile<T, 1, N>;
    case 2: return affine_tile<T, 2, N>;
    case 3: return affine_tile<T, 3, N>;
    case 4: return affine_tile<T, 4 * N <= held_sums ? 4 : 1, N>;
    case 5: return affine_tile<T, 5 * N <= held_sums ? 5 : 1, N>;
    default: return affine_tile<T, 6 * N <= held_sums ? 6 : 1, N>;
  }
}

// to [rows, to_step] = from [rows, from_step] · w + start, of which `columns` numbers are written.
// w: [K, w_step], w_step a whole number of vectors.  start: [w_step] or null.
template <class T>
static void affine(const T* from, long from_step, long rows, const T* w, long w_step, long K, const T* start, T* to,
                   long to_step, long columns) {
  constexpr long L = lanes<T>;
  for (long n = 0; n < w_step; n += 4 * L) {
    const long width = smaller(4, (w_step - n) / L), N = width == 3 ? 4 : width;
    const long take_N = width == 3 ? 2 : N;  // three vectors are two and one
    for (long part = 0; part < width; part += take_N) {
      const long vectors = smaller(take_N, width - part), at = n + part * L;
      const long most = smaller(6, held_sums / vectors);
      for (long r = 0; r < rows;) {
        const long take = blocks_of(rows - r, blocks_of(rows - r, most));
        const AffineTile<T> tile = vectors == 4   ? affine_tile_of<T, 4>(take)
                                   : vectors == 2 ? affine_tile_of<T, 2>(take)
                                                  : affine_tile_of<T, 1>(take);
        tile(from + r * from_step, from_step, w + at, w_step, K, start ? start + at : nullptr, to + r * to_step + at,
             to_step, columns - at);
        r += take;
      }
    }
  }
}

// [O, K] to [K, O rounded up]: `affine` with it is x · Wᵀ.
template <class T> static void pack_transposed(const T* w, long O, long K, T* to) {
  pack_gates(w, 1, O, K, blocks_of(O, lanes<T>), 0, blocks_of(O, lanes<T>), to);
}

// [O, K] to [O, K rounded up]: `affine` with it is d · W, the way back.
template <class T> static void pack_rows(const T* w, long O, long K, T* to) {
  constexpr long L = lanes<T>;
  for (long o = 0; o < O; ++o)
    for (long k = 0; k < K; k += L, to += L) store(to, load(w + o * K + k, smaller(L, K - k)));
}

// to [R, K] = or += d [rows, d_step]ᵀ · read [rows, read_step]; whole vectors are read.
template <class T, int R, int N>
static void outer_tile(const T* d, long d_step, const T* read, long read_step, long rows, bool more, T* to, long K,
                       long columns) {
  constexpr long L = lanes<T>;
  Vec<T> sum[R][N];
  const T* a[R];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) {
    a[m] = d + m;
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n)
      sum[m][n] = more ? load(to + m * K + n * L, smaller(L, columns - n * L)) : Vec<T>{};
  }
  multiply_add<T, R, N>(sum, a, d_step, read, read_step, rows);
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(to + m * K + n * L, sum[m][n], smaller(L, columns - n * L));
}

// to [O, K] = dᵀ · read, the gradient of weights.  d: [rows, O].  read: [rows, K], and slack.
template <class T> static void outer(const T* d, const T* read, long rows, long O, long K, T* to) {
  constexpr long L = lanes<T>, depth = 128;
  if (!rows) __builtin_memset(to, 0, O * K * sizeof(T));
  for (long r = 0; r < rows; r += depth)
    for (long k = 0; k < K; k += 2 * L) {
      const long count = smaller(depth, rows - r), columns = K - k;
      for (long o = 0; o < O;) {
        const T *from = d + r * O + o, *column = read + r * K + k;
        T* at = to + o * K + k;
        const bool wide = columns > L;
        if (O - o >= 4) {
          (wide ? outer_tile<T, 4, 2> : outer_tile<T, 4, 1>)(from, O, column, K, count, r > 0, at, K, columns);
          o += 4;
        } else {
          (wide ? outer_tile<T, 1, 2> : outer_tile<T, 1, 1>)(from, O, column, K, count, r > 0, at, K, columns);
          o += 1;
        }
      }
    }
}

// to [O] = the sum of d's rows [rows, O].
template <class T> static void sum_rows(const T* d, long rows, long O, T* to) {
  constexpr long L = lanes<T>;
  for (long o = 0; o < O; o += L) {
    const long n = smaller(L, O - o);
    Vec<T> sum{};
    for (long r = 0; r < rows; ++r) sum += load(d + r * O + o, n);
    store(to + o, sum, n);
  }
}

}  // namespace unrolled::LEVEL
