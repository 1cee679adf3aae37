// The weights as the forward pass reads them, and what is kept of them from one call to the next.
#pragma once

#include "forward.hpp"

namespace unrolled::LEVEL {

// Uninitialised memory, for as long as this lives.  A small layer would spend its time in malloc, so
// what is small lies inside.
template <class T> struct Buffer {
  T* at;
  explicit Buffer(long count, bool zeroed = false) : at(nullptr) {
    if (count <= 0) return;
    const long bytes = count * long(sizeof(T));
    at = bytes <= long(sizeof near) ? reinterpret_cast<T*>(near) : static_cast<T*>(workspace(bytes));
    if (zeroed) __builtin_memset(at, 0, bytes);
  }
  ~Buffer() {
    if (at != reinterpret_cast<T*>(near)) release(at);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

 private:
  alignas(64) unsigned char near[512];
};

// b_ih + b_hh in the order of the packed weights.
template <class T> static void pack_bias(const Shape& s, const Inputs<T>& in, long blocks, T* to) {
  constexpr long L = lanes<T>;
  for (long j = 0; j < blocks; ++j)
    for (long g = 0; g < s.G(); ++g)
      for (long u = 0; u < L; ++u, ++to) {
        const long unit = j * L + u, row = g * s.H + unit;
        *to = unit < s.H ? (in.b_ih ? in.b_ih[row] : T(0)) + (in.b_hh ? in.b_hh[row] : T(0)) : T(0);
      }
}

// `once`: each panel is packed when it is read, into room for one that L2 holds.
template <class T> struct Packed {
  const bool once;
  long width, units;
  Buffer<T> w_x, w_h, bias;

  Packed(const Shape& s, const Inputs<T>& in, long rows, bool one_step = false)
      : once(one_step),
        width(width_for(s, rows)),
        units(blocks_of(s.H, lanes<T>) * s.G() * lanes<T>),
        w_x((once ? width * s.G() * lanes<T> : units) * s.I),
        w_h((once ? width * s.G() * lanes<T> : units) * s.H),
        bias(units) {
    pack_bias(s, in, blocks_of(s.H, lanes<T>), bias.at);
    if (once) return;
    pack_gates(in.w_ih, s.G(), s.H, s.I, width, 0, blocks_of(s.H, lanes<T>), w_x.at);
    pack_gates(in.w_hh, s.G(), s.H, s.H, width, 0, blocks_of(s.H, lanes<T>), w_h.at);
  }

  static long width_for(const Shape& s, long rows) { return panel_blocks(s.G(), rows, blocks_of(s.H, lanes<T>), s.G() * s.H * VECTOR_BYTES); }
};

// Packed weights beside a copy of those that they were made from.  Nobody says when a weight changes
// (torch's version counter does not see what is done through .data), so that they did not is seen by
// comparing them, all of them, bit for bit: a third of what packing takes.
template <class T> struct KeptWeights : Kept {
  const Shape shape;
  Packed<T> packed;
  Buffer<T> w_ih, w_hh, b_ih, b_hh;

  KeptWeights(const Shape& s, const Inputs<T>& in, long rows)
      : Kept{drop_it},
        shape(s),
        packed(s, in, rows),
        w_ih(s.G() * s.H * s.I),
        w_hh(s.G() * s.H * s.H),
        b_ih(in.b_ih ? s.G() * s.H : 0),
        b_hh(in.b_hh ? s.G() * s.H : 0) {
    const long gates = s.G() * s.H;
    copy(in.w_ih, w_ih.at, gates * s.I);
    copy(in.w_hh, w_hh.at, gates * s.H);
    copy(in.b_ih, b_ih.at, gates);
    copy(in.b_hh, b_hh.at, gates);
  }

  bool holds(const Shape& s, const Inputs<T>& in, long rows) const {
    const long gates = s.G() * s.H;
    return s.I == shape.I && s.H == shape.H && s.G() == shape.G() && Packed<T>::width_for(s, rows) == packed.width &&
           same(in.w_hh, w_hh.at, gates * s.H) && same(in.w_ih, w_ih.at, gates * s.I) &&
           same(in.b_ih, b_ih.at, gates) && same(in.b_hh, b_hh.at, gates);
  }

  static void copy(const T* from, T* to, long count) {
    if (from) __builtin_memcpy(to, from, count * sizeof(T));
  }
  static bool same(const T* a, const T* b, long count) {
    return a && b ? __builtin_memcmp(a, b, count * sizeof(T)) == 0 : !a && !b;
  }
  static void drop_it(Kept* self) { delete static_cast<KeptWeights*>(self); }
};

// Weights of which two copies do not fit into L2 are packed as fast as they are compared.
template <class T> static bool worth_keeping(const Shape& s) {
  return s.G() * s.H * (s.I + s.H) * long(sizeof(T)) <= 1L << 19;
}

// `*kept` if it holds these weights, otherwise what replaces it.
template <class T>
static const Packed<T>& kept_weights(const Shape& s, const Inputs<T>& in, long rows, Kept** kept) {
  // Another level, or another type of number, has another `drop`.
  if (*kept && (*kept)->drop == KeptWeights<T>::drop_it) {
    const auto* known = static_cast<const KeptWeights<T>*>(*kept);
    if (known->holds(s, in, rows)) return known->packed;
  }
  auto* made = new KeptWeights<T>(s, in, rows);
  if (*kept) (*kept)->drop(*kept);
  *kept = made;
  return made->packed;
}

}  // namespace unrolled::LEVEL
