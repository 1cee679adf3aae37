// Whole training steps: forward, head, loss, backward, clipping, update; one after the other.
// Nothing is derived here: the passes are those of `forward` and `backward`, or of elman.hpp.
#pragma once

#include "elman.hpp"
#include "head.hpp"
#include "losses.hpp"
#include "optimizers.hpp"

namespace unrolled::LEVEL {

template <class T> using ForwardPass = void (*)(const Shape&, const Inputs<T>&, const Outputs<T>&, Kept**);
template <class T> using BackwardPass = void (*)(const Shape&, const Inputs<T>&, const Outputs<T>&, const Gradients<T>&);

// What a batch brings, put where the layers find it.
template <class T> static void enter(const Training<T>& net, const Batch<T>& batch) {
  const T* x = batch.x;
  for (TrainedLayer<T>* layer = net.layers; layer < net.layers + net.depth; ++layer) {
    layer->shape.T = batch.T_;
    layer->shape.B = batch.B;
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
template <class T>
static double learn(Training<T>& net, const Batch<T>& batch, ForwardPass<T> forward, BackwardPass<T> backward) {
  enter(net, batch);
  for (TrainedLayer<T>* layer = net.layers; layer < net.layers + net.depth; ++layer)
    if (layer->elman)
      elman_forward(*layer);
    else
      forward(layer->shape, layer->in, layer->out, nullptr);
  TrainedLayer<T>& top = net.layers[net.depth - 1];
  const bool last = net.head.last;
  const T* h = last ? top.out.h_n : top.out.y;
  const long rows = last ? batch.B : batch.T_ * batch.B;
  say(net.head, h, rows);
  const double value = loss_of(net.loss, net.head.said, batch.target, last ? nullptr : batch.inside, rows, batch.B,
                               net.head.O, net.head.d_said);
  if (!__builtin_isfinite(value)) return value;
  say_backward(net.head, h, rows);
  top.d.y = last ? nullptr : net.head.d_h;
  top.d.h_n = last ? net.head.d_h : nullptr;
  for (TrainedLayer<T>* layer = net.layers + net.depth; layer-- > net.layers;)
    if (layer->elman)
      elman_backward(*layer);
    else
      backward(layer->shape, layer->in, layer->out, layer->d);
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

// A step for each batch; returns how many were made.  After one that was not, parameters, state and
// optimiser are as they were before it.
template <class T>
static long train(Training<T>& net, const Batch<T>* batches, long count, T* losses, ForwardPass<T> forward,
                  BackwardPass<T> backward) {
  for (long k = 0; k < count; ++k) {
    const double value = learn(net, batches[k], forward, backward);
    losses[k] = T(value);
    if (!__builtin_isfinite(value)) {
      net.stop = Stop::loss;
      net.found = value;
      return k;
    }
    double scale = 1;
    if (net.clip > 0) {
      const double norm = norm_of(net.learned, net.parameters);
      if (!__builtin_isfinite(norm)) {
        net.stop = Stop::gradient;
        net.found = norm;
        return k;
      }
      const double most = net.clip / (norm + 1e-6);  // torch.nn.utils.clip_grad_norm_
      if (most < 1) scale = most;
    }
    update(net.rule, net.learned, net.parameters, T(scale));
    carry_on(net);
  }
  return count;
}

}  // namespace unrolled::LEVEL
