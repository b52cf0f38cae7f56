from __future__ import annotations

import gc
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from gapslsim.errors import ComponentError
from gapslsim.hardware import shipped
from gapslsim.hardware.devices import known_devices, load_device, load_profile
from gapslsim.hardware.profile import Jitter
from gapslsim.hardware.profile_file import write_profile
from gapslsim.hardware.profiled_device import ProfiledDevice, device_of
from gapslsim.hardware.shipped import shipped_folder
from gapslsim.work import Cost, LayerCost
from tests.support import figure


def with_sigma(sigma: float, correlation: float = 0.0) -> ProfiledDevice:
    device = load_device("jetson-nano")
    return ProfiledDevice(
        name=device.name,
        ram_bytes=device.ram_bytes,
        power=device.power,
        cost_model=device.cost_model,
        spread=Jitter(sigma=figure(sigma), correlation=figure(correlation)),
        profile=device.profile,
    )


def conv(flop: float) -> Cost:
    return Cost((LayerCost("conv", "conv2d", "forward", flop, 0.0),))


def test_the_devices_of_the_first_issue_are_shipped() -> None:
    wanted = {
        "jetson-nano", "jetson-orin-nx", "raspberry-pi-4b", "raspberry-pi-5", "phone-midrange",
        "phone-flagship", "laptop-cpu", "edge-gpu-server",
    }  # fmt: skip
    assert wanted <= set(known_devices())
    assert known_devices() == sorted(known_devices())


def test_a_duration_on_a_jetson_nano_is_the_roofline_of_its_profile() -> None:
    # 140 GFLOP at 140 GFLOP/s, 156 us for the layer, 1.56 ms for the call
    assert load_device("jetson-nano").duration_s(conv(140e9)) == pytest.approx(
        1 + 156e-6 + 1.56e-3, abs=1e-12
    )


def test_a_mode_changes_what_it_names_and_inherits_the_rest() -> None:
    full, saving = load_device("jetson-nano"), load_device("jetson-nano@5w")
    assert saving.name == "jetson-nano@5w"
    assert (full.power.compute_w, saving.power.compute_w) == (7.25, 4.2)
    assert saving.ram_bytes == full.ram_bytes
    # 140 GFLOP at 97.2 GFLOP/s, 251 us, 2.51 ms
    expected = 140 / 97.2 + 251e-6 + 2.51e-3
    assert saving.duration_s(conv(140e9)) == pytest.approx(expected, abs=1e-12)
    # the memory rate is inherited: 9.9 GB at 9.9 GB/s
    copy = Cost((LayerCost("copy", "pool", "forward", 0.0, 9.9e9),))
    assert saving.duration_s(copy) == pytest.approx(1 + 251e-6 + 2.51e-3, abs=1e-12)


def test_a_duration_is_computed_once_per_cost_and_forgotten_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    device, asked = load_device("jetson-nano"), []
    monkeypatch.setattr(type(device.cost_model), "layer_s", lambda self, layer: asked.append(layer) or 1.0)
    cost, same_numbers = conv(1e9), conv(1e9)
    assert device.duration_s(cost) == device.duration_s(cost) == device.duration_s(same_numbers)
    assert len(asked) == 2
    assert len(device._durations) == 2
    del cost
    gc.collect()
    assert len(device._durations) == 1


def test_a_device_has_no_say_after_it_is_made() -> None:
    with pytest.raises(AttributeError):
        load_device("jetson-nano").ram_bytes = 1.0  # type: ignore[misc]


def test_without_jitter_nothing_is_drawn() -> None:
    def none() -> np.random.Generator:
        raise AssertionError("a stream was made")

    assert list(islice(with_sigma(0.0).jitter(none), 5)) == [1.0] * 5


def test_jitter_is_lognormal_of_mean_one_with_one_number_each() -> None:
    device = with_sigma(0.3)
    alone, ahead = np.random.default_rng(3), device.jitter(lambda: np.random.default_rng(3))
    for _ in range(1000):  # Drawn ahead in blocks, and yet the numbers that one draw each would give.
        z = alone.standard_normal()
        assert next(ahead) == pytest.approx(math.exp(0.3 * z - 0.045), rel=1e-14)
    factors = np.array(list(islice(device.jitter(lambda: np.random.default_rng(0)), 20_000)))
    # standard error of the mean: sqrt(exp(0.09) - 1) / sqrt(20000) = 0.0022
    assert abs(factors.mean() - 1) < 4 * 0.0022
    assert np.log(factors).std() == pytest.approx(0.3, rel=0.03)
    assert factors.min() > 0


def test_correlated_jitter_keeps_its_spread_and_mean_and_remembers_the_computation_before() -> None:
    device = with_sigma(0.3, correlation=0.8)
    logs = np.log(np.array(list(islice(device.jitter(lambda: np.random.default_rng(0)), 40_000)))) + 0.045
    assert logs.std() == pytest.approx(0.3, rel=0.03)
    for lag in (1, 2, 3):  # AR(1): the correlation of computations k apart is c^k
        assert np.corrcoef(logs[:-lag], logs[lag:])[0, 1] == pytest.approx(0.8**lag, abs=0.03)


def test_an_unknown_device_gets_the_near_miss_and_the_known_ones() -> None:
    with pytest.raises(ComponentError) as error:
        load_device("jetson-nanno")
    assert "Unknown device 'jetson-nanno'" in str(error.value)
    assert "Did you mean 'jetson-nano'?" in str(error.value)
    assert all(name in str(error.value) for name in known_devices())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("jetson-nano@5W", "no mode '5W'; known: jetson-nano@5w. Did you mean '5w'?"),
        ("edge-gpu-server@eco", "it has none, leave the @ away."),
        ("", "Unknown device ''"),
        ("no/such.yaml", "There is no profile file no/such.yaml"),
        ("missing.yaml@5w", "There is no profile file missing.yaml"),
    ],
)
def test_what_cannot_be_had_says_what_can(name: str, words: str) -> None:
    with pytest.raises(ComponentError) as error:
        load_device(name)
    assert words in str(error.value)


def test_a_profile_of_ones_own_is_loaded_by_its_path_also_in_a_mode(tmp_path: Path) -> None:
    folder = tmp_path / "me@home"
    folder.mkdir()
    write_profile(load_profile("jetson-nano"), folder / "mine.yaml")
    assert load_device(folder / "mine.yaml").power.compute_w == 7.25
    assert load_device(f"{folder}/mine.yaml@5w").power.compute_w == 4.2
    assert load_device("mine.yaml@5w", base=folder).name == "jetson-nano@5w"


def test_a_device_can_be_made_from_a_profile_in_hand() -> None:
    assert device_of(load_profile("jetson-nano"), "5w").power == load_device("jetson-nano@5w").power


def test_shipped_files_are_found_in_a_wheel_before_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gapslsim"
    (tmp_path / "hardware_profiles").mkdir()
    package.mkdir()
    monkeypatch.setattr(shipped, "__file__", str(package / "hardware" / "shipped.py"))
    assert shipped_folder("hardware_profiles") == tmp_path / "hardware_profiles"
    (package / "_shipped" / "hardware_profiles").mkdir(parents=True)
    assert shipped_folder("hardware_profiles") == package / "_shipped" / "hardware_profiles"
    with pytest.raises(ComponentError, match="shipped 'scenarios' are missing"):
        shipped_folder("scenarios")


def test_the_package_itself_has_its_profiles() -> None:
    assert (shipped_folder("hardware_profiles") / "jetson-nano.yaml").is_file()
