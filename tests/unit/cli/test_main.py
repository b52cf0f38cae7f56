"""The command line: help, listing, showing, schema, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gapslsim.cli.main import COMMANDS, load_command, main
from gapslsim.errors import ComponentError, NumericalError
from gapslsim.registry import FAMILIES


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def _run(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code or 0, capsys.readouterr()


def test_help_names_every_command(capsys):
    code, out = _run(["--help"], capsys)
    assert code == 0
    assert all(name in out.out for name in COMMANDS)


def test_help_imports_nothing_heavy():
    script = (
        "import sys, contextlib, io\n"
        "from gapslsim.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['--help'])\n"
        "heavy = {'torch', 'pandas', 'numpy', 'scipy', 'sklearn', 'simpy', 'matplotlib', 'pydantic', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def sound_path():
    return Path(__file__).resolve().parents[2] / "broken_scenarios" / "sound.yaml"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_found_and_has_help(name, capsys):
    assert load_command(name) is not None
    code, out = _run([name, "--help"], capsys)
    assert code == 0
    assert f"gapslsim {name}" in out.out


def test_an_unknown_command_names_the_near_miss(capsys):
    code, out = _run(["valdiate"], capsys)
    assert code == 2
    assert "validate" in out.err


def test_the_version_is_printed(capsys):
    code, out = _run(["--version"], capsys)
    assert code == 0
    assert out.out.startswith("gapslsim ")


def test_list_shows_every_family_devices_links_and_scenarios(capsys):
    code, out = _run(["list"], capsys)
    assert code == 0
    for kind in [*FAMILIES, "device", "link", "scenario"]:
        assert f"\n{kind}" in f"\n{out.out}"
    assert "jetson-nano" in out.out
    assert "dirichlet" in out.out


def test_list_of_one_kind_takes_plurals_and_other_names(capsys):
    for name in ("optimizer", "optimizers"):
        assert "adam" in _run(["list", name], capsys)[1].out
    assert "star" in _run(["list", "topology"], capsys)[1].out


def test_list_of_an_unknown_kind_is_an_error(capsys):
    code, out = _run(["list", "devise"], capsys)
    assert code == 2
    assert "Did you mean 'device'?" in out.err


def test_every_component_can_be_shown(capsys):
    import gapslsim.scenario.schema  # noqa: F401

    for kind in ("channel", "framework", "model", "network", "optimizer", "partition", "data"):
        for name in FAMILIES[kind]:
            code, out = _run(["show", kind, name], capsys)
            assert code == 0
            assert f"{kind} {name}" in out.out


def test_show_tells_type_default_and_meaning(capsys):
    _, out = _run(["show", "partition", "dirichlet"], capsys)
    assert "alpha" in out.out
    assert "number > 0" in out.out
    _, out = _run(["show", "network", "star"], capsys)
    assert "backhaul_latency" in out.out
    assert "0 s" in out.out


def test_show_device_gives_figures_with_sources(capsys):
    code, out = _run(["show", "device", "jetson-nano"], capsys)
    assert code == 0
    assert "memory.usable" in out.out
    assert "3 GB, assumed" in out.out
    assert "mean 4.6 %, median 4.6 %, 95th percentile 4.7 %, n = 2" in out.out


def test_show_link_says_where_its_figures_come_from(capsys):
    _, out = _run(["show", "link", "lte"], capsys)
    assert "34 Mbit/s" in out.out
    assert "Ookla" in out.out
    assert _run(["show", "link", "lt"], capsys)[0] == 2


def test_show_scenario_prints_the_file(capsys):
    from gapslsim.scenario.shipped import shipped_scenarios

    _, out = _run(["show", "scenario", "quickstart"], capsys)
    assert out.out == shipped_scenarios()["quickstart"].read_text()


def test_schema_is_written_to_a_file(capsys, tmp_path):
    code, _ = _run(["schema", "-o", str(tmp_path / "schema.json")], capsys)
    assert code == 0
    assert json.loads((tmp_path / "schema.json").read_text())["title"] == "Scenario of gapslsim"
    _, out = _run(["schema"], capsys)
    assert json.loads(out.out)["$schema"].endswith("2020-12/schema")


def test_validate_tells_the_memory_of_training_here_and_on_a_gpu_that_is_not(capsys, sound_path):
    code, out = _run(["validate", str(sound_path), "--gpu", "80 GB"], capsys)
    assert code == 0
    assert "Note: on a GPU of 80 GB: training takes about" in out.out
    code, out = _run(["validate", str(sound_path), "--set", "training.memory.limit=1 kB"], capsys)
    assert code == 0
    assert "it would not run here: training does not fit" in out.out
    code, out = _run(["validate", str(sound_path), "--gpu", "80"], capsys)
    assert code == 2
    assert "'80' has no unit" in out.err


def test_validate_prints_the_resolved_scenario(capsys, sound_path):
    code, out = _run(["validate", str(sound_path), "--resolved", "--quick", "--set", "seed=7"], capsys)
    assert code == 0
    assert "seed: 7" in out.out
    assert "rate: 34 Mbit/s" in out.out


def test_an_error_is_said_in_words_with_its_exit_code(capsys, monkeypatch):
    def broken(folder, seed):
        raise NumericalError("loss is NaN in round 3")

    monkeypatch.setattr("gapslsim.cli.schema.schema", lambda: broken(None, 0))
    code, out = _run(["schema"], capsys)
    assert code == NumericalError.exit_code == 1
    assert out.err == "Error: loss is NaN in round 3\n"
    assert _run(["show", "device", "nothing"], capsys)[0] == ComponentError.exit_code == 2
