// The head: the output z = W h + b, of h at every step or after the last; and the way back.
#pragma once

#include "affine.hpp"
#include "training.hpp"
#include "weights.hpp"

namespace unrolled::LEVEL {

// output [rows, O] from h [rows, H].
template <class T> static void head_forward(const Head<T>& head, const T* h, long rows) {
  constexpr long L = lanes<T>;
  const long H = head.H, O = head.O, wide = blocks_of(O, L) * L;
  if (!head.w) {
    for (long r = 0; r < rows; ++r) __builtin_memcpy(head.output + r * O, h + r * H, O * sizeof(T));
    return;
  }
  Buffer<T> packed(H * wide), bias(wide, true);
  pack_transposed(head.w, O, H, packed.at);
  if (head.b) __builtin_memcpy(bias.at, head.b, O * sizeof(T));
  affine(h, H, rows, packed.at, wide, H, bias.at, head.output, O, O);
}

// From d_output: d_h, and the gradient of the weights.
template <class T> static void head_backward(const Head<T>& head, const T* h, long rows) {
  constexpr long L = lanes<T>;
  const long H = head.H, O = head.O, wide = blocks_of(H, L) * L;
  if (!head.w) {
    if (O < H) __builtin_memset(head.d_h, 0, rows * H * sizeof(T));
    for (long r = 0; r < rows; ++r) __builtin_memcpy(head.d_h + r * H, head.d_output + r * O, O * sizeof(T));
    return;
  }
  Buffer<T> packed(O * wide);
  pack_rows(head.w, O, H, packed.at);
  affine(head.d_output, O, rows, packed.at, wide, O, static_cast<const T*>(nullptr), head.d_h, H, H);
  outer(head.d_output, h, rows, O, H, head.d_w);
  if (head.b) sum_rows(head.d_output, rows, O, head.d_b);
}

}  // namespace unrolled::LEVEL
