// The cell, E1–E6, and its derivative: `unrolled/equations.py` in the same letters, for a vector of
// units.  What a mask does before and after a step, E7 and E8, stands in forward.hpp and
// backward.hpp.
#pragma once

#include "activations.hpp"
#include "arguments.hpp"

namespace unrolled::LEVEL {

// Which equations; the names are those of `Cell` in Python.
template <Forget FORGET, bool PEEPHOLE, bool IDENTITY> struct Cell {
  static constexpr Forget forget = FORGET;
  static constexpr bool peephole = PEEPHOLE;
  static constexpr bool identity = IDENTITY;
  // The gates that have weights: i, f, g, o or i, g, o.
  static constexpr int gates = FORGET == Forget::learned ? 4 : 3;
  static constexpr int at_g = gates - 2, at_o = gates - 1;
};

// One vector of each.
template <class T> struct Gates {
  Vec<T> i, f, g, o, c, h;
};

// Peephole weights of the units at hand.
template <class T> struct Peepholes {
  Vec<T> i, f, o;
};

// E1–E6.  a: the pre-activations of the gates that have weights, in order.
template <class T, class C>
UNROLLED_INLINE Gates<T> step(const Vec<T>* a, Vec<T> c_in, const Peepholes<T>& p, Vec<T> update,
                              bool updated) {
  Gates<T> s;
  s.i = sigmoid<T>(C::peephole ? fused(p.i, c_in, a[0]) : a[0]);  // E1
  if constexpr (C::forget == Forget::learned)
    s.f = sigmoid<T>(C::peephole ? fused(p.f, c_in, a[1]) : a[1]);  // E2
  else
    s.f = C::forget == Forget::one ? all<T>(T(1)) : T(1) - s.i;  // E2
  s.g = tanh<T>(a[C::at_g]);                                     // E3
  const Vec<T> g = updated ? s.g * update : s.g;
  s.c = C::forget == Forget::one ? fused(s.i, g, c_in) : fused(s.f, c_in, s.i * g);  // E4
  s.o = sigmoid<T>(C::peephole ? fused(p.o, s.c, a[C::at_o]) : a[C::at_o]);  // E5
  s.h = s.o * (C::identity ? s.c : tanh<T>(s.c));                       // E6
  return s;
}

// E6 back to E1.  s: what `step` gave (s.h is not read).  d: the gradient that reaches each of them
// from outside.  d_a: that of the pre-activations.  Returns that of c_in; d_p is given the gradient
// of the peepholes for this row.
template <class T, class C>
UNROLLED_INLINE Vec<T> step_backward(const Gates<T>& s, const Gates<T>& d, Vec<T> c_in,
                                     const Peepholes<T>& p, Vec<T> update, bool updated,
                                     Vec<T>* d_a, Peepholes<T>& d_p) {
  // E6: h = o⊙φ(c)
  Vec<T> phi = C::identity ? s.c : tanh<T>(s.c);
  Vec<T> d_c = d.c + d.h * (C::identity ? s.o : s.o * (T(1) - phi * phi));
  // E5: o = σ(a_o + p_o⊙c)
  Vec<T> d_a_o = (d.o + d.h * phi) * (s.o * (T(1) - s.o));
  d_a[C::at_o] = d_a_o;
  if constexpr (C::peephole) {
    d_c += d_a_o * p.o;
    d_p.o = d_a_o * s.c;
  }
  // E4: c = f⊙c_in + i⊙(g⊙update)
  Vec<T> d_c_in = d_c * s.f;
  Vec<T> d_i = d.i + d_c * (updated ? s.g * update : s.g);
  Vec<T> d_f = d.f + d_c * c_in;
  Vec<T> d_g = d.g + d_c * (updated ? s.i * update : s.i);
  // E3: g = tanh(a_g)
  d_a[C::at_g] = d_g * (T(1) - s.g * s.g);
  // E2: f = σ(a_f + p_f⊙c_in) | 1 | 1 − i
  if constexpr (C::forget == Forget::learned) {
    Vec<T> d_a_f = d_f * (s.f * (T(1) - s.f));
    d_a[1] = d_a_f;
    if constexpr (C::peephole) {
      d_c_in += d_a_f * p.f;
      d_p.f = d_a_f * c_in;
    }
  } else if constexpr (C::forget == Forget::coupled) {
    d_i -= d_f;
  }
  // E1: i = σ(a_i + p_i⊙c_in)
  Vec<T> d_a_i = d_i * (s.i * (T(1) - s.i));
  d_a[0] = d_a_i;
  if constexpr (C::peephole) {
    d_c_in += d_a_i * p.i;
    d_p.i = d_a_i * c_in;
  }
  return d_c_in;
}

// Row b of h_0 or of c_0, [B, H] or null.  zero: [H].
template <class T> UNROLLED_INLINE const T* start_of(const T* initial, long b, long H, const T* zero) {
  return initial ? initial + b * H : zero;
}

// Whether step t has one before it; `before` is the row of [T·B] where that would be.
template <class T> UNROLLED_INLINE bool begun(const Inputs<T>& in, long t, long before) {
  return t && (!in.inside || in.inside[before]);
}

}  // namespace unrolled::LEVEL
