"""Who interrupts the run that an answer takes has interrupted the answer, which would be about a part of it."""

from __future__ import annotations

import signal

import pytest

from gapslsim import explain, leakage, load, simulate, whatif
from gapslsim.cli.main import main
from gapslsim.planning.plan import _trained
from gapslsim.stages.simulated import SimulatedStage
from gapslsim.studies.estimate import estimate
from tests.study_files import BASE


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    """A file whose run a signal interrupts in its second round."""
    path = tmp_path / "scenario.yaml"
    path.write_text(BASE)
    rounds = SimulatedStage.rounds

    def interrupted(stage, framework):
        for number in rounds(stage, framework):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield number

    monkeypatch.setattr(SimulatedStage, "rounds", interrupted)
    return path


ANSWERS = {
    "explain": lambda path: explain(path),
    "leakage": lambda path: leakage(path),
    "what if": lambda path: whatif(path, "clients.*.link=wifi"),
    "what if, trained": lambda path: whatif(path, "clients.*.link=wifi", train=True),
    "plan": lambda path: _trained([("one",)], [load(path)]),
    "estimate": lambda path: estimate(load(path), 1e9),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_interrupted_run_gives_no_answer(answer, scenario):
    assert simulate(load(scenario)).summary["status"] == "interrupted"
    with pytest.raises(KeyboardInterrupt):
        answer(scenario)


@pytest.mark.parametrize(
    "asked", [["explain"], ["whatif", "--set", "clients.*.link=wifi"]], ids=lambda a: a[0]
)
def test_a_command_that_answers_ends_as_interrupted(asked, scenario, capsys):
    with pytest.raises(SystemExit, match=r"^130$"):
        main([asked[0], str(scenario), *asked[1:]])
    assert "Interrupted" in capsys.readouterr().err
