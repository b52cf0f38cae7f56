"""The benchmark of long runs tells both ways side by side, and that they differ where they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import long_runs


@pytest.mark.parametrize(("hashes", "code"), [(["a", "a"], 0), (["a", "b"], 1)])
def test_each_size_is_a_row_per_way_and_other_timelines_are_an_error(
    hashes: list[str], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, tuple[int, int], bool]] = []

    def figures(checkout: Path, size: tuple[int, int], is_kept: bool) -> dict[str, Any]:
        asked.append((checkout, size, is_kept))
        numbers = {"spans": 1234, "peak_mib": 9.0, "bytes_per_round": 5.0, "ms_per_round": 1.0}
        return numbers | {"timeline": hashes[len(asked) - 1]}

    monkeypatch.setattr(long_runs, "figures_of", figures)
    assert long_runs.main(["10x3"]) == code
    assert [(size, is_kept) for _, size, is_kept in asked] == [((10, 3), False), ((10, 3), True)]
    out = capsys.readouterr().out
    assert "| 10 | 3 | 1,234 | in pieces | 9 | 5 | 1.00 | a |" in out
    assert "| in memory | 9 |" in out


def test_one_size_is_measured_in_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    long_runs.one(10, 4, False)
    assert '"spans": 312' in capsys.readouterr().out
