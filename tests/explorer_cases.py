"""What the explorer's page is held against: networks walked step by step in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unrolled import LSTM
from unrolled.equations import CELLS, Cell
from unrolled.explorer import Explorable, Numbers, Output

Change = dict[str, Any]


def sample(cell: str, *, layers: int = 1, apart: bool = False, kind: str = "softmax") -> Explorable:
    """A small network in float64, its layers in one module or in several."""
    generator = torch.Generator().manual_seed(len(cell) + 10 * layers)
    reads = "all" if apart else "last"
    sizes = [(3, 5), *[(5, 5)] * (layers - 1)] if apart else [(3, 5)]
    deep = 1 if apart else layers
    stack = [LSTM(i, h, deep, cell=cell, dtype=torch.float64) for i, h in sizes]
    head = nn.Linear(5 * (layers if apart else 1), 4, dtype=torch.float64)
    with torch.no_grad():
        for module in (*stack, head):
            for weight in module.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    inputs = Numbers(["a", "b", "c"], {"one": x})
    return Explorable(stack, head, inputs, Output(kind, list("wxyz")), reads)  # type: ignore[arg-type]


def hands(cell: Cell) -> dict[str, list[Change]]:
    """Every kind of change, in some company."""
    everywhere = {"from": None, "to": None}
    clamp = {"kind": "clamp", "layer": 0}
    weight = {"kind": "weight", "layer": 0, "value": 0.8}
    edits = [
        {**weight, "name": "weight_ih", "row": 2, "column": 1},
        {**weight, "name": "weight_hh", "row": 9, "column": 3},
        {**weight, "name": "bias_ih", "row": 12, "column": 0},
        {**weight, "name": "bias_hh", "row": 1, "column": 0},
        {**weight, "name": "head", "layer": -1, "row": 1, "column": 2},
        {**weight, "name": "head_bias", "layer": -1, "row": 3, "column": 0},
    ]
    if cell.peephole:
        edits.append({**weight, "name": "weight_ph", "row": 1, "column": 2})
    last = cell.gates[-1]
    return {
        "untouched": [],
        "clamped": [
            {**clamp, "gate": "f", "unit": None, "from": 1, "to": 3, "value": 0.7},
            {**clamp, "gate": "i", "unit": 1, **everywhere, "value": 0.25},
            {**clamp, "gate": "g", "unit": 2, "from": 2, "to": None, "value": -0.5},
            {**clamp, "gate": "o", "unit": None, "from": 4, "to": 4, "value": 1.0},
        ],
        "held": [
            {"kind": "hold", "layer": 0, "unit": 0, "from": 1, "to": None},
            {"kind": "put", "layer": 0, "unit": 2, "from": 1, "to": 3, "h": 0.3, "c": -0.2},
            {"kind": "cut", "layer": 0, "unit": None, "at": 4, "what": "state"},
        ],
        "edited": [
            {"kind": "cut", "layer": 0, "unit": 3, "at": 3, "what": "gradient"},
            {"kind": "bias", "layer": 0, "gate": last, "value": -0.6},
            *edits,
        ],
    }


def cases() -> list[tuple[str, Explorable, list[Change]]]:
    """Every cell with every kind of change; deep ones too."""
    found = []
    for name, cell in CELLS.items():
        for what, changes in hands(cell).items():
            found.append((f"{name}, {what}", sample(name), changes))
    for what, changes in hands(CELLS["peephole"]).items():
        deep = sample("peephole", layers=2, kind="sigmoid")
        apart = sample("peephole", layers=2, apart=True, kind="linear")
        found += [(f"two layers, {what}", deep, changes), (f"all read, {what}", apart, changes)]
    return found


# --- the walk -------------------------------------------------------------------------------


def step(
    cell: Cell, a: Tensor, c_in: Tensor, p: Tensor | None, clamp: dict[str, Tensor]
) -> dict[str, Tensor]:
    """E1–E6 with gates that a hand may have set: NaN where it has not."""
    rows = dict(zip(cell.gates, a.chunk(len(cell.gates)), strict=True))
    sees = {} if p is None else dict(zip(cell.peepholes, p, strict=True))

    def held(gate: str, value: Tensor) -> Tensor:
        return torch.where(clamp[gate].isnan(), value, clamp[gate])

    def sigmoid(gate: str, c: Tensor) -> Tensor:
        return held(gate, torch.sigmoid(rows[gate] + (sees[gate] * c if gate in sees else 0)))

    i = sigmoid("i", c_in)
    if cell.forget == "learned":
        f = sigmoid("f", c_in)
    else:
        f = held("f", torch.ones_like(i) if cell.forget == "one" else 1 - i)
    g = held("g", torch.tanh(rows["g"]))
    return {"i": i, "f": f, "g": g, "c": f * c_in + i * g, "a_o": rows["o"], "c_in": c_in}


def walk(net: Explorable, x: Tensor, changes: Sequence[Change]) -> dict[str, Any]:
    """What `tracing.trace` gives, with hands; every state a tensor of its own in the graph."""
    x = x.clone().requires_grad_()
    read, layers = x, []
    flat = [(lstm, n) for lstm in net.stack() for n in range(lstm.num_layers)]
    for number, (lstm, n) in enumerate(flat):
        own = [c for c in changes if c["layer"] == number]
        layers.append(_layer(lstm, n, read, own))
        read = torch.stack(layers[-1]["h"])
    heard = torch.cat([torch.stack(s["h"]) for s in layers], -1) if net.reads == "all" else read
    if net.head is None:
        logits = heard
    else:
        weight, bias = net.head.weight.detach().clone(), net.head.bias.detach().clone()
        for c in changes:
            if c["layer"] == -1 and c["name"] == "head":
                weight[c["row"], c["column"]] = c["value"]
            elif c["layer"] == -1:
                bias[c["row"]] = c["value"]
        logits = heard @ weight.T + bias
    spoken = {"linear": logits, "sigmoid": logits.sigmoid(), "softmax": logits.softmax(-1)}
    return {"x": x, "layers": layers, "logits": logits, "values": spoken[net.output.kind]}


def _layer(lstm: LSTM, n: int, x: Tensor, changes: Sequence[Change]) -> dict[str, list[Tensor]]:
    cell, H = lstm.cell, lstm.hidden_size
    w = {k: t.detach().clone() for k, t in lstm.named_parameters() if k.endswith(f"_l{n}")}
    for c in changes:
        if c["kind"] == "weight":
            array = w[f"{c['name']}_l{n}"]
            array[(c["row"], c["column"]) if array.dim() == 2 else c["row"]] = c["value"]
        elif c["kind"] == "bias":
            first = cell.gates.index(c["gate"]) * H
            w[f"bias_ih_l{n}"][first : first + H] += c["value"]
    p = w.get(f"weight_ph_l{n}")
    h = c_ = x.new_zeros(H)
    seen: dict[str, list[Tensor]] = {key: [] for key in "ifgoch"}
    for t, row in enumerate(x):
        acting = [c for c in changes if _acts(c, t)]
        c_in = c_
        for c in acting:
            if c["kind"] == "cut":
                u = _units(c, H)
                c_in = torch.where(u, 0.0 if c["what"] == "state" else c_in.detach(), c_in)
        clamp = {gate: x.new_full((H,), float("nan")) for gate in "ifgo"}
        for c in acting:
            if c["kind"] == "clamp":
                clamp[c["gate"]][_units(c, H)] = c["value"]
        a = w[f"weight_ih_l{n}"] @ row + w[f"bias_ih_l{n}"]
        a = a + w[f"weight_hh_l{n}"] @ h + w[f"bias_hh_l{n}"]
        s = step(cell, a, c_in, p, clamp)
        c_new = s["c"]
        for c in acting:
            if c["kind"] == "hold":
                c_new = torch.where(_units(c, H), c_in, c_new)
        o = torch.sigmoid(s["a_o"] + (p[cell.peepholes.index("o")] * c_new if p is not None else 0))
        o = torch.where(clamp["o"].isnan(), o, clamp["o"])
        # One tensor for the cell, so that its gradient runs by way of h of the same step too.
        h = o * (torch.tanh(c_new) if cell.output == "tanh" else c_new)
        c_ = c_new
        put = torch.zeros(H, dtype=torch.bool)
        for c in acting:
            if c["kind"] == "put":
                put |= _units(c, H)
                h = torch.where(_units(c, H), c["h"], h)
                c_ = torch.where(_units(c, H), c["c"], c_)
        for key, value in {**{k: s[k] for k in "ifg"}, "o": o, "c": c_, "h": h}.items():
            seen[key].append(value)
        seen.setdefault("c_new", []).append(c_new)
        seen.setdefault("put", []).append(put)
    return seen


def _acts(change: Change, t: int) -> bool:
    if change["kind"] == "cut":
        return bool(change["at"] == t)
    if change["kind"] not in ("clamp", "hold", "put"):
        return False
    first, last = change["from"], change["to"]
    return (first is None or t >= first) and (last is None or t <= last)


def _units(change: Change, hidden: int) -> Tensor:
    chosen = torch.zeros(hidden, dtype=torch.bool)
    chosen[slice(None) if change["unit"] is None else change["unit"]] = True
    return chosen


def asked(net: Explorable, found: dict[str, Any], step: int, output: int) -> Tensor:
    """The number whose gradient the page takes."""
    logits: Tensor = found["logits"][step]
    return (logits.log_softmax(-1) if net.output.kind == "softmax" else logits)[output]


def gradients(net: Explorable, found: dict[str, Any], step: int, output: int) -> dict[str, Any]:
    """∂/∂x, and of every layer ∂/∂h and ∂/∂c at every step; 0 where nothing leads on."""
    y = asked(net, found, step, output)

    def of(tensors: list[Tensor]) -> list[list[float]]:
        some = torch.autograd.grad(
            y, [t for t in tensors if t.requires_grad], retain_graph=True, allow_unused=True
        )
        rest = iter(some)
        ds = [next(rest) if t.requires_grad else None for t in tensors]
        return [
            [0.0] * len(t) if d is None else d.tolist() for d, t in zip(ds, tensors, strict=True)
        ]

    def of_cells(s: dict[str, list[Tensor]]) -> list[list[float]]:
        """By way of h of the same step; of a unit that was put, what it was put to."""
        new, handed = _double(of(s["c_new"])), _double(of(s["c"]))
        return torch.where(torch.stack(s["put"]), handed, new).tolist()

    layers = [{"h": of(s["h"]), "c": of_cells(s)} for s in found["layers"]]
    return {"x": of([found["x"]])[0], "layers": layers}


def _double(values: list[list[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """A walk as lists."""
    return {
        "x": found["x"].tolist(),
        "layers": [
            {key: [t.tolist() for t in s[key]] for key in "ifgoch"} for s in found["layers"]
        ],
        "logits": found["logits"].tolist(),
        "values": found["values"].tolist(),
    }
