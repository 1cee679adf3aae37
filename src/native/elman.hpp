// The Elman network, h_t = s(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), and its derivative.
#pragma once

#include "activations.hpp"
#include "affine.hpp"
#include "training.hpp"
#include "weights.hpp"

namespace unrolled::LEVEL {

template <class T> UNROLLED_INLINE Vec<T> activation(Activation kind, Vec<T> a) {
  if (kind == Activation::tanh) return tanh<T>(a);
  if (kind == Activation::sigmoid) return sigmoid<T>(a);
  return a < T(0) ? Vec<T>{} : a;  // NaN stays NaN
}

// s′(a), from h = s(a).
template <class T> UNROLLED_INLINE Vec<T> activation_backward(Activation kind, Vec<T> h) {
  if (kind == Activation::tanh) return T(1) - h * h;
  if (kind == Activation::sigmoid) return h * (T(1) - h);
  return h > T(0) ? all<T>(T(1)) : Vec<T>{};
}

// y of every step; the state before the first lies in the B·H numbers before y.
template <class T> static void elman_forward(const TrainedLayer<T>& layer) {
  constexpr long L = lanes<T>;
  const Shape& s = layer.shape;
  const Inputs<T>& in = layer.in;
  const long H = s.H, I = s.I, rows = s.T * s.B, step = s.B * H, wide = blocks_of(H, L) * L;
  Buffer<T> w_x(I * wide), w_h(H * wide), bias(wide, true), a_x(rows * wide), a(s.B * wide);
  pack_transposed(in.w_ih, H, I, w_x.at);
  pack_transposed(in.w_hh, H, H, w_h.at);
  for (long u = 0; u < H; ++u) bias.at[u] = (in.b_ih ? in.b_ih[u] : T(0)) + (in.b_hh ? in.b_hh[u] : T(0));
  affine(in.x, I, rows, w_x.at, wide, I, bias.at, a_x.at, wide, wide);
  T* y = layer.out.y;
  if (in.h_0)
    __builtin_memcpy(y - step, in.h_0, step * sizeof(T));
  else
    __builtin_memset(y - step, 0, step * sizeof(T));
  for (long t = 0; t < s.T; ++t) {
    T* to = y + t * step;
    affine(to - step, H, s.B, w_h.at, wide, H, static_cast<const T*>(nullptr), a.at, wide, wide);
    for (long b = 0; b < s.B; ++b)
      for (long u = 0; u < H; u += L)
        store(to + b * H + u, activation<T>(layer.activation, load(a_x.at + (t * s.B + b) * wide + u) + load(a.at + b * wide + u)),
              smaller(L, H - u));
  }
  __builtin_memcpy(layer.out.h_n, y + (s.T - 1) * step, step * sizeof(T));
}

// The gradient of the weights from that of y, of h_n, or of both.
template <class T> static void elman_backward(const TrainedLayer<T>& layer) {
  constexpr long L = lanes<T>;
  const Shape& s = layer.shape;
  const Inputs<T>& in = layer.in;
  const Gradients<T>& d = layer.d;
  const long H = s.H, I = s.I, rows = s.T * s.B, step = s.B * H, wide = blocks_of(H, L) * L;
  Buffer<T> w_h(H * wide), d_a(rows * H), d_h(step, true), x(rows * I + L);
  pack_rows(in.w_hh, H, H, w_h.at);
  if (d.d_h_n) __builtin_memcpy(d_h.at, d.d_h_n, step * sizeof(T));
  const T* y = layer.out.y;
  for (long t = s.T; t-- > 0;) {
    T* to = d_a.at + t * step;
    for (long k = 0; k < step; k += L) {
      const long n = smaller(L, step - k);
      Vec<T> from = load(d_h.at + k, n);
      if (d.d_y) from += load(d.d_y + t * step + k, n);
      store(to + k, from * activation_backward<T>(layer.activation, load(y + t * step + k, n)), n);
    }
    if (t) affine(to, H, s.B, w_h.at, wide, H, static_cast<const T*>(nullptr), d_h.at, H, H);
  }
  __builtin_memcpy(x.at, in.x, rows * I * sizeof(T));  // whose own end has no slack
  outer(d_a.at, x.at, rows, H, I, d.d_w_ih);
  outer(d_a.at, y - step, rows, H, H, d.d_w_hh);
  if (d.d_b_ih) sum_rows(d_a.at, rows, H, d.d_b_ih);
}

}  // namespace unrolled::LEVEL
