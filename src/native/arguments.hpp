// What Python hands over for one layer and direction, and the table of a level's entry points.
//
// A struct that Python fills, or a part of it, is written as a list, FIELD(type, name) for each field.
// From the list come the struct, the order in which Python hands the fields over (calls.hpp), and the
// names by which Python looks before the first call whether it has the same order (contract.cpp).  An
// enum's members are a list likewise.
//
// Every pointer is to contiguous memory of the shape beside it.  "or null" is said where it may be.
// Nothing written may overlap anything else; what is read may overlap.
// T, B, I, H as everywhere; G is the number of gates with weights, 4 or 3; P that of peepholes.
#pragma once

#include <cstdint>

#define UNROLLED_FIELD(type, name) type name;
#define UNROLLED_MEMBER(name) name,

namespace unrolled {

#define UNROLLED_FORGET(MEMBER) MEMBER(learned) MEMBER(one) MEMBER(coupled)
enum class Forget { UNROLLED_FORGET(UNROLLED_MEMBER) };

#define UNROLLED_SIZES(FIELD) \
  FIELD(long, I)              \
  FIELD(long, H)

#define UNROLLED_CELL(FIELD) \
  FIELD(Forget, forget)      \
  FIELD(bool, peephole)      \
  FIELD(bool, identity)

#define UNROLLED_EXTENT(FIELD) \
  FIELD(long, T)               \
  FIELD(long, B)               \
  FIELD(int, threads)

struct Shape {
  UNROLLED_SIZES(UNROLLED_FIELD)
  UNROLLED_CELL(UNROLLED_FIELD)
  UNROLLED_EXTENT(UNROLLED_FIELD)
  // Always inlined: a copy of its own could be taken from the unit of another level.
  __attribute__((always_inline)) long G() const { return forget == Forget::learned ? 4 : 3; }
};

#define UNROLLED_WEIGHTS(FIELD)             \
  FIELD(const T*, w_ih) /* [G·H, I] */      \
  FIELD(const T*, w_hh) /* [G·H, H] */      \
  FIELD(const T*, b_ih) /* [G·H] or null */ \
  FIELD(const T*, b_hh) /* [G·H] or null */ \
  FIELD(const T*, p)    /* [P, H], or null without peepholes */

// Left out of a call where there are none: then all are null.
// carry: [T, B] or null, 0 where the row starts again before the step.
// live: [T, B] or null, 0 where the step does not happen for the row.
// inside: [T, B] or null, 0 where a row's sequence has ended, or not begun.  No step is live there,
//   nothing of it is read, and nothing is written but y, which is 0.  The ones of a row are one run.
// to_start: a row starts again from (h_0, c_0), or from zero.
// keep_step: from a row of keep_h and keep_c to the next: H, or 0, where all are the same.
#define UNROLLED_MASKS(FIELD)                                               \
  FIELD(const std::uint8_t*, carry)                                         \
  FIELD(const std::uint8_t*, live)                                          \
  FIELD(const std::uint8_t*, inside)                                        \
  FIELD(const T*, recur)  /* [B, H] or null */                              \
  FIELD(const T*, update) /* [T, B, H] or null */                           \
  FIELD(const T*, keep_h) /* [T, B, H] or null; [H] where keep_step is 0 */ \
  FIELD(const T*, keep_c) /* likewise */                                    \
  FIELD(bool, to_start)                                                     \
  FIELD(long, keep_step)

#define UNROLLED_READ(FIELD)                               \
  FIELD(const T*, x)   /* [T, B, I] */                     \
  FIELD(const T*, h_0) /* [B, H] or null, which is zero */ \
  FIELD(const T*, c_0) /* [B, H] or null, which is zero */

// Read by both passes.
template <class T> struct Inputs {
  UNROLLED_WEIGHTS(UNROLLED_FIELD)
  UNROLLED_MASKS(UNROLLED_FIELD)
  UNROLLED_READ(UNROLLED_FIELD)
};

#define UNROLLED_OUTPUTS(FIELD)               \
  FIELD(T*, y)     /* [T, B, H] */            \
  FIELD(T*, h_n)   /* [B, H] */               \
  FIELD(T*, c_n)   /* [B, H] */               \
  FIELD(T*, gates) /* [T, B, 4, H] or null */ \
  FIELD(T*, c)     /* [T, B, H]; null if and only if gates is */

// Written by the forward pass, read by the backward pass.
template <class T> struct Outputs {
  UNROLLED_OUTPUTS(UNROLLED_FIELD)
};

#define UNROLLED_GRADIENTS(FIELD)                                                       \
  FIELD(const T*, d_y)     /* [T, B, H] or null, which is zero; so are the next four */ \
  FIELD(const T*, d_h_n)   /* [B, H] or null */                                         \
  FIELD(const T*, d_c_n)   /* [B, H] or null */                                         \
  FIELD(const T*, d_gates) /* [T, B, 4, H] or null */                                   \
  FIELD(const T*, d_c)     /* [T, B, H] or null */                                      \
  FIELD(T*, d_x)           /* [T, B, I], or null if not wanted */                       \
  FIELD(T*, d_h_0)         /* [B, H] or null */                                         \
  FIELD(T*, d_c_0)         /* [B, H]; null if and only if d_h_0 is */                   \
  FIELD(T*, d_w_ih)        /* [G·H, I] */                                               \
  FIELD(T*, d_w_hh)        /* [G·H, H] */                                               \
  FIELD(T*, d_b_ih)        /* [G·H] or null */                                          \
  FIELD(T*, d_b_hh)        /* [G·H] or null: the same numbers */                        \
  FIELD(T*, d_p)           /* [P, H], or null without peepholes */

// The gradient that reaches the outputs (read), and that of the inputs (written, all of it).
template <class T> struct Gradients {
  UNROLLED_GRADIENTS(UNROLLED_FIELD)
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
