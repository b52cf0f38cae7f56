from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from gapslsim.records import LossRow
from gapslsim.results import words
from gapslsim.results.compare import compare, labels_of
from gapslsim.results.frames import frame
from gapslsim.results.tables import end_table


def _print(renderable, **options) -> str:
    out = io.StringIO()
    Console(file=out, width=80, highlight=False, **options).print(renderable)
    return out.getvalue()


def test_the_end_table_has_what_it_must_within_80_columns(results):
    text = _print(end_table(results.summary))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "tiny - gapsl, seed 7, 2 rounds: completed (2 rounds)" in lines
    assert "global 50.0 % 60.0 %" in lines
    assert "clients 50.0 % 50.0 % 20.0 % .. 80.0 %" in lines
    assert any(line.startswith("client compute 3.50 s 35 %") for line in lines)
    assert any(line.startswith("server queue 250 ms 2 %") for line in lines)
    assert "simulated time 10.0 s" in lines
    assert "time to 50.0 % 0 .. 5.00 s (global view)" in lines
    assert "time to 90.0 % not reached (global view)" in lines
    assert "bytes 670 B up, 250 B down" in lines
    assert "energy 40 J clients, 80 J server, 120 J in all" in lines
    assert "memory client 1.20 MB of 2.00 GB" in lines
    assert "hashes timeline aaaaaaaaaaaa, learning bbbbbbbbbbbb" in lines
    assert "1 x nano 30 20 0 20 10 20" in lines


def test_the_end_table_has_no_control_characters_when_it_is_no_terminal(results):
    assert "\x1b" not in _print(end_table(results.summary))


def test_the_end_table_has_no_colour_when_none_is_wanted(results, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = _print(end_table(results.summary), force_terminal=True)
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", text) for code in found.split(";")}
    assert codes <= {"0", "1", "2", "3"}  # bold, faint and italics are no colours


def test_the_end_table_is_plain_where_the_output_knows_only_ascii(results):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=out, width=80).print(end_table(results.summary))
    out.flush()
    assert "########" in out.buffer.getvalue().decode("ascii")


def test_a_dry_or_interrupted_or_inconsistent_run_says_so(make_results):
    dry = _print(end_table(make_results(dry=True, evaluations=[], status="interrupted").summary))
    assert "interrupted" in dry
    assert "dry run: timing only" in dry
    assert "Test accuracy" not in dry
    wrong = _print(end_table(make_results(simulated_time_s=12.0).summary))
    assert "Warning: the phases of 2 of 2 clients do not sum to the simulated time" in wrong


def test_the_device_table_is_left_out_where_all_devices_are_the_same(make_results):
    assert "by device" not in _print(end_table(make_results(device_of_client=["pi", "pi"]).summary))


def test_markup_in_a_name_is_text(make_results):
    assert "[bold]x" in _print(end_table(make_results(name="[bold]x").summary))


def test_a_comparison_has_a_row_per_run_with_dashes_for_what_is_missing(make_results):
    first = make_results().summary
    dry = make_results(framework="psl", dry=True, evaluations=[]).summary
    found = compare([first, dry])
    assert found.columns == (
        "run", "global", "clients", "simulated time", "time to 25.0 % global", "time to 50.0 % global",
        "time to 90.0 % global", "up", "down", "energy",
    )  # fmt: skip
    assert found.rows[0] == (
        "gapsl", "50.0 %", "50.0 %", "10.0 s", "0 .. 5.00 s", "0 .. 5.00 s", "-", "670 B", "250 B", "120 J",
    )  # fmt: skip
    assert found.rows[1] == ("psl (dry)", "-", "-", "10.0 s", "-", "-", "-", "670 B", "250 B", "120 J")


def test_a_comparison_that_is_too_wide_for_the_terminal_has_a_column_per_run(make_results):
    found = compare([make_results(framework=name).summary for name in ("gapsl", "psl", "sfl", "epsl")])
    lines = [" ".join(line.split()) for line in _print(found.table(80)).splitlines()]
    assert "run gapsl psl sfl epsl" in lines
    assert "simulated time 10.0 s 10.0 s 10.0 s 10.0 s" in lines
    assert "time to 90.0 % global - - - -" in lines
    wide = io.StringIO()
    Console(file=wide, width=200).print(found.table(200))
    assert "gapsl 50.0 % 50.0 % 10.0 s" in " ".join(wide.getvalue().split())


def test_a_target_in_another_view_is_another_column(make_results):
    runs = [
        make_results(targets=[0.4]).summary,
        make_results(targets=[0.4], target_view="clients", framework="sl").summary,
    ]
    found = compare(runs)
    assert found.columns[4:6] == ("time to 40.0 % clients", "time to 40.0 % global")
    assert [row[4:6] for row in found.rows] == [("-", "0 .. 5.00 s"), ("0 .. 5.00 s", "-")]


def test_the_comparison_in_markdown_is_a_table_with_the_spread_of_clients(make_results):
    text = compare([make_results(targets=[], name="a|b").summary], spread=True).markdown()
    assert text == (
        "| run | global | clients | simulated time | up | down | energy |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| gapsl | 50.0 % | 50.0 % (20.0 % .. 80.0 %) | 10.0 s | 670 B | 250 B | 120 J |\n"
    )


def test_runs_are_told_apart_by_the_shortest_label(make_results):
    def labels(*changes):
        return labels_of([make_results(**change).summary for change in changes])

    assert labels({}, {"framework": "sl"}) == ["gapsl", "sl"]
    assert labels({}, {"name": "other"}) == ["gapsl, tiny", "gapsl, other"]
    assert labels({}, {"seed": 8}) == ["gapsl, seed 7", "gapsl, seed 8"]
    assert labels({}, {}) == ["gapsl #1", "gapsl #2"]
    assert labels({"status": "failed: NaN"}) == ["gapsl (failed)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.seconds(None), "-"), (words.seconds(float("nan")), "-"), (words.seconds(0), "0 s"),
        (words.seconds(0.00456), "4.56 ms"), (words.seconds(12.34), "12.3 s"),
        (words.seconds(99.96), "1 min 40 s"), (words.seconds(307), "5 min 07 s"),
        (words.seconds(3599.6), "1 h 00 min"), (words.seconds(7530), "2 h 06 min"),
        (words.plain_seconds(7530.4), "7530 s"), (words.plain_seconds(0.25), "250 ms"),
        (words.plain_seconds(None), "-"), (words.clock(42), "0:42"),
        (words.clock(3723), "1:02:03"), (words.clock(None), "-"),
        (words.size(812), "812 B"), (words.size(999_600), "1.00 MB"), (words.size(12.34e6), "12.3 MB"),
        (words.size(0), "0 B"), (words.size(None), "-"), (words.size(5e18), "5000 PB"),
        (words.energy(0.31), "310 mJ"), (words.energy(4560), "4.56 kJ"), (words.energy(12.3), "12.3 J"),
        (words.accuracy(0.4831), "48.3 %"), (words.accuracy(None), "-"), (words.share(1, 8), "12 %"),
        (words.share(1, 1000), "<1 %"), (words.share(1, 0), "-"), (words.number(0.5), "0.5"),
        (words.number(None), "-"),
    ],
)  # fmt: skip
def test_numbers_read_well(text, expected):
    assert text == expected


def test_a_row_with_a_field_too_many_or_too_few_is_refused() -> None:
    whole = (1, 2, 0.5, 32)
    assert len(frame(LossRow, [whole])) == 1
    for wrong in (whole[:-1], (*whole, 1)):
        with pytest.raises(ValueError, match="LossRow has 4 fields"):
            frame(LossRow, [whole, wrong])
