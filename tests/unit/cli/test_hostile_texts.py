"""Texts of anybody's file on a terminal: shown as they are, neither obeyed nor taken for markup."""

from __future__ import annotations

import io
import json
import logging

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from gapslsim.cli.json_output import print_json
from gapslsim.cli.log import start_log
from gapslsim.cli.main import main
from gapslsim.cli.say import say
from gapslsim.plain_text import visible
from gapslsim.results.compare import Comparison
from gapslsim.results.store import write_results
from gapslsim.terminal import Terminal

EVIL = "[red]x[/red] \x1b[2J\x1b]0;title\x07\r\x9b1m\u202e[/nonsense] [link=http://a]"
SHOWN = "[red]x[/red] \\x1b[2J\\x1b]0;title\\x07\\x0d\\x9b1m\\u202e[/nonsense] [link=http://a]"


@pytest.mark.parametrize("call", [["\u202eabc"], ["list", "a", "\u202eabc"], ["list", "--\u202eabc"]])
def test_a_wrong_call_is_quoted_visibly(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(call)
    said = capsys.readouterr().err
    assert r"\u202eabc" in said
    assert "\u202e" not in said


def test_control_characters_are_spelled_out_and_all_else_stays() -> None:
    assert visible(EVIL) == SHOWN
    assert visible("ü µ ± ≥ 漢\t\n'") == "ü µ ± ≥ 漢\t\n'"
    assert visible("\ud800\uffff") == "\\ud800\\uffff"


def test_tables_headings_titles_and_lines_of_a_terminal_are_texts() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, width=300, force_terminal=True, no_color=True)
    table = Table(EVIL + "head", title=EVIL + "title")
    table.add_row(EVIL + "cell")
    table.add_row(Text(f"text{EVIL}"))
    terminal.print(table)
    terminal.print(EVIL + "line")
    for what in ("head", "title", "cell", "line"):
        assert SHOWN + what in out.getvalue()
    assert "text[red]x[/red] \\x1b[2J" in out.getvalue()
    assert not {"\x07", "\r", "\x9b", "\u202e"} & set(out.getvalue())
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b]" not in out.getvalue()


def test_movements_of_a_progress_bar_still_reach_the_terminal() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, width=80, force_terminal=True, _environ={"TERM": "xterm"})
    with Progress(console=terminal, transient=True) as bar:
        bar.add_task("work", total=2)
    assert "\x1b[?25l" in out.getvalue()  # hides the cursor
    assert "\x1b[2K" in out.getvalue()  # erases its line


def test_lines_and_json_are_safe_and_json_comes_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    assert capsys.readouterr().out == SHOWN + "\n"
    print_json({EVIL: "\x7f\x85\u2028ü"})
    out = capsys.readouterr().out
    assert json.loads(out) == {EVIL: "\x7f\x85\u2028ü"}
    assert visible(out) == out


def test_the_log_on_the_error_output_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("gapslsim")
    before = logger.handlers, logger.propagate, logger.level
    try:
        start_log(True, None)
        logger.info("%s", EVIL)
        assert SHOWN in capsys.readouterr().err
    finally:
        logger.handlers, logger.propagate, logger.level = before
        logging.captureWarnings(False)


def test_a_run_with_hostile_names_is_compared_as_text(make_results, tmp_path, capsys) -> None:
    write_results(make_results(name=EVIL, framework=EVIL), tmp_path / "run")
    with pytest.raises(SystemExit):
        main(["compare", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out.replace("\n", "")
    assert visible(out) == out


def test_errors_are_told_as_text(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(tmp_path / EVIL.replace("/", ""))])
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert visible(err) == err
    assert "\\x1b[2J" in err


def test_markdown_and_latex_take_texts_as_texts() -> None:
    told = Comparison(("", "a"), (("<img src=x>[go](javascript:a)|`x`", "[3pt]\\input{/etc/passwd}\x1b"),))
    assert told.markdown().splitlines()[2] == (
        "| \\<img src=x>\\[go\\](javascript:a)\\|\\`x\\` | \\[3pt\\]\\\\input{/etc/passwd}\\\\x1b |"
    )
    row = told.latex().splitlines()[4]
    assert r"{[}3pt]\textbackslash{}input\{/etc/passwd\}\textbackslash{}x1b" in row
    assert "<script>" not in Comparison(("<script>",), (("<script>\n<b>",),), ("<i>",))._repr_html_()
