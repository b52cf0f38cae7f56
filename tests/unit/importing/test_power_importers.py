"""Logs of power, and of perf stat."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.importing.importer import ForeignError, Imported
from tests.unit.importing.published import FILES
from tests.unit.importing.reading import column, imported


def watts(made: Imported, kind: str) -> list[float]:
    return [
        row[made.columns.index("power_w")] for row in made.rows if row[made.columns.index("kind")] == kind
    ]


@pytest.mark.parametrize(
    ("kind", "device", "idle", "load"),
    [
        ("tegrastats", "tegrastats", [1.2], [4.8]),
        ("jtop", "jtop", [5.1], [14.2]),
        ("nvidia-smi", "nvidia-a2", [9.5], [58.0, 60.0]),
    ],
)
def test_logs_of_power_tell_rest_from_work_by_the_load(
    kind: str, device: str, idle: list[float], load: list[float], tmp_path: Path
) -> None:
    made = imported(tmp_path, kind)
    assert (watts(made, "idle"), watts(made, "load")) == (pytest.approx(idle), pytest.approx(load))
    assert set(column(made, "device")) == {device}
    assert set(column(made, "threads")) == {None}
    assert any(note.startswith(f"idle: {idle[0]:g} W, mean of 1 samples") for note in made.notes)


def test_samples_between_rest_and_work_are_left_out_and_counted(tmp_path: Path) -> None:
    assert (
        "1 of 3 samples are neither below 10 % nor from 50 % of load on"
        in imported(tmp_path, "tegrastats").notes[-1]
    )
    wide = imported(tmp_path, "tegrastats", load_above=30)
    assert watts(wide, "load") == pytest.approx([2.9, 4.8])
    told = imported(tmp_path, "tegrastats", state="idle")
    assert watts(told, "idle") == pytest.approx([1.2, 2.9, 4.8])


def test_rails_are_the_input_if_there_is_one_else_all_or_those_that_are_named(tmp_path: Path) -> None:
    named = imported(tmp_path, "tegrastats", rails=["POM_5V_GPU", "POM_5V_CPU"])
    assert watts(named, "load") == pytest.approx([3.3])
    orin = (
        "RAM 4000/30000MB (lfb 4x4MB) CPU [95%@2201,90%@2201] GR3D_FREQ 80% "
        "VDD_GPU_SOC 8000mW/8000mW VDD_CPU_CV 6000mW/6000mW VIN_SYS_5V0 5000mW/5000mW VDDQ_VDD2_1V8AO 900mW/900mW\n"
    )
    made = imported(tmp_path, "tegrastats", orin)
    # The memory's rail is fed by that of the system.
    assert watts(made, "load") == pytest.approx([19.0])
    assert made.notes[0] == "power of VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
    with pytest.raises(ForeignError, match=r"log:1: has not the rails VDD_IN; it has VDD_GPU_SOC"):
        imported(tmp_path, "tegrastats", orin, rails=["VDD_IN"])
    with pytest.raises(ForeignError, match="has no power rails"):
        imported(tmp_path, "tegrastats", orin.partition("VDD")[0] + "\n")


def test_a_log_of_several_gpus_needs_a_choice_and_units_may_be_missing(tmp_path: Path) -> None:
    text = "index, power.draw, utilization.gpu\n0, 10.0, 0\n1, 20.0, 0\n0, 50.0, 90\n"
    with pytest.raises(ForeignError, match="it has the GPUs 0, 1; choose one: --set index=0"):
        imported(tmp_path, "nvidia-smi", text)
    made = imported(tmp_path, "nvidia-smi", text, index=0)
    assert (watts(made, "idle"), watts(made, "load")) == ([10.0], [50.0])
    with pytest.raises(ForeignError, match="does not say how busy"):
        imported(tmp_path, "nvidia-smi", "name, power.draw [W]\nA2, 5 W\n")


CSV = """16004.61,msec,task-clock,16004610000,100.00,3.997,CPUs utilized
80.00,Joules,power/energy-pkg/,4000000000,100.00,,
20.00,Joules,power/energy-ram/,4000000000,100.00,,
<not counted>,,LLC-load-misses,0,0.00,,
4000000000,ns,duration_time,4000000000,100.00,,
"""
LINES = '{"counter-value" : "%s", "unit" : "%s", "event" : "%s", "event-runtime" : 4000, "pcnt-running" : 100.00}\n'
JSON = "".join(
    LINES % each
    for each in [
        ("80.00", "Joules", "power/energy-pkg/"),
        ("20.00", "Joules", "power/energy-ram/"),
        ("4000000000.0", "ns", "duration_time"),
    ]
)


@pytest.mark.parametrize("text", [FILES["perf-stat"], CSV, JSON], ids=["text", "-x,", "-j"])
def test_perf_stat_gives_power_from_energy_and_time_in_every_form(text: str, tmp_path: Path) -> None:
    made = imported(tmp_path, "perf-stat", text)
    # 80 J of the package and 20 J of the memory in 4 s; cores are a part of the package.
    assert watts(made, "load") == pytest.approx([25.0])
    assert watts(imported(tmp_path, "perf-stat", text, state="idle"), "idle") == pytest.approx([25.0])


def test_perf_stat_counts_flop_and_bytes(tmp_path: Path) -> None:
    made = imported(tmp_path, "perf-stat")
    (whole,) = [row for row in made.rows if row[made.columns.index("kind")] == "command"]
    told = dict(zip(made.columns, whole, strict=True))
    # Eight per instruction of 256 bits in single precision; 64 bytes per line of the cache.
    assert (told["work_flop"], told["moved_bytes"], told["time_s"]) == (24.5e9, 64e7, 4.0)
    assert "LLC-store-misses was not counted" in made.notes[0]


def test_intervals_of_perf_stat_are_samples_of_power(tmp_path: Path) -> None:
    text = "".join(
        f"     {at:.9f},{joules},Joules,power/energy-pkg/,1000000000,100.00,,\n"
        for at, joules in ((1, 5.0), (2, 9.0))
    )
    made = imported(tmp_path, "perf-stat", text)
    assert watts(made, "load") == pytest.approx([5.0, 9.0])
    printed = (
        "#           time             counts unit events\n"
        "     1.000000000               5.00 Joules power/energy-pkg/\n"
        "     3.000000000              18.00 Joules power/energy-pkg/\n"
    )
    assert watts(imported(tmp_path, "perf-stat", printed), "load") == pytest.approx([5.0, 9.0])


def test_perf_stat_without_energy_or_work_says_what_to_count(tmp_path: Path) -> None:
    with pytest.raises(
        ForeignError, match="neither energy nor floating-point counts; count -e power/energy-pkg/"
    ):
        imported(tmp_path, "perf-stat", CSV.splitlines()[0] + "\n")
    with pytest.raises(ForeignError, match="does not say how long it counted; count -e duration_time"):
        imported(tmp_path, "perf-stat", "\n".join(CSV.splitlines()[:2]))
    assert watts(
        imported(tmp_path, "perf-stat", "\n".join(CSV.splitlines()[:2]), duration="8 s"), "load"
    ) == [10.0]
