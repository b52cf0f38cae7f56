"""Who was there: on the page, in the Gantt chart, in the table at the end of a run and in comparisons."""

from __future__ import annotations

import math
import re

import pytest

from gapslsim.records import AttendanceRow, PresenceRow, RoundRow, SpanRow, StalenessRow
from gapslsim.results._attendance import participation
from gapslsim.results.compare import compare
from gapslsim.results.drawing.drawing import Bar, Span
from gapslsim.results.drawing.matplotlib_printer import draw
from gapslsim.results.report._attendance import attendance_figure
from gapslsim.results.report._gantt import gantt_figure
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import page
from gapslsim.results.store import write_results
from gapslsim.results.tables import end_table
from tests.unit.results.test_results_tables import _print

ROUNDS = [
    RoundRow(1, 0.0, 5.0, 0.5, 2, 1.5, 600, 200, 30.0),
    RoundRow(2, 5.0, 10.0, 1.0, 2, 1.5, 70, 50, 50.0),
]
SPANS = [
    SpanRow("client-0", 0, "client_forward", 1, 0.0, 2.0, 0, 0.0, 4.0),
    SpanRow("client-0", 0, "uplink", 1, 2.0, 6.0, 300, 0.0, 8.0),
    SpanRow("client-0", 0, "waiting", 2, 6.0, 10.0),
    SpanRow("client-1", 1, "away", 1, 0.0, 2.0),
    SpanRow("client-1", 1, "cancelled_uplink", 1, 2.0, 4.0, 100, 0.0, 4.0),
    SpanRow("client-1", 1, "away", 1, 4.0, 5.0),
    SpanRow("client-1", 1, "waiting", 2, 5.0, 8.0),
    SpanRow("client-1", 1, "away", 2, 8.0, 10.0),
]
PRESENCE = [PresenceRow(1, 0.0, 2.0), PresenceRow(1, 4.0, 5.0), PresenceRow(1, 8.0, math.nan)]
ATTENDANCE = [
    AttendanceRow(1, 2.0, 0, "upload", "came"),
    AttendanceRow(1, 5.0, 1, "upload", "late"),
    AttendanceRow(2, 6.0, 0, "upload", "came"),
    AttendanceRow(2, 6.5, 1, "upload", "stale"),
    AttendanceRow(2, 7.0, 1, "upload", "came"),
    AttendanceRow(2, 9.0, 1, "train", "lost"),
]
STALENESS = [
    StalenessRow(1, 1, 0, 0, 0, 1.0),
    StalenessRow(1, 2, 0, 1, 1, 1.0),
    StalenessRow(2, 3, 1, 0, 1, 1.0),
    StalenessRow(2, 3, 1, 1, 14, 0.0),
]
HAZARDS = {
    "spans": SPANS, "rounds": ROUNDS, "presence": PRESENCE, "attendance": ATTENDANCE, "staleness": STALENESS,
}  # fmt: skip


@pytest.fixture
def hazards(make_results):
    """Client 1 is away at first, breaks off its upload, and leaves before the end."""
    return make_results(**HAZARDS)


@pytest.fixture
def told(hazards, tmp_path):
    return gather([write_results(hazards, tmp_path / "run")])


def bars(panel):
    return [(part.row, part.begin, part.end) for part in panel.parts if isinstance(part, Bar)]


def test_rows_are_filled_while_clients_were_there(told):
    presence = attendance_figure(told).panels[0]
    assert bars(presence) == [(0, 0.0, 10.0), (1, 2.0, 4.0), (1, 5.0, 8.0)]
    assert [(row.name, row.note) for row in presence.rows] == [("client-0", "0 %"), ("client-1", "50 %")]


def test_the_rounds_that_a_client_took_part_in_count_once(told, hazards):
    # In round 2 what client 1 sent in round 1 is used beside what is new.
    assert participation(hazards.table("attendance"), 2, 2).tolist() == [1.0, 0.5]
    assert participation(hazards.table("attendance"), 3, 2).tolist() == [1.0, 0.5, 0.0]
    assert hazards.summary["participation"] == {"min": 0.5, "mean": 0.75, "max": 1.0}
    assert bars(attendance_figure(told).panels[1]) == [(0, 0.0, 100.0), (1, 0.0, 50.0)]


def test_the_histogram_gathers_what_is_stalest(told):
    staleness = attendance_figure(told).panels[2]
    notes = [(row.name, row.note) for row in staleness.rows]
    assert notes[:3] == [("0", "25.0 %"), ("1", "50.0 %"), ("2", "0.0 %")]
    assert notes[-1] == ("10 or more", "25.0 %")
    assert sum(end for _, _, end in bars(staleness)) == pytest.approx(100.0)


