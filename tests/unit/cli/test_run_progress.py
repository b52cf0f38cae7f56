from __future__ import annotations

import io

import pytest

from gapslsim.cli import progress as module
from gapslsim.cli.progress import describe, show_progress, time_left
from gapslsim.records import Progress

HALF = Progress(
    round=100,
    planned_rounds=200,
    simulated_time_s=34.5,
    epoch=1.0,
    accuracy={"global": 0.483, "clients": 0.2},
    wall_time_s=30.0,
    fraction=0.5,
)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_has_round_simulated_time_accuracy_and_wall_time_left():
    assert describe(HALF) == "round 100/200, simulated 34.5 s, global 48.3 %, 0:30 left"


def test_without_an_estimate_the_line_says_how_long_it_took_so_far():
    unknown = HALF._replace(planned_rounds=None, fraction=None, accuracy={})
    assert describe(unknown) == "round 100, simulated 34.5 s, 0:30 so far"


@pytest.mark.parametrize(
    ("fraction", "told"),
    [
        (0.25, "1:30 left"),
        (1.0, "0:00 left"),
        (1.2, "0:00 left"),
        (0.0, "0:30 so far"),
        (None, "0:30 so far"),
    ],
)
def test_the_time_left_follows_from_the_share_done(fraction, told):
    assert time_left(fraction, 30.0) == told


def test_where_there_is_no_terminal_there_is_a_plain_line_per_tenth_of_the_run():
    out = io.StringIO()
    with show_progress(out) as observe:
        for round_ in range(1, 201):
            observe(HALF._replace(round=round_, fraction=round_ / 200))
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()
    rounds = [int(line.split()[1].split("/")[0]) for line in lines]
    assert rounds == [1, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200]


def test_a_long_silence_is_broken_by_a_line():
    clock = iter([0.0, 4.0, 9.0, 11.0, 20.0, 22.0])
    out = io.StringIO()
    observe = module._Lines(out, lambda: next(clock))
    for round_ in range(1, 7):
        observe(HALF._replace(round=round_, fraction=None))
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["1/200,", "4/200,", "6/200,"]


def test_on_a_terminal_there_is_a_bar_that_is_gone_at_the_end(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = _Terminal()
    with show_progress(out) as observe:
        observe(HALF)
    assert "\x1b" in out.getvalue()
    assert "global 48.3 %" in out.getvalue()


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = _Terminal()
    with show_progress(out) as observe:
        observe(HALF)
    assert out.getvalue() == describe(HALF) + "\n"
