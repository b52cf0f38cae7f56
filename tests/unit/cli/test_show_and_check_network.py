"""`gapslsim check-network` and the drawings of `gapslsim show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gapslsim.cli.main import main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


def case(finish_s: float) -> dict[str, Any]:
    """One flow of 1 MB over 8 Mbit/s after 0.1 s of latency: it ends at 1.1 s."""
    return {
        "id": "x-000",
        "family": "x",
        "description": "",
        "nodes": ["a", "b"],
        "links": [{"id": "l", "bandwidth_bps": 8e6, "latency_s": 0.1, "shared": True, "profile": []}],
        "routes": [{"src": "a", "dst": "b", "links": ["l"]}],
        "flows": [
            {"id": "f", "src": "a", "dst": "b", "bytes": 1e6, "start_s": 0.0, "after": [], "delay_s": 0.0}
        ],
        "path_latency_s": {"f": 0.1},
        "makespan_s": finish_s,
        "reference": {"maxmin": {"f": {"start_s": 0.0, "finish_s": finish_s}}},
    }


@pytest.mark.parametrize(("finish_s", "code"), [(1.1, 0), (1.1001, 1)])
def test_check_network_fails_beyond_the_tolerance(
    finish_s: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"schema_version": 1, "family": "x", "cases": [case(finish_s)]}))
    found, out, _ = call(capsys, "check-network", str(file))
    assert found == code
    assert ("beyond tolerance" in out) == bool(code)


@pytest.mark.data
def test_all_fluid_reference_cases_are_within_the_tolerance(
    public_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((public_data / "network_reference").glob("[a-g]_*.json"))
    assert len(files) == 7
    code, out, _ = call(capsys, "check-network", *map(str, files))
    assert code == 0
    assert "g_psl" in out


def test_a_network_is_drawn_with_its_capacities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "network.png"
    code, out, _ = call(capsys, "show", "network", "quickstart", "--png", str(png))
    assert code == 0
    assert "client-7 <-> access: 10 Mbit/s, 25 ms / 40 Mbit/s, 25 ms" in out
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_channel_is_drawn_from_its_settings_or_from_a_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "channel.png"
    settings = "{kind: lognormal, mean: 40 Mbit/s, sigma: 0.5, correlation_time: 1 s}"
    code, out, _ = call(capsys, "show", "channel", settings, "--png", str(png), "--duration", "20 s")
    assert (code, png.is_file()) == (0, True)
    assert "mean" in out
    code, out, _ = call(capsys, "show", "channel", "quickstart:1:uplink")
    assert (code, "25 Mbit/s" in out) == (0, True)


@pytest.mark.parametrize(
    ("what", "fix"),
    [
        ("{kind: lognormal, mean: 40}", "no unit"),
        ("quickstart:9:uplink", "3 groups of clients"),
        ("{kind: [", "settings as in a scenario"),
    ],
)
def test_a_channel_that_is_none_is_refused_in_words(
    what: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "show", "channel", what)
    assert code == 2
    assert fix in out + err
    assert "Traceback" not in err