def test_the_table_says_what_was_in_vain_and_who_had_the_better_accuracy(told):
    (row,) = attendance_figure(told).table.rows
    # 2 s of 8 s of work, 100 B of 400 B, 4 J of 16 J; the mean staleness leaves out what was dropped.
    assert row == [
        "gapsl, seed 7", "3", "1", "1", "1", "2.50 s", "0.67", "2.00 s\n25 %", "100 B\n25 %", "4 J\n25 %",
        "80.0 % / 20.0 %",
    ]  # fmt: skip


def test_away_is_a_line_and_what_was_in_vain_is_faint_in_the_gantt_chart(told):
    drawing = gantt_figure(told, 1)
    parts = drawing.panels[0].parts
    assert [part.x for part in parts if isinstance(part, Span)] == [(0.0, 2.0), (4.0, 5.0)]
    pale = [part for part in parts if isinstance(part, Bar) and part.shade < 1]
    assert [(part.begin, part.end, part.fill) for part in pale] == [(2.0, 4.0, "uplink")]
    assert pale[0].about == "cancelled_uplink: 2.00 s"
    assert "A thin line: away." in drawing.caption[0]
    assert "Faint: in vain" in drawing.caption[0]


def test_the_page_of_a_run_without_hazards_is_silent(make_results, tmp_path):
    html = page(gather([write_results(make_results(), tmp_path / "run")]))
    for word in ("Who was there", "in vain", "away"):
        assert word not in html
    gantt = html.split('<figure id="gantt"')[1].split("</figure>")[0]
    assert "fill-opacity" not in gantt
    assert 'class="range"' not in gantt


def test_the_page_has_the_section_and_no_missing_number(told):
    html = page(told)
    section = html.split('<figure id="attendance"')[1].split("</figure>")[0]
    assert section.count('<svg viewBox="0 0 380') == 3
    assert not re.search(r'="[^"]*\b(nan|inf)\b', section)


@pytest.mark.filterwarnings("error")
def test_matplotlib_prints_these_figures_too(told):
    for drawing in (attendance_figure(told), gantt_figure(told, 1)):
        draw(drawing).canvas.draw()


def test_the_figures_tell_nothing_of_what_did_not_happen(make_results, tmp_path):
    away = make_results(**HAZARDS | {"attendance": [], "staleness": []})
    drawing = attendance_figure(gather([write_results(away, tmp_path / "run")]))
    assert [panel.title for panel in drawing.panels] == ["gapsl: who was there"]
    assert not any("taleness" in said or "Rounds" in said for said in drawing.caption)
    assert drawing.table.rows[0][1:7] == ["-", "-", "-", "-", "2.50 s", "-"]


def test_of_many_clients_the_first_are_drawn(make_results, tmp_path):
    many = make_results(**HAZARDS | {"device_of_client": ["nano"] * 60, "clients": []})
    panels = attendance_figure(gather([write_results(many, tmp_path / "run")])).panels
    assert [len(panel.rows) for panel in panels[:2]] == [40, 40]
    assert all(panel.title.endswith("(the first 40)") for panel in panels[:2])


def test_the_end_table_tells_of_hazards_within_80_columns(hazards, results):
    text = _print(end_table(hazards.summary))
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "2.00 s (25 %), 100 B (25 %), 4 J (25 %) of all work",
        "2.50 s (mean of clients), 5.00 s (longest), within waiting",
        "3 came, 1 late, 1 stale, 1 lost",
        "75 % of the rounds (mean of clients; 50 % .. 100 %)",
        "0.67 (mean), 1 (most)",
        "80.0 % / 20.0 % (accuracy of those often / seldom away, clients)",
    ):
        assert said in text
    without = _print(end_table(results.summary))
    assert not re.search("in vain|away|attendance|took part|staleness|fairness", without)


def test_comparisons_have_columns_only_for_what_happened(hazards, results):
    rows = compare([hazards.summary, results.summary])
    columns = ("work in vain", "staleness", "away", "rounds per client", "often / seldom away")
    assert rows.columns[-5:] == columns
    assert rows.rows[0][-5:] == ("25 %", "0.67", "25 %", "50 % .. 100 %", "80.0 % / 20.0 %")
    assert rows.rows[1][-5:] == ("-",) * 5
    assert not set(columns) & set(compare([results.summary]).columns)
