// A layer's weights while it is trained with few rows: packed once, updated as they lie, and put back
// where Python has them when the block ends.  What the optimiser knows of them moves with them.
#pragma once

#include "backward.hpp"
#include "training.hpp"
#include "weights.hpp"

namespace unrolled::LEVEL {

// One matrix [G·H, K] of the layer: what stands for it in the list of what is learnt.
template <class T> struct Moved {
  Learned<T>* entry;   // null: it is not learnt
  Learned<T> outside;  // the entry as it was
  long K;
};

template <class T> struct Resident {
  TrainedLayer<T>* layer;
  Packed<T> packed;
  Buffer<T> d_x, d_h, d_bias, states;
  Few<T> few{};
  Moved<T> moved[2];

  // learned: the list, in which the layer's matrices are looked for.
  Resident(TrainedLayer<T>& from, long rows, Learned<T>* learned, long count)
      : layer(&from),
        packed(from.shape, from.in, rows),
        d_x(packed.units * from.shape.I, true),
        d_h(packed.units * from.shape.H, true),
        d_bias(packed.units, true),
        states(states_of(from, packed.units, learned, count), true) {
    few.width = packed.width;
    few.blocks = blocks_of(from.shape.H, lanes<T>);
    few.w_x = packed.w_x.at;
    few.w_h = packed.w_h.at;
    few.d_x = d_x.at;
    few.d_h = d_h.at;
    few.d_bias = d_bias.at;
    T* room = states.at;
    moved[0] = move_in(from.in.w_ih, from.shape.I, packed.w_x.at, d_x.at, learned, count, room);
    moved[1] = move_in(from.in.w_hh, from.shape.H, packed.w_h.at, d_h.at, learned, count, room);
  }
  ~Resident() {
    for (Moved<T>& m : moved)
      if (m.entry) move_out(m);
  }
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  // For the backward pass of another batch of so many steps and rows.
  Few<T>* again(long steps, long rows, const Rule& rule, double clip) {
    const bool plain = rule.method == Method::sgd && rule.momentum == 0 && rule.decay == 0 && clip <= 0;
    // Between the chunks of a longer batch the weights are still needed.
    const bool spent = plain && steps <= chunk_steps(rows);
    few.begun = few.turned = false;
    few.rate = T(rule.rate);
    few.spent_x = spent && moved[0].entry;
    few.spent_h = spent && moved[1].entry;
    for (Moved<T>& m : moved)
      if (m.entry) m.entry->spent = spent;
    return &few;
  }

  // The biases, which lie outside, changed with the update.
  void refresh() { pack_bias(layer->shape, layer->in, few.blocks, packed.bias.at); }

 private:
  static Learned<T>* entry_of(const T* value, Learned<T>* learned, long count) {
    for (Learned<T>* l = learned; l < learned + count; ++l)
      if (l->value == value) return l;
    return nullptr;
  }

  static long states_of(const TrainedLayer<T>& from, long units, Learned<T>* learned, long count) {
    long total = 0;
    const Learned<T>* entries[] = {entry_of(from.in.w_ih, learned, count), entry_of(from.in.w_hh, learned, count)};
    const long sizes[] = {units * from.shape.I, units * from.shape.H};
    for (int m = 0; m < 2; ++m)
      if (const Learned<T>* l = entries[m]) total += sizes[m] * (!!l->first + !!l->second + !!l->third);
    return total;
  }

  Moved<T> move_in(const T* value, long K, T* weights, T* gradient, Learned<T>* learned, long count, T*& room) {
    Learned<T>* entry = entry_of(value, learned, count);
    if (!entry) return {nullptr, {}, K};
    const Moved<T> m{entry, *entry, K};
    entry->value = weights;
    entry->gradient = gradient;
    entry->count = packed.units * K;
    T* Learned<T>::*const states[] = {&Learned<T>::first, &Learned<T>::second, &Learned<T>::third};
    for (T* Learned<T>::*state : states)
      if (entry->*state) {
        pack_gates<T>(entry->*state, layer->shape.G(), layer->shape.H, K, packed.width, 0, few.blocks, room);
        entry->*state = room;
        room += packed.units * K;
      }
    return m;
  }

  void move_out(const Moved<T>& m) {
    const Shape& s = layer->shape;
    const Learned<T> inside = *m.entry;
    const auto put = [&](const T* from, T* to) { unpack_gates(from, s.G(), s.H, m.K, packed.width, to); };
    put(inside.value, m.outside.value);
    if (inside.first) put(inside.first, m.outside.first);
    if (inside.second) put(inside.second, m.outside.second);
    if (inside.third) put(inside.third, m.outside.third);
    *m.entry = m.outside;
    m.entry->fresh = inside.fresh;
  }
};

}  // namespace unrolled::LEVEL
