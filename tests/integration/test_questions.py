"""Thirty-one questions that users ask, each answered by one command, on a fleet whose numbers are worked by hand.

Two boards and a phone with computations of 20 and 30 ms each, a rack with 10 ms, no latency, no jitter. A mini-batch of
16 digits at the cut is 16 x 64 x 4 B and 16 labels of 8 B: 4,224 B up; 4,096 B come back. So a round of PSL is the
phone's: 30 ms forward, 4,224 B at 1 Mbit/s = 33.792 ms, 4 passes of the rack = 40 ms, 4,096 B at 8 Mbit/s = 4.096 ms,
2 passes backward = 60 ms: 167.888 ms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from gapslsim.cli.main import main

ROUND_S = 0.030 + 0.033792 + 0.040 + 0.004096 + 0.060
BOARD_J = 0.060 * 11 + (0.004224 + 0.004096) * 2 + (ROUND_S - 0.060 - 0.004224 - 0.004096) * 1
PHONE_J = 0.090 * 5 + (0.033792 + 0.004096) * 2 + (ROUND_S - 0.090 - 0.033792 - 0.004096) * 1
SCENARIO = """
name: hand
data: {kind: digits, partition: iid}
model: {kind: mlp, hidden: [64], cut: 1}
framework: psl
training: {batch_size: 16, client: {optimizer: sgd, lr: 0.1}}
server: {device: rack.yaml}
clients:
  - {count: 2, device: board.yaml, link: {uplink: 8 Mbit/s, downlink: 8 Mbit/s, latency: 0 s}}
  - {count: 1, device: phone.yaml, link: {uplink: 1 Mbit/s, downlink: 8 Mbit/s, latency: 0 s}}
network: {kind: star}
evaluation: {every: 10 rounds, views: [global, clients], targets: [0.5]}
stop: {rounds: 20}
"""
STUDY = """
name: averaging
question: Does averaging help?
base: hand.yaml
set: {stop: {rounds: 2}, evaluation.every: 1 rounds}
seeds: [1, 2]
axes: {grid: {framework: [psl, sfl]}}
targets: {accuracy: [0.3], view: global}
figure: {kind: curves, x: time, y: accuracy, series: framework}
"""


def profile(name: str, call: str, compute: str) -> str:
    def figure(value: Any) -> str:
        return f"{{value: {value}, status: assumed, source: a round number}}"

    return f"""
name: {name}
description: Round numbers.
memory: {{total: {figure("8 GB")}, usable: {figure("6 GB")}}}
cost_model:
  kind: roofline
  forward_rate: {figure("1000000 TFLOP/s")}
  backward_rate: {figure("1000000 TFLOP/s")}
  memory_rate: {figure("1000000 TB/s")}
  overhead_per_layer: {figure("0 s")}
  overhead_per_call: {figure(call)}
jitter: {{sigma: {figure(0)}}}
power: {{idle: {figure("1 W")}, compute: {figure(compute)}, send: {figure("2 W")}, receive: {figure("2 W")}}}
"""


@pytest.fixture(scope="module", autouse=True)
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with the fleet, a run of it, one of SFL and a study."""
    folder = tmp_path_factory.mktemp("questions")
    for name, call, compute in (
        ("board", "20 ms", "11 W"),
        ("phone", "30 ms", "5 W"),
        ("rack", "10 ms", "101 W"),
    ):
        (folder / f"{name}.yaml").write_text(profile(name, call, compute))
    (folder / "hand.yaml").write_text(SCENARIO)
    (folder / "broken.yaml").write_text(
        SCENARIO.replace("framework: psl", "framework: {kind: gapsl, etta: 1}")
    )
    (folder / "study.yaml").write_text(STUDY)
    with chdir(folder):
        for call in (
            "run hand.yaml -q --out psl",
            "run hand.yaml -q --set framework=sfl --out sfl",
            "sweep study.yaml --out two",
        ):
            with pytest.raises(SystemExit) as done:
                main(call.split())
            assert not done.value.code
        yield


def ask(capsys: pytest.CaptureFixture[str], command: str, code: int = 0) -> str:
    """What a command says, with all blanks alike."""
    with pytest.raises(SystemExit) as done:
        main(command.split())
    said = capsys.readouterr()
    assert int(done.value.code or 0) == code, said.err
    return " ".join((said.out + ("" if "--json" in command else said.err)).split())


QUESTIONS = [
    ("Is my scenario sound?", "validate hand.yaml", r"no problems \(3 clients, seed 1\)"),
    ("How long would the run take?", "run hand.yaml --dry --out dry", r"simulated time 3\.36 s"),
    ("What takes which share of it?", "run hand.yaml --dry --force --out dry", r"server compute 800 ms 24 %"),
    ("Which device waits?", "run hand.yaml --dry --force --out dry", r"2 x board 36 3 0 24 2 35 1 x phone 54 20 0"),
    ("Will it fit my GPU?", "validate hand.yaml --gpu 80GB", r"on a GPU of 80 ?GB: training takes about"),
    ("Does a run that I have get lost?", "run hand.yaml --out psl", r"already there: psl\. Nothing was run"),
    ("What set the pace?", "explain psl", r"compute of phone 54 % 2\.66 s 700 ms \(21 %\)"),
    ("Which client, in which round?", "trace psl --critical-path", r"1 168 ms client-2 \(phone\) 76 % client_backward"),
    ("Which of two runs is faster?", "compare psl sfl", r"psl .*3\.36 s"),
    ("Does averaging help?", "compare two", r"simulated time: psl before sfl .* in 2 of 2 seeds"),
    ("Is its accuracy really higher?", "compare two", r"accuracy: .* before .* not decided"),
    ("What would a study cost?", "sweep study.yaml --dry", r"4 runs; roughly .* Nothing was run"),
    ("Can I see it on one page?", "report psl two -o page.html", r"page\.html"),
    ("Can I see the study's answer?", "figure two -o figure.svg --table numbers.csv", r"figure\.svg"),
    ("What does it give away of the inputs?", "leakage psl --epochs 5 -q", r"client-2 \(phone\) .* who sees nothing"),
    ("Can I look into a round?", "trace psl -o trace.json", r"trace\.json"),
    ("Which sample lies where?", "show partition hand.yaml", r"3 clients, 1438 samples, 479 to 480 each"),
    ("How large is each side of the cut?", "show model hand.yaml", r"hidden1 .* 256 .* 4,160 .* 650"),
    ("How does a link change over time?", "show channel hand.yaml:1:uplink", r"mean 1 Mbit/s, least 1 Mbit/s"),
    ("Which frameworks are there?", "list framework", r"gapsl .* sfl "),
    ("Is there a profile of a Nano?", "list device --search nano", r"jetson-nano"),
    ("Where do its figures come from?", "show device jetson-nano", r"(published|measured|fitted|assumed)"),
    ("What can I set of GAPSL?", "show framework gapsl", r"eta "),
    ("Is what was trained undamaged?", "journal verify psl/journal", r"checked, 0 problems"),
    ("How sure is the time?", "run hand.yaml --dry --draws 20 --out drawn", r"90 %|interval"),
    ("How do I begin one of my own?", "new pilot", r"Next: cd pilot && gapslsim run scenario\.yaml --dry"),
    ("Is my own component sound?", "check-component --shipped partition:iid", r"1 component: \d+ claims hold, 0 fail"),
    ("How does my editor know the settings?", "schema -o scenario.json", r"Wrote scenario\.json"),
    ("Which version is this?", "--version", r"gapslsim \d+\.\d+\.\d+"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "command", "answer"), QUESTIONS, ids=[question for question, _, _ in QUESTIONS]
)
def test_a_question_is_answered_by_one_command(question: str, command: str, answer: str, capsys) -> None:
    assert re.search(answer, ask(capsys, command)), question


def test_what_is_wrong_with_my_scenario_is_told_with_its_line_and_fix(capsys) -> None:
    said = ask(capsys, "validate broken.yaml", code=2)
    assert re.search(r"broken\.yaml:5: framework\.etta: unknown .* Did you mean 'eta'\?", said)


def test_what_would_a_faster_part_save_is_what_a_calculation_by_hand_gives(capsys) -> None:
    causes = {cause["name"]: cause for cause in json.loads(ask(capsys, "explain psl --json"))["causes"]}
    saved = {name: cause["saved_s"] / 20 for name, cause in causes.items()}
    by_hand = {
        "compute of phone": 0.015 + 0.020,  # backward: then the boards' 40 ms
        "compute of the server": 0.020,
        "uplink of phone": 0.033792 / 2,
        "downlink of phone": 0.004096 / 2,
    }
    assert {name: saved[name] for name in by_hand} == pytest.approx(by_hand, abs=1e-9)
    assert causes["compute of phone"]["share"] == pytest.approx(0.090 / ROUND_S)
    assert all(value == pytest.approx(0, abs=1e-9) for name, value in saved.items() if name not in by_hand)


def test_what_if_the_phone_had_the_uplink_of_the_boards(capsys) -> None:
    before, after = json.loads(ask(capsys, "whatif psl --json --set clients.1.link.uplink=8Mbit/s"))[
        "alternatives"
    ]
    assert before["simulated_time_s"] == pytest.approx(20 * ROUND_S, abs=1e-9)
    assert after["simulated_time_s"] == pytest.approx(20 * (ROUND_S - 0.033792 + 0.004224), abs=1e-9)
    assert (after["learning"], after["accuracy global"]) == ("same", before["accuracy global"])


def test_what_if_another_framework_trained_says_that_it_learns_otherwise(capsys) -> None:
    _, after = json.loads(ask(capsys, "whatif psl --json --set framework=sfl"))["alternatives"]
    assert after["bytes_up"] == 20 * 3 * (4_224 + 4_160 * 4)  # each round the client-side models as well
    assert after["learning"].startswith("other from round ")


def test_which_batch_size_makes_rounds_short_and_which_a_sample(capsys) -> None:
    command = "plan hand.yaml --json --choose training.batch_size=8,16 --goal"
    shortest = json.loads(ask(capsys, f"{command} round_time"))
    assert shortest["optimal"]
    assert shortest["value"] == pytest.approx(0.030 + 0.033792 / 2 + 0.040 + 0.004096 / 2 + 0.060, abs=1e-9)
    per_sample = json.loads(ask(capsys, f"{command} time_per_sample"))
    assert per_sample["value"] == pytest.approx(ROUND_S / 48, abs=1e-9)


def test_what_does_it_send_and_what_energy_does_it_take(capsys) -> None:
    summary = json.loads(ask(capsys, "run hand.yaml --dry --json --force --out dry"))["summary"]
    assert (summary["bytes_up"], summary["bytes_down"]) == (20 * 3 * 4_224, 20 * 3 * 4_096)
    assert summary["energy_j"]["clients"] == pytest.approx(20 * (2 * BOARD_J + PHONE_J), abs=1e-6)
    assert summary["energy_j"]["server"] == pytest.approx(20 * (0.040 * 101 + (ROUND_S - 0.040)), abs=1e-6)


def test_when_is_half_of_the_test_set_right(capsys) -> None:
    within = json.loads(Path("psl/summary.json").read_text())["time_to_accuracy_within_s"]["0.5"]
    assert (within["after"], within["by"]) == pytest.approx((0, 10 * ROUND_S), abs=1e-9)
