// The backward pass's products for a few rows, from the weights as the forward pass has them, and the
// weights' gradient in the same layout: [panels][K][width][G][lanes].
//
// Where few rows are trained again and again, to pack the weights would cost as much as to use them.
// So they are packed once, read by both passes, and updated where they are; see steps.hpp.
#pragma once

#include "product.hpp"

namespace unrolled::LEVEL {

constexpr long few_rows = 3;

// The weights of a layer while it is trained with few rows.
template <class T> struct Few {
  long width, panels;  // of the packing
  long blocks;         // blocks of units that there are
  T *w_x, *w_h;        // pack_gates of w_ih and w_hh
  T *d_x, *d_h;        // their gradients, the same way
  T* d_bias;           // [panels·width][G][lanes]
  bool begun;          // whether the gradients hold a chunk's already
  bool turned;         // whether the columns are read from the last to the first
  // SGD as it is: the gradient is not kept but spent, w −= rate · gradient, where it is made.
  bool spent_x, spent_h;
  T rate;
};

// to[0 ... n) = Σ over gates and units of d_a · w for one row and the columns `k` to `k` + n, as many
// as a vector has numbers: a sum for each of them, of which each lane is a unit's, until the end.
template <class T, int G, bool WHOLE>
static void few_row(const Few<T>& few, const T* w, long K, long k, const T* d_a, long capacity, T* to) {
  constexpr long L = lanes<T>;
  const long step = few.width * G * L, last = K - 1;
  Vec<T> sum[L] = {};
  for (long block = 0; block < few.blocks; ++block) {
    const T *from = d_a + block * capacity * L;
    const T* at = w + (block / few.width) * K * step + (block % few.width) * G * L;
    Vec<T> a[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) a[g] = load(from + g * few.blocks * capacity * L);
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
static void few_columns(Few<T>& few, const T* w, long K, const T* d_a, long capacity, long first, long rows,
                        T* const* to) {
  constexpr long L = lanes<T>;
  const long tiles = blocks_of(K, L);
  few.turned = !few.turned;
  for (long tile = 0; tile < tiles; ++tile) {
    const long k = (few.turned ? tiles - 1 - tile : tile) * L;
    for (long r = 0; r < rows; ++r)
      (k + L <= K ? few_row<T, G, true> : few_row<T, G, false>)(few, w, K, k, d_a + (first + r) * L, capacity, to[r] + k);
  }
}

// to[k][g] = or += Σ over rows of read · d_a for M columns of one block.
template <class T, int G, int M>
static void few_tile(const T* read, long stride, const T* d_a, long capacity, long gate_step, long rows, bool more,
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
    for (int g = 0; g < G; ++g) v[g] = load(d_a + (g * gate_step * capacity + r) * L);
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
static void few_gradient(const Few<T>& few, const T* read, long stride, long K, const T* d_a, long capacity, long rows,
                         T* to, T* w) {
  constexpr long L = lanes<T>;
  constexpr int M = registers == 16 ? 2 : 5;
  const long blocks = few.blocks, step = few.width * G * L;
  for (long block = 0; block < blocks; ++block) {
    const T* from = d_a + block * capacity * L;
    const long place = (block / few.width) * K * step + (block % few.width) * G * L;
    T *at = to + place, *on = w ? w + place : nullptr;
    for (long k = 0; k < K;) {
      const bool whole = k + M <= K;
      (whole ? few_tile<T, G, M> : few_tile<T, G, 1>)(read + k, stride, from, capacity, blocks, rows, few.begun, at, step,
                                                      on, few.rate);
      k += whole ? M : 1;
      at += (whole ? M : 1) * step;
      if (on) on += (whole ? M : 1) * step;
    }
  }
}

// The gradient of the weights from a chunk's rows of d_a and read [rows, stride]: x, h and 1.
template <class T, int G>
static void few_weights(Few<T>& few, const T* read, long stride, long I, long H, const T* d_a, long capacity, long rows) {
  T* none = nullptr;
  few_gradient<T, G>(few, read, stride, I, d_a, capacity, rows, few.d_x, few.spent_x ? few.w_x : none);
  few_gradient<T, G>(few, read + I, stride, H, d_a, capacity, rows, few.d_h, few.spent_h ? few.w_h : none);
  few_gradient<T, G>(few, read + I + H, stride, 1, d_a, capacity, rows, few.d_bias, none);
  few.begun = true;
}

// Of a batch with no live row at all.
template <class T> static void few_nothing(const Few<T>& few, long I, long H, long G) {
  const long units = few.panels * few.width * G * lanes<T> * long(sizeof(T));
  __builtin_memset(few.d_x, 0, units * I);
  __builtin_memset(few.d_h, 0, units * H);
  __builtin_memset(few.d_bias, 0, units);
}

// pack_gates the other way: w [G·H, K] from panels.
template <class T> static void unpack_gates(const T* from, long G, long H, long K, long width, long panels, T* w) {
  constexpr long L = lanes<T>;
  const long step = width * G * L;
  for (long block = 0; block < panels * width && block * L < H; ++block)
    for (long g = 0; g < G; ++g) {
      const T* column = from + (block / width) * K * step + (block % width) * G * L + g * L;
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
