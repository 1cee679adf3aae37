// What Python hands over for whole training steps: a network, its loss, its optimiser, its batches.
//
// As in arguments.hpp every pointer is to contiguous memory of the shape beside it, and "or null" is
// said where it may be.  `rows` is T·B of the largest batch, and `slack` numbers after what is read
// in whole vectors belong to it.
#pragma once

#include "arguments.hpp"

namespace unrolled {

#define UNROLLED_ACTIVATION(MEMBER) MEMBER(tanh) MEMBER(sigmoid) MEMBER(relu)
enum class Activation { UNROLLED_ACTIVATION(UNROLLED_MEMBER) };

#define UNROLLED_CRITERION(MEMBER) \
  MEMBER(squared_error)            \
  MEMBER(sigmoid_squared_error)    \
  MEMBER(binary_cross_entropy)     \
  MEMBER(cross_entropy)            \
  MEMBER(quantile)                 \
  MEMBER(emphasised_squared_error)
enum class Criterion { UNROLLED_CRITERION(UNROLLED_MEMBER) };

// The loss is divided by nothing, by B, or by what it sums over.
#define UNROLLED_OVER(MEMBER) MEMBER(sum) MEMBER(rows) MEMBER(mean)
enum class Over { UNROLLED_OVER(UNROLLED_MEMBER) };

#define UNROLLED_METHOD(MEMBER) MEMBER(sgd) MEMBER(adagrad) MEMBER(adam) MEMBER(adamw) MEMBER(rmsprop)
enum class Method { UNROLLED_METHOD(UNROLLED_MEMBER) };

// What was not finite, so that the steps ended.
#define UNROLLED_STOP(MEMBER) MEMBER(none) MEMBER(loss) MEMBER(gradient)
enum class Stop { UNROLLED_STOP(UNROLLED_MEMBER) };

constexpr long slack = 16;

// target: [T, B, O] or [B, O] of T; of quantile [T, B, O / levels] or [B, O / levels]; of
// cross_entropy [T, B] or [B] of int64.
// fresh: whether the state before the step is zero, and not what the step before left.
#define UNROLLED_BATCH(FIELD)                                                        \
  FIELD(long, steps)                /* T */                                          \
  FIELD(long, rows)                 /* B */                                          \
  FIELD(const T*, x)                /* [T, B, I] */                                  \
  FIELD(const void*, target)                                                         \
  FIELD(const std::uint8_t*, carry) /* [T, B] or null; these three as in `Inputs` */ \
  FIELD(const std::uint8_t*, live)                                                   \
  FIELD(const std::uint8_t*, inside)                                                 \
  FIELD(long, fresh)

// One training step's data: a row of the table that Python lays out, a whole number for each field.
template <class T> struct Batch {
  UNROLLED_BATCH(UNROLLED_FIELD)
};

#define UNROLLED_KIND(FIELD) FIELD(Activation, activation)

#define UNROLLED_STATE(FIELD) \
  FIELD(T*, h) /* [B, H] */   \
  FIELD(T*, c) /* [B, H]; of an Elman network null */

// A layer of either kind.  What is of one batch (T, B, x, the masks) is filled in at each step.
template <class T> struct TrainedLayer {
  bool elman;  // h = s(a) and nothing else: `in` has no p, `out` no gates and c
  UNROLLED_KIND(UNROLLED_FIELD)
  Shape shape;
  Inputs<T> in;
  Outputs<T> out;  // y: [rows, H] + slack; of an Elman network after B·H numbers for h_0
  Gradients<T> d;  // d_x of the lowest layer is null
  // The state that is carried.
  UNROLLED_STATE(UNROLLED_FIELD)
};

#define UNROLLED_HEAD(FIELD)                                                     \
  FIELD(long, O)                                                                 \
  FIELD(const T*, w) /* [O, H], or null: the output is the first O units of h */ \
  FIELD(const T*, b) /* [O] or null */                                           \
  FIELD(bool, last)  /* reads h after each row's last step, and not at every step */

template <class T> struct Head {
  UNROLLED_HEAD(UNROLLED_FIELD)
  long H;
  T* output;    // [rows, O]
  T* d_output;  // [rows, O]
  T* d_h;       // [rows, H]: the gradient of what is read
  T* d_w;       // [O, H]
  T* d_b;       // [O]
};

#define UNROLLED_LOSS(FIELD)                                                              \
  FIELD(Criterion, criterion)                                                             \
  FIELD(Over, over)                                                                       \
  FIELD(double, factor)                                                                   \
  FIELD(long, ignored)              /* the class that does not count */                   \
  FIELD(const double*, quantiles) /* [levels]: those that adjacent outputs are, or null */ \
  FIELD(long, levels)                                                                     \
  FIELD(double, emphasis)         /* of emphasised_squared_error, as is offset */         \
  FIELD(double, offset)

struct Loss {
  UNROLLED_LOSS(UNROLLED_FIELD)
};

#define UNROLLED_RULE(FIELD) \
  FIELD(Method, method)      \
  FIELD(double, rate)        \
  FIELD(double, decay)       \
  FIELD(double, momentum)    \
  FIELD(double, dampening)   \
  FIELD(double, beta1)       \
  FIELD(double, beta2)       \
  FIELD(double, eps)         \
  FIELD(double, rate_decay)  \
  FIELD(bool, nesterov)      \
  FIELD(bool, centered)

// torch's hyperparameters; a method reads those that it has.
struct Rule {
  UNROLLED_RULE(UNROLLED_FIELD)
};

// step: torch's count of updates, a float of its own for each parameter; null with sgd.
// fresh: sgd's `first` holds nothing yet.
#define UNROLLED_LEARNED(FIELD)                                                           \
  FIELD(T*, value)  /* [count] */                                                         \
  FIELD(long, count)                                                                      \
  FIELD(T*, first)  /* sgd and rmsprop: momentum; adagrad: sum; adam: exp_avg; or null */ \
  FIELD(T*, second) /* adam: exp_avg_sq; rmsprop: square_avg; or null */                  \
  FIELD(T*, third)  /* rmsprop: grad_avg; or null */                                      \
  FIELD(float*, step)                                                                     \
  FIELD(bool, fresh)

// A parameter that is learnt, the tensors of the optimiser's state, and its gradient.
template <class T> struct Learned {
  UNROLLED_LEARNED(UNROLLED_FIELD)
  const T* gradient;
  bool spent;  // the backward pass has made this step's update already
};

// Memory for batches of up to so many rows.
#define UNROLLED_ROOM(FIELD)       \
  FIELD(long, most_rows) /* T·B */ \
  FIELD(long, most_B)

// Steps that are to be made, and where their losses go.
#define UNROLLED_BLOCK(FIELD)                   \
  FIELD(const Batch<T>*, batches) /* [count] */ \
  FIELD(long, count)                            \
  FIELD(T*, losses)               /* [count] */

template <class T> struct Training {
  TrainedLayer<T>* layers;
  long depth;
  Head<T> head;
  Loss loss;
  Rule rule;
  Learned<T>* learned;
  long parameters;
  double clip;  // the largest norm of the gradient, 0: any
  // Why it stopped, and the number that was not finite.
  Stop stop;
  double found;
};

}  // namespace unrolled
