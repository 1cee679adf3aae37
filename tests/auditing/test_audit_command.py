"""`unrolled audit`: what it prints, what it writes, and files that cannot be audited."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from unrolled import cli
from unrolled.auditing.cost import TASKS, train

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = (EXAMPLES / "my_lstm.py").read_text(encoding="utf-8")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: Captured, *words: str) -> tuple[int, str, str]:
    status = cli.main(["audit", *words])
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: Captured, *words: str) -> str:
    status, _, err = run(capsys, *words)
    assert status == 2
    assert err.startswith("unrolled: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def line_of(what: str) -> int:
    return next(n for n, line in enumerate(SOURCE.splitlines(), 1) if what in line)


def changed(old: str, new: str) -> str:
    assert old in SOURCE
    Path("mine.py").write_text(SOURCE.replace(old, new), encoding="utf-8")
    return "mine.py"


def test_the_examples(capsys: Captured) -> None:
    status, out, _ = run(capsys, str(EXAMPLES / "my_lstm.py"))
    assert status == 0
    assert "Every gradient is exact." in out
    status, out, _ = run(capsys, str(EXAMPLES / "my_lstm_wrong.py"), "--out", "pictures")
    assert status == 1
    assert "  - the cell's gradient is carried to step t-1 without the factor f" in out
    assert "  - 1 - c² stands where 1 - tanh²(c) belongs" in out
    assert "d_c_prev = d_c * f" in out
    assert Path("pictures/my_lstm_wrong.png").read_bytes().startswith(b"\x89PNG")


def test_the_example_as_a_program(capsys: Captured) -> None:
    runpy.run_path(str(EXAMPLES / "my_lstm.py"), run_name="__main__")
    assert "Every gradient is exact." in capsys.readouterr().out


def test_the_published_passes(capsys: Captured) -> None:
    status, out, _ = run(capsys, "--no-training", "--out", "pictures")
    assert status == 0
    blocks = {block.split(",")[0]: block for block in out.split("\n\n")}
    assert "Nothing is wrong with it." in blocks["001"]
    assert "1 - c² stands where" in blocks["000"]
    assert "W_ih is taken from the last step only" in blocks["002"]
    assert Path("pictures/published.png").is_file()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name.partition(" ")[0])
def test_a_short_training_learns_and_a_wrong_gradient_learns_something_else(task: object) -> None:
    short = TASKS[TASKS.index(task)]  # type: ignore[arg-type]
    figures = [train(short, document, updates=3) for document in short.gradients.values()]
    assert figures[0] != figures[1]
    assert train(short, "", updates=3) == figures[0]


# --- the template ---


def test_the_template_is_written_once(capsys: Captured) -> None:
    status, out, _ = run(capsys, "--template")
    assert status == 0
    assert "unrolled audit my_lstm.py" in out
    written = Path("my_lstm.py").read_bytes()
    assert "my_lstm.py is there already and stays as it is" in refused(capsys, "--template")
    assert Path("my_lstm.py").read_bytes() == written
    said = refused(capsys, "my_lstm.py")
    assert "forward raised NotImplementedError: write your forward pass here" in said
    assert "leave out my_lstm.py" in refused(capsys, "my_lstm.py", "--template", "other.py")


def test_the_template_filled_in_is_audited(capsys: Captured) -> None:
    run(capsys, "--template", "mine.py")
    head = Path("mine.py").read_text(encoding="utf-8").partition("def forward")[0]
    passes = SOURCE[SOURCE.index("def sigmoid") : SOURCE.index("if __name__")]
    declared = head.replace('"W_ih": "ih",\n    "W_hh": "hh"', '"W": "ih|hh"')
    filled = declared.replace('GATES = "ifgo"', 'GATES = "ifog"') + passes
    Path("mine.py").write_text(filled, encoding="utf-8")
    assert run(capsys, "mine.py")[0] == 0


# --- what cannot be audited ---


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def backward", "def backwards", "has no function backward"),
        ("def forward", "def forward(", f"line {line_of('def forward')}: "),
        ("z @ W.T + b", "z @ W + b", f"line {line_of('z @ W.T')}: forward raised ValueError: "),
        (
            "d_h = d_y[t]",
            "d_h = d_z[t]",
            f"line {line_of('d_h = d_y')}: backward raised UnboundLocalError: ",
        ),
        ("for step in run(params, x)])", "for step in run(params, x)])[-1]", "forward returned h"),
        ("for step in run(params, x)])", "for step in run(params, x)]) * np.nan", "NaN in h"),
        ('{"W": d_W, "b": d_b, "x": d_x}', '{"W": d_W, "x": d_x}', "no gradient for b"),
        ('{"W": d_W, "b": d_b, "x": d_x}', "None", "backward returned None: expected a dict"),
        ('"W": d_W, "b"', '"W": d_W.T, "b"', "the gradient of W with the shape (7, 12)"),
        ('"x": d_x}', '"V": d_W}', "a gradient for V, which PARAMS does not name"),
        ('"x": d_x}', '"x": "none"}', "backward returned a str for the gradient of x"),
        ('"b": "b"', '"b": "i:b"', "PARAMS lacks the bias (b) of gate f"),
        ('"W": "ih|hh", ', "", "PARAMS lacks the input weights (ih) of gate i"),
        ('"b": "b"', '"b": "bias"', "PARAMS['b'] = 'bias' is not understood"),
        ('"b": "b"', '"b": "b", "b2": "f:b"', "the bias (b) of gate f is in b and b2"),
        ('"W": "ih|hh"', '"W": "ih|hh.row"', ".row is for a bias"),
        ('GATES = "ifog"', 'GATES = "ifo"', "GATES = 'ifo' is not an order of the gates"),
        ('GATES = "ifog"', 'GATES = "ifog"; X = "TXI"', "X = 'TXI' does not name the axes"),
        ('GATES = "ifog"', 'GATES = "ifog"; OUTPUT = "relu"', "OUTPUT = 'relu' is not known"),
        ('GATES = "ifog"', 'GATES = "ifog"; LIBRARY = "jax"', "LIBRARY = 'jax' is not known"),
        (
            'GATES = "ifog"',
            'raise SystemExit("no")',
            f"line {line_of('GATES')}: this raised SystemExit: no",
        ),
    ],
)
def test_a_file_that_cannot_be_audited(capsys: Captured, old: str, new: str, said: str) -> None:
    assert said in refused(capsys, changed(old, new))


def test_a_file_that_is_not_there_or_not_python(capsys: Captured) -> None:
    assert "`unrolled audit --template none.py` writes one" in refused(capsys, "none.py")
    Path("binary.py").write_bytes(bytes(range(256)))
    assert "binary.py" in refused(capsys, "binary.py")
    Path("empty.py").write_bytes(b"")
    assert "empty.py has no function forward" in refused(capsys, "empty.py")
