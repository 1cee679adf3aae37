// The matrix product: sums held in registers, one operand packed so that it is read in order.
#pragma once

#include "vectors.hpp"

namespace unrolled::LEVEL {

UNROLLED_INLINE long smaller(long a, long b) { return a < b ? a : b; }
UNROLLED_INLINE long blocks_of(long n, long size) { return (n + size - 1) / size; }

// sum[m][n] += Σ_k a[m][k·a_step] · b[k·b_step + n·lanes ...], k ascending, for R rows and N vectors.
// The order of the sum is the same for every R and N: a row's result does not depend on the others.
template <class T, int R, int N>
UNROLLED_INLINE void multiply_add(Vec<T> (&sum)[R][N], const T* const* rows, long a_step, const T* b,
                                  long b_step, long count) {
  const T* a[R];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) a[m] = rows[m];
  for (long k = 0; k < count; ++k) {
    Vec<T> v[N];
#pragma GCC unroll 24
    for (int n = 0; n < N; ++n) v[n] = load(b + n * lanes<T>);
#pragma GCC unroll 8
    for (int m = 0; m < R; ++m) {
      Vec<T> s = all<T>(a[m][k * a_step]);
#pragma GCC unroll 24
      for (int n = 0; n < N; ++n) sum[m][n] += s * v[n];
    }
    b += b_step;
  }
}

// Of two vectors, every second run of S numbers changes places.
#if defined(__clang__)  // whose shuffle takes constants alone
template <class I, I... L> struct Places {
  template <class T, I S> UNROLLED_INLINE void exchange(Vec<T>& a, Vec<T>& b) {
    const Vec<T> low = __builtin_shufflevector(a, b, (L & S ? I(sizeof...(L)) + L - S : L)...);
    b = __builtin_shufflevector(a, b, (L & S ? I(sizeof...(L)) + L : L + S)...);
    a = low;
  }
};
template <class T, int S> UNROLLED_INLINE void exchange(Vec<T>& a, Vec<T>& b) {
  __make_integer_seq<Places, int, int(lanes<T>)>::template exchange<T, S>(a, b);
}
#else
template <class T, int S> UNROLLED_INLINE void exchange(Vec<T>& a, Vec<T>& b) {
  constexpr int n = int(lanes<T>);
  Bits<T> low, high;
  for (int l = 0; l < n; ++l) {
    low[l] = l & S ? n + l - S : l;
    high[l] = l & S ? n + l : l + S;
  }
  const Vec<T> kept = __builtin_shuffle(a, b, low);
  b = __builtin_shuffle(a, b, high);
  a = kept;
}
#endif

// Rows become columns, for as many rows as there are numbers in a vector.
template <class T, int S = 1> UNROLLED_INLINE void transpose(Vec<T>* r) {
  constexpr int n = int(lanes<T>);
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i)
    if (!(i & S)) exchange<T, S>(r[i], r[i | S]);
  if constexpr (2 * S < n) transpose<T, 2 * S>(r);
}

// Weights as the forward pass reads them: blocks of units from `first` to `last`, `first` where a panel
// begins.
// w: [G·H, K].  to: for each panel [K][width][G][lanes]; a panel is `width` blocks of units, the last one
// what is left; a block is as many units as a vector has numbers; units beyond H are 0.
template <class T>
static void pack_gates(const T* w, long G, long H, long K, long width, long first, long last, T* to) {
  constexpr long L = lanes<T>;
  for (long panel = first; panel < last; panel += width) {
    const long wide = smaller(width, last - panel), step = wide * G * L;
    for (long block = panel; block < panel + wide; ++block)
      for (long g = 0; g < G; ++g) {
        T* column = to + ((block - panel) * G + g) * L;
        const long units = smaller(L, H - block * L);
        const T* from = w + (g * H + block * L) * K;
        for (long k = 0; k < K; k += L) {
          const long ks = smaller(L, K - k);
          Vec<T> r[L];
          for (long u = 0; u < L; ++u) r[u] = u < units ? load(from + u * K + k, ks) : Vec<T>{};
          transpose<T>(r);
          for (long i = 0; i < ks; ++i) store(column + (k + i) * step, r[i]);
        }
      }
    to += K * step;
  }
}

// How many vectors of columns the next panel has when `left` are left and `rows` rows are read at
// once: as many sums as the registers hold, without a panel that is mostly padding.
UNROLLED_INLINE long panel_width(long left, long rows) {
  if (registers == 32 && rows < 4 && left >= 8) return 8;
  if (registers == 32 || rows < 4) return left == 3 || left == 5 || left == 6 ? 3 : smaller(left, 4);
  return left == 3 ? 3 : smaller(left, 2);
}

// Weights as the backward pass reads them, from gates to columns.
// w: [G·H, N].  to: for each panel [G][blocks of units][lanes][width·lanes]; units beyond H and columns
// beyond N are 0.
template <class T>
static void pack_columns(const T* w, long G, long H, long N, long rows, T* to) {
  constexpr long L = lanes<T>;
  const long blocks = blocks_of(H, L), vectors = blocks_of(N, L);
  for (long first = 0; first < vectors;) {
    const long width = panel_width(vectors - first, rows);
    for (long g = 0; g < G; ++g)
      for (long unit = 0; unit < blocks * L; ++unit)
        for (long q = first; q < first + width; ++q, to += L)
          store(to, unit < H ? load(w + (g * H + unit) * N + q * L, smaller(L, N - q * L)) : Vec<T>{});
    first += width;
  }
}

