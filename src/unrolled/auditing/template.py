"""The file that a learner fills in, and how it is written without losing another."""

from __future__ import annotations

from pathlib import Path

from unrolled.files.whole import replace_file

__all__ = ["TEMPLATE", "write_template"]

TEMPLATE = '''"""My LSTM, to be audited:  unrolled audit {name}

(unrolled audit {name} --guess finds the declarations below by trying, and prints them.)
Instead of these two functions there may be
  - those of one step: step(params, x, h, c) -> (h, c, cache), and
    step_backward(params, d_h, d_c, cache) -> dict with each parameter, "h" and "c", and "x" if you
    like: the gradients of the states before the step;
  - with h_0 and c_0: forward(params, x, h_0, c_0) and backward(params, x, d_h, h_0, c_0), which may
    return "h_0" and "c_0" too;
  - with a head and the loss inside (HEAD): forward(params, x, target) -> loss, and
    backward(params, x, target);
  - a class with forward(x) and backward(d_h), whose attributes are the parameters; the gradients
    are returned, or are attributes called after them, such as dW or W_grad;
  - in torch, forward alone, your own autograd.Function in it.

Two functions, called with float64 arrays at small sizes and lengths 1, 2, 3 and 6; each time
forward first, then backward.  Every sequence starts from h = 0 and c = 0.  The exact equations:

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)      g = tanh(a_g)
    c[t] = f * c[t-1] + i * g                               h[t] = o * tanh(c[t])
    a = W_ih x[t] + W_hh h[t-1] + bias, for each gate
"""

import numpy as np

LIBRARY = "numpy"  # the arrays you are given: "numpy", or "torch"
OUTPUT = "tanh"  # h = o * tanh(c); "identity" for h = o * c
X = "TBI"  # the axes of x: T steps, B sequences, I inputs, in your order; "TI" for one sequence.
#            h and d_h have the same axes, with H units in the place of I.
LOSS = "every"  # the loss is on every step's h; "last": forward returns the last h alone, [B, H]
HEAD = None  # "linear": forward returns the head's output; "softmax" (cross-entropy), "sigmoid"
#              (binary cross-entropy), "squared error", "sigmoid squared error": the loss is inside
TARGET = "index"  # what a class is told by, of "softmax"; or "one-hot"
CALL = "sequence"  # "step": forward and backward are those of one step
GATES = "ifgo"  # the order of the gates where several are in one array; g is the block input

# Your parameters by your own names, and what is in each:
#   "ih" the input weights, "hh" the recurrent weights, "b" the bias: of all gates, in the order of
#   GATES, one below the other, so "ih" is [4H, I], "hh" [4H, H] and "b" [4H];
#   "ih|hh" side by side, [4H, I+H];  "hh|ih" the other way round;  "ih|hh|b" with the bias too;
#   "ih.T" transposed, [I, 4H];  "b.col" [4H, 1];  "b.row" [1, 4H];
#   "ih.stack" the gates along an axis of their own, [4, H, I];  "b.stack" [4, H];
#   "ih@0", "ih@1" of the lowest layer and the next;  "head" [V, H] and "head_b" [V] of the head;
#   "f:ih" of one gate alone, [H, I];  "b_ih" and "b_hh" for two biases;  "p" for peepholes, in the
#   order of GATES without g.
PARAMS = {{
    "W_ih": "ih",
    "W_hh": "hh",
    "b": "b",
}}


def forward(params, x):
    """h of every step; or (h, whatever you like)."""
    raise NotImplementedError("write your forward pass here")


def backward(params, x, d_h):
    """The gradient of every parameter, by its name, for the gradient d_h of every step's h.

    A gradient "x" of the input may be in it too.
    """
    raise NotImplementedError("write your backward pass here")
'''


def write_template(path: Path) -> Path:
    """Write the file to fill in; a file that is there stays what it is.

    Raises
    ------
    PlaceError
        If there is anything of this name.
    """
    text = TEMPLATE.format(name=path)
    replace_file(path, lambda beside: beside.write_text(text, encoding="utf-8"), new=True)
    return path
