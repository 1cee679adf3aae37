// One level of instruction sets for one type of number: this file is compiled once for each pair, with
// LEVEL, VECTOR_BYTES and REAL defined.  It cuts the batch into slices and chooses the instantiation.
#include "backward.hpp"
#include "forward.hpp"

namespace unrolled::LEVEL {
namespace {

// Uninitialised memory for the length of a call.
template <class T> struct Buffer {
  T* at;
  explicit Buffer(long count, bool zeroed = false) : at(nullptr) {
    if (count <= 0) return;
    at = static_cast<T*>(workspace(count * long(sizeof(T))));
    if (zeroed) __builtin_memset(at, 0, count * sizeof(T));
  }
  ~Buffer() { release(at); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};

template <class T> bool masked(const Inputs<T>& in) {
  return in.carry || in.live || in.recur || in.update || in.keep_h || in.keep_c;
}

// How many slices: no more than threads, each with rows enough to fill a tile and work enough to pay
// for starting a thread (some 30 µs; a core does over 10⁶ multiplications in that time).
long slices_for(const Shape& s) {
  const double work = double(s.T) * s.B * s.G() * s.H * (s.I + s.H);
  long count = smaller(s.threads, s.B / 6);
  count = smaller(count, long(work / 2e6));
  return count < 1 ? 1 : count;
}

// The choice among the cells: CHOOSE(function) is `function<T, Cell<…>, M>` for this shape.
template <class T, bool M, template <class, class, bool> class Pick, Forget F>
auto pick_from(const Shape& s) {
  if (s.peephole) return s.identity ? Pick<T, Cell<F, true, true>, M>::of() : Pick<T, Cell<F, true, false>, M>::of();
  return s.identity ? Pick<T, Cell<F, false, true>, M>::of() : Pick<T, Cell<F, false, false>, M>::of();
}

template <class T, bool M, template <class, class, bool> class Pick> auto pick_forget(const Shape& s) {
  if (s.forget == Forget::learned) return pick_from<T, M, Pick, Forget::learned>(s);
  if (s.forget == Forget::one) return pick_from<T, M, Pick, Forget::one>(s);
  return pick_from<T, M, Pick, Forget::coupled>(s);
}

template <class T, template <class, class, bool> class Pick> auto pick(const Shape& s, bool with_masks) {
  return with_masks ? pick_forget<T, true, Pick>(s) : pick_forget<T, false, Pick>(s);
}

template <class T, class C, bool M> struct PickFinish {
  static Finish<T> of() { return finish<T, C, M>; }
};
template <class T, class C, bool M> struct PickRowBackward {
  static RowBackward<T> of() { return row_backward<T, C, M>; }
};

// b_ih + b_hh in the order of the packed weights.
template <class T> void pack_bias(const Shape& s, const Inputs<T>& in, long blocks, T* to) {
  constexpr long L = lanes<T>;
  for (long j = 0; j < blocks; ++j)
    for (long g = 0; g < s.G(); ++g)
      for (long u = 0; u < L; ++u, ++to) {
        const long unit = j * L + u, row = g * s.H + unit;
        *to = unit < s.H ? (in.b_ih ? in.b_ih[row] : T(0)) + (in.b_hh ? in.b_hh[row] : T(0)) : T(0);
      }
}

template <class T> struct ForwardWork {
  Slice<T> common;
  long slices, ahead;
  Finish<T> finish;
};

template <class T> void forward_slice(void* context, int k) {
  const ForwardWork<T>& work = *static_cast<const ForwardWork<T>*>(context);
  Slice<T> s = work.common;
  const Shape& shape = *s.shape;
  s.first = shape.B * k / work.slices;
  s.rows = shape.B * (k + 1) / work.slices - s.first;
  Buffer<T> c(s.out->c ? 0 : s.rows * shape.H), h_rec(s.in->recur ? s.rows * shape.H : 0);
  Buffer<T> zero(shape.H, true);
  Buffer<T> a_x(work.ahead * s.rows * s.panels * s.width * shape.G() * lanes<T>);
  Buffer<long> row(s.rows);
  Buffer<const T*> x(s.rows), h_in(s.rows), h_rec_of(s.rows), c_in(s.rows);
  s.c = c.at;
  s.h_rec = h_rec.at;
  s.zero = zero.at;
  s.a_x = a_x.at;
  s.row = row.at;
  s.x = x.at;
  s.h_in = h_in.at;
  s.h_rec_of = h_rec_of.at;
  s.c_in = c_in.at;
  if (shape.G() == 4)
    run<T, 4>(s, work.ahead, work.finish);
  else
    run<T, 3>(s, work.ahead, work.finish);
}

template <class T> void forward(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out) {
  constexpr long L = lanes<T>;
  ForwardWork<T> work{};
  Slice<T>& s = work.common;
  s.shape = &shape;
  s.in = &in;
  s.out = &out;
  work.slices = slices_for(shape);
  const long rows = shape.B / work.slices, G = shape.G();
  s.blocks = blocks_of(shape.H, L);
  s.width = panel_blocks(G, rows, s.blocks);
  s.panels = blocks_of(s.blocks, s.width);
  const long units = s.panels * s.width * G * L;
  Buffer<T> w_x(units * shape.I), w_h(units * shape.H), bias(units);
  pack_gates(in.w_ih, G, shape.H, shape.I, s.width, s.panels, w_x.at);
  pack_gates(in.w_hh, G, shape.H, shape.H, s.width, s.panels, w_h.at);
  pack_bias(shape, in, s.panels * s.width, bias.at);
  s.w_x = w_x.at;
  s.w_h = w_h.at;
  s.bias = bias.at;
  // With few rows at a time, W_ih x is made for many steps at once, where the tile has all its rows.
  if (rows <= 3 && work.slices == 1) {
    work.ahead = smaller(shape.T, 65536 / (units * rows));
    if (work.ahead < 1) work.ahead = 1;
  }
  work.finish = pick<T, PickFinish>(shape, masked(in));
  in_parallel(int(work.slices), forward_slice<T>, &work);
}

template <class T> struct BackwardWork {
  BackSlice<T> common;
  long slices;
  bool with_masks;
  RowBackward<T> row_backward;
  T* sums;  // [slices][gate_blocks·lanes, stride]
  T* d_p;   // [slices][P, padded]
};

template <class T> void backward_slice(void* context, int k) {
  const BackwardWork<T>& work = *static_cast<const BackwardWork<T>*>(context);
  BackSlice<T> s = work.common;
  const Shape& shape = *s.shape;
  s.first = shape.B * k / work.slices;
  s.rows = shape.B * (k + 1) / work.slices - s.first;
  const long wide = blocks_of(shape.I, lanes<T>) * lanes<T>;
  Buffer<T> zero(shape.H, true), d_a(s.gate_blocks * s.capacity * lanes<T>);
  Buffer<T> read(s.capacity * s.stride, true), d_h(s.rows * s.padded, true), d_c(s.rows * s.padded, true);
  Buffer<T> rest(work.with_masks ? s.rows * s.padded : 0, true);
  Buffer<T> product(work.with_masks ? s.rows * s.padded : 0);
  Buffer<T> staged(s.w_x ? s.capacity * wide : 0);
  Buffer<long> at(s.capacity);
  Buffer<T*> to(s.capacity);
  s.zero = zero.at;
  s.d_a = d_a.at;
  s.read = read.at;
  s.d_h = d_h.at;
  s.d_c = d_c.at;
  s.rest = rest.at;
  s.product = product.at;
  s.staged = staged.at;
  s.at = at.at;
  s.to = to.at;
  s.sums = work.sums + k * s.gate_blocks * lanes<T> * s.stride;
  s.d_p = work.d_p ? work.d_p + k * (shape.G() - 1) * s.padded : nullptr;
  run_back(s, work.with_masks, work.row_backward);
}

// The slices' sums added up in their order, and put where Python wants them.
template <class T> void collect(const BackwardWork<T>& work) {
  constexpr long L = lanes<T>;
  const BackSlice<T>& s = work.common;
  const Shape& shape = *s.shape;
  const Gradients<T>& d = *s.d;
  const long H = shape.H, I = shape.I, blocks = s.padded / L, size = s.gate_blocks * L * s.stride;
  for (long k = 1; k < work.slices; ++k) add_row(work.sums, work.sums + k * size, size);
  for (long g = 0; g < shape.G(); ++g)
    for (long unit = 0; unit < H; ++unit) {
      const T* from = work.sums + (g * blocks * L + unit) * s.stride;
      const long row = g * H + unit;
      __builtin_memcpy(d.d_w_ih + row * I, from, I * sizeof(T));
      __builtin_memcpy(d.d_w_hh + row * H, from + I, H * sizeof(T));
      d.d_b[row] = from[I + H];
    }
  if (!d.d_p) return;
  const long P = shape.G() - 1;
  for (long k = 1; k < work.slices; ++k) add_row(work.d_p, work.d_p + k * P * s.padded, P * s.padded);
  for (long g = 0; g < P; ++g) __builtin_memcpy(d.d_p + g * H, work.d_p + g * s.padded, H * sizeof(T));
}

template <class T>
void backward(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, const Gradients<T>& d) {
  constexpr long L = lanes<T>;
  BackwardWork<T> work{};
  BackSlice<T>& s = work.common;
  s.shape = &shape;
  s.in = &in;
  s.out = &out;
  s.d = &d;
  work.slices = slices_for(shape);
  work.with_masks = masked(in);
  const long rows = shape.B / work.slices, G = shape.G(), most = blocks_of(shape.B, work.slices);
  const long blocks = blocks_of(shape.H, L);
  s.gate_blocks = G * blocks;
  s.padded = blocks * L;
  s.stride = blocks_of(shape.I + shape.H + 1, L) * L;
  // Some 256 rows: enough for the weights' gradient to pay, few enough for the cache.
  s.capacity = smaller(shape.T, blocks_of(256, most)) * most;
  Buffer<T> w_h(s.gate_blocks * L * s.padded), w_x(d.d_x ? s.gate_blocks * L * blocks_of(shape.I, L) * L : 0);
  // The slices' rows may differ by one; the panels must be those of all.
  pack_columns(in.w_hh, G, shape.H, shape.H, rows, w_h.at);
  if (d.d_x) pack_columns(in.w_ih, G, shape.H, shape.I, s.capacity, w_x.at);
  s.w_h = w_h.at;
  s.w_x = w_x.at;
  s.rows_at_once = rows;
  Buffer<T> sums(work.slices * s.gate_blocks * L * s.stride, true);
  Buffer<T> d_p(d.d_p ? work.slices * (G - 1) * s.padded : 0, true);
  work.sums = sums.at;
  work.d_p = d_p.at;
  __builtin_memset(d.d_h_0, 0, shape.B * shape.H * sizeof(T));
  __builtin_memset(d.d_c_0, 0, shape.B * shape.H * sizeof(T));
  if (d.d_x && in.live) __builtin_memset(d.d_x, 0, shape.T * shape.B * shape.I * sizeof(T));
  work.row_backward = pick<T, PickRowBackward>(shape, work.with_masks);
  in_parallel(int(work.slices), backward_slice<T>, &work);
  collect(work);
}

template <class T, Vec<T> (*F)(Vec<T>)> void map(const T* from, T* to, long count) {
  for (long k = 0; k < count; k += lanes<T>) {
    const long n = smaller(lanes<T>, count - k);
    store(to + k, F(load(from + k, n)), n);
  }
}

template <class T> Vec<T> sigmoid_of(Vec<T> x) { return sigmoid<T>(x); }
template <class T> Vec<T> tanh_of(Vec<T> x) { return tanh<T>(x); }

}  // namespace

extern const Entry<REAL> NAME;
constexpr Entry<REAL> NAME{forward<REAL>, backward<REAL>, map<REAL, sigmoid_of<REAL>>, map<REAL, tanh_of<REAL>>};

}  // namespace unrolled::LEVEL