// d_rows[m][0 ... N·lanes) = Σ over gates and units of d_a · w: one tile of the product that goes from
// the gates back to what they read.
// d_a: panels [G·blocks][pitch][lanes], of which rows `row` ... `row + R` are meant.
// w: one panel of pack_columns, width N.
// Few sums leave the multipliers idle, so they are kept S-fold and added up at the end.
template <class T, int R, int N>
static void columns_tile(const T* d_a, long pitch, long row, long gate_blocks, const T* w, T* const* to) {
  constexpr long L = lanes<T>;
  constexpr int S = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
  Vec<T> sum[S][R][N] = {};
  for (long block = 0; block < gate_blocks; ++block) {
    const T* panel = d_a + (block * pitch + row) * L;
    const T* a[S][R];
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s)
#pragma GCC unroll 8
      for (int m = 0; m < R; ++m) a[s][m] = panel + m * L + s;
    if constexpr (S == 1) {
      multiply_add<T, R, N>(sum[0], a[0], 1, w, N * L, L);
    } else {
      for (long k = 0; k < L; k += S)
#pragma GCC unroll 4
        for (int s = 0; s < S; ++s)
#pragma GCC unroll 8
          for (int m = 0; m < R; ++m)
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n)
              if (k + s < L) sum[s][m][n] += all<T>(a[s][m][k]) * load(w + ((k + s) * N + n) * L);
    }
    w += L * N * L;
  }
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      Vec<T> v = sum[0][m][n];
#pragma GCC unroll 4
      for (int s = 1; s < S; ++s) v += sum[s][m][n];
      store(to[m] + n * L, v);
    }
}

template <class T> using ColumnsTile = void (*)(const T*, long, long, long, const T*, T* const*);

template <class T, int N> static ColumnsTile<T> columns_tile_of(long rows) {
  switch (rows) {
    case 1: return columns_tile<T, 1, N>;
    case 2: return columns_tile<T, 2, N>;
    case 3: return columns_tile<T, 3, N>;
    case 4: return columns_tile<T, 4 * N <= held_sums ? 4 : 1, N>;
    case 5: return columns_tile<T, 5 * N <= held_sums ? 5 : 1, N>;
    default: return columns_tile<T, 6 * N <= held_sums ? 6 : 1, N>;
  }
}

template <class T> static ColumnsTile<T> columns_tile_of(long width, long rows) {
  switch (width) {
    case 1: return columns_tile_of<T, 1>(rows);
    case 2: return columns_tile_of<T, 2>(rows);
    case 3: return columns_tile_of<T, 3>(rows);
    case 4: return columns_tile_of<T, 4>(rows);
    default: return columns_tile_of<T, 8>(rows);
  }
}

// to[r][0 ... N rounded up to whole vectors) for r < rows; see columns_tile.
// rows_at_once: what pack_columns was told.
template <class T>
static void gates_to_columns(const T* d_a, long pitch, long first, long rows, long rows_at_once, long gate_blocks,
                             const T* w, long N, T* const* to) {
  constexpr long L = lanes<T>;
  const long vectors = blocks_of(N, L);
  for (long n = 0; n < vectors;) {
    const long width = panel_width(vectors - n, rows_at_once);
    const long most = smaller(6, held_sums / width);
    for (long r = 0; r < rows;) {
      const long take = blocks_of(rows - r, blocks_of(rows - r, most));
      T* at[6];
      for (long m = 0; m < take; ++m) at[m] = to[r + m] + n * L;
      columns_tile_of<T>(width, take)(d_a, pitch, first + r, gate_blocks, w, at);
      r += take;
    }
    w += gate_blocks * L * width * L;
    n += width;
  }
}

// The weights' gradient, sums += d_aᵀ read: a tile takes R gate units and N vectors of columns.
// d_a: [rows][lanes], one block of a panel, from `unit` on.  read: [rows, stride].  sums: [R, stride].
template <class T, int R, int N>
static void weights_tile(const T* d_a, const T* read, long stride, long rows, T* sums) {
  constexpr long L = lanes<T>;
  Vec<T> sum[R][N];
  const T* a[R];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) {
    a[m] = d_a + m;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) sum[m][n] = load(sums + m * stride + n * L);
  }
  multiply_add<T, R, N>(sum, a, L, read, stride, rows);
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(sums + m * stride + n * L, sum[m][n]);
}

// d_a: panels [gate_blocks][pitch][lanes], the first `rows` rows of each.  read: [rows, stride].
// sums: [gate_blocks·lanes, stride], stride a whole number of vectors.
// The order of the loops is that of the caches: what d_a holds for some gates in L2, the columns of
// `depth` rows in L1, sums in registers.
template <class T>
static void weights_gradient(const T* d_a, long pitch, long rows, long gate_blocks, const T* read, long stride,
                             T* sums) {
  constexpr long L = lanes<T>;
  constexpr int N = 3, most = held_sums / N, R = L < most ? int(L) : most;
  constexpr long depth = 128, near = (1L << 20) / long(sizeof(T));
  const long vectors = stride / L;
  const long some = near / (rows * L) < 1 ? 1 : near / (rows * L);
  for (long g = 0; g < gate_blocks; g += some)
    for (long n = 0; n < vectors; n += N)
      for (long k = 0; k < rows; k += depth)
        for (long block = g; block < smaller(g + some, gate_blocks); ++block)
          for (long unit = 0; unit < L; unit += R) {
            const T* from = d_a + (block * pitch + k) * L + unit;
            const T* column = read + k * stride + n * L;
            T* to = sums + (block * L + unit) * stride + n * L;
            const long count = smaller(depth, rows - k);
            switch (vectors - n) {
              case 1: weights_tile<T, R, 1>(from, column, stride, count, to); break;
              case 2: weights_tile<T, R, 2>(from, column, stride, count, to); break;
              default: weights_tile<T, R, N>(from, column, stride, count, to); break;
            }
          }
}

}  // namespace unrolled::LEVEL
