"""Systems as public tutorials write them: heads, losses, layers and states; see `written`."""

from __future__ import annotations

__all__ = ["HEAD", "NET", "STATES", "TWO"]

# A character model: a softmax on top and the loss inside, columns, one sequence at a time; the
# gradients called after the parameters.
HEAD = """
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def run(p, x):
    H = p["Wf"].shape[0]
    h, c = np.zeros((H, 1)), np.zeros((H, 1))
    tape = []
    for t in range(len(x)):
        z = np.vstack((h, x[t][:, None]))
        f = sigmoid(p["Wf"] @ z + p["bf"])
        i = sigmoid(p["Wi"] @ z + p["bi"])
        g = np.tanh(p["Wc"] @ z + p["bc"])
        o = sigmoid(p["Wo"] @ z + p["bo"])
        c_prev, c = c, f * c + i * g
        h = o * np.tanh(c)
        y = p["Wy"] @ h + p["by"]
        e = np.exp(y - y.max())
        tape.append((z, f, i, g, o, c_prev, c, h, e / e.sum()))
    return tape

def forward(p, x, targets):
    return -sum(np.log(s[-1][k, 0]) for s, k in zip(run(p, x), targets))

def backward(p, x, targets):
    tape = run(p, x)
    H = p["Wf"].shape[0]
    grads = {"d" + k: np.zeros_like(v) for k, v in p.items()}
    dh_next, dc_next = np.zeros((H, 1)), np.zeros((H, 1))
    for t in reversed(range(len(x))):
        z, f, i, g, o, c_prev, c, h, prob = tape[t]
        dy = prob.copy()
        dy[targets[t]] -= 1
        grads["dWy"] += dy @ h.T
        grads["dby"] += dy
        dh = p["Wy"].T @ dy + dh_next
        do = dh * np.tanh(c) * o * (1 - o)
        dc = dc_next + dh * o * (1 - np.tanh(c) ** 2)
        di = dc * g * i * (1 - i)
        df = dc * c_prev * f * (1 - f)
        dg = dc * i * (1 - g ** 2)
        dz = 0
        for k, d in zip("fico", (df, di, dg, do)):
            grads["dW" + k] += d @ z.T
            grads["db" + k] += d
            dz = dz + p["W" + k].T @ d
        dh_next = dz[:H]
        dc_next = f * dc
    return grads
"""

# A class with attributes: sequences in rows, a linear head and the mean squared error inside.
NET = """
import numpy as np

class LSTM:
    def __init__(self, input_dim, hidden_dim, output_dim):
        rng = np.random.default_rng(0)
        self.hidden_dim = hidden_dim
        self.Wx = rng.standard_normal((input_dim, 4 * hidden_dim))
        self.Wh = rng.standard_normal((hidden_dim, 4 * hidden_dim))
        self.b = np.zeros(4 * hidden_dim)
        self.Wout = rng.standard_normal((hidden_dim, output_dim))
        self.bout = np.zeros(output_dim)

    def sigmoid(self, z):
        return 1 / (1 + np.exp(-z))

    def forward(self, x, y):
        n, t, _ = x.shape
        H = self.hidden_dim
        self.x, self.y = x, y
        self.h, self.c, self.cache = np.zeros((n, t + 1, H)), np.zeros((n, t + 1, H)), []
        for k in range(t):
            a = x[:, k] @ self.Wx + self.h[:, k] @ self.Wh + self.b
            i, f, o = (self.sigmoid(a[:, j * H:(j + 1) * H]) for j in range(3))
            g = np.tanh(a[:, 3 * H:])
            self.c[:, k + 1] = f * self.c[:, k] + i * g
            self.h[:, k + 1] = o * np.tanh(self.c[:, k + 1])
            self.cache.append((i, f, o, g))
        self.out = self.h[:, 1:] @ self.Wout + self.bout
        return np.mean((self.out - y) ** 2)

    def backward(self):
        n, t, _ = self.x.shape
        d_out = 2 * (self.out - self.y) / self.y.size
        self.dWx, self.dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        self.db = np.zeros_like(self.b)
        self.dWout = np.einsum("nth,nto->ho", self.h[:, 1:], d_out)
        self.dbout = d_out.sum((0, 1))
        dh = dc = np.zeros_like(self.h[:, 0])
        for k in reversed(range(t)):
            i, f, o, g = self.cache[k]
            dh = dh + d_out[:, k] @ self.Wout.T
            tc = np.tanh(self.c[:, k + 1])
            dc = dc + dh * o * (1 - tc ** 2)
            da = np.hstack([
                dc * g * i * (1 - i),
                dc * self.c[:, k] * f * (1 - f),
                dh * tc * o * (1 - o),
                dc * i * (1 - g ** 2),
            ])
            self.dWx += self.x[:, k].T @ da
            self.dWh += self.h[:, k].T @ da
            self.db += da.sum(0)
            dh = da @ self.Wh.T
            dc = dc * f
"""

