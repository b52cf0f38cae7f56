"""Reference pages come from the program and are kept up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.cli.main import COMMANDS, main
from gapslsim.cli.reference import pages
from gapslsim.registry import FAMILIES
from gapslsim.results.frames import TABLES
from gapslsim.scenario.fields import fields_of
from gapslsim.tables.table import columns_of

ROOT = Path(__file__).parents[3]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(["reference", *arguments])
    return int(done.value.code or 0)


def test_the_pages_in_the_checkout_are_up_to_date() -> None:
    assert call("--check", "-o", str(ROOT / "docs/reference")) == 0


def test_a_page_that_is_stale_missing_or_too_many_is_told(tmp_path: Path, capsys) -> None:
    assert call("-o", str(tmp_path)) == 0
    assert call("--check", "-o", str(tmp_path)) == 0
    (tmp_path / "channel.md").write_text("old")
    (tmp_path / "model.md").unlink()
    (tmp_path / "stray.md").write_text("mine")
    capsys.readouterr()
    assert call("--check", "-o", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "out of date: channel.md, model.md, stray.md" in said
    assert f"gapslsim reference -o {tmp_path}" in said


def test_writing_leaves_pages_of_others_alone_and_deletes_its_own_old_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("mine")
    call("-o", str(tmp_path))
    (tmp_path / "gone.md").write_text((tmp_path / "channel.md").read_text())
    call("-o", str(tmp_path))
    assert (tmp_path / "mine.md").exists()
    assert not (tmp_path / "gone.md").exists()


def test_every_component_and_setting_is_there_with_its_meaning() -> None:
    made = pages()
    for name, family in FAMILIES.items():
        for kind in family:
            section = made[f"{name}.md"].split(f"\n## {kind}\n")[1].split("\n## ")[0]
            for setting in fields_of(family[kind]):
                if setting == family.tag:
                    continue
                (row,) = (line for line in section.splitlines() if line.startswith(f"| `{setting}` |"))
                assert not row.endswith("|  |"), f"{name} {kind}: {setting} has no meaning"


def test_every_command_is_there_and_every_option_says_what_it_does() -> None:
    text = pages()["commands.md"]
    for name in COMMANDS:
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert f"`gapslsim {name}" in section
        assert "|  |\n" not in f"{section}\n", f"{name}: an option has no help"


def test_every_column_of_a_table_is_there_with_its_meaning() -> None:
    text = pages()["tables.md"]
    for name, row in TABLES.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for column in columns_of(row):
            (line,) = (line for line in section.splitlines() if line.startswith(f"| `{column}` |"))
            assert not line.endswith("|  |"), f"{name}.{column} has no meaning"


def test_no_cell_breaks_its_table() -> None:
    for name, text in pages().items():
        widths = {}
        for line in text.splitlines():
            if line.startswith("| "):
                n_cells = len(line.replace("\\|", "").split("|"))
                assert widths.setdefault("here", n_cells) == n_cells, f"{name}: {line}"
            else:
                widths.clear()
