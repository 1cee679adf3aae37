"""Passes in the styles of public tutorials: read without a declaration, exact, and with a slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_written import keys
from unrolled import cli
from unrolled.auditing.checks import audit_learner
from unrolled.auditing.guessing import guess
from unrolled.auditing.layouts import AuditError
from unrolled.auditing.loading import load
from written import STYLES, read, written

# style, what is wrong, where
SLIPS = [
    ("cellwise", {"sigmoid-value"}, [(f"* {k} * (1 - {k})", f"* {k}") for k in "oif"]),
    ("cellwise", {"c-without-f"}, [('"c": dc * f}', '"c": dc}')]),
    ("cellwise", {"x-sign"}, [('"x": dz[H:]', '"x": -dz[H:]')]),
    (
        "cellwise",
        {"phi-prime-twice"},
        [("(1 - np.tanh(c_new) ** 2)", "(1 - np.tanh(np.tanh(c_new)) ** 2)")],
    ),
    (
        "cellwise",
        {"every-squared"},
        [
            *((f"* {k} * (1 - {k})", f"* ({k} * (1 - {k})) ** 2") for k in "oif"),
            ("(1 - g ** 2)", "(1 - g ** 2) ** 2"),
        ],
    ),
    (
        "last",
        {"h-g-o-exchanged"},
        [
            (
                "dh = da @ Wh.T",
                "q = np.split(da, 4, 1); dh = np.hstack([q[0], q[1], q[3], q[2]]) @ Wh.T",
            )
        ],
    ),
    (
        "last",
        {"sums-last"},
        [
            ("dWx +=", "dWx += (t == len(tape) - 1) *"),
            ("dWh +=", "dWh += (t == len(tape) - 1) *"),
            ("db +=", "db += (t == len(tape) - 1) *"),
        ],
    ),
    ("last", {"c-twice"}, [("        dc = dc * f", "        dc = 2 * dc * f")]),
    (
        "last",
        {"batch-mean"},
        [
            (
                '{"Wx": dWx, "Wh": dWh, "b": db',
                '{"Wx": dWx / len(x), "Wh": dWh / len(x), "b": db / len(x)',
            )
        ],
    ),
    (
        "last",
        {"order-b-gifo"},
        [
            (
                "db += da.sum(axis=0)",
                "q = np.split(da.sum(axis=0), 4); db += np.concatenate([q[3], q[0], q[2], q[1]])",
            )
        ],
    ),
    ("stacked", {"hh-wraps"}, [("d_a, h)", "d_a, tape[t - 1][4] * torch.tanh(tape[t - 1][6]))")]),
    ("stacked", {"f-reads-c"}, [("d_c * c * f", "d_c * c_new * f")]),
    (
        "stacked",
        {"decay-weights"},
        [
            (
                "    return found",
                '    for k in "UV": found[k] += 0.001 * params[k]\n    return found',
            )
        ],
    ),
    ("class", {"o-reads-old-c"}, [("d_h * c.tanh() * o", "d_h * c_prev.tanh() * o")]),
    (
        "class",
        {"all-forgotten"},
        [
            (" * (1 - c.tanh() ** 2)", ""),
            (" * o * (1 - o)", ""),
            (" * i * (1 - i)", ""),
            (" * f * (1 - f)", ""),
            (" * (1 - g * g)", ""),
        ],
    ),
    ("class", {"half"}, [("leaves.values()), d_h)", "leaves.values()), 0.5 * d_h)")]),
]


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_read_without_a_declaration_and_is_exact(
    style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, style, [])
    assert cli.main(["audit", str(path), "--guess"]) == 0
    said = capsys.readouterr().out
    declaration = said.partition("declared:\n\n")[2].partition("\n\n")[0]
    assert "PARAMS = {" in declaration
    path.write_text(path.read_text() + "\n" + declaration + "\n")
    assert audit_learner(load(path)).exact  # what was printed can be pasted


@pytest.mark.parametrize(("style", "names", "changes"), SLIPS)
def test_a_slip_in_a_style_is_named(
    style: str, names: set[str], changes: list[tuple[str, str]], tmp_path: Path
) -> None:
    report = audit_learner(read(tmp_path, style, changes))
    assert names in keys(report.faults)
    assert len(report.faults[0]) == len(names)


@pytest.mark.parametrize("style", STYLES)
def test_there_is_no_false_alarm(style: str, tmp_path: Path) -> None:
    learner = read(tmp_path, style, [])
    assert all(audit_learner(learner, seed=seed).exact for seed in range(1, 11))


def test_what_is_read_besides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = [(f'"b{k}"', f'"b_{k}"') for k in "fio"] + [('"bc"', '"b_C"')]
    letters += [(f'"W{k}"', f'"W_{k}"') for k in "fio"] + [('"Wc"', '"W_C"')]
    names = 'for name, d in (("f", df), ("i", di), ("c", dg), ("o", do)):'
    source = STYLES["cellwise"].replace(names, names.replace('"c"', '"C"'))
    source = source.replace('"W" + name', '"W_" + name').replace('"b" + name', '"b_" + name')
    for old, new in letters:
        source = source.replace(old, new)
    source = source.replace("    H = len(f)", '    print("loss 0.1")\n    H = len(f)')
    optional = STYLES["module"].replace("forward(self, x)", "forward(self, x, init_states=None)")
    linear = STYLES["module"].replace(
        "self.weights = torch.nn.Parameter(torch.randn(4 * hidden_size, input_size + hidden_size))",
        "self.gates = torch.nn.Linear(input_size + hidden_size, 4 * hidden_size)",
    )
    linear = linear.replace(
        "        self.bias = torch.nn.Parameter(torch.randn(4 * hidden_size))\n", ""
    )
    linear = linear.replace(
        "torch.nn.functional.linear(torch.cat([h, x_t], 1), self.weights, self.bias)",
        "self.gates(torch.cat([h, x_t], 1))",
    )
    a_list = STYLES["module"].replace("torch.stack(out), (h, c)", "out, (h, c)")
    for number, text in enumerate((source, optional, linear, a_list)):
        path = tmp_path / f"mine_{number}.py"
        path.write_text(text)
        assert cli.main(["audit", str(path), "--guess"]) == 0, number
        assert "loss 0.1" not in capsys.readouterr().out


def test_what_cannot_be_guessed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def forward(params, x):\n    return x\n\ndef backward(params, x, d):\n    return {}\n"
    )
    with pytest.raises(AuditError, match="their names are not known: declare PARAMS"):
        guess(path)
    path.write_text(
        'def forward(params, x):\n    return params["a"] @ params["b"]\n\n'
        "def backward(params, x, d):\n    return {}\n"
    )
    with pytest.raises(AuditError, match="runs under no declaration of a, b that was tried"):
        guess(path)
    with pytest.raises(AuditError, match="there is no file"):
        guess(tmp_path / "nowhere.py")


def test_a_forward_pass_that_is_exact_in_no_order_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "class", [("f * c_prev + i * g", "f * c_prev + 1.1 * i * g")])
    assert cli.main(["audit", str(path), "--guess"]) == 1
    assert "the order of the gates is not known" in capsys.readouterr().out
