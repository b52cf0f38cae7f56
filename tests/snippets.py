"""What the pages of the documentation show: found, and carried out or checked.

`python -m tests.snippets PAGE...` carries out the pages in the current directory and prints a JSON object from page to
error (empty if none). It is a process of its own, because pages register components.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import runpy
import shlex
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {"sh", "python", "yaml", "text"}
"""What a fenced block may say; one that says nothing is taken for what it looks like."""
ELSEWHERE = {
    "cd": "shell",
    "pip": "changes the environment",
    "ray": "needs a cluster",
    "dask": "needs a cluster",
    "nox": "runs this very test",
    "pre-commit": "changes the checkout",
    "ruff": "CI does it",
    "mypy": "CI does it",
    "lint-imports": "CI does it",
}
"""Programs that are not ours, with the reason why they are not called here."""


@dataclass(frozen=True)
class Snippet:
    """A block of a page."""

    page: str
    line: int
    language: str
    name: str
    """Of the file that it is; empty for none."""
    text: str

    @property
    def first(self) -> str:
        """The first line, by which lists of exceptions name it."""
        return self.text.strip().splitlines()[0].strip()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page of the documentation, from the root of the project."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page.relative_to(ROOT).as_posix() for page in found]


def snippets(page: str) -> list[Snippet]:
    """Fenced and indented blocks, in order."""
    found: list[Snippet] = []
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    in_list, at = False, 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"^( *)```(.*)$", line)
        if fence:
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```")
            body = "\n".join(text.removeprefix(fence[1]) for text in lines[at + 1 : end]) + "\n"
            language, _, name = fence[2].strip().partition(" ")
            found.append(Snippet(page, at + 1, language or guess(body), name, body))
            at = end + 1
            continue
        if line.startswith("    ") and not in_list and (at == 0 or not _is_text(lines[at - 1])):
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            found += _indented(page, at + 1, [text[4:] for text in lines[at:end]])
            at = end
            continue
        if line.strip():
            in_list = re.match(r"^\s*([-*]|\d+\.) ", line) is not None or (in_list and line.startswith(" "))
        at += 1
    return found


def _indented(page: str, line: int, lines: list[str]) -> list[Snippet]:
    """An indented block; where a command is followed by Python, two blocks."""
    found: list[Snippet] = []
    for start, text in _paragraphs(lines):
        kind = guess(text)
        if found and kind in (found[-1].language, "text"):
            last = found.pop()
            found.append(Snippet(page, last.line, last.language, "", f"{last.text}\n{text}"))
        else:
            found.append(Snippet(page, line + start, kind, "", text))
    return found


def _paragraphs(lines: list[str]) -> list[tuple[int, str]]:
    """Each with the index of its first line."""
    found: list[tuple[int, str]] = []
    for index, text in enumerate(lines):
        if text.strip():
            if index and lines[index - 1].strip() and found:
                start, before = found.pop()
                found.append((start, f"{before}{text}\n"))
            else:
                found.append((index, f"{text}\n"))
    return found


def _is_text(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("    ", "#"))


def guess(text: str) -> str:
    """What a block is that does not say."""
    first = next(
        (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), ""
    )
    word = first.split()[0] if first.split() else ""
    if Path(word).name in {"gapslsim", "python", "python3", "pytest", "for", *ELSEWHERE}:
        return "sh"
    if re.match(r"(import|from) \w", first):
        return "python"
    if re.match(r"[\w.]+:( |$)", first):
        with contextlib.suppress(yaml.YAMLError):
            if isinstance(yaml.safe_load(text), dict):
                return "yaml"
    return "text"


def commands(text: str) -> list[list[str]]:
    """The commands of a block of shell, as words; loops are their bodies, redirections the last two words."""
    found = []
    for line in re.sub(r"\\\n|\n\s+(?=\[)", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= {";", "&"}:
                found.append(words)
                words = []
            elif word not in ("do", "done"):
                words.append(word)
    kept = (words for words in found if words and words[0] != "for")
    return [words[1:] if re.fullmatch(r"[A-Z_]+=\S*", words[0]) else words for words in kept]


def wrong_with(words: list[str], own_files: set[str]) -> str:
    """What is wrong with a command, without calling it; empty if nothing.

    Args:
        words: from `commands`.
        own_files: files that the page itself gives.
    """
    program = Path(words[0]).name
    if program == "gapslsim":
        return _wrong_with_ours(words[1:])
    if program in ("python", "python3"):
        if words[1] == "-m":
            return "" if importlib.util.find_spec(words[2]) else f"there is no module {words[2]}"
        return "" if words[1] in own_files or (ROOT / words[1]).is_file() else f"there is no file {words[1]}"
    if program == "pytest":
        return next((f"there is no {word}" for word in words[1:] if not (ROOT / word).exists()), "")
    return "" if program in ELSEWHERE else f"{program} is not known here; see ELSEWHERE in tests/snippets.py"


def _wrong_with_ours(words: list[str]) -> str:
    from gapslsim.cli.main import COMMANDS, load_command

    if not words or words[0].startswith("-") or words[0] == "COMMAND":
        return ""
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]}"
    parameters = load_command(words[0]).params
    options = {name: p for p in parameters if p.param_type_name == "option" for name in p.opts}
    given: list[str] = []
    rest = [word.strip("[]").removesuffix("...").strip("[]") for word in words[1:] if word != "..."]
    while rest:
        word = rest.pop(0)
        if word in (">", "<"):
            rest.pop(0)
        elif not word.startswith("-"):
            given.append(word)
        elif word.partition("=")[0] not in {*options, "--help"}:
            return f"{words[0]} has no option {word}"
        elif "=" not in word and word != "--help" and not options[word].is_flag and rest:
            rest.pop(0)
    n_needed = sum(p.param_type_name == "argument" and p.required for p in parameters)
    if len(given) < n_needed and "--help" not in words:
        return f"{words[0]} needs {n_needed} arguments"
    return next((f"there is no {word}" for word in given if _is_missing(word)), "")


def _is_missing(word: str) -> bool:
    """Whether it looks like a file of the project and is none; a variable stands for anything."""
    if not re.match(r"(scenarios|analysis|benchmarks|hardware_profiles)/", word):
        return False
    return not any(ROOT.glob(re.sub(r"\$\w+|\$\{\w+\}", "*", word)))


def carry_out(page: str, skipped: set[str]) -> None:
    """Writes the files of a page, then does what it says, in order, in the current directory.

    Args:
        page: from `pages`.
        skipped: commands, as one text, that are left out.

    Raises:
        AssertionError: if a command fails.
    """
    own = snippets(page)
    for snippet in own:
        if snippet.name:
            Path(snippet.name).write_text(snippet.text, encoding="utf-8")
    for snippet in own:
        if snippet.language == "sh":
            for words in commands(snippet.text):
                if " ".join(words) not in skipped:
                    _call([word.replace("$PWD", str(Path.cwd())) for word in words])
        elif snippet.language == "python" and not snippet.name and snippet.first not in skipped:
            _import(f"snippet_{snippet.line}", snippet.text)


def _import(name: str, text: str) -> None:
    """Carries out Python as a module, which classes that it defines need."""
    file = Path(f"{name}.py")
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    with contextlib.redirect_stdout(io.StringIO()):
        spec.loader.exec_module(sys.modules[name])


def _call(words: list[str]) -> None:
    from gapslsim.cli.main import main

    target = Path(words[words.index(">") + 1]) if ">" in words else None
    words = words[: words.index(">")] if target else words
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if words[0] == "python":
            runpy.run_path(words[1], run_name="__main__")
        else:
            assert words[0] == "gapslsim", f"cannot be carried out: {' '.join(words)}"
            code = _code_of(main, words[1:])
            assert not code, f"{' '.join(words)} ended with code {code}: {said.getvalue()}"
    if target:
        target.write_text(said.getvalue(), encoding="utf-8")


def _code_of(main: Callable[[list[str]], None], arguments: list[str]) -> object:
    """The exit code of a command line."""
    try:
        main(arguments)
    except SystemExit as done:
        return done.code
    return 0


if __name__ == "__main__":
    plan: dict[str, list[str]] = json.loads(sys.argv[1])
    outcome = {}
    here = Path.cwd()
    for each, left_out in plan.items():
        folder = here / each.replace("/", "_")
        folder.mkdir()
        os.chdir(folder)
        for shared in ("scenarios", "docs", "analysis"):
            Path(shared).symlink_to(ROOT / shared)
        try:
            carry_out(each, set(left_out))
            outcome[each] = ""
        except Exception:
            outcome[each] = traceback.format_exc()
    os.chdir(here)
    sys.stdout.write(json.dumps(outcome))
