"""LSTMs as public tutorials write them, each in a style of its own: sources, to be audited.

They are written anew from what such tutorials describe, and are exact as they stand.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from unrolled.auditing.guessing import guess
from unrolled.auditing.learner import Learner
from unrolled.auditing.loading import load
from written_systems import HEAD, NET, STATES, TWO

__all__ = ["STYLES", "declaration", "read", "written"]

# A step at a time, a matrix for each gate that holds [h, x], biases as columns, one sequence or
# many in columns.
CELLWISE = """
import numpy as np

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def step(p, x, h, c):
    z = np.concatenate([h, x], 0)
    f = sigmoid(p["Wf"] @ z + p["bf"])
    i = sigmoid(p["Wi"] @ z + p["bi"])
    g = np.tanh(p["Wc"] @ z + p["bc"])
    o = sigmoid(p["Wo"] @ z + p["bo"])
    c_new = f * c + i * g
    return o * np.tanh(c_new), c_new, (z, f, i, g, o, c, c_new)

def step_backward(p, dh, dc, cache):
    z, f, i, g, o, c, c_new = cache
    H = len(f)
    do = dh * np.tanh(c_new) * o * (1 - o)
    dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    dg = dc * i * (1 - g ** 2)
    dz = 0
    found = {}
    for name, d in (("f", df), ("i", di), ("c", dg), ("o", do)):
        found["W" + name] = d @ z.T
        found["b" + name] = d.sum(1, keepdims=True)
        dz = dz + p["W" + name].T @ d
    return found | {"h": dz[:H], "x": dz[H:], "c": dc * f}
"""

# Sequences in rows, one matrix for x and one for h, to be multiplied from the right; a loss on the
# last step alone.
LAST = """
import numpy as np

def sigmoid(v):
    return 1 / (1 + np.exp(-v))

def run(params, x):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    N, T, D = x.shape
    H = Wh.shape[0]
    h, c, tape = np.zeros((N, H)), np.zeros((N, H)), []
    for t in range(T):
        a = x[:, t] @ Wx + h @ Wh + b
        i, f = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H])
        o, g = sigmoid(a[:, 2 * H:3 * H]), np.tanh(a[:, 3 * H:])
        c_new = f * c + i * g
        tape.append((h, c, i, f, o, g, c_new))
        h, c = o * np.tanh(c_new), c_new
    return h, tape

def forward(params, x):
    return run(params, x)[0]

def backward(params, x, dh):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    _, tape = run(params, x)
    dWx, dWh, db, dx = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(x)
    dc = np.zeros_like(dh)
    for t in range(len(tape) - 1, -1, -1):
        h, c, i, f, o, g, c_new = tape[t]
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        da = np.hstack([
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dh * np.tanh(c_new) * o * (1 - o),
            dc * i * (1 - g ** 2),
        ])
        dWx += x[:, t].T @ da
        dWh += h.T @ da
        db += da.sum(axis=0)
        dx[:, t] = da @ Wx.T
        dh = da @ Wh.T
        dc = dc * f
    return {"Wx": dWx, "Wh": dWh, "b": db, "x": dx}
"""

# torch, the gates along an axis of their own, two biases; one sequence.
STACKED = """
import torch

def run(params, x):
    U, V, bu, bv = params["U"], params["V"], params["bu"], params["bv"]
    h = c = torch.zeros(V.shape[2], dtype=x.dtype)
    tape = []
    for t in range(len(x)):
        a = torch.einsum("ghi,i->gh", U, x[t]) + torch.einsum("ghk,k->gh", V, h) + bu + bv
        f, i, o = torch.sigmoid(a[0]), torch.sigmoid(a[1]), torch.sigmoid(a[2])
        g = torch.tanh(a[3])
        c_new = f * c + i * g
        tape.append((h, c, f, i, o, g, c_new))
        h, c = o * torch.tanh(c_new), c_new
    return tape

def forward(params, x):
    return torch.stack([s[4] * torch.tanh(s[6]) for s in run(params, x)])

def backward(params, x, d_y):
    tape = run(params, x)
    found = {name: torch.zeros_like(value) for name, value in params.items()}
    d_h_next = d_c_next = torch.zeros_like(d_y[0])
    for t in reversed(range(len(x))):
        h, c, f, i, o, g, c_new = tape[t]
        d_h = d_y[t] + d_h_next
        d_c = d_c_next + d_h * o * (1 - torch.tanh(c_new) ** 2)
        d_a = torch.stack([
            d_c * c * f * (1 - f),
            d_c * g * i * (1 - i),
            d_h * torch.tanh(c_new) * o * (1 - o),
            d_c * i * (1 - g ** 2),
        ])
        found["U"] += torch.einsum("gh,i->ghi", d_a, x[t])
        found["V"] += torch.einsum("gh,k->ghk", d_a, h)
        found["bu"] += d_a
        found["bv"] += d_a
        d_h_next = torch.einsum("gh,ghk->k", d_a, params["V"])
        d_c_next = d_c * f
    return found
"""

# A class, whose methods the two functions call; the gradients by autograd's own Function.
CLASS = """
import torch

class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, c_prev):
        i, f, g, o = a.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev + i * g
        ctx.save_for_backward(i, f, g, o, c, c_prev)
        return o * c.tanh(), c

    @staticmethod
    def backward(ctx, d_h, d_c):
        i, f, g, o, c, c_prev = ctx.saved_tensors
        d_c = d_c + d_h * o * (1 - c.tanh() ** 2)
        d_o = d_h * c.tanh() * o * (1 - o)
        d_i, d_f, d_g = d_c * g * i * (1 - i), d_c * c_prev * f * (1 - f), d_c * i * (1 - g * g)
        return torch.cat([d_i, d_f, d_g, d_o], 1), d_c * f

