"""No module of `results` needs itself, not even for its types."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx

import gapslsim

ROOT = Path(gapslsim.__file__).resolve().parent.parent


def test_imports_within_results_have_no_circle_with_those_for_types_and_within_functions():
    graph = nx.DiGraph()
    for file in (ROOT / "gapslsim" / "results").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gapslsim.results"):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    is_module = (ROOT / f"{inner.replace('.', '/')}.py").is_file()
                    graph.add_edge(module, inner if is_module else node.module)
    assert graph.number_of_edges() > 50
    assert [circle for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []
