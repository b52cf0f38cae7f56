"""Tables for LaTeX are compiled by LaTeX, where it is installed (Debian: texlive-latex-recommended)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gapslsim.results.latex import booktabs

HEAD = ["run", "accuracy\n[%]", "time_s & more"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_latex_compiles_what_names_may_hold(tmp_path: Path) -> None:
    signs = [
        *map(chr, range(32, 127)),
        *"±≥µ\u00d7",
        "a\nb",
        "\\input{x}",
        "[1]",
        "50 %",
        "1.0 % ± 0.1 %\n0 .. 2",
    ]
    rows = [[sign, f"{sign} x {sign}", f"x{sign}"] for sign in signs]
    halves = "\n".join(booktabs(HEAD, rows[half::3]) for half in range(3))
    text = f"\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{halves}\\end{{document}}\n"
    (tmp_path / "a.tex").write_text(text, encoding="utf-8")
    how = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"]
    made = subprocess.run(how, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert made.returncode == 0, made.stdout[-2000:]
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert "Missing character" not in (tmp_path / "a.log").read_text(errors="replace")
