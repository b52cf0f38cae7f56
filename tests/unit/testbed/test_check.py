"""A scenario held to a table: what is compared, what is fitted, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim import load, simulate
from gapslsim.calibration.table import TableError
from gapslsim.cli.main import main
from gapslsim.errors import ComponentError, GapslsimError
from gapslsim.hardware.corrected import Corrections
from gapslsim.hardware.devices import load_profile, with_profiles
from gapslsim.hardware.figure import Figure
from gapslsim.testbed.check import check_testbed

SCENARIO = """
name: small
data: {kind: synthetic, n_train: 64, n_test: 16}
model: {kind: mlp, cut: 1, hidden: [256, 64]}
framework: psl
training: {batch_size: 16, client: {optimizer: sgd, lr: 0.1}}
server: {device: jetson-orin-nx}
clients: [{device: raspberry-pi-4b, link: {uplink: 10 Mbit/s, downlink: 10 Mbit/s, latency: 1 ms}}]
network: star
clock: {jitter: false}
evaluation: {every: 1000 rounds}
stop: {rounds: 5}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    return path


def seconds(scenario: Path, *set: str, rounds: int = 3) -> float:
    results = simulate(load(scenario, set=[*set, f"stop.rounds={rounds}"]), dry=True)
    return float((results.rounds["end_s"] - results.rounds["start_s"]).median())


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_each_cell_is_simulated_with_its_settings_and_errors_are_relative(
    scenario: Path, tmp_path: Path
) -> None:
    one, two = (seconds(scenario, f"model.cut={cut}") for cut in (1, 2))
    rows = [{"model.cut": 1, "round_s": one * f} for f in (0.9, 1.0, 1.1)] + [
        {"model.cut": 2, "round_s": two * 2}
    ]
    found = check_testbed(table(tmp_path / "t.csv", rows), scenario)
    first, second = found.compared.to_dict("records")
    assert (first["cell"], first["n"], second["cell"]) == ("cut=1", 3, "cut=2")
    np.testing.assert_allclose([first["error_median"], second["error_median"]], [0.0, -0.5], atol=1e-12)
    # The 90th percentile of 0.9, 1.0 and 1.1 is 1.08; what is simulated does not vary.
    np.testing.assert_allclose(first["error_p90"], 1 / 1.08 - 1, rtol=1e-9)
    assert len(found.beyond(0.49)) == 1
    assert found.beyond(0.51).empty


def test_every_kind_of_measure_is_read_off_the_run(scenario: Path, tmp_path: Path) -> None:
    results = simulate(load(scenario, set=["stop.rounds=3"]), dry=True)
    spans, rounds = results.spans, results.rounds
    own = spans[(spans["client"] == 0) & (spans["round"] > 0)]
    forward = own[own["phase"] == "client_forward"]
    round_s = (rounds["end_s"] - rounds["start_s"]).median()
    joules = own.groupby("round")["energy_j"].sum().median()
    row = {
        "round_s": round_s, "iteration_s": round_s, "energy_j": rounds["energy_j"].median(),
        "iteration_energy_j": joules, "power_w": joules / round_s, "bytes_up": rounds["bytes_up"].median(),
        "client_forward_s": (forward["end_s"] - forward["start_s"]).median(),
    }  # fmt: skip
    found = check_testbed(table(tmp_path / "t.csv", [row]), scenario, rounds=3)
    assert list(found.compared["measure"]) == [
        "round", "iteration", "energy", "iteration_energy", "power", "bytes_up", "client_forward",
    ]  # fmt: skip
    np.testing.assert_allclose(found.compared["error_median"], 0, atol=1e-9)


def test_the_whole_network_on_the_client_is_an_iteration_of_local_training(
    scenario: Path, tmp_path: Path
) -> None:
    local = simulate(load(scenario, set=["framework=fedavg", "stop.rounds=1"]), dry=True).spans
    step = local[local["phase"] == "local_training"]
    step_s = float((step["end_s"] - step["start_s"]).sum()) / 4  # 64 samples in batches of 16
    rows = [{"model.cut": cut, "iteration_s": step_s} for cut in ("whole", 3)]
    found = check_testbed(table(tmp_path / "t.csv", rows), scenario)
    np.testing.assert_allclose(found.compared["error_median"], 0, atol=1e-9)
    with pytest.raises(TableError, match=r"t.csv:2: model.cut: .*cut must be from 1 to 2"):
        check_testbed(table(tmp_path / "t.csv", [{"model.cut": 5, "iteration_s": 1.0}]), scenario)


def test_factors_that_made_the_measurements_are_found_and_predict_the_other_cells(
    scenario: Path, tmp_path: Path
) -> None:
    slow = Figure(value=1.7, status="fitted", source="a board that is slower than its profile")
    profile = dataclasses.replace(
        load_profile("raspberry-pi-4b"),
        corrections=Corrections(forward=slow, backward=slow, update=slow, other=slow, per_call=slow),
    )
    rows = []
    with with_profiles({"raspberry-pi-4b": profile}):
        for cut in (1, 2):
            for rate in (8, 16):
                measured = seconds(
                    scenario, f"model.cut={cut}",
                    *(f"clients.0.link.{way}={0.8 * rate} Mbit/s" for way in ("uplink", "downlink")),
                )  # fmt: skip
                ways = {f"clients.0.link.{way}": f"{rate} Mbit/s" for way in ("uplink", "downlink")}
                rows.append({"site": "a", "model.cut": cut, **ways, "round_s": measured})
    path = table(tmp_path / "t.csv", rows)
    found = check_testbed(
        path, scenario, labels=["site"], calibrate=["2,3,4"], fit=["compute", "rate"], network="site"
    )
    assert found.fitted is not None
    compute, rate = found.fitted.values
    assert compute == pytest.approx(1.7, rel=0.02)
    assert rate == pytest.approx(0.8, rel=0.02)
    assert list(found.compared["calibrated"]) == [True, True, True, False]
    assert found.predicted["error_median"].abs().max() < 0.01
    assert check_testbed(path, scenario, labels=["site"]).compared["error_median"].abs().min() > 0.15
    (written,) = found.write_profiles(tmp_path / "profiles")
    text = load(scenario, set=[f"clients.0.device={written}", "stop.rounds=3"])
    assert simulate(text, dry=True).summary["simulated_time_s"] > 3 * seconds(scenario)


def test_the_order_of_cuts_and_the_best_one_are_told(scenario: Path, tmp_path: Path) -> None:
    one, two = (seconds(scenario, f"model.cut={cut}") for cut in (1, 2))
    for factor, tau in ((1.0, 1.0), (-1.0, -1.0)):
        low, high = sorted((one, two))
        times = {1: one, 2: two} if factor > 0 else {1: low + high - one, 2: low + high - two}
        rows = [{"model.cut": cut, "round_s": s} for cut, s in times.items()]
        (order,) = check_testbed(table(tmp_path / "t.csv", rows), scenario).agreements
        assert order.tau == pytest.approx(tau)
        assert order.names_the_best is (factor > 0)


def test_what_cannot_be_simulated_or_fitted_is_told_with_its_row(scenario: Path, tmp_path: Path) -> None:
    row: dict[str, object] = {"round_s": 1.0}
    path = tmp_path / "t.csv"
    with pytest.raises(TableError, match=r"t.csv:2: framework.etta|t.csv:2: framework"):
        check_testbed(table(path, [row | {"framework.etta": 3}]), scenario)
    with pytest.raises(TableError, match="jetson-mano"):
        check_testbed(table(path, [row | {"clients.0.device": "jetson-mano"}]), scenario)
    with pytest.raises(ComponentError, match="Did you mean 'compute'"):
        check_testbed(table(path, [row]), scenario, calibrate=["2"], fit=["compute_"])
    with pytest.raises(TableError, match="local_training does not happen here"):
        check_testbed(table(path, [{"local_training_s": 1.0}]), scenario)
    changed = row | {
        "clients.0.link.uplink": "{kind: lognormal, mean: 5 Mbit/s, sigma: 0.1, correlation_time: 1 s}"
    }
    with pytest.raises(TableError, match="constant links only"):
        check_testbed(table(path, [changed]), scenario, calibrate=["2"], fit=["rate"])


def test_the_command_prints_writes_and_ends_by_its_tolerance(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "t.csv", [{"model.cut": 1, "round_s": seconds(scenario) * 2}])
    files = [tmp_path / name for name in ("check.md", "check.png", "check.csv")]
    outputs = zip(("--out", "--plot", "--table"), map(str, files), strict=True)
    arguments = [
        "check-testbed",
        str(path),
        "--scenario",
        str(scenario),
        *(x for pair in outputs for x in pair),
    ]
    for tolerance, code in (("60%", 0), ("0.4", 1), ("much", 2)):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--tolerance", tolerance])
        assert ended.value.code == code
    assert all(file.stat().st_size for file in files)
    assert "-50.0 %" in files[0].read_text()
    said = capsys.readouterr()
    assert "1 of 1 medians are off by more than 40 %" in said.out
    assert "--tolerance: found 'much'; write a share such as 12% or 0.12" in said.err


def test_too_few_draws_and_a_cut_that_the_model_has_not_are_told(scenario: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", [{"training.batch_size": 16, "round_s": 0.1}])
    with pytest.raises(TableError, match=r"greater than or equal to 20, found 3"):
        check_testbed(file, scenario, draws=3, rounds=2)
    scenario.write_text(scenario.read_text().replace("cut: 1", "cut: 65536"))
    with pytest.raises(GapslsimError, match="cut must be from 1 to 2"):
        check_testbed(file, scenario, rounds=2)