class Net:
    def __init__(self, params):
        self.W_ih, self.W_hh, self.b = params["W_ih"], params["W_hh"], params["b"]

    def __call__(self, x):
        h = c = x.new_zeros(x.shape[1], self.W_hh.shape[1])
        out = []
        for x_t in x:
            h, c = Step.apply(x_t @ self.W_ih.T + h @ self.W_hh.T + self.b, c)
            out.append(h)
        return torch.stack(out)

def forward(params, x):
    return Net({"W_ih": params["W_ih"], "W_hh": params["W_hh"], "b": params["b"]})(x)

def backward(params, x, d_h):
    leaves = {k: v.clone().requires_grad_() for k, v in params.items()}
    y = Net(leaves)(x)
    return dict(zip(leaves, torch.autograd.grad(y, list(leaves.values()), d_h)))
"""

# A class of one step, an object for each; the loss's gradient and the cell's go back by a method.
NODE = """
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

class LstmNode:
    def __init__(self, x_dim, mem_cell_ct):
        self.wi = np.zeros((mem_cell_ct, x_dim + mem_cell_ct))
        self.wf, self.wo, self.wg = self.wi * 0, self.wi * 0, self.wi * 0
        self.bi = np.zeros(mem_cell_ct)
        self.bf, self.bo, self.bg = self.bi * 0, self.bi * 0, self.bi * 0

    def forward(self, x, h_prev, s_prev):
        self.s_prev, self.xc = s_prev, np.hstack((x, h_prev))
        self.g = np.tanh(self.wg @ self.xc + self.bg)
        self.i = sigmoid(self.wi @ self.xc + self.bi)
        self.f = sigmoid(self.wf @ self.xc + self.bf)
        self.o = sigmoid(self.wo @ self.xc + self.bo)
        self.s = self.g * self.i + s_prev * self.f
        self.h = np.tanh(self.s) * self.o
        return self.h, self.s

    def backward(self, top_diff_h, top_diff_s):
        ds = self.o * (1 - np.tanh(self.s) ** 2) * top_diff_h + top_diff_s
        do = np.tanh(self.s) * top_diff_h
        di = self.g * ds
        dg = self.i * ds
        df = self.s_prev * ds
        di_input = self.i * (1 - self.i) * di
        df_input = self.f * (1 - self.f) * df
        do_input = self.o * (1 - self.o) * do
        dg_input = (1 - self.g ** 2) * dg
        self.wi_grad = np.outer(di_input, self.xc)
        self.wf_grad = np.outer(df_input, self.xc)
        self.wo_grad = np.outer(do_input, self.xc)
        self.wg_grad = np.outer(dg_input, self.xc)
        self.bi_grad, self.bf_grad = di_input, df_input
        self.bo_grad, self.bg_grad = do_input, dg_input
        dxc = self.wi.T @ di_input + self.wf.T @ df_input
        dxc = dxc + self.wo.T @ do_input + self.wg.T @ dg_input
        n = len(self.xc) - len(self.h)
        return dxc[:n], dxc[n:], ds * self.f
"""

# A module of torch's, with a Function of its own for all that is not a product.
MODULE = """
import torch

class Gates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, c_prev):
        f, i, o, g = a.chunk(4, 1)
        f, i, o, g = f.sigmoid(), i.sigmoid(), o.sigmoid(), g.tanh()
        c = f * c_prev + i * g
        ctx.save_for_backward(f, i, o, g, c, c_prev)
        return o * c.tanh(), c

    @staticmethod
    def backward(ctx, grad_h, grad_c):
        f, i, o, g, c, c_prev = ctx.saved_tensors
        grad_c = grad_c + grad_h * o * (1 - c.tanh() ** 2)
        grad_f = grad_c * c_prev * f * (1 - f)
        grad_i = grad_c * g * i * (1 - i)
        grad_o = grad_h * c.tanh() * o * (1 - o)
        grad_g = grad_c * i * (1 - g ** 2)
        return torch.cat([grad_f, grad_i, grad_o, grad_g], 1), grad_c * f

class Recurrent(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.randn(4 * hidden_size, input_size + hidden_size))
        self.bias = torch.nn.Parameter(torch.randn(4 * hidden_size))
        self.hidden_size = hidden_size

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], self.hidden_size)
        out = []
        for x_t in x:
            a = torch.nn.functional.linear(torch.cat([h, x_t], 1), self.weights, self.bias)
            h, c = Gates.apply(a, c)
            out.append(h)
        return torch.stack(out), (h, c)
"""

STYLES = {
    "cellwise": CELLWISE,
    "last": LAST,
    "stacked": STACKED,
    "class": CLASS,
    "node": NODE,
    "module": MODULE,
    "head": HEAD,
    "net": NET,
    "two": TWO,
    "states": STATES,
}


def written(folder: Path, style: str, changes: list[tuple[str, str]]) -> Path:
    """A file in that style, with some of its source replaced."""
    source = STYLES[style]
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path = folder / f"{style}.py"
    path.write_text(source, encoding="utf-8")
    return path


@cache
def declaration(style: str) -> str:
    """What is found of a style that is exact: a slip does not change it."""
    with tempfile.TemporaryDirectory() as folder:
        return str(guess(written(Path(folder), style, [])).declared)


def read(folder: Path, style: str, changes: list[tuple[str, str]]) -> Learner:
    """A file in that style, with some of its source replaced, and its declaration pasted."""
    path = written(folder, style, changes)
    path.write_text(f"{path.read_text()}\n{declaration(style)}\n", encoding="utf-8")
    return load(path)
