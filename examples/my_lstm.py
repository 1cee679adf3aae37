"""A hand-written LSTM in NumPy, as one would write it down:  unrolled audit examples/my_lstm.py

Run as a program it says that its gradients are exact.
"""

import numpy as np

import unrolled

GATES = "ifog"
PARAMS = {"W": "ih|hh", "b": "b"}  # W [4H, I+H], b [4H]


def sigmoid(a):
    """σ, which cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def run(params, x):
    """Every step's gates and states, for x [T, B, I]."""
    W, b = params["W"], params["b"]
    H = len(b) // 4
    h = c = np.zeros((x.shape[1], H))
    steps = []
    for x_t in x:
        z = np.concatenate([x_t, h], 1)
        a_i, a_f, a_o, a_g = np.split(z @ W.T + b, 4, axis=1)
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)
        c_prev, c = c, f * c + i * g
        h = o * np.tanh(c)
        steps.append((z, i, f, o, g, c_prev, c, h))
    return steps


def forward(params, x):
    """H of every step, [T, B, H]."""
    return np.stack([step[-1] for step in run(params, x)])


def backward(params, x, d_y):
    """The gradients of W, b and x, from that of every step's h."""
    W, I = params["W"], x.shape[2]
    steps = run(params, x)
    d_W, d_b, d_x = np.zeros_like(W), np.zeros_like(params["b"]), np.zeros_like(x)
    d_h_next = d_c_next = np.zeros_like(d_y[0])
    for t in reversed(range(len(x))):
        z, i, f, o, g, c_prev, c, _ = steps[t]
        d_h = d_y[t] + d_h_next
        d_c = d_c_next + d_h * o * (1 - np.tanh(c) ** 2)
        d_a_o = d_h * np.tanh(c) * o * (1 - o)
        d_a_i = d_c * g * i * (1 - i)
        d_a_f = d_c * c_prev * f * (1 - f)
        d_a_g = d_c * i * (1 - g**2)
        d_a = np.concatenate([d_a_i, d_a_f, d_a_o, d_a_g], 1)
        d_W += d_a.T @ z
        d_b += d_a.sum(0)
        d_z = d_a @ W
        d_x[t], d_h_next = d_z[:, :I], d_z[:, I:]
        d_c_next = d_c * f
    return {"W": d_W, "b": d_b, "x": d_x}


if __name__ == "__main__":
    print(unrolled.audit(forward, backward, params=PARAMS, gates=GATES))
