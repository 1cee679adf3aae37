// The forward pass: for a slice of the batch, all steps.  Rows of the batch never meet, so slices on
// different threads need no barrier.
#pragma once

#include "cell.hpp"
#include "product.hpp"

namespace unrolled::LEVEL {

// What one slice works with.  Row r of the slice is row `first + r` of the batch.
template <class T> struct Slice {
  const Shape* shape;
  const Inputs<T>* in;
  const Outputs<T>* out;
  long first, rows;
  long blocks;    // blocks of units
  long width;     // blocks in a panel of the packed weights; the last one has what is left
  const T* w_x;   // pack_gates of w_ih, from block `packed` on
  const T* w_h;   // pack_gates of w_hh, likewise
  long packed;
  T *once_x, *once_h;  // where a panel is packed just before it is read, for a single step; or null
  const T* bias;  // [blocks][G][lanes]
  T* a_x;         // [rows of a chunk][blocks][G][lanes] or null: W_ih x + b of a few steps ahead
  T* c;         // [rows, H]: the cell state where it is not saved
  T* h_rec;     // [rows, H] or null: h_in⊙recur
  const T* zero;  // [H]
  // The rows that are live in this step, and where each finds what it reads.
  long count;
  long* row;             // [rows]
  const T** x;           // [rows]
  const T** h_in;        // [rows]
  const T** h_rec_of;    // [rows]
  const T** c_in;        // [rows]
};

// E1–E8 for rows [from, from + R) of the live ones and `width` blocks from `block`.
// a: [R][width][G][lanes].
template <class T, class C, bool MASKED>
static void finish(const Slice<T>& s, long t, long from, long R, long block, long width, const T* a) {
  constexpr long L = lanes<T>;
  constexpr int G = C::gates;
  const Shape& shape = *s.shape;
  const long H = shape.H;
  for (long m = 0; m < R; ++m) {
    const long b = s.first + s.row[from + m], row = t * shape.B + b;
    const T* c_in_row = s.c_in[from + m];
    T* c_row = s.out->c ? s.out->c + row * H : s.c + s.row[from + m] * H;
    for (long j = block; j < block + width; ++j) {
      const long u = j * L, n = smaller(L, H - u);
      Vec<T> z[G];
      for (int g = 0; g < G; ++g) z[g] = load(a + ((m * width + j - block) * G + g) * L);
      Peepholes<T> p{};
      if constexpr (C::peephole) {
        p.i = load(s.in->p + u, n);
        if constexpr (G == 4) p.f = load(s.in->p + H + u, n);
        p.o = load(s.in->p + (G - 2) * H + u, n);
      }
      const Vec<T> c_in = load(c_in_row + u, n);
      const bool updated = MASKED && s.in->update;
      const Vec<T> update = updated ? load(s.in->update + row * H + u, n) : Vec<T>{};
      Gates<T> v = step<T, C>(z, c_in, p, update, updated);
      if (s.out->gates) {
        T* gates = s.out->gates + row * 4 * H + u;
        store(gates, v.i, n);
        store(gates + H, v.f, n);
        store(gates + 2 * H, v.g, n);
        store(gates + 3 * H, v.o, n);
      }
      if constexpr (MASKED) {  // E8
        if (s.in->keep_h) {
          const Vec<T> h_in = load(s.h_in[from + m] + u, n);
          v.h = h_in + load(s.in->keep_h + row * s.in->keep_step + u, n) * (v.h - h_in);
        }
        if (s.in->keep_c) v.c = c_in + load(s.in->keep_c + row * s.in->keep_step + u, n) * (v.c - c_in);
      }
      store(s.out->y + row * H + u, v.h, n);
      store(c_row + u, v.c, n);
    }
  }
}

template <class T> using Finish = void (*)(const Slice<T>&, long, long, long, long, long, const T*);

// a = W_ih x + b of R rows of the input for one block; the rows lie I apart.
template <class T, int G, int R>
static void input_tile(const Slice<T>& s, const T* x, long block, T* to, long to_step) {
  constexpr long L = lanes<T>;
  const long I = s.shape->I;
  Vec<T> sum[R][G];
  const T* rows[R];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) {
    rows[m] = x + m * I;
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) sum[m][g] = load(s.bias + (block * G + g) * L);
  }
  const long panel = block / s.width * s.width, wide = smaller(s.width, s.blocks - panel);
  const T* w = s.w_x + (panel * I + block - panel) * G * L;
  multiply_add<T, R, G>(sum, rows, 1, w, wide * G * L, I);
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) store(to + m * to_step + g * L, sum[m][g]);
}

// Whether every row reads h = 0 in step t: then W_hh h is not made.
template <class T> UNROLLED_INLINE bool nothing_before(const Slice<T>& s, long t) { return t == 0 && !s.in->h_0; }

