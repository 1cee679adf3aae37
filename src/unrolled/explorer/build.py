"""Put the page together: ES modules, styles and data in one HTML file that fetches nothing.

A browser does not load modules from a file:// page, so they are joined here.  Each becomes a
function that gives its exports, called once, in the order in which they need each other:

    const $lstm = (() => { …; return { forward, backward }; })();

A policy in the page forbids every fetch and any script or style but these two, which it names by
their hashes; the data lies in a block that is never run, and in which no tag can begin.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from unrolled.errors import UnrolledError

__all__ = ["BuildError", "join", "page"]

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)


class BuildError(UnrolledError):
    """A module is written in a way that cannot be joined."""


class _Module(NamedTuple):
    needs: dict[str, list[str]]
    exports: list[str]
    body: str


def _parsed(name: str, source: str) -> _Module:
    needs = {
        found[2]: [word.strip() for word in found[1].split(",") if word.strip()]
        for found in _IMPORT.finditer(source)
    }
    body = _IMPORT.sub("", source)
    exports = [found[1] for found in _EXPORT.finditer(body)]
    body = _EXPORT.sub("", body)
    for line in body.splitlines():
        if re.match(r"\s*(import|export)\b", line) and not line.lstrip().startswith("import("):
            raise BuildError(f"{name}.js: {line.strip()!r} is a kind of import that is not joined.")
    return _Module(needs, exports, body)


def join(sources: dict[str, str], entry: str) -> str:
    """One script out of modules, by their names without ``.js``, beginning with what needs nothing.

    Raises
    ------
    BuildError
        If one needs a module or a name that is not there, or they need each other in a circle.
    """
    modules = {name: _parsed(name, source) for name, source in sources.items()}
    done: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            raise BuildError(f"modules need each other in a circle: {' → '.join((*way, name))}.")
        if name in done:
            return
        for other, words in modules[name].needs.items():
            if other not in modules:
                raise BuildError(f"{name}.js needs {other}.js, which is not there.")
            missing = set(words) - set(modules[other].exports)
            if missing:
                raise BuildError(
                    f"{name}.js needs {missing} of {other}.js, which has no such name."
                )
            visit(other, (*way, name))
        done.append(name)

    visit(entry, ())
    parts = ['"use strict";']
    for name in done:
        module = modules[name]
        taken = "".join(
            f"const {{ {', '.join(words)} }} = ${other};\n" for other, words in module.needs.items()
        )
        given = f"return {{ {', '.join(module.exports)} }};\n"
        parts.append(f"const ${name} = (() => {{\n{taken}{module.body}{given}}})();")
    return "\n".join(parts)


@cache
def _sources() -> tuple[str, str, str]:
    folder = files("unrolled.explorer") / "page"
    found = sorted((item.name, item) for item in folder.iterdir())
    read = {name: item.read_text(encoding="utf-8") for name, item in found}
    scripts = {name[:-3]: text for name, text in read.items() if name.endswith(".js")}
    styles = "".join(text for name, text in read.items() if name.endswith(".css"))
    return read["index.html"], styles, join(scripts, "main")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(title: str, data: str) -> str:
    """The whole page.

    Parameters
    ----------
    title : str
        In the browser's tab.
    data : str
        JSON, as `payload.written` gives it.
    """
    template, style, script = _sources()
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # In JSON these stand in strings alone, where they may be written so.
    inert = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    parts = {
        "TITLE": html.escape(title.encode("utf-8", "replace").decode()),
        "POLICY": html.escape(policy, quote=True),
        "STYLE": style,
        "DATA": inert,
        "SCRIPT": script,
    }
    # In one pass, so that nothing that is put in is looked through again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)
