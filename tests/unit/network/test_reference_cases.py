"""Reference cases: the public ones, and small ones whose times are worked out by hand."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gapslsim.cli.check_network import check_network
from gapslsim.errors import NetworkError
from gapslsim.network.reference_cases import run_case


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


def run(tmp_path: Path, *cases: dict[str, Any], version: int = 1) -> tuple[int, str]:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"schema_version": version, "family": "x", "cases": cases}))
    console = Console(width=160, file=StringIO(), record=True)
    return check_network([file], console), console.export_text()


def test_times_of_a_case_are_those_worked_out_by_hand() -> None:
    times = run_case(case(), record_links=True)
    assert times["f0"].finish_s == pytest.approx(2.6, rel=1e-12)
    assert times["f1"].finish_s == pytest.approx(2.1, rel=1e-12)


def test_a_flow_after_another_starts_when_it_ends_and_a_delay_is_added() -> None:
    flows = case()["flows"]
    flows[1] |= {"after": ["f0"], "delay_s": 0.5, "start_s": 0.2}
    times = run_case(case(flows=flows))
    assert times["f1"].start_s == pytest.approx(2.1 + 0.5)
    assert times["f1"].duration_s == pytest.approx(0.6)


def test_a_profile_from_time_zero_replaces_the_first_rate() -> None:
    link = case()["links"][0] | {
        "profile": [{"t_s": 0.0, "bandwidth_bps": 4e6}, {"t_s": 2.1, "bandwidth_bps": 8e6}]
    }
    times = run_case(case(links=[link], flows=case()["flows"][:1]))
    assert times["f0"].finish_s == pytest.approx(2.1 + 1.0)


def test_check_network_passes_right_times_and_fails_wrong_ones(tmp_path: Path) -> None:
    assert run(tmp_path, case())[0] == 0
    wrong = case()
    wrong["reference"]["maxmin"]["f1"]["finish_s"] = 2.1 + 5e-6
    code, text = run(tmp_path, case(), wrong)
    assert code == 1
    assert "beyond tolerance x-0 f1" in text


def test_a_missing_route_and_a_file_of_another_kind_are_said(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="No route a -> b"):
        run(tmp_path, case(routes=[]))
    with pytest.raises(NetworkError, match="schema_version 1"):
        run(tmp_path, case(), version=2)
    with pytest.raises(NetworkError, match="cannot be read as JSON"):
        check_network([tmp_path / "none.json"], Console(quiet=True))


@pytest.mark.data
def test_all_128_fluid_cases_are_within_the_tolerance_and_the_engine_is_at_rounding(
    public_data: Path,
) -> None:
    folder = public_data / "network_reference"
    n_cases = 0
    for path in sorted(folder.glob("[a-g]_*.json")):
        for found in json.loads(path.read_text())["cases"]:
            n_cases += 1
            times = run_case(found)
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