// The pre-activations of R rows and WIDTH blocks, and then E1–E8.
template <class T, int G, int R, int WIDTH>
static void step_tile(const Slice<T>& s, long t, long from, long block, const T* a_x, Finish<T> finish) {
  constexpr long L = lanes<T>;
  constexpr int N = G * WIDTH;
  const long I = s.shape->I, H = s.shape->H;
  Vec<T> sum[R][N];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m) {
    const T* start = (a_x ? a_x + s.row[from + m] * s.blocks * G * L : s.bias) + block * G * L;
#pragma GCC unroll 24
    for (int n = 0; n < N; ++n) sum[m][n] = load(start + n * L);
  }
  if (!a_x) multiply_add<T, R, N>(sum, s.x + from, 1, s.w_x + (block - s.packed) * I * G * L, N * L, I);
  if (!nothing_before(s, t))
    multiply_add<T, R, N>(sum, s.h_rec_of + from, 1, s.w_h + (block - s.packed) * H * G * L, N * L, H);
  alignas(64) T a[R * N * L];
#pragma GCC unroll 8
  for (int m = 0; m < R; ++m)
#pragma GCC unroll 24
    for (int n = 0; n < N; ++n) store(a + (m * N + n) * L, sum[m][n]);
  finish(s, t, from, R, block, WIDTH, a);
}

template <class T> using StepTile = void (*)(const Slice<T>&, long, long, long, const T*, Finish<T>);
template <class T> using InputTile = void (*)(const Slice<T>&, const T*, long, T*, long);

// Rows in a tile; at a width above 1, the few rows that ask for it.
UNROLLED_INLINE long tile_rows(long G, long width) { return smaller(6, held_sums / (G * width)); }

// A single row keeps too few sums for the multipliers: read several blocks of units at once, but, of
// weights that L1 does not hold, a panel that it does.  block_bytes: what W_hh has for a block.
UNROLLED_INLINE long panel_blocks(long G, long rows, long blocks, long block_bytes) {
  long most = rows > 3 ? 1 : held_sums / (G * rows);
  constexpr long near = 32768;
  if (rows <= 3 && blocks * block_bytes > near && block_bytes <= near) most = smaller(most, near / block_bytes);
  return blocks_of(blocks, blocks_of(blocks, most < 1 ? 1 : smaller(most, 6)));
}

template <class T, int G, int R, int WIDTH> static constexpr StepTile<T> step_tile_if() {
  if constexpr (R * G * WIDTH <= held_sums)
    return step_tile<T, G, R, WIDTH>;
  else
    return nullptr;
}

template <class T, int G, int WIDTH> static StepTile<T> step_tile_of(long rows) {
  switch (rows) {
    case 1: return step_tile_if<T, G, 1, WIDTH>();
    case 2: return step_tile_if<T, G, 2, WIDTH>();
    case 3: return step_tile_if<T, G, 3, WIDTH>();
    case 4: return step_tile_if<T, G, 4, WIDTH>();
    case 5: return step_tile_if<T, G, 5, WIDTH>();
    default: return step_tile_if<T, G, 6, WIDTH>();
  }
}

template <class T, int G> static StepTile<T> step_tile_of(long rows, long width) {
  switch (width) {
    case 1: return step_tile_of<T, G, 1>(rows);
    case 2: return step_tile_of<T, G, 2>(rows);
    case 3: return step_tile_of<T, G, 3>(rows);
    case 4: return step_tile_of<T, G, 4>(rows);
    case 5: return step_tile_of<T, G, 5>(rows);
    default: return step_tile_of<T, G, 6>(rows);
  }
}

template <class T, int G> static InputTile<T> input_tile_of(long rows) {
  switch (rows) {
    case 1: return input_tile<T, G, 1>;
    case 2: return input_tile<T, G, 2>;
    case 3: return input_tile<T, G, 3>;
    case 4: return input_tile<T, G, 4 * G <= held_sums ? 4 : 1>;
    case 5: return input_tile<T, G, 5 * G <= held_sums ? 5 : 1>;
    default: return input_tile<T, G, 6 * G <= held_sums ? 6 : 1>;
  }
}

