// The backward pass's products for a few rows, from the weights as the forward pass has them, and the
// weights' gradient in the same layout, that of pack_gates.
//
// Where few rows are trained again and again, to pack the weights would cost as much as to use them.
// So they are packed once, read by both passes, and updated where they are; see steps.hpp.
#pragma once

#include "product.hpp"

namespace unrolled::LEVEL {

constexpr long few_rows = 3;

// The weights of a layer while it is trained with few rows.
template <class T> struct Few {
  long blocks, width;  // of units, and in a panel of the packing
  T *w_x, *w_h;        // pack_gates of w_ih and w_hh
  T *d_x, *d_h;        // their gradients, the same way
  T* d_bias;           // [blocks][G][lanes]
  bool begun;          // whether the gradients hold a chunk's already
  bool turned;         // whether the columns are read from the last to the first
  // SGD as it is: the gradient is not kept but spent, w −= rate · gradient, where it is made.
  bool spent_x, spent_h;
  T rate;
};

// Where a block's weights of K columns begin; `step`: from one column to the next.
template <class T> UNROLLED_INLINE long few_place(long blocks, long width, long block, long K, long G, long& step) {
  const long panel = block / width * width;
  step = smaller(width, blocks - panel) * G * lanes<T>;
  return (panel * K + block - panel) * G * lanes<T>;
}

// to[0 ... n) = Σ over gates and units of d_a · w for one row and the columns `k` to `k` + n, as many
// as a vector has numbers: a sum for each of them, of which each lane is a unit's, until the end.
template <class T, int G, bool WHOLE>
static void few_row(const Few<T>& few, const T* w, long K, long k, const T* d_a, long pitch, T* to) {
  constexpr long L = lanes<T>;
  const long last = K - 1;
  Vec<T> sum[L] = {};
  for (long block = 0; block < few.blocks; ++block) {
    const T *from = d_a + block * pitch * L;
    long step;
    const T* at = w + few_place<T>(few.blocks, few.width, block, K, G, step);
    Vec<T> a[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) a[g] = load(from + g * few.blocks * pitch * L);
#pragma GCC unroll 16
    for (long i = 0; i < L; ++i) {
      const T* row = at + (WHOLE ? k + i : smaller(k + i, last)) * step;
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sum[i] += a[g] * load(row + g * L);
    }
  }
  transpose<T>(sum);
  for (long i = 1; i < L; ++i) sum[0] += sum[i];
  if (WHOLE)
    store(to, sum[0]);
  else
    store(to, sum[0], K - k);
}

// to[r][0 ... K) for `rows` rows, `first` on, of the panels d_a.
// Back and forth: what was read last is still in L1.
template <class T, int G>
static void few_columns(Few<T>& few, const T* w, long K, const T* d_a, long pitch, long first, long rows,
                        T* const* to) {
  constexpr long L = lanes<T>;
  const long tiles = blocks_of(K, L);
  few.turned = !few.turned;
  for (long tile = 0; tile < tiles; ++tile) {
    const long k = (few.turned ? tiles - 1 - tile : tile) * L;
    for (long r = 0; r < rows; ++r)
      (k + L <= K ? few_row<T, G, true> : few_row<T, G, false>)(few, w, K, k, d_a + (first + r) * L, pitch, to[r] + k);
  }
}

// to[k][g] = or += Σ over rows of read · d_a for M columns of one block.
template <class T, int G, int M>
static void few_tile(const T* read, long stride, const T* d_a, long pitch, long gate_step, long rows, bool more,
                     T* to, long to_step, T* spend_on, T rate) {
  constexpr long L = lanes<T>;
  Vec<T> sum[M][G];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) sum[m][g] = more ? load(to + m * to_step + g * L) : Vec<T>{};
  for (long r = 0; r < rows; ++r) {
    Vec<T> v[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) v[g] = load(d_a + (g * gate_step * pitch + r) * L);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Vec<T> x = all<T>(read[r * stride + m]);
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sum[m][g] += x * v[g];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const long at = m * to_step + g * L;
      if (spend_on)
        store(spend_on + at, load(spend_on + at) - sum[m][g] * rate);
      else
        store(to + at, sum[m][g]);
    }
}

