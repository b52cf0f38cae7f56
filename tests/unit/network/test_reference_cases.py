"""Reference cases: the public ones, and small ones whose times are worked out by hand."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gapslsim.cli.check_network import check_network
from gapslsim.errors import NetworkError
from gapslsim.network.reference_cases import run_case
from gapslsim.network.reference_files import case_of


def case(**changes: Any) -> dict[str, Any]:
    """8 Mbit/s, 0.1 s: f0 (2 MB, t = 0) moves alone 0.1..1.1 s, then shares with f1 (0.5 MB, t = 1)."""
    found: dict[str, Any] = {
        "id": "x-0",
        "family": "x",
        "links": [{"id": "l", "bandwidth_bps": 8e6, "latency_s": 0.1, "shared": True, "profile": []}],
        "routes": [{"src": "a", "dst": "b", "links": ["l"]}],
        "flows": [
            {"id": "f0", "src": "a", "dst": "b", "bytes": 2e6, "start_s": 0, "after": [], "delay_s": 0},
            {"id": "f1", "src": "a", "dst": "b", "bytes": 5e5, "start_s": 1, "after": [], "delay_s": 0},
        ],
        "reference": {
            "maxmin": {"f0": {"start_s": 0.0, "finish_s": 2.6}, "f1": {"start_s": 1.0, "finish_s": 2.1}}
        },
    }
    return found | changes


ALONE = {"maxmin": {"f0": {"start_s": 0.0, "finish_s": 3.1}}}


def run(tmp_path: Path, *cases: dict[str, Any], version: int = 1) -> tuple[int, str]:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"schema_version": version, "family": "x", "cases": cases}))
    console = Console(width=160, file=StringIO(), record=True)
    return check_network([file], console), console.export_text()


def test_times_of_a_case_are_those_worked_out_by_hand() -> None:
    times = run_case(case_of(case()), record_links=True)
    assert times["f0"].finish_s == pytest.approx(2.6, rel=1e-12)
    assert times["f1"].finish_s == pytest.approx(2.1, rel=1e-12)


def test_a_flow_after_another_starts_when_it_ends_and_a_delay_is_added() -> None:
    flows = case()["flows"]
    flows[1] |= {"after": ["f0"], "delay_s": 0.5, "start_s": 0.2}
    times = run_case(case_of(case(flows=flows)))
    assert times["f1"].start_s == pytest.approx(2.1 + 0.5)
    assert times["f1"].duration_s == pytest.approx(0.6)


def test_a_profile_from_time_zero_replaces_the_first_rate() -> None:
    link = case()["links"][0] | {
        "profile": [{"t_s": 0.0, "bandwidth_bps": 4e6}, {"t_s": 2.1, "bandwidth_bps": 8e6}]
    }
    times = run_case(case_of(case(links=[link], flows=case()["flows"][:1], reference=ALONE)))
    assert times["f0"].finish_s == pytest.approx(2.1 + 1.0)


def test_check_network_passes_right_times_and_fails_wrong_ones(tmp_path: Path) -> None:
    assert run(tmp_path, case())[0] == 0
    wrong = case(id="x-1")
    wrong["reference"]["maxmin"]["f1"]["finish_s"] = 2.1 + 5e-6
    code, text = run(tmp_path, case(), wrong)
    assert code == 1
    assert "beyond tolerance x-1 f1" in text


def test_a_missing_route_and_a_file_of_another_kind_are_said(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="no route a -> b"):
        run(tmp_path, case(routes=[]))
    with pytest.raises(NetworkError, match="schema_version 1"):
        run(tmp_path, case(), version=2)
    with pytest.raises(NetworkError, match="cannot be read as JSON"):
        check_network([tmp_path / "none.json"], Console(quiet=True))


def _broken(**changes: Any) -> dict[str, Any]:
    """The case with entries changed, `links.0.latency_s` by `links__0__latency_s`; `...` leaves one out."""
    found: Any = case()
    for path, value in changes.items():
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("__")]
        owner = found
        for key in keys:
            owner = owner[key]
        if value is ...:
            del owner[last]
        else:
            owner[last] = value
    return dict(found)


WRONG: list[tuple[Any, str]] = [
    (_broken(links=...), "case x-0: links: is missing"),
    (_broken(id=...), "case 0: id: is missing"),
    (_broken(links__0__latency_s=...), "case x-0: links.0.latency_s: is missing"),
    (
        _broken(links__0__bandwidth_bps="8e6"),
        "links.0.bandwidth_bps: Input should be a valid number, found '8e6'",
    ),
    (
        _broken(links__0__bandwidth_bps=-1),
        "links.0.bandwidth_bps: Input should be greater than or equal to 0",
    ),
    (_broken(links__0__latency_s=1e300), "links.0.latency_s: Input should be less than or equal to"),
    (
        _broken(links__0__profile=[{"t_s": 2.0, "bandwidth_bps": 1e6}] * 2),
        "links.0: profile: its times do not grow",
    ),
    (_broken(flows__0__bytes=-5), "flows.0.bytes"),
    (_broken(flows=[]), "flows: List should have at least 1 item"),
    (_broken(flows__1__id="f0"), "flow 'f0' is given twice"),
    (_broken(links=[case()["links"][0]] * 2), "link 'l' is given twice"),
    (_broken(routes=case()["routes"] * 2), "route 'a -> b' is given twice"),
    (_broken(routes__0__links=["ll"]), "route a -> b: unknown link 'll'; known: l. Did you mean 'l'?"),
    (_broken(flows__1__after=["f7"]), "flow 'f1': after: unknown flow 'f7'"),
    (_broken(flows__1__dst="c"), "flow 'f1': there is no route a -> c"),
    (_broken(reference={}), "reference: has neither 'maxmin' nor 'ns3'"),
    (_broken(reference__maxmin__f1=...), "reference.maxmin: lacks flow 'f1'"),
    (
        _broken(reference__maxmin__f9={"start_s": 0.0, "finish_s": 1.0}),
        "reference.maxmin: has an unknown flow 'f9'",
    ),
    (
        _broken(reference={"ns3": {"cubic": {"f0": 1.0, "f1": 1.0}}}),
        "reference.fluid_raw_finish_s: lacks flow 'f0'",
    ),
    (_broken(flows__0__after=["f1"], flows__1__after=["f0"]), "case x-0: flows never end: f0, f1"),
    ("x-0", "case 0: must be a mapping, found 'x-0'"),
]


@pytest.mark.parametrize(("broken", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_with_a_case_is_told_with_case_and_entry(
    tmp_path: Path, broken: Any, told: str
) -> None:
    with pytest.raises(NetworkError, match=re.escape(told)):
        run(tmp_path, broken)


def test_everything_that_is_wrong_with_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as found:
        run(tmp_path, _broken(links=..., flows__0__bytes=None), case(), case(), case(id="y", routes=7))
    assert [line.partition("cases.json: ")[2].split(": ")[:2] for line in str(found.value).splitlines()] == [
        ["case x-0", "links"], ["case x-0", "flows.0.bytes"],
        ["case x-0", "is given twice; give every case an id of its own"], ["case y", "routes"],
    ]  # fmt: skip


def test_nothing_to_check_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"cases\.json holds no case"):
        run(tmp_path)


@pytest.mark.data
def test_all_128_fluid_cases_are_within_the_tolerance_and_the_engine_is_at_rounding(
    public_data: Path,
) -> None:
    folder = public_data / "network_reference"
    n_cases = 0
    for path in sorted(folder.glob("[a-g]_*.json")):
        for found in json.loads(path.read_text())["cases"]:
            n_cases += 1
            times = run_case(case_of(found))
            for name, wanted in found["reference"]["maxmin"].items():
                duration = wanted["finish_s"] - wanted["start_s"]
                assert times[name].duration_s == pytest.approx(duration, rel=1e-11, abs=1e-12), (
                    found["id"],
                    name,
                )
    assert n_cases == 128


@pytest.mark.data
def test_the_ns3_file_is_reported_per_variant_and_its_fluid_estimates_are_reproduced(
    public_data: Path,
) -> None:
    console = Console(width=160, file=StringIO(), record=True)
    code = check_network([public_data / "network_reference" / "n_ns3_tcp.json"], console)
    assert code == 0
    text = console.export_text()
    for variant in ("cubic_lossless", "cubic_fqcodel", "newreno_bdp", "newreno_fifo1000"):
        assert text.count(variant) == 5
