from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.records import AlignmentRow, EvaluationRow
from gapslsim.results.drawing.matplotlib_printer import draw
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import _figures, page, write_report
from gapslsim.results.store import write_results
from gapslsim.results.study import RunRecord, StudyRecord, write_study

EVIL = "<script>alert(1)</script> & \"'"


@pytest.fixture
def study(make_results, tmp_path):
    """Two series, two panels, two seeds; one run failed; all names try to break the page."""
    record = StudyRecord(
        name=f"study {EVIL}", question=f"why {EVIL}?", base="b.yaml", series=["framework"],
        axes={"framework": ["a", EVIL], "net": ["x", "y"]}, seeds=[1, 2], targets=[0.5, 0.95],
        budgets_s=[4.0, 99.0], target_view="global", command=["gapslsim", "sweep", "s.yaml"],
        study_yaml=f"name: {EVIL}\n",
    )  # fmt: skip
    for framework in ("a", EVIL):
        for net in ("x", "y"):
            for seed in (1, 2):
                label = f"{'a' if framework == 'a' else 'evil'}-{net}-seed{seed}"
                gain = 0.4 if framework == "a" and seed == 1 else 0.0
                evaluations = [
                    EvaluationRow(r, 5.0 * r, view, client, min(1.0, 0.2 + gain + 0.15 * r), 1.0)
                    for r in (0, 1, 2)
                    for view, client in (("global", -1), ("clients", 0), ("clients", 1))
                ]
                alignment = [
                    AlignmentRow(r, c, 1.0 + c, True, 0.5, c == 0, 1.0, 1.0, 0.9, 0.5, 0.1)
                    for r in (1, 2)
                    for c in (0, 1)
                ]
                results = make_results(
                    seed=seed, evaluations=evaluations, targets=[0.5, 0.95], alignment=alignment if gain else [],
                    device_of_client=["nano", f"pi {EVIL}"], scenario_yaml=f"name: '{net}'\n",
                )  # fmt: skip
                write_results(results, tmp_path / "out" / "runs" / label)
                record.runs.append(
                    RunRecord(label, {"framework": framework, "net": net}, seed, "x", "completed")
                )
    record.runs.append(RunRecord("broken", {"framework": "a", "net": "x"}, 3, "x", f"failed: {EVIL}"))
    write_study(record, tmp_path / "out")
    return tmp_path / "out"


