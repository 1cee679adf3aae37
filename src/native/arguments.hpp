// What Python hands over for one layer and direction, and the table of a level's entry points.
//
// Every pointer is to contiguous memory of the shape beside it.  "or null" is said where it may be.
// Nothing written may overlap anything else; what is read may overlap.
// T, B, I, H as everywhere; G is the number of gates with weights, 4 or 3; P that of peepholes.
#pragma once

#include <cstdint>

namespace unrolled {

enum class Forget { learned, one, coupled };

struct Shape {
  long T, B, I, H;
  Forget forget;
  bool peephole, identity;
  int threads;
  // Always inlined: a copy of its own could be taken from the unit of another level.
  __attribute__((always_inline)) long G() const { return forget == Forget::learned ? 4 : 3; }
};

// Read by both passes.
template <class T> struct Inputs {
  const T* x;      // [T, B, I]
  const T* h_0;    // [B, H] or null, which is zero
  const T* c_0;    // [B, H] or null, which is zero
  const T* w_ih;   // [G·H, I]
  const T* w_hh;   // [G·H, H]
  const T* b_ih;   // [G·H] or null
  const T* b_hh;   // [G·H] or null
  const T* p;      // [P, H], or null without peepholes
  const std::uint8_t* carry;  // [T, B] or null: 0 where the row starts again before the step
  const std::uint8_t* live;   // [T, B] or null: 0 where the step does not happen for the row
  // [T, B] or null: 0 where a row's sequence has ended, or not begun.  No step is live there, nothing of
  // it is read, and nothing is written but y, which is 0.  The ones of a row are one run.
  const std::uint8_t* inside;
  const T* recur;   // [B, H] or null
  const T* update;  // [T, B, H] or null
  const T* keep_h;  // [T, B, H] or null; [H] where keep_step is 0
  const T* keep_c;  // likewise
  bool to_start;    // a row starts again from (h_0, c_0), or from zero
  long keep_step;   // from a row of keep_h and keep_c to the next: H, or 0, where all are the same
};

// Written by the forward pass, read by the backward pass.
template <class T> struct Outputs {
  T* y;      // [T, B, H]
  T* h_n;    // [B, H]
  T* c_n;    // [B, H]
  T* gates;  // [T, B, 4, H] or null
  T* c;      // [T, B, H]; null if and only if gates is
};

// The gradient that reaches the outputs (read), and that of the inputs (written, all of it).
template <class T> struct Gradients {
  const T* y;      // [T, B, H] or null, which is zero; so are the next four
  const T* h_n;    // [B, H] or null
  const T* c_n;    // [B, H] or null
  const T* gates;  // [T, B, 4, H] or null
  const T* c;      // [T, B, H] or null
  T* d_x;     // [T, B, I], or null if not wanted
  T* d_h_0;   // [B, H] or null
  T* d_c_0;   // [B, H]; null if and only if d_h_0 is
  T* d_w_ih;  // [G·H, I]
  T* d_w_hh;  // [G·H, H]
  T* d_b_ih;  // [G·H] or null
  T* d_b_hh;  // [G·H] or null: the same numbers
  T* d_p;     // [P, H], or null without peepholes
};

// A layer that is stepped: its weights packed once, its buffers fixed.
struct Stepper {
  void (*step)(Stepper*);  // one step: reads x, h_0 and c_0, writes y, h_n and c_n
  void (*drop)(Stepper*);  // gives everything back
};

// What the forward pass may keep from one call to the next.
struct Kept {
  void (*drop)(Kept*);  // gives everything back
};

template <class T> struct Training;
template <class T> struct Batch;

template <class T> struct Entry {
  // kept: null, or where what is kept stands, itself null at first.  Not for two threads at once.
  void (*forward)(const Shape&, const Inputs<T>&, const Outputs<T>&, Kept** kept);
  void (*backward)(const Shape&, const Inputs<T>&, const Outputs<T>&, const Gradients<T>&);
  // T must be 1.  What the pointers mean is read at each step, the weights now and never again; here
  // h_n may be h_0, and c_n may be c_0.
  Stepper* (*stepper)(const Shape&, const Inputs<T>&, const Outputs<T>&);
  // Multiply and add in registers alone, `rounds` times; returns the number of operations.
  double (*busy)(long rounds);
  void (*sigmoid)(const T*, T*, long);
  void (*tanh)(const T*, T*, long);
  // Whole training steps, one for each batch; see steps.hpp.
  long (*train)(Training<T>&, const Batch<T>*, long count, T* losses);
};

// Run work(context, k) for k < count, each on a thread of its own where there are so many.  Defined in
// parallel.cpp, and the next ones in module.cpp: both are compiled for every machine.
void in_parallel(int count, void (*work)(void*, int), void* context);

// Memory that starts on a cache line; std::bad_alloc if there is none.  `release` gives it back.
void* workspace(long bytes);
void release(void* memory);

// Memory that `workspace` takes from on this thread while it is lent, from the beginning again once
// all has been released.  `wanted`: how much would have been enough.
struct Arena {
  char* at;
  long size, used, wanted, live;
  long kept, kept_live;  // of these, what `hold` was told of
};
void lend(Arena* arena);  // null: no more
// Whether what is taken now stays, while what is taken after it comes and goes.
void hold(bool on);

// Ask for large pages where a buffer that nobody has touched yet is large: the first touch of a page
// costs as much as thousands of multiplications.
void expect_large(const void* at, long bytes);

}  // namespace unrolled
