"""What README, CONTRIBUTING and the pages of docs/ show can be done as they show it.

Pages of `CARRIED_OUT` are done command by command. On all other pages every command is checked against the command
line and every file against the checkout. A snippet that can be neither is listed with its reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gapslsim import simulate
from gapslsim.hardware.devices import load_profile
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.schema import Scenario
from gapslsim.studies.plan import load_study
from tests.snippets import LANGUAGES, ROOT, Snippet, commands, guess, pages, snippets, wrong_with

CARRIED_OUT = [
    page for page in pages() if page.startswith("docs/howto/") or page == "docs/tutorial-first-study.md"
]
A_MINUTE, A_CLUSTER, MINUTES = (
    "times this machine for a minute",
    "needs a cluster",
    "so many runs take minutes",
)
AN_EXTRA = "needs a package that the tests do without"
NOT_CARRIED_OUT = {
    "gapslsim measure --quick --name my-device -o measurements.csv": A_MINUTE,
    "gapslsim calibrate measurements.csv -o my-device.yaml --like raspberry-pi-4b": A_MINUTE,
    "ray start --head --port=6379": A_CLUSTER,
    "ray start --address=HEAD:6379": A_CLUSTER,
    "ray stop": A_CLUSTER,
    "dask scheduler --port 8786": A_CLUSTER,
    "dask worker tcp://HEAD:8786 --nthreads 1": A_CLUSTER,
    "gapslsim sweep studies/quickstart --backend ray --address HEAD:6379 --out /shared/quickstart": A_CLUSTER,
    "gapslsim sweep studies/quickstart --backend dask --address tcp://HEAD:8786 --out /shared/quickstart": A_CLUSTER,
    "gapslsim run quickstart --track tensorboard=runs/tb": AN_EXTRA,
    "gapslsim run quickstart --track wandb=my-team/edge --track mlflow=sqlite:///mlflow.db": AN_EXTRA,
    "gapslsim sweep studies/quickstart --track mlflow=http://localhost:5000": AN_EXTRA,
    **{
        f"gapslsim sweep studies/quickstart --out /shared/quickstart {which}": MINUTES
        for which in ("--shard 1/3", "--shard 2/3", "--shard 3/3", "--gather")
    },
    "gapslsim sweep studies/quickstart --out a --journal journal": MINUTES,
    "gapslsim sweep studies/retiming --out b --journal journal": MINUTES,
    "gapslsim sweep studies/where_to_cut --out where": MINUTES,
    "gapslsim report where -o where.html": MINUTES,
    "gapslsim sweep server_schedules --out server_schedules": MINUTES,
    "gapslsim report server_schedules -o schedules.html": MINUTES,
    "gapslsim sweep studies/quickstart --backend ray --jobs 2": MINUTES,
    "gapslsim sweep studies/quickstart --backend dask --jobs 2 --resume": MINUTES,
}
"""Commands of pages that are carried out, but for these; they are checked like those of other pages."""
NOT_RUN = {
    ("docs/studies.md", "import pandas as pd"): "reads a study of 36 runs; the tutorial does the like",
}
"""Python of other pages that is not run; it must still compile."""
NOT_READ = {
    ("docs/design.md", "name: quickstart"): "a sketch, with dots for what it leaves out",
    (
        "docs/howto/components.md",
        "components: [./my_rule.py, my_package.channels]",
    ): "names what the reader may have",
}
"""YAML that no scenario, study or profile can be made of."""

ALL = [snippet for page in pages() for snippet in snippets(page)]


def of(language: str) -> list[Snippet]:
    return [snippet for snippet in ALL if snippet.language == language]


def own_files(page: str) -> set[str]:
    return {snippet.name for snippet in ALL if snippet.page == page}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of the pages that are carried out: an error for each, empty if there is none."""
    folder = tmp_path_factory.mktemp("pages")
    plan = {page: list(NOT_CARRIED_OUT) for page in CARRIED_OUT}
    code = ["-W", "error::UserWarning", "-m", "tests.snippets"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, *code, json.dumps(plan)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("page", CARRIED_OUT)
def test_what_a_page_says_can_be_done(page: str, outcomes: dict[str, str]) -> None:
    assert outcomes[page] == ""


def test_every_snippet_is_of_a_known_language() -> None:
    assert {str(s): s.language for s in ALL if s.language not in LANGUAGES} == {}


@pytest.mark.parametrize("snippet", of("sh"), ids=str)
def test_commands_exist_with_their_options_and_files(snippet: Snippet) -> None:
    found = commands(snippet.text)
    assert found
    wrong = {" ".join(words): wrong_with(words, own_files(snippet.page)) for words in found}
    assert {command: what for command, what in wrong.items() if what} == {}


@pytest.mark.parametrize(
    "snippet", [s for s in of("python") if s.page not in CARRIED_OUT and s.page != "CONTRIBUTING.md"], ids=str
)
def test_python_runs(snippet: Snippet, tmp_path: Path) -> None:
    compile(snippet.text, str(snippet), "exec")
    if (snippet.page, snippet.first) not in NOT_RUN:
        for shared in ("scenarios", "docs", "analysis"):
            (tmp_path / shared).symlink_to(ROOT / shared)
        subprocess.run([sys.executable, "-c", snippet.text], check=True, cwd=tmp_path)


@pytest.mark.parametrize(
    "snippet", [s for s in of("yaml") if not s.name and (s.page, s.first) not in NOT_READ], ids=str
)
def test_yaml_is_a_scenario_a_part_of_one_a_study_or_a_profile(snippet: Snippet, tmp_path: Path) -> None:
    keys = set(yaml.safe_load(snippet.text))
    (tmp_path / "quickstart.yaml").write_text((ROOT / "scenarios/quickstart.yaml").read_text())
    file = tmp_path / "below" / f"{yaml.safe_load(snippet.text).get('name', 'part')}.yaml"
    file.parent.mkdir()
    fields = set(Scenario.__dataclass_fields__)
    if "cost_model" in keys:
        file.write_text(snippet.text)
        assert load_profile(str(file)).name
    elif "axes" in keys:
        file.write_text(snippet.text)
        assert load_study(file).impossible == []
    elif {"name", "stop"} <= keys:
        file.write_text(snippet.text)
        assert load(file, deep=True).n_clients > 0
    else:
        assert keys <= fields, f"{snippet}: neither scenario, study nor profile; list it in NOT_READ"
        file.write_text(f"base: ../quickstart.yaml\n{snippet.text}")
        assert load(file).n_clients > 0


def test_lists_of_exceptions_name_what_is_there() -> None:
    said = {" ".join(words) for s in of("sh") if s.page in CARRIED_OUT for words in commands(s.text)}
    assert set(NOT_CARRIED_OUT) - said == set()
    there = {(s.page, s.first) for s in ALL}
    assert ({*NOT_RUN, *NOT_READ}) - there == set()


def test_the_scenario_of_the_readme_runs() -> None:
    (text,) = (s.text for s in of("yaml") if s.page == "README.md")
    assert simulate(loads(text, set=["stop.rounds=2"]), dry=True).summary["rounds"] == 2


@pytest.mark.parametrize("page", pages())
def test_files_that_a_page_names_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    linked = [(ROOT / page).parent / name for name in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", text)]
    named = [ROOT / name for name in re.findall(r"(?<![\w/.])scenarios/[\w/.-]+\.yaml(?!:)", text)]
    assert [str(name) for name in [*linked, *named] if not name.exists()] == []


@pytest.mark.parametrize("page", pages())
def test_headings_that_a_page_links_to_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for name, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", text):
        target = (ROOT / page).parent / name if name else ROOT / page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in anchors, f"{page}: {name}#{anchor}"


def test_the_front_page_leads_to_every_page() -> None:
    text = (ROOT / "docs/index.md").read_text()
    linked = {(ROOT / "docs" / name).resolve() for name in re.findall(r"\]\(([^)#:\s]+)", text)}
    own = {page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference"}
    own.add(ROOT / "docs/reference/index.md")
    assert own - linked - {ROOT / "docs/index.md"} == set()


def test_the_gallery_shows_every_scenario_and_study() -> None:
    text = (ROOT / "docs/gallery.md").read_text()
    files = sorted((ROOT / "scenarios").rglob("*.yaml"))
    shown = {file for name in re.findall(r"`(scenarios/[^`]+\.yaml)`", text) for file in _spread(name)}
    assert [file.relative_to(ROOT).as_posix() for file in files if file not in shown] == []
    assert [str(file) for file in shown if not file.is_file()] == []


def _spread(name: str) -> list[Path]:
    """The files that `a_{b,c}.yaml` means."""
    match = re.match(r"(.*?)\{([^}]*)\}(.*)", name)
    if match is None:
        return [ROOT / name]
    return [file for each in match[2].split(",") for file in _spread(f"{match[1]}{each.strip()}{match[3]}")]


def test_the_frameworks_of_contributing_train_from_one_file_each(tmp_path: Path) -> None:
    codes = [s.text for s in of("python") if s.page == "CONTRIBUTING.md"]
    kinds = ["my_framework", "psl_with_deadline", "step_per_arrival"]
    assert all(f'"{kind}"' in code for kind, code in zip(kinds, codes, strict=True))
    for kind, code in zip(kinds, codes, strict=True):
        (tmp_path / f"{kind}.py").write_text(code)
    run = f"""
import importlib
from gapslsim import load, simulate
for kind in {kinds}:
    importlib.import_module(kind)
    changes = ["framework=" + kind, "stop={{rounds: 2}}", "evaluation.views=[global]"]
    summary = simulate(load("quickstart", set=changes)).summary
    assert (summary["status"], summary["rounds"]) == ("completed", 2), kind
"""
    (tmp_path / "mine.py").write_text(run)
    subprocess.run([sys.executable, str(tmp_path / "mine.py")], check=True, cwd=tmp_path)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("gapslsim runn x.yaml", "there is no command runn"),
        ("gapslsim run x.yaml --journall J", "run has no option --journall"),
        ("gapslsim run", "run needs 1 arguments"),
        ("gapslsim run scenarios/nowhere.yaml", "there is no scenarios/nowhere.yaml"),
        ("for f in a b; do gapslsim run scenarios/frameworks/x$f.yaml; done", "there is no scenarios"),
        ("python analysis/nowhere.py", "there is no file analysis/nowhere.py"),
        ("python -m benchmarks.nowhere", "there is no module benchmarks.nowhere"),
        ("frobnicate now", "frobnicate is not known here"),
    ],
)
def test_a_wrong_command_is_noticed(command: str, says: str) -> None:
    assert any(says in wrong_with(words, set()) for words in commands(command))


def test_blocks_that_do_not_say_what_they_are_are_taken_for_what_they_look_like() -> None:
    assert guess("# first\ngapslsim list\n") == "sh"
    assert guess("from gapslsim import load\n") == "python"
    assert guess("name: x\nstop: {rounds: 3}\n") == "yaml"
    assert guess("quickstart - gapsl, seed 1\n") == "text"
