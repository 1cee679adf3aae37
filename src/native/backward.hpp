// The backward pass: for a slice of the batch, the steps from last to first, in chunks whose gate
// gradients stay in the cache until the weights' gradient has read them.
#pragma once

#include "cell.hpp"
#include "few.hpp"
#include "thin.hpp"

namespace unrolled::LEVEL {

// Steps in a chunk.  Some 256 rows: enough for the weights' gradient to pay, few enough for the cache.
UNROLLED_INLINE long chunk_steps(long rows) { return blocks_of(256, rows); }

template <class T> struct BackSlice {
  const Shape* shape;
  const Inputs<T>* in;
  const Outputs<T>* out;
  const Gradients<T>* d;
  long first, rows;
  long gate_blocks;  // G · blocks of units
  long padded;       // H rounded up to whole vectors
  long thin;         // I where x is thin, otherwise 0
  long stride;       // I - thin + H rounded up: x, unless it is thin, and h_rec side by side
  long capacity;     // rows in a chunk
  long pitch;        // rows from one block of d_a to the next: more, or all blocks share a few lines of L1
  long rows_at_once;  // what pack_columns was told for w_h
  const T* w_h;      // pack_columns of w_hh
  const T* w_x;      // pack_thin of w_ih, or pack_columns for a chunk's rows at once; null without d_x
  const T* zero;     // [H]
  Few<T>* few;       // where the weights are packed already, and updated where they are; or null
  T* d_a;     // [gate_blocks][pitch][lanes]
  T* read;    // [capacity, stride]: what the live rows of the chunk read
  long* at;   // [capacity]: which row of [T·B] each of them is
  T* d_h;     // [rows, padded]: the gradient that comes back from the step after
  T* d_c;     // [rows, padded]
  T* rest;    // [rows, padded]: what of d_h passes by the step, through E8
  T* product; // [rows, padded]: W_hhᵀ d_a
  T** to;     // [capacity]
  T* staged;  // [capacity, I rounded up] or null
  T* sums;    // [gate_blocks·lanes, stride]: the gradient of w_ih, unless x is thin, and w_hh side by side
  T* thin_sums;  // [gate_blocks][1 + thin][lanes]: that of b, and of w_ih where x is thin
  T* d_p;     // [P, padded]
};

// E8 to E1 for one live row.  k: its place in the chunk.
template <class T, class C, bool MASKED>
static void row_backward(const BackSlice<T>& s, long r, long row, long k, const T* h_in, const T* c_in_row) {
  constexpr long L = lanes<T>;
  constexpr int G = C::gates;
  const Gradients<T>& d = *s.d;
  const long H = s.shape->H, blocks = s.padded / L;
  T *d_h_row = s.d_h + r * s.padded, *d_c_row = s.d_c + r * s.padded;
  T* read = s.read + k * s.stride + s.shape->I - s.thin;
  const T* recur = MASKED && s.in->recur ? s.in->recur + (s.first + r) * H : nullptr;
  for (long j = 0; j < blocks; ++j) {
    const long u = j * L, n = smaller(L, H - u);
    Vec<T> d_h = load(d_h_row + u), d_c = load(d_c_row + u);
    if (d.d_y) d_h += load(d.d_y + row * H + u, n);
    if (d.d_c) d_c += load(d.d_c + row * H + u, n);
    const T* gates = s.out->gates + row * 4 * H + u;
    Gates<T> v;
    v.i = load(gates, n);
    v.f = load(gates + H, n);
    v.g = load(gates + 2 * H, n);
    v.o = load(gates + 3 * H, n);
    const Vec<T> c_in = load(c_in_row + u, n);
    const bool updated = MASKED && s.in->update;
    const Vec<T> update = updated ? load(s.in->update + row * H + u, n) : Vec<T>{};
    v.c = v.f * c_in + v.i * (updated ? v.g * update : v.g);  // E4
    v.h = v.c;
    Vec<T> d_h_new = d_h, d_c_new = d_c;
    if constexpr (MASKED) {  // E8
      if (s.in->keep_h) d_h_new = d_h * load(s.in->keep_h + row * s.in->keep_step + u, n);
      if (s.in->keep_c) d_c_new = d_c * load(s.in->keep_c + row * s.in->keep_step + u, n);
      store(s.rest + r * s.padded + u, d_h - d_h_new);
    }
    Gates<T> d_v{Vec<T>{}, Vec<T>{}, Vec<T>{}, Vec<T>{}, d_c_new, d_h_new};
    if (d.d_gates) {
      const T* from = d.d_gates + row * 4 * H + u;
      d_v.i = load(from, n);
      d_v.f = load(from + H, n);
      d_v.g = load(from + 2 * H, n);
      d_v.o = load(from + 3 * H, n);
    }
    Peepholes<T> p{}, d_p{};
    if constexpr (C::peephole) {
      p.i = load(s.in->p + u, n);
      if constexpr (G == 4) p.f = load(s.in->p + H + u, n);
      p.o = load(s.in->p + (G - 2) * H + u, n);
    }
    Vec<T> d_a[G];
    Vec<T> d_c_in = step_backward<T, C>(v, d_v, c_in, p, update, updated, d_a, d_p);
    if constexpr (MASKED) d_c_in += d_c - d_c_new;
    store(d_c_row + u, d_c_in);
    for (int g = 0; g < G; ++g) store(s.d_a + ((g * blocks + j) * s.pitch + k) * L, d_a[g]);
    if constexpr (C::peephole) {
      T* to = s.d_p + u;
      store(to, load(to) + d_p.i);
      if constexpr (G == 4) store(to + s.padded, load(to + s.padded) + d_p.f);
      store(to + (G - 2) * s.padded, load(to + (G - 2) * s.padded) + d_p.o);
    }
    Vec<T> h = load(h_in + u, n);
    store(read + u, recur ? h * load(recur + u, n) : h, n);
  }
}

template <class T> using RowBackward = void (*)(const BackSlice<T>&, long, long, long, const T*, const T*);

// to += from, or to = from, for one row.
template <class T> UNROLLED_INLINE void add_row(T* to, const T* from, long n) {
  for (long u = 0; u < n; ++u) to[u] += from[u];
}

// Step t: the live rows' gate gradients go to rows `filled` ... of the chunk; then the products, and E7.
// Returns how many rows the chunk has now.
template <class T>
static long back_step(const BackSlice<T>& s, long t, long filled, bool masked, RowBackward<T> row_backward) {
  const Shape& shape = *s.shape;
  const Inputs<T>& in = *s.in;
  const Gradients<T>& d = *s.d;
  const long H = shape.H, B = shape.B, I = shape.I;
  const long start = filled;
  for (long r = 0; r < s.rows; ++r) {
    const long b = s.first + r, row = t * B + b;
    if (in.inside && !in.inside[row]) continue;
    const bool carried = !in.carry || in.carry[row];
    if (in.live && !in.live[row]) {  // E8: the state was held
      if (d.d_y) add_row(s.d_h + r * s.padded, d.d_y + row * H, H);
      if (d.d_c) add_row(s.d_c + r * s.padded, d.d_c + row * H, H);
      continue;
    }
    const T *h_in, *c_in;
    if (!carried) {
      h_in = start_of(in.to_start ? in.h_0 : nullptr, b, H, s.zero);
      c_in = start_of(in.to_start ? in.c_0 : nullptr, b, H, s.zero);
    } else {
      const bool first = !begun(in, t, row - B);
      h_in = first ? start_of(in.h_0, b, H, s.zero) : s.out->y + (row - B) * H;
      c_in = first ? start_of(in.c_0, b, H, s.zero) : s.out->c + (row - B) * H;
    }
    if (!s.thin) __builtin_memcpy(s.read + filled * s.stride, in.x + row * I, I * sizeof(T));
    s.at[filled] = row;
    row_backward(s, r, row, filled, h_in, c_in);
    s.to[filled - start] = (masked ? s.product : s.d_h) + r * s.padded;
    ++filled;
  }
  if (t == 0 && !d.d_h_0) return filled;  // nobody asks what comes before
  if (s.few)
    (shape.G() == 4 ? few_columns<T, 4> : few_columns<T, 3>)(*s.few, s.few->w_h, H, s.d_a, s.pitch, start,
                                                            filled - start, s.to);
  else
    gates_to_columns<T>(s.d_a, s.pitch, start, filled - start, s.rows_at_once, s.gate_blocks, s.w_h, H, s.to);
  if (!masked) return filled;
  for (long r = 0, k = start; r < s.rows; ++r) {
    const long b = s.first + r, row = t * B + b;
    T *d_h = s.d_h + r * s.padded, *d_c = s.d_c + r * s.padded;
    if (k < filled && s.at[k] == row) {  // live: what passed by, and what came through the product
      const T *rest = s.rest + r * s.padded, *product = s.product + r * s.padded;
      for (long u = 0; u < H; ++u)
        d_h[u] = rest[u] + product[u] * (in.recur ? in.recur[b * H + u] : T(1));  // E7
      ++k;
    }
    if (in.carry && !in.carry[row]) {  // E7
      if (in.to_start && d.d_h_0) {
        add_row(d.d_h_0 + b * H, d_h, H);
        add_row(d.d_c_0 + b * H, d_c, H);
      }
      __builtin_memset(d_h, 0, H * sizeof(T));
      __builtin_memset(d_c, 0, H * sizeof(T));
    }
  }
  return filled;
}

// The gradient of x for a full chunk.
template <class T> static void spend_on_x(const BackSlice<T>& s, long filled) {
  const long I = s.shape->I, wide = blocks_of(I, lanes<T>) * lanes<T>;
  if (s.thin) return thin_input<T>(s.d_a, s.pitch, filled, s.gate_blocks, s.w_x, I, s.at, s.d->d_x);
  for (long k = 0; k < filled; ++k) s.to[k] = s.staged + k * wide;
  if (s.few)
    (s.shape->G() == 4 ? few_columns<T, 4> : few_columns<T, 3>)(*s.few, s.few->w_x, I, s.d_a, s.pitch, 0, filled, s.to);
  else
    gates_to_columns<T>(s.d_a, s.pitch, 0, filled, s.capacity, s.gate_blocks, s.w_x, I, s.to);
  for (long k = 0; k < filled; ++k) __builtin_memcpy(s.d->d_x + s.at[k] * I, s.to[k], I * sizeof(T));
}

// What a full chunk is for: the gradient of x, and that of the weights, with which they may change.
template <class T> static void spend(const BackSlice<T>& s, long filled) {
  if (!filled) return;  // no row was live
  if (s.d->d_x) spend_on_x(s, filled);
  if (s.few) {
    const Shape& shape = *s.shape;
    long after = filled;  // the rows that read an h which is not the zero of the beginning: that comes last
    while (!s.in->h_0 && after > 0 && s.at[after - 1] < shape.B) --after;
    return (shape.G() == 4 ? few_weights<T, 4> : few_weights<T, 3>)(*s.few, s.read, s.stride, shape.I, shape.H, s.d_a,
                                                                   s.pitch, filled, after);
  }
  weights_gradient<T>(s.d_a, s.pitch, filled, s.gate_blocks, s.read, s.stride, s.sums);
  thin_gradient<T>(s.d_a, s.pitch, filled, s.gate_blocks, s.in->x, s.at, s.thin, s.thin_sums);
}

template <class T> static void run_back(const BackSlice<T>& s, bool masked, RowBackward<T> row_backward) {
  const Shape& shape = *s.shape;
  const Gradients<T>& d = *s.d;
  const long H = shape.H;
  for (long r = 0; r < s.rows; ++r) {
    const long b = s.first + r;
    if (d.d_h_n) __builtin_memcpy(s.d_h + r * s.padded, d.d_h_n + b * H, H * sizeof(T));
    if (d.d_c_n) __builtin_memcpy(s.d_c + r * s.padded, d.d_c_n + b * H, H * sizeof(T));
  }
  long filled = 0;
  for (long t = shape.T; t-- > 0;) {
    if (filled + s.rows > s.capacity) {
      spend(s, filled);
      filled = 0;
    }
    filled = back_step(s, t, filled, masked, row_backward);
  }
  spend(s, filled);
  for (long r = 0; r < s.rows && d.d_h_0; ++r) {
    add_row(d.d_h_0 + (s.first + r) * H, s.d_h + r * s.padded, H);
    add_row(d.d_c_0 + (s.first + r) * H, s.d_c + r * s.padded, H);
  }
}

}  // namespace unrolled::LEVEL
