"""`gapslsim data get` without a network, and `gapslsim show partition`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torchvision.datasets as theirs
from torchvision.datasets import cifar, mnist

from gapslsim.cli.main import main
from tests.unit.data.datasets.test_cifar import torchvision_cifar10
from tests.unit.data.datasets.test_fashion_mnist import write_idx


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Downloads that write small files; the list grows by each."""
    fetched: list[str] = []

    def give_cifar(url: str, root: str, **_: Any) -> None:
        fetched.append(url)
        torchvision_cifar10(Path(root), python2=True)
        names = pickle.dumps({"label_names": list("abcdefghij")})
        (Path(root) / "cifar-10-batches-py" / "batches.meta").write_bytes(names)

    def give_mnist(url: str, download_root: str, **_: Any) -> None:
        fetched.append(url)
        write_idx(Path(download_root), packed=False)

    monkeypatch.setattr(cifar, "download_and_extract_archive", give_cifar)
    monkeypatch.setattr(mnist, "download_and_extract_archive", give_mnist)
    return fetched


def test_a_data_set_is_fetched_to_where_scenarios_look_for_it(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAPSLSIM_DATA", str(tmp_path))
    # The checksum is that of the published files, which these are not.
    monkeypatch.setattr(cifar, "check_integrity", lambda path, md5=None: Path(path).is_file())
    assert call("data", "get", "cifar10") == 0
    assert f"cifar10: 30 training and 4 test images in {tmp_path}/cifar10" in capsys.readouterr().out
    assert served == ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"]
    assert call("data", "get", "cifar10") == 0
    assert len(served) == 1


def test_a_data_set_is_fetched_to_a_folder_of_ones_own(
    served: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "get", "fashion_mnist", "--to", str(tmp_path / "here")) == 0
    said = capsys.readouterr().out
    assert f"data: {{kind: fashion_mnist, root: {tmp_path}/here}}" in said
    assert "4 training and 2 test images" in said


def test_files_with_another_checksum_are_refused(
    served: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "get", "cifar10", "--to", str(tmp_path)) == 2
    assert "is not what was published" in capsys.readouterr().err
    assert served


def test_without_a_network_it_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(cifar, "download_and_extract_archive", refuse)
    assert call("data", "get", "cifar100", "--to", str(tmp_path)) == 2
    assert "cifar100 cannot be fetched" in (said := capsys.readouterr().err)
    assert "Is there a network?" in said


def test_a_place_is_asked_for_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gapslsim.data.source.public_data_folder", lambda: None)
    assert call("data", "get", "cifar10") == 2
    assert "say where with --to DIR" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert call("data", "get", "cifar10", "--to", str(tmp_path / "file" / "below")) == 2
    assert "cannot be written to" in capsys.readouterr().err
    assert call("data", "get", "cifar11") == 2


def test_torchvision_has_what_is_fetched() -> None:
    from gapslsim.cli.data import _TORCHVISION, Name

    assert set(_TORCHVISION) == {name.value for name in Name}
    assert all(hasattr(theirs, name) for name in _TORCHVISION.values())


def test_who_has_what_is_shown_with_noise_and_what_is_unused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "own.yaml").write_text(
        "base: quickstart.yaml\n"
        "data: {kind: synthetic, n_classes: 4, n_train: 400,"
        " partition: {kind: iid, sizes: [10, 20, 30, 40, 10, 10, 10, 10, 10, 10], label_noise: 0.5}}\n"
    )
    from gapslsim.scenario.shipped import find_scenario

    (tmp_path / "quickstart.yaml").write_text(find_scenario("quickstart").read_text())
    assert call("show", "partition", str(tmp_path / "own.yaml"), "--png", str(tmp_path / "a.png")) == 0
    said = capsys.readouterr().out
    assert "synthetic by iid" in said
    assert "10 clients, 160 samples (240 unused), 10 to 40 each" in said
    row = next(line for line in said.splitlines() if line.startswith("│ 3 "))
    cells = [cell.strip() for cell in row.split("│")]
    assert cells[2:4] == ["jetson-nano", "40"]
    assert sum(int(cell or 0) for cell in cells[4:8]) == 40
    assert cells[8] == "20"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_partition_by_name_still_shows_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("show", "partition", "dirichlet") == 0
    assert "alpha" in capsys.readouterr().out
