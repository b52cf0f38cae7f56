"""What is wrong in a file that a scenario names is told without what the file holds: it may name `/etc/shadow`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gapslsim.cli.main import main
from tests.study_files import BASE, STUDY

SYNTHETIC = "kind: synthetic, input_shape: [6], n_classes: 3, n_train: 120, n_test: 30"


def _rates(how: str) -> Callable[[str], str]:
    return lambda file: BASE.replace(
        "link: lte", f"link: {{uplink: {{kind: trace, file: {file}, {how}}}, downlink: 1 Mbit/s}}"
    )


NAMED: dict[str, Callable[[str], str]] = {
    "a base": lambda file: f"base: {file}\n",
    "a device": lambda file: BASE.replace("device: jetson-nano", f"device: ./{file}"),
    "a rate": _rates("format: csv"),
    "packet stamps": _rates("format: mahimahi"),
    "lines of rates": _rates("format: cooked"),
    "JSON of rates": _rates("format: sabre"),
    "lists of rates": _rates("format: pantheon"),
    "columns without names": _rates("format: csv, time_column: '0', rate_column: '1'"),
    "chosen rows": _rates("format: csv, time_column: '0', rate_column: '0', where: {'0': x}"),
    "a latency": lambda file: BASE.replace(
        "link: lte", f"link: {{uplink: 1 Mbit/s, downlink: 1 Mbit/s, latency: {{kind: trace, file: {file}}}}}"
    ),
    "a graph": lambda file: BASE.replace("{kind: star}", f"{{kind: graph, file: {file}}}"),
    "presence": lambda file: BASE.replace("link: lte", f"link: lte, availability: {{kind: trace, file: {file}}}"),
    "users by FedScale": lambda file: BASE.replace(
        "link: lte", f"link: lte, availability: {{kind: trace, file: {file}, format: fedscale}}"
    ),
    "users by FLASH": lambda file: BASE.replace(
        "link: lte", f"link: lte, availability: {{kind: trace, file: {file}, format: flash}}"
    ),
    "a table": lambda file: BASE.replace(SYNTHETIC, f"kind: table, file: {file}, label: y"),
    "arrays": lambda file: BASE.replace(SYNTHETIC, f"kind: npz, file: {file}"),
    "a text": lambda file: BASE.replace(SYNTHETIC, f"kind: text, file: {file}"),
    "a partition": lambda file: BASE.replace("{kind: iid}", f"{{kind: file, file: {file}}}"),
}  # fmt: skip
HELD = [
    "root:$6$hunter2$hunter2:19000:0:99999:7:::\ndaemon:*:19000\n", "KEY=hunter2\nDB,hunter2\n12 hunter2\n",
    "-----BEGIN KEY-----\nhunter2+/==\n", '{"hunter2": ["hunter2", {"hunter2": 1}]}\n',
    "hunter2: {hunter2: [hunter2]}\n", "1 2\n3 hunter2\n",
]  # fmt: skip


@pytest.mark.parametrize("what", NAMED)
def test_no_error_shows_what_a_file_of_another_kind_holds(
    what: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shadow").touch()
    assert "base" in what or NAMED[what]("x") != BASE
    for ending in ("", ".csv", ".json", ".gml"):
        for held in HELD:
            Path(f"shadow{ending}").write_text(held)
            Path("s.yaml").write_text(NAMED[what](f"shadow{ending}"))
            with pytest.raises(SystemExit) as ended:
                main(["validate", "s.yaml"])
            out, err = capsys.readouterr()
            assert ended.value.code == 2 or what == "a text"  # any text can be learnt from
            assert "hunter2" not in out + err, (ending, held)
            # It was opened, or refused by its name.
            assert f"shadow{ending}" in err or what == "a text" or "the train table lacks" in err


def test_the_base_of_a_study_is_told_as_little(tmp_path: Path, capsys) -> None:
    (tmp_path / "shadow").write_text(HELD[4])
    (tmp_path / "study.yaml").write_text(STUDY.replace("base.yaml", "shadow"))
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(tmp_path / "study.yaml"), "--dry"])
    _, err = capsys.readouterr()
    assert ended.value.code == 2
    assert "hunter2" not in err
    assert "is called neither .yaml nor .yml" in err
