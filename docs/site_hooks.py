"""Hooks of MkDocs: pages link to files of the checkout, and name the file that a block of code is."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LINK = re.compile(r"\]\(((?!https?:|#|mailto:)[^)#\s]+)")
FENCE = re.compile(r"^```(\w+) ([\w./-]+)$", re.MULTILINE)


def _below_the_root(source: Path, target: str) -> str | None:
    """The path from the root of what a page outside or inside docs/ links to, if that is a file out of docs/."""
    path = (source.parent / target).resolve()
    outside = path.is_file() and path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)
    return path.relative_to(ROOT).as_posix() if outside else None


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Takes in the files of the checkout that pages link to, and the two pages that lie at its root."""
    wanted = {"CHANGELOG.md", "CONTRIBUTING.md"}
    sources = [*DOCS.rglob("*.md"), *(ROOT / page for page in wanted)]
    for source in sources:
        linked = (_below_the_root(source, target) for target in LINK.findall(source.read_text("utf-8")))
        wanted.update(path for path in linked if path is not None and path != "README.md")
    for path in sorted(wanted):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links at where the site has their files, and gives named blocks of code a title."""
    here = page.file.src_uri
    at_root = here in {"CHANGELOG.md", "CONTRIBUTING.md"}
    source = (ROOT if at_root else DOCS) / here

    def moved(match: re.Match[str]) -> str:
        path = (source.parent / match.group(1)).resolve()
        if path == ROOT / "README.md":
            path = DOCS / "index.md"
        base = DOCS if path.is_relative_to(DOCS) else ROOT
        if not path.is_relative_to(base):
            return match.group(0)
        up = "../" * here.count("/")
        return f"]({up}{path.relative_to(base).as_posix()}"

    return FENCE.sub(r'```\1 title="\2"', LINK.sub(moved, markdown))
