// Whole training steps: forward, head, loss, backward, clipping, update; one after the other.
// Nothing is derived here: the passes are those of `forward` and `backward`, or of elman.hpp.
#pragma once

#include "elman.hpp"
#include "head.hpp"
#include "losses.hpp"
#include "optimizers.hpp"
#include "resident.hpp"

namespace unrolled::LEVEL {

// The engine's passes, with the weights packed by themselves or by the caller.
template <class T> struct Passes {
  void (*forward)(const Shape&, const Inputs<T>&, const Outputs<T>&, Kept**);
  void (*forward_with)(const Packed<T>&, const Shape&, const Inputs<T>&, const Outputs<T>&, long slices);
  void (*backward_with)(Few<T>*, const Shape&, const Inputs<T>&, const Outputs<T>&, const Gradients<T>&);
};

// What a batch brings, put where the layers find it.
template <class T> static void enter(const Training<T>& net, const Batch<T>& batch) {
  const T* x = batch.x;
  for (TrainedLayer<T>* layer = net.layers; layer < net.layers + net.depth; ++layer) {
    layer->shape.T = batch.steps;
    layer->shape.B = batch.rows;
    layer->in.x = x;
    layer->in.h_0 = batch.fresh ? nullptr : layer->h;
    layer->in.c_0 = batch.fresh ? nullptr : layer->c;
    layer->in.carry = batch.carry;
    layer->in.live = batch.live;
    layer->in.inside = batch.inside;
    x = layer->out.y;
  }
}

// The loss of a batch; the gradient of every parameter is written.  Not finite: none is.
// residents: of each layer that is no Elman network, or null where the weights lie outside.
template <class T>
static double learn(Training<T>& net, const Batch<T>& batch, const Passes<T>& passes, Resident<T>** residents) {
  enter(net, batch);
  for (long k = 0; k < net.depth; ++k) {
    const TrainedLayer<T>& layer = net.layers[k];
    if (layer.elman)
      elman_forward(layer);
    else if (residents)
      passes.forward_with(residents[k]->packed, layer.shape, layer.in, layer.out, 1);
    else
      passes.forward(layer.shape, layer.in, layer.out, nullptr);
  }
  TrainedLayer<T>& top = net.layers[net.depth - 1];
  const bool last = net.head.last;
  const T* h = last ? top.out.h_n : top.out.y;
  const long rows = last ? batch.rows : batch.steps * batch.rows;
  head_forward(net.head, h, rows);
  const double value = loss_of(net.loss, net.head.output, batch.target, last ? nullptr : batch.inside, rows, batch.rows,
                               net.head.O, net.head.d_output);
  if (!__builtin_isfinite(value)) return value;
  head_backward(net.head, h, rows);
  top.d.d_y = last ? nullptr : net.head.d_h;
  top.d.d_h_n = last ? net.head.d_h : nullptr;
  for (long k = net.depth; k-- > 0;) {
    const TrainedLayer<T>& layer = net.layers[k];
    if (layer.elman)
      elman_backward(layer);
    else
      passes.backward_with(residents ? residents[k]->again(batch.steps, batch.rows, net.rule, net.clip) : nullptr, layer.shape,
                           layer.in, layer.out, layer.d);
  }
  return value;
}

// Where each layer ended is where the next batch begins, if it is not a fresh one.
template <class T> static void carry_on(const Training<T>& net) {
  for (TrainedLayer<T>* layer = net.layers; layer < net.layers + net.depth; ++layer) {
    const long bytes = layer->shape.B * layer->shape.H * long(sizeof(T));
    if (layer->h) __builtin_memcpy(layer->h, layer->out.h_n, bytes);
    if (layer->c) __builtin_memcpy(layer->c, layer->out.c_n, bytes);
  }
}

// What is left of the gradient after clipping; not finite: see `net.stop`.
template <class T> static double clipped(Training<T>& net) {
  if (net.clip <= 0) return 1;
  const double norm = norm_of(net.learned, net.parameters);
  if (!__builtin_isfinite(norm)) {
    net.stop = Stop::gradient;
    net.found = norm;
  }
  const double most = net.clip / (norm + 1e-6);  // torch.nn.utils.clip_grad_norm_
  return most < 1 ? most : 1;
}

// Steps with the weights where they are told to be; returns how many were made.
template <class T>
static long make_steps(Training<T>& net, const Batch<T>* batches, long count, T* losses, const Passes<T>& passes,
                       Resident<T>** residents) {
  for (long k = 0; k < count; ++k) {
    const double value = learn(net, batches[k], passes, residents);
    losses[k] = T(value);
    if (!__builtin_isfinite(losses[k])) {  // as it is stored: a float's range may be left
      net.stop = Stop::loss;
      net.found = double(losses[k]);
      return k;
    }
    const double scale = clipped(net);
    if (net.stop != Stop::none) return k;
    update(net.rule, net.learned, net.parameters, T(scale));
    for (long l = 0; residents && l < net.depth; ++l) residents[l]->refresh();
    carry_on(net);
  }
  return count;
}

// The same for few rows; `from` is the first layer that is not packed yet.
template <class T>
static long make_few(Training<T>& net, const Batch<T>* batches, long count, T* losses, const Passes<T>& passes,
                     Resident<T>** residents, long from) {
  if (from == net.depth) {
    hold(true);
    const long made = make_steps(net, batches, count, losses, passes, residents);
    hold(false);
    return made;
  }
  Resident<T> resident(net.layers[from], batches->rows, net.learned, net.parameters);
  residents[from] = &resident;
  return make_few(net, batches, count, losses, passes, residents, from + 1);
}

// A step for each batch; returns how many were made.  After one that was not, parameters, state and
// optimiser are as they were before it.
template <class T>
static long train(Training<T>& net, const Batch<T>* batches, long count, T* losses, const Passes<T>& passes) {
  Buffer<Resident<T>*> residents(net.depth);
  long made = 0;
  while (made < count && net.stop == Stop::none) {
    // Those that follow with as many rows; what packs the weights depends on that alone.
    const long B = batches[made].rows;
    long some = 1;
    while (made + some < count && batches[made + some].rows == B) ++some;
    const bool few = B <= few_rows && !net.layers->elman;
    made += few ? make_few(net, batches + made, some, losses + made, passes, residents.at, 0)
                : make_steps<T>(net, batches + made, some, losses + made, passes, nullptr);
  }
  return made;
}

}  // namespace unrolled::LEVEL