# Two layers by the same two functions.
TWO = """
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def layer(W, U, b, x):
    T, B, _ = x.shape
    H = U.shape[0]
    h, c, out, tape = np.zeros((B, H)), np.zeros((B, H)), [], []
    for t in range(T):
        i, f, g, o = np.split(x[t] @ W + h @ U + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_new = f * c + i * g
        tape.append((x[t], h, c, i, f, g, o, c_new))
        h, c = o * np.tanh(c_new), c_new
        out.append(h)
    return np.stack(out), tape

def layer_back(W, U, b, tape, dy):
    dW, dU, db, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), []
    dh = dc = np.zeros_like(dy[0])
    for t in reversed(range(len(tape))):
        x, h, c, i, f, g, o, c_new = tape[t]
        dh = dy[t] + dh
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        da = np.concatenate([
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dc * i * (1 - g ** 2),
            dh * np.tanh(c_new) * o * (1 - o),
        ], 1)
        dW += x.T @ da
        dU += h.T @ da
        db += da.sum(0)
        dx.append(da @ W.T)
        dh, dc = da @ U.T, dc * f
    return dW, dU, db, np.stack(dx[::-1])

def forward(params, x):
    h, tape0 = layer(params["W0"], params["U0"], params["b0"], x)
    y, tape1 = layer(params["W1"], params["U1"], params["b1"], h)
    return y, (tape0, tape1)

def backward(params, x, dy):
    _, (tape0, tape1) = forward(params, x)
    dW1, dU1, db1, dh = layer_back(params["W1"], params["U1"], params["b1"], tape1, dy)
    dW0, dU0, db0, dx = layer_back(params["W0"], params["U0"], params["b0"], tape0, dh)
    return dict(W0=dW0, U0=dU0, b0=db0, W1=dW1, U1=dU1, b1=db1, x=dx)
"""

# The states go in, and their gradients come out.
STATES = """
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def run(params, x, h, c):
    tape = []
    for t in range(len(x)):
        a = x[t] @ params["Wx"].T + h @ params["Wh"].T + params["b"]
        f, i, o, g = np.split(a, 4, axis=1)
        f, i, o, g = sigmoid(f), sigmoid(i), sigmoid(o), np.tanh(g)
        c_new = f * c + i * g
        tape.append((h, c, i, f, g, o, c_new))
        h, c = o * np.tanh(c_new), c_new
    return tape

def forward(params, x, h0, c0):
    return np.stack([s[5] * np.tanh(s[6]) for s in run(params, x, h0, c0)])

def backward(params, x, dy, h0, c0):
    tape = run(params, x, h0, c0)
    found = {k: np.zeros_like(v) for k, v in params.items()}
    dx = np.zeros_like(x)
    dh = dc = np.zeros_like(dy[0])
    for t in reversed(range(len(x))):
        h, c, i, f, g, o, c_new = tape[t]
        dh = dh + dy[t]
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        da = np.concatenate([
            dc * c * f * (1 - f),
            dc * g * i * (1 - i),
            dh * np.tanh(c_new) * o * (1 - o),
            dc * i * (1 - g ** 2),
        ], 1)
        found["Wx"] += da.T @ x[t]
        found["Wh"] += da.T @ h
        found["b"] += da.sum(0)
        dx[t] = da @ params["Wx"]
        dh = da @ params["Wh"]
        dc = dc * f
    return {**found, "x": dx, "h_0": dh, "c_0": dc}
"""