// E7, and what each live row reads in step t.  Rows that are not live are done here and now.
template <class T> static void prepare(Slice<T>& s, long t) {
  const Shape& shape = *s.shape;
  const Inputs<T>& in = *s.in;
  const Outputs<T>& out = *s.out;
  const long H = shape.H, I = shape.I;
  const long bytes = H * long(sizeof(T));
  s.count = 0;
  for (long r = 0; r < s.rows; ++r) {
    const long b = s.first + r, row = t * shape.B + b, before = row - shape.B;
    if (in.inside && !in.inside[row]) {
      __builtin_memset(out.y + row * H, 0, bytes);
      continue;
    }
    const bool first = !begun(in, t, before);
    const T* h_in = first ? start_of(in.h_0, b, H, s.zero) : out.y + before * H;
    const T* c_in = first ? start_of(in.c_0, b, H, s.zero) : (out.c ? out.c + before * H : s.c + r * H);
    if (in.carry && !in.carry[row]) {  // E7
      h_in = start_of(in.to_start ? in.h_0 : nullptr, b, H, s.zero);
      c_in = start_of(in.to_start ? in.c_0 : nullptr, b, H, s.zero);
    }
    if (in.live && !in.live[row]) {  // E8
      T* c = out.c ? out.c + row * H : s.c + r * H;
      __builtin_memcpy(out.y + row * H, h_in, bytes);
      if (c != c_in) __builtin_memcpy(c, c_in, bytes);
      if (out.gates) __builtin_memset(out.gates + row * 4 * H, 0, 4 * bytes);
      continue;
    }
    const long k = s.count++;
    s.row[k] = r;
    s.x[k] = in.x + row * I;
    s.h_in[k] = s.h_rec_of[k] = h_in;
    s.c_in[k] = c_in;
    if (s.h_rec) {  // E7
      T* to = s.h_rec + r * H;
      for (long u = 0; u < H; u += lanes<T>) {
        const long n = smaller(lanes<T>, H - u);
        store(to + u, load(h_in + u, n) * load(in.recur + b * H + u, n), n);
      }
      s.h_rec_of[k] = to;
    }
  }
}

// W_ih x + b for `steps` steps from t.  Where the slice is the whole batch, the rows of all steps lie
// side by side and are one run.
template <class T, int G> static void read_ahead(const Slice<T>& s, long t, long steps) {
  constexpr long L = lanes<T>;
  const long I = s.shape->I, B = s.shape->B, stride = s.blocks * G * L;
  const bool whole = s.rows == B;
  const long runs = whole ? 1 : steps, rows = whole ? steps * B : s.rows;
  for (long block = 0; block < s.blocks; ++block)
    for (long run = 0; run < runs; ++run) {
      const T* x = s.in->x + ((t + run) * B + s.first) * I;
      T* to = s.a_x + run * rows * stride + block * G * L;
      for (long r = 0; r < rows;) {
        const long take = blocks_of(rows - r, blocks_of(rows - r, tile_rows(G, 1)));
        input_tile_of<T, G>(take)(s, x + r * I, block, to + r * stride, stride);
        r += take;
      }
    }
}

template <class T, int G> static void run(Slice<T>& s, long ahead, Finish<T> finish) {
  const Shape& shape = *s.shape;
  const long H = shape.H, panels = blocks_of(s.blocks, s.width);
  for (long t = 0; t < shape.T; ++t) {
    if (s.a_x && t % ahead == 0) read_ahead<T, G>(s, t, smaller(ahead, shape.T - t));
    const T* a_x = s.a_x ? s.a_x + (t % ahead) * s.rows * s.blocks * G * lanes<T> : nullptr;
    prepare(s, t);
    for (long p = 0; p < panels; ++p) {
      // Back and forth: the panel that was read last is still in L1.
      const long block = (t & 1 ? panels - 1 - p : p) * s.width, wide = smaller(s.width, s.blocks - block);
      if (s.once_x) {
        s.packed = block;
        pack_gates(s.in->w_ih, G, H, shape.I, s.width, block, block + wide, s.once_x);
        if (!nothing_before(s, t)) pack_gates(s.in->w_hh, G, H, H, s.width, block, block + wide, s.once_h);
      }
      for (long k = 0; k < s.count;) {
        const long take = blocks_of(s.count - k, blocks_of(s.count - k, tile_rows(G, wide)));
        step_tile_of<T, G>(take, wide)(s, t, k, block, a_x, finish);
        k += take;
      }
    }
  }
  for (long r = 0; r < s.rows; ++r) {
    const Inputs<T>& in = *s.in;
    const long b = s.first + r;
    long t = shape.T - 1;
    while (in.inside && t >= 0 && !in.inside[t * shape.B + b]) --t;
    const long last = t * shape.B + b;
    const T* h = t < 0 ? start_of(in.h_0, b, H, s.zero) : s.out->y + last * H;
    const T* c = t < 0 ? start_of(in.c_0, b, H, s.zero) : (s.out->c ? s.out->c + last * H : s.c + r * H);
    __builtin_memcpy(s.out->h_n + b * H, h, H * sizeof(T));
    __builtin_memcpy(s.out->c_n + b * H, c, H * sizeof(T));
  }
}

}  // namespace unrolled::LEVEL
