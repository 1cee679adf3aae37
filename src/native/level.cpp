// One level of instruction sets for one type of number: this file is compiled once for each pair, with
// LEVEL, VECTOR_BYTES and REAL defined.  It cuts the batch into slices and chooses the instantiation.
#include "backward.hpp"
#include "forward.hpp"
#include "steps.hpp"
#include "weights.hpp"

namespace unrolled::LEVEL {
namespace {

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

// Of what is compiled once for each cell, with masks and without, the one for this shape: `make` is a
// lambda with these two as template parameters.
template <class Make> auto for_cell(const Shape& s, bool with_masks, Make make) {
  const auto of = [&]<Forget F, bool PEEPHOLE, bool IDENTITY>() {
    using C = Cell<F, PEEPHOLE, IDENTITY>;
    return with_masks ? make.template operator()<C, true>() : make.template operator()<C, false>();
  };
  const auto of_forget = [&]<Forget F>() {
    if (s.peephole)
      return s.identity ? of.template operator()<F, true, true>() : of.template operator()<F, true, false>();
    return s.identity ? of.template operator()<F, false, true>() : of.template operator()<F, false, false>();
  };
  if (s.forget == Forget::learned) return of_forget.template operator()<Forget::learned>();
  if (s.forget == Forget::one) return of_forget.template operator()<Forget::one>();
  return of_forget.template operator()<Forget::coupled>();
}

template <class T> Finish<T> finish_for(const Shape& s, bool with_masks) {
  return for_cell(s, with_masks, []<class C, bool M>() -> Finish<T> { return finish<T, C, M>; });
}

template <class T> RowBackward<T> row_backward_for(const Shape& s, bool with_masks) {
  return for_cell(s, with_masks, []<class C, bool M>() -> RowBackward<T> { return row_backward<T, C, M>; });
}

// What a slice of so many rows works in.
template <class T> struct Room {
  Buffer<T> c, h_rec, zero, a_x;
  Buffer<long> row;
  Buffer<const T*> x, h_in, h_rec_of, c_in;

  Room(const Shape& s, const Inputs<T>& in, const Outputs<T>& out, long rows, long ahead)
      : c(out.c ? 0 : rows * s.H),
        h_rec(in.recur ? rows * s.H : 0),
        zero(s.H, true),
        a_x(ahead),
        row(rows),
        x(rows),
        h_in(rows),
        h_rec_of(rows),
        c_in(rows) {}
};

template <class T>
Slice<T> slice_of(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, const Packed<T>& packed,
                  const Room<T>& room, long first, long rows) {
  Slice<T> s{};
  s.shape = &shape;
  s.in = &in;
  s.out = &out;
  s.first = first;
  s.rows = rows;
  s.blocks = blocks_of(shape.H, lanes<T>);
  s.width = packed.width;
  s.w_x = packed.w_x.at;
  s.w_h = packed.w_h.at;
  s.once_x = packed.once ? packed.w_x.at : nullptr;
  s.once_h = packed.once ? packed.w_h.at : nullptr;
  s.bias = packed.bias.at;
  s.c = room.c.at;
  s.h_rec = room.h_rec.at;
  s.zero = room.zero.at;
  s.a_x = room.a_x.at;
  s.row = room.row.at;
  s.x = room.x.at;
  s.h_in = room.h_in.at;
  s.h_rec_of = room.h_rec_of.at;
  s.c_in = room.c_in.at;
  return s;
}

template <class T> void run(Slice<T>& s, long ahead, Finish<T> finish) {
  if (s.shape->G() == 4)
    run<T, 4>(s, ahead, finish);
  else
    run<T, 3>(s, ahead, finish);
}

// For how many steps at once W_ih x is made; 0: at each step, together with W_hh h.
template <class T> long steps_ahead(const Shape& s, long slices, long units) {
  const long rows = blocks_of(s.B, slices);
  // Few rows at a time leave a tile half empty.
  long ahead = rows <= 3 ? 65536 / (units * rows) : 0;
  // Weights that do not fit into L2 are better read once for some 256 rows than again at each step,
  // unless there are so many rows that what is made ahead is the larger part.
  if (rows > 3 && units * (s.I + s.H) * long(sizeof(T)) > 3L << 19 && s.I > 2 * rows) ahead = 256 / rows;
  if (rows <= 3 && ahead < 1) ahead = 1;
  return smaller(ahead, s.T);
}

template <class T> struct ForwardWork {
  const Shape* shape;
  const Inputs<T>* in;
  const Outputs<T>* out;
  const Packed<T>* packed;
  long slices, ahead;
  Finish<T> finish;
};

template <class T> void forward_slice(void* context, int k) {
  const ForwardWork<T>& work = *static_cast<const ForwardWork<T>*>(context);
  const long B = work.shape->B, first = B * k / work.slices, rows = B * (k + 1) / work.slices - first;
  Room<T> room(*work.shape, *work.in, *work.out, rows, work.ahead * rows * work.packed->units);
  Slice<T> s = slice_of(*work.shape, *work.in, *work.out, *work.packed, room, first, rows);
  run(s, work.ahead, work.finish);
}

template <class T>
void forward_with(const Packed<T>& packed, const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, long slices) {
  const long ahead = packed.once ? 0 : steps_ahead<T>(shape, slices, packed.units);
  const long steps = shape.T * shape.B * shape.H * long(sizeof(T));
  expect_large(out.y, steps);
  expect_large(out.gates, 4 * steps);
  expect_large(out.c, steps);
  ForwardWork<T> work{&shape, &in, &out, &packed, slices, ahead, finish_for<T>(shape, masked(in))};
  in_parallel(int(slices), forward_slice<T>, &work);
}

template <class T>
void forward(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, Kept** kept) {
  const long slices = slices_for(shape), rows = shape.B / slices;
  if (kept && worth_keeping<T>(shape))
    forward_with(kept_weights(shape, in, rows, kept), shape, in, out, slices);
  else
    forward_with(Packed<T>(shape, in, rows, shape.T == 1 && slices == 1), shape, in, out, slices);
}

template <class T> struct LayerStepper : Stepper {
  Shape shape;
  Inputs<T> in;
  Outputs<T> out;
  Packed<T> packed;
  Room<T> room;
  Slice<T> slice;
  Finish<T> finish;

  LayerStepper(const Shape& s, const Inputs<T>& i, const Outputs<T>& o)
      : Stepper{take, drop_it},
        shape(s),
        in(i),
        out(o),
        packed(s, i, s.B),
        room(s, i, o, s.B, 0),
        slice(slice_of(shape, in, out, packed, room, 0, s.B)),
        finish(finish_for<T>(s, masked(i))) {}

  static void take(Stepper* self) {
    auto* stepper = static_cast<LayerStepper*>(self);
    run(stepper->slice, 1, stepper->finish);
  }
  static void drop_it(Stepper* self) {
    delete static_cast<LayerStepper*>(self);
  }
};

template <class T> Stepper* stepper(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out) {
  return new LayerStepper<T>(shape, in, out);
}

template <class T> struct BackwardWork {
  BackSlice<T> common;
  long slices;
  bool with_masks;
  RowBackward<T> row_backward;
  T* sums;  // for each slice `sums`, and then `thin_sums`
  T* d_p;   // [slices][P, padded]
};

template <class T> long sums_size(const BackSlice<T>& s) { return s.gate_blocks * lanes<T> * (s.stride + 1 + s.thin); }

template <class T> void backward_slice(void* context, int k) {
  const BackwardWork<T>& work = *static_cast<const BackwardWork<T>*>(context);
  BackSlice<T> s = work.common;
  const Shape& shape = *s.shape;
  s.first = shape.B * k / work.slices;
  s.rows = shape.B * (k + 1) / work.slices - s.first;
  const long wide = blocks_of(shape.I, lanes<T>) * lanes<T>;
  Buffer<T> zero(shape.H, true), d_a(s.gate_blocks * s.pitch * lanes<T>);
  Buffer<T> read(s.capacity * s.stride, true), d_h(s.rows * s.padded, true), d_c(s.rows * s.padded, true);
  Buffer<T> rest(work.with_masks ? s.rows * s.padded : 0, true);
  Buffer<T> product(work.with_masks ? s.rows * s.padded : 0);
  Buffer<T> staged(s.d->d_x && !s.thin ? s.capacity * wide : 0);
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
  s.sums = work.sums + k * sums_size(s);
  s.thin_sums = s.sums + s.gate_blocks * lanes<T> * s.stride;
  s.d_p = work.d_p ? work.d_p + k * (shape.G() - 1) * s.padded : nullptr;
  run_back(s, work.with_masks, work.row_backward);
}

// The slices' sums added up in their order, and put where Python wants them.
template <class T> void collect(const BackwardWork<T>& work) {
  constexpr long L = lanes<T>;
  const BackSlice<T>& s = work.common;
  const Shape& shape = *s.shape;
  const Gradients<T>& d = *s.d;
  const long H = shape.H, I = shape.I, blocks = s.padded / L, size = sums_size(s), wide = I - s.thin;
  if (s.few) {
    if (!s.few->begun) few_nothing(*s.few, I, H, shape.G());
    if (d.d_b_ih) unpack_gates(s.few->d_bias, shape.G(), H, 1, s.few->width, d.d_b_ih);
    if (d.d_b_hh) __builtin_memcpy(d.d_b_hh, d.d_b_ih, shape.G() * H * sizeof(T));
  }
  for (long k = 1; k < work.slices; ++k) add_row(work.sums, work.sums + k * size, size);
  for (long g = 0; g < shape.G() && !s.few; ++g)
    for (long unit = 0; unit < H; ++unit) {
      const long at = g * blocks * L + unit, row = g * H + unit;
      const T* from = work.sums + at * s.stride;
      const T* thin = work.sums + s.gate_blocks * L * s.stride + at / L * (1 + s.thin) * L + at % L;
      __builtin_memcpy(d.d_w_ih + row * I, from, wide * sizeof(T));
      for (long n = 0; n < s.thin; ++n) d.d_w_ih[row * I + n] = thin[(1 + n) * L];
      __builtin_memcpy(d.d_w_hh + row * H, from + wide, H * sizeof(T));
      if (d.d_b_ih) d.d_b_ih[row] = thin[0];
      if (d.d_b_hh) d.d_b_hh[row] = thin[0];
    }
  if (!d.d_p) return;
  const long P = shape.G() - 1;
  for (long k = 1; k < work.slices; ++k) add_row(work.d_p, work.d_p + k * P * s.padded, P * s.padded);
  for (long g = 0; g < P; ++g) __builtin_memcpy(d.d_p + g * H, work.d_p + g * s.padded, H * sizeof(T));
}

template <class T>
void backward_with(Few<T>* few, const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, const Gradients<T>& d) {
  constexpr long L = lanes<T>;
  BackwardWork<T> work{};
  BackSlice<T>& s = work.common;
  s.shape = &shape;
  s.in = &in;
  s.out = &out;
  s.d = &d;
  s.few = few;
  work.slices = few ? 1 : slices_for(shape);
  work.with_masks = masked(in);
  const long rows = shape.B / work.slices, G = shape.G(), most = blocks_of(shape.B, work.slices);
  const long blocks = blocks_of(shape.H, L);
  s.gate_blocks = G * blocks;
  s.padded = blocks * L;
  s.thin = thin<T>(shape.I) && !few ? shape.I : 0;
  s.stride = blocks_of(shape.I - s.thin + shape.H, L) * L;
  s.capacity = smaller(shape.T, chunk_steps(most)) * most;
  s.pitch = s.capacity | 1;
  // A single step goes back through W_hh only if somebody asks what came before it.
  const bool back = shape.T > 1 || d.d_h_0;
  Buffer<T> w_h(back && !few ? s.gate_blocks * L * s.padded : 0);
  Buffer<T> w_x(d.d_x && !few ? s.gate_blocks * L * (s.thin ? s.thin : blocks_of(shape.I, L) * L) : 0);
  // The slices' rows may differ by one; the panels must be those of all.
  if (back && !few) pack_columns(in.w_hh, G, shape.H, shape.H, rows, w_h.at);
  if (d.d_x && s.thin) pack_thin(in.w_ih, G, shape.H, shape.I, w_x.at);
  if (d.d_x && !s.thin && !few) pack_columns(in.w_ih, G, shape.H, shape.I, s.capacity, w_x.at);
  s.w_h = w_h.at;
  s.w_x = w_x.at;
  s.rows_at_once = rows;
  Buffer<T> sums(few ? 0 : work.slices * sums_size(s), true);
  Buffer<T> d_p(d.d_p ? work.slices * (G - 1) * s.padded : 0, true);
  work.sums = sums.at;
  work.d_p = d_p.at;
  if (d.d_h_0) __builtin_memset(d.d_h_0, 0, shape.B * shape.H * sizeof(T));
  if (d.d_c_0) __builtin_memset(d.d_c_0, 0, shape.B * shape.H * sizeof(T));
  if (d.d_x && in.live) __builtin_memset(d.d_x, 0, shape.T * shape.B * shape.I * sizeof(T));
  expect_large(d.d_x, shape.T * shape.B * shape.I * long(sizeof(T)));
  work.row_backward = row_backward_for<T>(shape, work.with_masks);
  in_parallel(int(work.slices), backward_slice<T>, &work);
  collect(work);
}

template <class T>
void backward(const Shape& shape, const Inputs<T>& in, const Outputs<T>& out, const Gradients<T>& d) {
  backward_with<T>(nullptr, shape, in, out, d);
}

template <class T> long train_all(Training<T>& net, const Batch<T>* batches, long count, T* losses) {
  return train(net, batches, count, losses, Passes<T>{forward<T>, forward_with<T>, backward_with<T>});
}

template <class T> double busy(long rounds) {
  constexpr int n = held_sums;
  Vec<T> sum[n], a = all<T>(T(0.5)), b = all<T>(T(0.25));
  for (int i = 0; i < n; ++i) sum[i] = all<T>(T(i));  // different, or they would be made as one
  for (long k = 0; k < rounds; ++k) {
#pragma GCC unroll 24
    for (int i = 0; i < n; ++i) sum[i] = sum[i] * a + b;
  }
  T total = 0;
  for (int i = 0; i < n; ++i) total += sum[i][0];
  return total < T(0) ? 0 : 2.0 * double(rounds) * n * lanes<T>;
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
constexpr Entry<REAL> NAME{
    forward<REAL>, backward<REAL>, stepper<REAL>, busy<REAL>, map<REAL, sigmoid_of<REAL>>, map<REAL, tanh_of<REAL>>,
    train_all<REAL>};

}  // namespace unrolled::LEVEL