// The gradient of K columns of the weights; `read` begins with the first of them.
template <class T, int G>
static void few_gradient(const Few<T>& few, const T* read, long stride, long K, const T* d_a, long pitch, long rows,
                         T* to, T* w) {
  constexpr long L = lanes<T>;
  constexpr int M = registers == 16 ? 2 : 5;
  const long blocks = few.blocks;
  for (long block = 0; block < blocks; ++block) {
    const T* from = d_a + block * pitch * L;
    long step;
    const long place = few_place<T>(blocks, few.width, block, K, G, step);
    T *at = to + place, *on = w ? w + place : nullptr;
    for (long k = 0; k < K;) {
      const bool whole = k + M <= K;
      (whole ? few_tile<T, G, M> : few_tile<T, G, 1>)(read + k, stride, from, pitch, blocks, rows, few.begun, at, step,
                                                      on, few.rate);
      k += whole ? M : 1;
      at += (whole ? M : 1) * step;
      if (on) on += (whole ? M : 1) * step;
    }
  }
}

// The same of the bias, which reads 1.
template <class T, int G> static void few_bias(const Few<T>& few, const T* d_a, long pitch, long rows) {
  constexpr long L = lanes<T>;
  for (long block = 0; block < few.blocks; ++block)
    for (long g = 0; g < G; ++g) {
      const T* from = d_a + (g * few.blocks + block) * pitch * L;
      T* to = few.d_bias + (block * G + g) * L;
      Vec<T> sum = few.begun ? load(to) : Vec<T>{};
      for (long r = 0; r < rows; ++r) sum += load(from + r * L);
      store(to, sum);
    }
}

// The gradient of the weights from a chunk's rows of d_a and of read [rows, stride]: x, and in the first
// `with_h` rows h.
template <class T, int G>
static void few_weights(Few<T>& few, const T* read, long stride, long I, long H, const T* d_a, long pitch, long rows,
                        long with_h) {
  T* none = nullptr;
  few_gradient<T, G>(few, read, stride, I, d_a, pitch, rows, few.d_x, few.spent_x ? few.w_x : none);
  few_gradient<T, G>(few, read + I, stride, H, d_a, pitch, with_h, few.d_h, few.spent_h ? few.w_h : none);
  few_bias<T, G>(few, d_a, pitch, rows);
  few.begun = true;
}

// Of a batch with no live row at all.
template <class T> static void few_nothing(const Few<T>& few, long I, long H, long G) {
  const long units = few.blocks * G * lanes<T> * long(sizeof(T));
  __builtin_memset(few.d_x, 0, units * I);
  __builtin_memset(few.d_h, 0, units * H);
  __builtin_memset(few.d_bias, 0, units);
}

// pack_gates the other way: w [G·H, K] from panels.
template <class T> static void unpack_gates(const T* from, long G, long H, long K, long width, T* w) {
  constexpr long L = lanes<T>;
  const long blocks = blocks_of(H, L);
  for (long block = 0; block < blocks; ++block)
    for (long g = 0; g < G; ++g) {
      long step;
      const T* column = from + few_place<T>(blocks, width, block, K, G, step) + g * L;
      const long units = smaller(L, H - block * L);
      for (long k = 0; k < K; k += L) {
        const long ks = smaller(L, K - k);
        Vec<T> r[L];
        for (long i = 0; i < L; ++i) r[i] = i < ks ? load(column + (k + i) * step) : Vec<T>{};
        transpose<T>(r);
        for (long u = 0; u < units; ++u) store(w + (g * H + block * L + u) * K + k, r[u], ks);
      }
    }
}

}  // namespace unrolled::LEVEL
