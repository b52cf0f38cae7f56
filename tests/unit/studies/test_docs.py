from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from gapslsim.cli.main import COMMANDS
from gapslsim.results.measure import measures
from gapslsim.results.study_figure import figures
from gapslsim.studies._tables import TABLES
from gapslsim.studies.plan import load_study

DOCS = Path(__file__).resolve().parents[3] / "docs" / "studies.md"


def test_the_study_file_of_the_docs_can_be_run(tmp_path):
    text = DOCS.read_text()
    block = re.search(r"\n\n((?: {4}.*\n|\n)+)", text.split("## The study file")[1])
    assert block
    study = dedent(block[1]).replace("../quickstart.yaml", "quickstart")
    (tmp_path / "study.yaml").write_text(study)
    plan = load_study(tmp_path / "study.yaml")
    assert len(plan.runs) == 3 * 2 * 2 * 2 * 2 * 3
    assert not plan.impossible
    assert set(yaml.safe_load(study)) == {
        "name",
        "question",
        "base",
        "set",
        "seeds",
        "axes",
        "targets",
        "figure",
    }


def test_the_docs_name_every_kind_of_figure_and_every_measure():
    told = DOCS.read_text().split("## The study's own figure")[1].split("\n## ")[0]
    assert [kind for family in (figures, measures) for kind in family if f"| `{kind}` |" not in told] == []
    named = set(re.findall(r"`(\w+)(?::[^`]*)?`", told))
    for family in (figures, measures):
        for kind in family:
            assert set(family[kind].__pydantic_fields__) - {"kind"} <= named


@pytest.mark.parametrize("command", ["sweep", "figure", "report", "trace"])
def test_the_docs_name_real_commands(command):
    assert f"gapslsim {command}" in DOCS.read_text()
    assert command in COMMANDS


def test_the_docs_name_every_table():
    told = DOCS.read_text()
    assert all(f"`{name}`" in told for name in TABLES)
