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
  T* sums;             // [few_rows][I or H, the larger, and a vector's more][lanes]
  bool begun;          // whether the gradients hold a chunk's already
  bool turned;         // whether the blocks are read from the last to the first
  // SGD as it is: the gradient is not kept but spent, w −= rate · gradient, where it is made.
  bool spent_x, spent_h;
  T rate;
};

// sums[r][k] += Σ over gates of d_a · w, lane by lane, for R rows, a block of one panel and every k.
template <class T, int G, int R>
static void few_block(const T* d_a, long capacity, long gate_step, const T* w, long w_step, long K, bool more,
                      T* sums, long sums_step) {
  constexpr long L = lanes<T>;
  Vec<T> a[R][G];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) a[r][g] = load(d_a + (g * gate_step * capacity + r) * L);
  for (long k = 0; k < K; ++k, w += w_step) {
    Vec<T> sum[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[r] = more ? load(sums + r * sums_step + k * L) : Vec<T>{};
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const Vec<T> v = load(w + g * L);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) sum[r] += a[r][g] * v;
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) store(sums + r * sums_step + k * L, sum[r]);
  }
}

template <class T, int G> static auto few_block_of(long rows) {
  return rows == 1 ? few_block<T, G, 1> : rows == 2 ? few_block<T, G, 2> : few_block<T, G, 3>;
}

// to[r][0 ... K) = Σ over gates and units of d_a · w for `rows` rows, `first` on, of the panels d_a.
// Back and forth: what was read last is still in L1.
template <class T>
static void few_columns(Few<T>& few, const T* w, long K, long G, const T* d_a, long capacity, long first,
                        long rows, T* const* to) {
  constexpr long L = lanes<T>;
  const long blocks = few.blocks, step = few.width * G * L, sums_step = (K + L) * L;
  for (long r = 0; r < rows; r += few_rows) {
    const long take = smaller(few_rows, rows - r);
    const auto block_of = G == 4 ? few_block_of<T, 4>(take) : few_block_of<T, 3>(take);
    few.turned = !few.turned;
    for (long b = 0; b < blocks; ++b) {
      const long block = few.turned ? blocks - 1 - b : b;
      block_of(d_a + (block * capacity + first + r) * L, capacity, blocks,
               w + (block / few.width) * K * step + (block % few.width) * G * L, step, K, b > 0, few.sums, sums_step);
    }
    for (long m = 0; m < take; ++m)
      for (long k = 0; k < K; k += L) {
        Vec<T> v[L];
        for (long i = 0; i < L; ++i) v[i] = load(few.sums + m * sums_step + (k + i) * L);
        transpose<T>(v);
        for (long i = 1; i < L; ++i) v[0] += v[i];
        store(to[r + m] + k, v[0], smaller(L, K - k));
      }
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
