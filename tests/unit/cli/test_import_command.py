"""`gapslsim import`: from a log to a scenario or a profile."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gapslsim.cli.main import main
from gapslsim.importing.importer import importers
from gapslsim.registry import FAMILIES
from tests.unit.importing.published import FILES

OWN = """
from typing import Literal

from gapslsim import FAMILIES, Imported, Importer, component


@FAMILIES["importer"].register
@component
class Meter(Importer):
    \"\"\"A meter of mine.\"\"\"

    kind: Literal["meter"] = "meter"

    @classmethod
    def knows(cls, source):
        return source.text.startswith("METER")

    def read(self, source):
        return Imported(("time_s", "rate_bit_s"), [(0.0, 5e6)], "use {file}")
"""


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["import", *arguments])
    captured = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), " ".join(
        (captured.out + captured.err).replace("│", "").split()
    )


def log(folder: Path, kind: str) -> str:
    (folder / kind).write_text(FILES[kind])
    return str(folder / kind)


def test_a_log_becomes_a_trace_with_the_line_for_the_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trace.csv"
    code, said = call(capsys, "iperf3", log(tmp_path, "iperf3"), "-o", str(out), "--set", "omit=false")
    assert code == 0
    assert out.read_text().splitlines() == ["time_s,rate_bit_s", "0,1000000", "1,40000000", "2,35500000"]
    assert f"Next: uplink: {{kind: trace, format: csv, file: {out}}}" in said


def test_power_is_added_to_a_table_under_the_name_of_its_device_and_gets_into_the_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gapslsim.calibration.rest import power_of
    from gapslsim.calibration.table import read_table

    table = tmp_path / "table.csv"
    table.write_text(
        "device,runtime,phase,kind,work_flop,moved_bytes,time_s,power_w\n"
        "nano,pytorch 2.1,forward,conv2d,2000000,40000,0.0003,\n"
    )
    code, said = call(capsys, "tegrastats", log(tmp_path, "tegrastats"), "-o", str(table), "--append")
    assert (code, "Note: idle: 1.2 W" in said) == (0, True)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["device"], row["runtime"], row["kind"]) for row in rows[1:]] == [
        ("nano", "pytorch 2.1", "idle"),
        ("nano", "pytorch 2.1", "load"),
    ]
    power = power_of(read_table(table), None)
    assert (power.idle.value, power.compute.value) == (1.2, 4.8)
    assert (power.idle.status, power.compute.status) == ("measured", "measured")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pong", "ping"], "unknown importer 'pong'; known: iperf3"),
        (["ping", "iperf3"], "it looks like iperf3: gapslsim import iperf3"),
        (["ping", "ping", "--set", "intervall=1 s"], "Settings of ping: kind, interval"),
        (["ping", "ping", "--set", "interval=1"], "has no unit"),
        (["ping", "ping", "--set", "interval"], "write KEY=VALUE"),
        (["ping", "ping", "--append"], "this becomes no measurement table"),
        (["tegrastats", "tegrastats", "--append"], "there is no table"),
    ],
)
def test_a_wrong_call_says_what_to_change(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form, kind, *rest = arguments
    code, said = call(capsys, form, log(tmp_path, kind), "-o", str(tmp_path / "out.csv"), *rest)
    assert code == 2
    assert words in said
    assert not (tmp_path / "out.csv").exists()


def test_rows_are_added_to_no_other_kind_of_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("time_s,rate_bit_s\n0,1\n")
    code, said = call(capsys, "tegrastats", log(tmp_path, "tegrastats"), "-o", str(table), "--append")
    assert (code, "has no column device" in said) == (2, True)
    assert table.read_text() == "time_s,rate_bit_s\n0,1\n"


def test_an_importer_of_ones_own_is_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meter.py").write_text(OWN)
    (tmp_path / "log").write_text("METER 1")
    monkeypatch.setattr(FAMILIES["importer"], "members", {each: importers[each] for each in importers})
    out = tmp_path / "out.csv"
    own = ["--components", str(tmp_path / "meter.py")]
    code, said = call(capsys, "meter", str(tmp_path / "log"), "-o", str(out), *own)
    assert (code, f"Next: use {out}" in said) == (0, True)
    assert out.read_text().splitlines()[1] == "0,5000000"
