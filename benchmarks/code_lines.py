"""How much code there is: lines per package without blank lines, comments and docstrings.

    python -m benchmarks.code_lines [FOLDER]

A docstring is any expression statement that is nothing but a string, so those of attributes too. Comment lines are
those that hold nothing else.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import NamedTuple

LAYOUT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


class Lines(NamedTuple):
    """Of one file or several."""

    code: int
    comments: int


def count(file: Path) -> Lines:
    """Code lines and comment lines of a Python file."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code: set[int] = set()
    comments: set[int] = set()
    with file.open("rb") as text:
        for token in tokenize.tokenize(text.readline):
            if token.type == tokenize.COMMENT:
                comments.add(token.start[0])
            elif token.type not in LAYOUT:
                code.update(range(token.start[0], token.end[0] + 1))
    return Lines(len(code - docstrings), len(comments - code))


def main(folder: Path) -> None:
    """Prints a line per package, modules beside them together, and the total."""
    code, comments = Counter[str](), Counter[str]()
    for file in sorted(folder.rglob("*.py")):
        below = file.relative_to(folder).parts
        package = below[0] if len(below) > 1 else "(modules)"
        lines = count(file)
        code[package] += lines.code
        comments[package] += lines.comments
    for package in sorted(code, key=lambda name: -code[name]):
        print(f"{package:<16}{code[package]:>7}")
    total = code.total()
    print(f"{'total':<16}{total:>7}")
    print(f"comment lines per hundred code lines: {100 * comments.total() / max(1, total):.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "gapslsim")
