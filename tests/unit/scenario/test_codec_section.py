"""The section `codec`: how it is read, what it refuses, and what a run says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gapslsim import load, simulate
from gapslsim.assembly import assemble
from gapslsim.cli.main import main
from gapslsim.errors import ScenarioError
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import loads
from gapslsim.scenario.schema import Scenario


def scenario(codec: str, *more: str) -> Scenario:
    return load("quickstart", set=["stop={epochs: 2}", f"codec={codec}", *more])


def privacy(codec: str) -> dict[str, Any]:
    told: dict[str, Any] = simulate(scenario(codec), dry=True).summary["privacy"]["activations"]
    return told


def test_one_codec_a_name_and_a_list_are_read_and_written_again() -> None:
    read = scenario(
        "{activations: quantise, gradients: [{kind: top_k, share: 0.2}, {kind: quantise, bits: 4}]}"
    )
    assert [codec.kind for codec in read.codecs["gradients"]] == ["top_k", "quantise"]
    assert loads(dump(read)) == read
    assert scenario("{activations: {kind: quantise}}") == scenario("{activations: [quantise]}")


def test_a_setting_of_a_codec_can_be_an_axis() -> None:
    base = "{activations: {kind: quantise, bits: 8}}"
    assert scenario(base, "codec.activations.bits=3").codecs["activations"][0].bits == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("{activations: quantize}", "Did you mean 'quantise'"),
        ("{uplink: quantise}", "Allowed here: activations, gradients, gradients_follow"),
        ("{activations: {kind: quantise, bits: 17}}", "found 17"),
        ("{gradients: [float16, top_k]}", "write float16 as the last of the list"),
        ("{gradients: [{kind: quantise, error_feedback: true}, noise]}", "leaves nothing to noise"),
        ("{activations: quantise, gradients_follow: true}", "write activations: top_k or dropout_quantise"),
        (
            "{activations: top_k, gradients: {kind: float16, error_feedback: true}, gradients_follow: true}",
            "leave one of them out",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(codec: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words) as found:
        scenario(codec)
    assert "codec" in str(found.value)


def test_fedavg_has_nothing_to_encode() -> None:
    with pytest.raises(ScenarioError, match="codec: in fedavg clients hold the whole model"):
        scenario("{activations: quantise}", "framework=fedavg")


def test_gradients_that_clients_share_follow_nobody() -> None:
    with pytest.raises(ScenarioError, match="in epsl clients share gradients"):
        scenario("{activations: top_k, gradients_follow: true}", "framework=epsl")


def test_measurements_of_this_machine_refuse_codecs() -> None:
    with pytest.raises(ScenarioError, match="codec: is simulated and not carried out in measurements"):
        assemble(scenario("{activations: quantise}"), dry=False, clock=object())  # type: ignore[arg-type]


def test_a_run_tells_the_epsilon_of_its_noise() -> None:
    told = privacy("{activations: [{kind: noise, clip: 1, scale: 4}, quantise]}")
    # Two epochs in batches that are not cut short: the sample that was sent most often has three rows.
    n_rows = told["rows_of_one_sample"]
    assert n_rows >= 2
    assert told["epsilon_of_one_row"] == pytest.approx(1.99309, rel=1e-5)
    assert told["epsilon_of_one_row"] < told["epsilon"] < n_rows * told["epsilon_of_one_row"]
    laplace = privacy("{activations: {kind: noise, distribution: laplace, clip: 1, scale: 4}}")
    assert (laplace["delta"], laplace["epsilon"]) == (0.0, n_rows * 0.5)


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("{kind: noise, scale: 4}", "nothing is clipped"),
        ("[top_k, {kind: noise, clip: 1}]", "write noise first"),
    ],
)
def test_a_run_that_can_tell_no_epsilon_says_why(codec: str, words: str) -> None:
    told = privacy(f"{{activations: {codec}}}")
    assert told["epsilon"] is None
    assert words in told["why_not"]


def test_the_terminal_tells_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codec = "codec={activations: {kind: noise, clip: 1, scale: 4}, gradients: {kind: noise}}"
    wanted = ["--set", codec, "--set", "stop={epochs: 2}", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as ended:
        main(["run", "quickstart", "--dry", *wanted])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "privacy, activations epsilon" in said
    assert "1.99 for one (delta 1e-05)" in said
    assert "privacy, gradients no epsilon: nothing is clipped" in said


def test_a_run_without_noise_says_nothing_of_privacy() -> None:
    assert "privacy" not in simulate(scenario("{activations: quantise}"), dry=True).summary
