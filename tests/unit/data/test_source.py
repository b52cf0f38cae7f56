from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.data import source
from gapslsim.data.source import public_data_folder


def test_the_environment_variable_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPSLSIM_DATA", str(tmp_path / "nowhere"))
    assert public_data_folder() == tmp_path / "nowhere"


def test_the_folder_beside_the_current_directory_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAPSLSIM_DATA", raising=False)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert public_data_folder() == tmp_path / "shared" / "data"


def test_the_folder_beside_the_checkout_is_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAPSLSIM_DATA", raising=False)
    (tmp_path / "here" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "deep")
    module = tmp_path / "checkout" / "gapslsim" / "data" / "source.py"
    monkeypatch.setattr(source, "__file__", str(module))
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert public_data_folder() is None  # no pyproject.toml: this is no checkout
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert public_data_folder() == tmp_path / "shared" / "data"


def test_without_public_data_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAPSLSIM_DATA", raising=False)
    monkeypatch.setattr(source, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.chdir(tmp_path)
    assert public_data_folder() is None
