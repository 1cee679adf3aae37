// What Python hands over for whole training steps: a network, its loss, its optimiser, its batches.
//
// As in arguments.hpp every pointer is to contiguous memory of the shape beside it, and "or null" is
// said where it may be.  `rows` is T·B of the largest batch, and `slack` numbers after what is read
// in whole vectors belong to it.
#pragma once

#include "arguments.hpp"

namespace unrolled {

enum class Activation { tanh, sigmoid, relu };
enum class Criterion { squared_error, sigmoid_squared_error, binary_cross_entropy, cross_entropy };
enum class Over { sum, rows, mean };  // the loss is divided by nothing, by B, or by what it sums over
enum class Method { sgd, adagrad, adam, adamw, rmsprop };
enum class Stop { none, loss, gradient };

constexpr long slack = 16;

// One training step's data, eight whole numbers as Python lays them out.
template <class T> struct Batch {
  long T_, B;
  const T* x;                 // [T, B, I]
  const void* target;         // [T, B, O] or [B, O] of T; of cross_entropy [T, B] or [B] of int64
  const std::uint8_t* carry;  // [T, B] or null; these three as in `Inputs`
  const std::uint8_t* live;
  const std::uint8_t* inside;
  long fresh;  // whether the state before it is zero, and not what the step before left
};

// A layer of either kind.  What is of one batch (T, B, x, the masks) is filled in at each step.
template <class T> struct TrainedLayer {
  bool elman;             // h = s(a) and nothing else: `in` has no p, `out` no gates and c
  Activation activation;  // of an Elman network
  Shape shape;
  Inputs<T> in;
  Outputs<T> out;   // y: [rows, H] + slack; of an Elman network after B·H numbers for h_0
  Gradients<T> d;   // d_x of the lowest layer is null
  T *h, *c;         // [B, H]: the state that is carried; c of an Elman network is null
};

template <class T> struct Head {
  long H, O;
  const T* w;   // [O, H], or null: the first O units of h are what is said
  const T* b;   // [O] or null
  bool last;    // reads h after each row's last step, and not at every step
  T* said;      // [rows, O]
  T* d_said;    // [rows, O]
  T* d_h;       // [rows, H]: the gradient of what is read
  T* d_w;       // [O, H]
  T* d_b;       // [O]
};

struct Loss {
  Criterion criterion;
  Over over;
  double factor;
  long ignored;  // the class that does not count
};

// torch's hyperparameters; a method reads those that it has.
struct Rule {
  Method method;
  double rate, decay, momentum, dampening, beta1, beta2, eps, rate_decay;
  bool nesterov, centered;
};

// A parameter that is learnt, its gradient, and the tensors of the optimiser's state.
template <class T> struct Learned {
  T* value;
  const T* gradient;
  T* first;    // sgd and rmsprop: momentum; adagrad: sum; adam: exp_avg; or null
  T* second;   // adam: exp_avg_sq; rmsprop: square_avg
  T* third;    // rmsprop: grad_avg
  float* step;  // torch's count of updates, a float of its own for each parameter; null with sgd
  long count;
  bool fresh;   // sgd: `first` holds nothing yet
  bool spent;   // the backward pass has made this step's update already
};

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
