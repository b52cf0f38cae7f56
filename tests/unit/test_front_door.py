"""The front door: what is exported is there, is documented, and costs nothing before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import gapslsim

ROOT = Path(__file__).resolve().parents[2]


def test_every_name_can_be_imported_and_the_three_lists_agree() -> None:
    homes = {name for names in gapslsim._HOMES.values() for name in names}
    assert homes | {"__version__"} == set(gapslsim.__all__) == set(dir(gapslsim))
    assert all(getattr(gapslsim, name) is not None for name in gapslsim.__all__)
    (block,) = (
        node for node in ast.parse(Path(gapslsim.__file__).read_text()).body if isinstance(node, ast.If)
    )
    typed = {a.name: n.module for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert typed == {n: f"gapslsim.{module}" for module, names in gapslsim._HOMES.items() for n in names}


def test_the_page_names_what_is_exported_and_nothing_else() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(gapslsim.__all__) - {"__version__"}


def test_importing_it_loads_nothing_heavy() -> None:
    script = "import sys, gapslsim; print([m for m in ('torch', 'pandas', 'pydantic') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_pages_for_users_import_from_the_front_door_alone() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    deep = re.compile(r"^\s*(?:from gapslsim\.[\w.]+ import|import gapslsim\.).*", re.MULTILINE)
    found = {page.name: deep.findall(page.read_text()) for page in pages}
    assert {name: lines for name, lines in found.items() if lines} == {}
