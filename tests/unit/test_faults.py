"""A component that would end the program is told of by file and line, and what was done so far is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.network.channel import channels

SCENARIO = """
name: ends
seed: 1
components: [{file}]
data: {{kind: synthetic, n_train: 60, n_test: 20}}
model: {{kind: mlp, hidden: [8], cut: 1}}
framework: psl
training: {{batch_size: 5, client: {{optimizer: sgd, lr: 0.1}}}}
server: {{device: jetson-orin-nx}}
clients: [{{count: 2, device: jetson-nano, link: {{uplink: {{kind: ends}}, downlink: 5 Mbit/s, latency: 1 ms}}}}]
network: star
stop: {{rounds: 500}}
"""
CHANNEL = '''
import os, signal, sys
from typing import Literal
from gapslsim.network.channel import Channel, channels
from gapslsim.registry import component

@channels.register
@component
class Ends(Channel):
    """Ends the program in its second half of a second."""
    kind: Literal["ends"] = "ends"

    def steps(self, random):
        yield 0.0, 5e6
        for step in range(1, 10_000):
            if step == 50:
                {does}
            yield step * 0.01, 5e6 + step
'''


@pytest.fixture
def scenario(tmp_path: Path):
    """Writes a scenario whose channel does something when half a second is over."""

    def written(does: str) -> Path:
        (tmp_path / "ends.py").write_text(CHANNEL.format(does=does))
        file = tmp_path / "use.yaml"
        file.write_text(SCENARIO.format(file="ends.py"))
        return file

    yield written
    channels.members.pop("ends", None)


@pytest.mark.parametrize(
    ("does", "what"),
    [
        ("sys.exit(0)", "calls sys.exit"),
        ("sys.exit('bye')", "calls sys.exit"),
        ("raise KeyboardInterrupt", "raises KeyboardInterrupt"),
    ],
)
def test_a_component_that_ends_the_program_ends_its_run_in_words(
    does: str, what: str, scenario: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scenario(does)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--dry", "-q", "-o", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert f"Error: ends.py:17 {what}; raise another error there" in capsys.readouterr().err
    assert "failed: ends.py:17" in (tmp_path / "out" / "summary.json").read_text()
    assert (tmp_path / "out" / "spans.parquet").stat().st_size > 0


def test_ctrl_c_within_a_component_stays_ctrl_c(scenario: Callable[[str], Path]) -> None:
    text = scenario("signal.raise_signal(signal.SIGINT)")
    results = simulate(load(text), dry=True)
    assert results.summary["status"] == "interrupted"


@pytest.mark.parametrize("does", ["raise Own", "sys.exit(1)"])
def test_a_sweep_goes_on_whatever_ends_one_of_its_runs(does: str, scenario: Callable[[str], Path]) -> None:
    from gapslsim.studies._execute import Job, carry_out

    class_of_all = "class Own(BaseException): ...\n" + CHANNEL
    file = scenario(does)
    (file.parent / "ends.py").write_text(class_of_all.format(does=does))
    outcome = carry_out(Job("a", file.read_text().replace("ends.py", str(file.parent / "ends.py")), None))
    assert "ends.py:18" in outcome.error
