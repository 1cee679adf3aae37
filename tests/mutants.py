"""Break the code on purpose and see the tests go red: `make mutants`.

Each mutant is one edit of one file, in a copy of the package; the tests named beside it must fail.
A test that cannot fail proves nothing, and this is how we know.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unrolled

ROOT = Path(__file__).parent.parent

# what is broken, file, code, broken code, tests
MUTANTS = [
    (
        "whole steps: a block that a generator gave is not copied",
        "steps/ahead.py",
        "self._made.put((_owned(next(self._source, _END)), None))",
        "self._made.put((next(self._source, _END), None))",
        ["test_own_data.py"],
    ),
    (
        "many models: what a job raises is raised and takes the others away",
        "steps/many.py",
        "return _failed(_numbered(number, error))",
        "raise _numbered(number, error)",
        ["test_own_data.py"],
    ),
    (
        "OpenMP's threads are not sent home before a fork",
        "engines/forking.py",
        "os.register_at_fork(before=_before, after_in_child=_in_child)",
        "pass",
        ["test_fork.py"],
    ),
    (
        "a run's file is not held to its digest",
        "files/sealed.py",
        "if _digest(memoryview(data), mark.start(3), after) != digest:",
        "if False:",
        ["test_sealed.py", "test_documents.py"],
    ),
    (
        "a state's shape is not held to its parameter's",
        "training/declared.py",
        "_is_tensor(v) and (v.dtype, v.shape) == wanted)",
        "_is_tensor(v))",
        ["test_sealed.py"],
    ),
    (
        "another run's file is taken for this one's",
        "training/documents.py",
        "if seal is not None and whose.run not in (seal.run, sealed.NOBODY):",
        "if False:",
        ["test_documents.py"],
    ),
    (
        "a storage that was cut is read beyond its end",
        "engines/memory.py",
        "t.untyped_storage().nbytes() >= (last + 1) * t.element_size()",
        "last >= 0",
        ["test_memory_gate.py"],
    ),
    (
        "complex numbers: W_hh is not conjugated on the way back",
        "engines/reference.py",
        "d_rec = d_a @ w_hh.conj()",
        "d_rec = d_a @ w_hh",
        ["test_complex.py"],
    ),
    (
        "the final state of one layer is a view, which may not be changed in place",
        "layer/lstm.py",
        "h_n = torch.stack([end.h_n for end in ends])",
        "h_n = ends[0].h_n[None]",
        ["test_returned.py"],
    ),
    (
        "whole steps: hooks on every module are not asked about",
        "engines/watching.py",
        "if any(_any(module, names) for module, names in _GLOBAL_HOOKS.items()):",
        "if False:",
        ["test_process_defaults.py"],
    ),
    (
        "a mask that masks nothing goes another way",
        "layer/layout.py",
        "return bool(flags.all()) if value else not bool(flags.any())",
        "return False",
        ["test_bad_calls.py"],
    ),
    (
        "whole steps: each begins at zero",
        "steps/batches.py",
        "int(not carried)",
        "1",
        ["test_train_steps.py"],
    ),
    (
        "whole steps: no weight decay",
        "steps/updates.py",
        'float(given["weight_decay"])',
        "0.0",
        ["test_train_steps.py"],
    ),
    (
        "whole steps: a momentum that never was",
        "steps/program.py",
        "elif self._created:",
        "elif False:",
        ["test_train_steps_changed.py"],
    ),
    (
        "whole steps: the block drawn anew at the wrong place",
        "training/session.py",
        "self._take((self._window - 1) // self._parts)",
        "self._take(0)",
        ["test_train_native.py"],
    ),
    (
        "i and f swapped",
        "equations.py",
        '("i", "f", "g", "o") if',
        '("f", "i", "g", "o") if',
        ["test_lstm.py", "test_equations.py"],
    ),
    (
        "g and o swapped",
        "equations.py",
        'return ("i", "f", "g", "o") if self.forget == "learned" else ("i", "g", "o")',
        'return ("i", "f", "o", "g") if self.forget == "learned" else ("i", "o", "g")',
        ["test_lstm.py"],
    ),
    (
        "the cell's path dropped",
        "equations.py",
        "d_c_in = d_c * s.f",
        "d_c_in = torch.zeros_like(d_c)",
        ["test_equations.py", "test_engines.py", "test_lstm.py"],
    ),
    (
        "1 − c² for 1 − tanh²(c), as in document 000",
        "equations.py",
        "d_c = d.c + d.h * s.o * (1 - phi * phi)",
        "d_c = d.c + d.h * s.o * (1 - s.c * s.c)",
        ["test_equations.py", "test_engines.py"],
    ),
    (
        "the hidden state's gradient not carried, as in document 000",
        "engines/reference.py",
        "d_rec = d_a @ w_hh",
        "d_rec = torch.zeros_like(d_a @ w_hh)",
        ["test_engines.py", "test_recurrence.py"],
    ),
    (
        "W_ih's gradient from the last step alone, as in document 002",
        "engines/reference.py",
        "flat.T @ blank(x, masks.live).flatten(0, 1).conj() if needs[3]",
        "d_a[-1].T @ x[-1] if needs[3]",
        ["test_engines.py"],
    ),
    (
        "the output gate sees the old cell",
        "equations.py",
        'seen("o", c))',
        'seen("o", c_in))',
        ["test_equations.py"],
    ),
    (
        "the short way keeps a weight that was replaced",
        "layer/plan.py",
        "parameters.get(name) is not weight",
        "False",
        ["test_direct.py"],
    ),
    (
        "the short way is gone where there is noise",
        "layer/lstm.py",
        "plain = quiet and simple",
        "plain = simple",
        ["test_direct.py"],
    ),
    (
        "a padded step is read",
        "engines/masks.py",
        "live = present if inside is None else inside if present is None else inside & present",
        "live = present",
        ["test_masks.py", "test_beyond_torch.py"],
    ),
    (
        "what lies in a padded step is not blanked",
        "engines/masks.py",
        "if not len(dead):",
        "if True:",
        ["test_masks.py", "test_padding.py"],
    ),
    (
        "the padding's gradient is read",
        "layer/recurrence.py",
        "out = out._replace(y=blank(out.y, masks.inside))",
        "pass",
        ["test_padding.py"],
    ),
    (
        "a reset in the padding acts",
        "engines/masks.py",
        "begins = resets if inside is None else resets & inside",
        "begins = resets",
        ["test_masks.py", "test_beyond_torch.py"],
    ),
    (
        "a reset one step off in reverse",
        "engines/masks.py",
        "begins = torch.cat([begins[1:], torch.zeros_like(begins[:1])])",
        "begins = begins",
        ["test_masks.py", "test_beyond_torch.py"],
    ),
    (
        "a missing step does not hold c",
        "engines/reference.py",
        "c = equations.after(c_in, s.c, m.keep_c, m.live)",
        "c = equations.after(c_in, s.c, m.keep_c, None)",
        ["test_beyond_torch.py", "test_engines.py"],
    ),
    (
        "a half-life of the mean gate",
        "inside/units.py",
        "rate = f.double().flatten(0, -2).log().mean(0).abs()",
        "rate = f.double().flatten(0, -2).mean(0).log().abs()",
        ["test_units.py"],
    ),
    (
        "a held unit's h runs on",
        "inside/intervention.py",
        "step._replace(h=_put(step.h, places, h), c=_put(step.c, places, c))",
        "step._replace(c=_put(step.c, places, c))",
        ["test_intervention.py", "test_ablation.py"],
    ),
    (
        "the flow of c without what goes through h",
        "inside/intervention.py",
        "new if step.live is None else torch.where(step.live, new, after)",
        "after",
        ["test_intervention.py"],
    ),
    (
        'a unit that is taken says "yes"',
        "inside/ablation.py",
        "there == say",
        "there != say",
        ["test_ablation.py", "test_docs.py"],
    ),
    (
        "a carry one place late",
        "recipes/_adder/carry.py",
        "torch.cat((into[1:] > 0, last))",
        "into > 0",
        ["test_ablation.py"],
    ),
    (
        "the projection's gradient forgets the output gate",
        "engines/reference.py",
        "d_rs.append(d_h_new.T @ (o * phi).conj())",
        "d_rs.append(d_h_new.T @ phi)",
        ["test_engines.py", "test_lstm.py"],
    ),
    (
        "the page's gradient does not pass the forget gate",
        "explorer/page/lstm.js",
        "d_c_in = d_c * f;",
        "d_c_in = d_c;",
        ["test_explorer_core.py"],
    ),
    (
        "the page's output gate sees the old cell",
        "explorer/page/lstm.js",
        "p[p_o + u] * c : 0)",
        "p[p_o + u] * c_in : 0)",
        ["test_explorer_core.py"],
    ),
    (
        "in the page, what is put lets a gradient through",
        "explorer/page/lstm.js",
        "if (put && set(put.c, n) !== undefined) continue;",
        "if (false) continue;",
        ["test_explorer_core.py"],
    ),
    (
        "a tag in a text ends the page's data",
        "explorer/build.py",
        'data.replace("<", "\\\\u003c")',
        "data",
        ["test_explorer.py"],
    ),
    (
        "what a link leads to is asked about, and not the link",
        "files/whole.py",
        "os.lstat(path).st_mode",
        "os.stat(path).st_mode",
        ["test_whole.py"],
    ),
    (
        "a mistake in one's own recipe is told by its kind alone",
        "errors/mistakes.py",
        "return f\"{place}: {type(error).__name__}: {message or 'no message'}\"",
        "return type(error).__name__",
        ["test_one_sentence.py"],
    ),
    (
        "a run's folder is made before its model can be",
        "training/loop.py",
        "    session = Session(recipe, plain)  # before",
        "    runs.create(out)\n    session = Session(recipe, plain)  # before",
        ["test_one_sentence.py"],
    ),
    (
        "the folder of a run that came to nothing stays",
        "training/loop.py",
        "            self._remove()\n",
        "",
        ["test_one_sentence.py"],
    ),
    (
        "20,038 is read without asking which it is",
        "files/numerals.py",
        "    if len(fits) > 1:\n        raise _ambiguous",
        "    if len(fits) > 9:\n        raise _ambiguous",
        ["test_tables.py", "test_dialects.py"],
    ),
    (
        "a file that runs backwards is read backwards",
        "files/order.py",
        'return rows[::-1], ["newest first: turned round"]',
        'return rows, ["newest first: turned round"]',
        ["test_timed.py", "test_series.py"],
    ),
    (
        "a row that is cut short is filled up with blanks",
        "files/delimited.py",
        "    _check_whole(body, mark, width, file, above)\n",
        "",
        ["test_tables.py"],
    ),
    (
        "of two orders of day and month that are even, the first is taken",
        "files/moments.py",
        "    if len(even) == 1:",
        "    if even:",
        ["test_times.py"],
    ),
]


def _lying(test: str) -> str:
    """Where the tests of that name lie."""
    (found,) = (ROOT / "tests").rglob(test)
    return str(found)


def killed(file: str, old: str, new: str, test: str) -> bool:
    """Whether the test is red on the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "unrolled"
        shutil.copytree(Path(unrolled.__file__).parent, package)  # with the extension
        source = (package / file).read_text()
        if source.count(old) != 1:
            raise SystemExit(f"{file}: {old!r} is there {source.count(old)} times, expected once.")
        (package / file).write_text(source.replace(old, new))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                str(_lying(test)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.returncode == 1


def main() -> int:
    """Print a line for each mutant and test; the exit status counts the survivors."""
    survivors = 0
    for what, file, old, new, tests in MUTANTS:
        for test in tests:
            dead = killed(file, old, new, test)
            survivors += not dead
            print(f"{'red ' if dead else 'GREEN'}  {test:22}  {what}", flush=True)
    print(f"{survivors} survived")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