class Reader(HTMLParser):
    """Collects tags, attributes that could load something, and texts of captions."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.ids = [], [], []

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "srcset", "data") or key.startswith("on"):
                self.loads.append((name, key, value))


def read(html):
    reader = Reader()
    reader.feed(html)
    return reader


def test_the_page_has_every_section_and_loads_nothing(study):
    html = page(gather([study]))
    found = read(html)
    for name in (
        "settings", "accuracy-time", "accuracy-rounds", "time-to-target", "where-time-goes", "pareto", "gantt",
        "geometry", "client-spread", "results", "provenance", "commands", "failures",
    ):  # fmt: skip
        assert name in found.ids
    assert len(set(found.ids)) == len(found.ids)
    assert "script" not in found.tags
    assert all(value.startswith(("#", "data:")) for _, _, value in found.loads)
    assert "://" not in re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL)
    assert "@import" not in html


def test_names_and_texts_are_escaped_everywhere(study):
    html = page(gather([study]))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in html


def test_every_reference_within_the_page_leads_somewhere(study):
    html = page(gather([study]))
    ids = set(read(html).ids)
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= ids
    assert {value[1:] for _, _, value in read(html).loads if value.startswith("#")} <= ids


def test_no_number_is_missing_in_a_drawing(study):
    html = page(gather([study]))
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        assert not re.search(r'="[^"]*\b(nan|inf)\b', svg)


def caption(html, name):
    figure = html.split(f'<figure id="{name}"')[1].split("</figure>")[0]
    return re.sub(r"<[^>]+>", " ", figure.split("<figcaption>")[1].split("</figcaption>")[0])


def test_captions_say_what_the_data_say(study):
    html = page(gather([study]))
    targets = caption(html, "time-to-target")
    # Seed 1 of a starts at 60 % and reaches 50 % at 0 s; its seed 2 and the other series after 5 s, by 10 s.
    assert "50 % on x: a first after 2.50 .. 5.00 s" in targets
    assert (
        "95 % on x: no series reached it with every seed; not reached by a" in targets or "partly" in targets
    )
    assert "of a took 5.00 s" in caption(html, "gantt")
    assert "client-1 (pi) is admitted least (0 % of rounds), client-0 (nano) most (100 %)" in caption(
        html, "geometry"
    )
    assert "On x: a ends highest with 70.0 %" in caption(html, "accuracy-time")
    assert "up to 2 seeds" in caption(html, "accuracy-rounds")


def test_the_table_gives_mean_deviation_and_interval_and_marks_what_is_censored(study):
    html = page(gather([study]))
    table = html.split('id="results"')[1].split("</section>")[0]
    # 90 % and 50 % at the end: mean 70 %, deviation 28.3 %, interval cut at 0 and 100 %.
    assert "<td>70.0 % ± 28.3 %<small>0.0 % .. 100.0 %</small></td>" in table
    assert "<td>&gt; 10.0 s<small>not reached</small></td>" in table
    assert "ended before" in table


def test_a_broken_run_is_on_the_page_and_counts_nowhere(study):
    runs = gather([study])
    assert len(runs.runs) == 8
    assert runs.missing == (("broken", f"failed: {EVIL}"),)
    assert "1 of 9 runs gave no result." in page(runs)


def test_single_runs_can_be_reported_side_by_side(make_results, tmp_path):
    for framework in ("gapsl", "psl"):
        write_results(make_results(framework=framework), tmp_path / framework)
    runs = gather([tmp_path / "gapsl", tmp_path / "psl"])
    assert runs.series == ["gapsl", "psl"]
    assert runs.panels == [""]
    html = page(runs)
    assert "Each line is one run (one seed)." in html
    assert "gapslsim run" in html


def test_a_dry_run_has_a_page_without_accuracies(make_results, tmp_path):
    run = write_results(make_results(evaluations=[], dry=True, alignment=[], losses=[]), tmp_path / "dry")
    found = read(page(gather([run])))
    assert "where-time-goes" in found.ids
    assert "accuracy-time" not in found.ids


def test_the_gantt_chart_shows_the_chosen_round(make_results, tmp_path):
    run = write_results(make_results(), tmp_path / "run")
    assert "Round 1 of gapsl took 5.00 s" in page(gather([run]), round=1)
    with pytest.raises(ResultsError, match="no run has a round 7"):
        page(gather([run]), round=7)


@pytest.mark.filterwarnings("error")
def test_matplotlib_prints_every_figure_of_the_page_too(study):
    drawings = _figures(gather([study]))
    assert len(drawings) == 8
    for drawing in drawings:
        for each in (drawing, *drawing.more):
            printed = draw(each)
            printed.canvas.draw()
            titles = [axes.get_title().replace("\n", " ") for axes in printed.subfigs[0].axes]
            assert titles == [panel.title for panel in each.panels]


def test_what_is_no_run_is_refused_in_words(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        gather([tmp_path / "none"])
    record = StudyRecord(
        "s", "", "b", [], {}, [1], [], [], "global", [], "", [RunRecord("r", {}, 1, "", "planned")]
    )
    write_study(record, tmp_path)
    with pytest.raises(ResultsError, match="no completed run to report on: r: planned"):
        gather([tmp_path])


def test_the_command_writes_the_page(study, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["report", str(study), "-o", str(tmp_path / "page.html")])
    assert not ended.value.code
    assert "8 runs reported" in capsys.readouterr().out
    assert "gapslsim report" in (tmp_path / "page.html").read_text()
    assert write_report([study], tmp_path / "again.html").n_seeds == 2


def test_a_curve_of_missing_values_breaks_nothing(make_results, tmp_path):
    rows = [EvaluationRow(0, 0.0, "global", -1, 0.5, math.nan)]
    run = write_results(make_results(evaluations=rows), tmp_path / "run")
    assert "global view" in page(gather([run]))


def test_of_very_many_clients_a_sample_even_in_rank_is_drawn(make_results, tmp_path):
    rows = [EvaluationRow(0, 0.0, "clients", client, client / 999, 1.0) for client in range(1000)]
    names = ["nano"] * 1000
    run = write_results(make_results(evaluations=rows, device_of_client=names, clients=[]), tmp_path / "run")
    html = page(gather([run]))
    figure = html.split('<figure id="client-spread"')[1].split("</figure>")[0]
    assert figure.split("<svg")[-1].count("<circle") == 120
    assert "Of more than 120 clients as many are drawn" in figure


def test_runs_of_one_training_are_not_ranked_by_accuracy(make_results, tmp_path):
    """The same training timed again on other devices ends with the same accuracy."""
    record = StudyRecord(
        name="retiming", question="", base="b.yaml", series=["device"], axes={"device": ["pi", "nano"]}, seeds=[1],
        targets=[0.5], budgets_s=[], target_view="global", command=[], study_yaml="name: retiming\n",
    )  # fmt: skip
    for device in ("pi", "nano"):
        pace = 5.0 if device == "pi" else 4.0
        evaluations = [EvaluationRow(r, pace * r, "global", -1, 0.3 * r, 1.0) for r in (0, 1, 2)]
        results = make_results(seed=1, evaluations=evaluations, targets=[0.5])
        write_results(results, tmp_path / "out" / "runs" / device)
        record.runs.append(RunRecord(device, {"device": device}, 1, "x", "completed"))
    write_study(record, tmp_path / "out")
    html = page(gather([tmp_path / "out"]))
    assert "nano reaches 50 % first (4.00 .. 8.00 s); all end equally high (60.0 %)." in html
    assert "all end equally high with 60.0 %." in caption(html, "accuracy-time")
    assert "ends highest" not in html
