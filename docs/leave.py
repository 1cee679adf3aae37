"""What the site does with what leaves docs/: the site is to hold all that it points at.

A page at the root of the repository becomes a page of the site.  Any other file is copied beside
the pages, as text, so that a reader without a network can open it.  A link to a folder keeps its
words and loses its link.  A page that would fetch anything from elsewhere is not written.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {name: name.lower() for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link(?![^>]*canonical))\b[^>]*"
    r"\b(?:src|href|srcset)=\W?(?:https?:)?//[^\s>]*"
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie at the root."""
    for source, name in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point every link at a page or at a copy."""
    here = page.file.src_uri
    folder = "" if here in PAGES.values() else f"docs/{posixpath.dirname(here)}"

    def turned(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found["target"]))
        if not (ROOT / path).exists():
            return found[0]  # for mkdocs to complain of
        to = _in_the_site(path, config, files)
        if to is None:
            return found["words"]
        beside = posixpath.relpath(to, posixpath.dirname(here) or ".")
        return f"[{found['words']}]({beside}{found['anchor'] or ''})"

    return LINK.sub(turned, markdown)


def _in_the_site(path: str, config: Any, files: Files) -> str | None:
    """Where a file of the repository is in the site; None for a folder."""
    if path in PAGES:
        return PAGES[path]
    inside = path.removeprefix("docs/")
    there = files.get_file_from_path(inside) if inside != path else None
    if there is not None and there.inclusion.is_included():
        return inside
    if not (ROOT / path).is_file():
        return None
    copy = f"files/{path}.txt"
    if files.get_file_from_path(copy) is None:
        files.append(File.generated(config, copy, abs_src_path=str(ROOT / path)))
    return copy


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that asks another host for a script, a style or a picture."""
    found = FETCHED.search(output)
    if found is not None:
        raise PluginError(f"{page.file.src_uri} would fetch {found[0]}: expected nothing.")
    return output
