"""The benchmark for GPUs, small and on the CPU, so that it works where there is one."""

from __future__ import annotations

import torch

from benchmarks import gpu


def test_it_says_that_nothing_was_measured_where_there_is_no_gpu(capsys, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 0
    assert "nothing was measured" in capsys.readouterr().out


def test_the_same_code_on_the_cpu_fills_every_column(capsys) -> None:
    assert gpu.main(["--device", "cpu", "--quick", "--rounds", "1"]) == 0
    heads, _, *rows = [
        dict(enumerate(cell.strip() for cell in line.strip("|").split("|")))
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    ]
    assert len(rows) == 2
    for row in rows:
        told = dict(zip(heads.values(), row.values(), strict=True))
        assert [told[name] for name in ("hash repeats", "resumes", "re-timed")] == ["yes"] * 3
        assert told["launches"] == told["waits"] == "-"  # The profiler tells them on a GPU.
        assert float(told["naive / ours"]) > 0
        assert told["peak"].endswith("kB")


def test_a_hash_that_does_not_repeat_is_told_and_is_an_error(capsys, monkeypatch) -> None:
    cells = ["**no**"] * 12
    monkeypatch.setattr(gpu, "row", lambda *_: (cells, False))
    assert gpu.main(["--device", "cpu", "--quick", "--rounds", "1"]) == 1
    assert "**no**" in capsys.readouterr().out


def test_a_loop_that_runs_out_of_memory_is_left_out() -> None:
    def short() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert list(gpu.fitting({"ours": lambda: None, "joined": short})) == ["ours"]


def test_the_rate_of_a_product_is_its_flop_over_the_best_time(monkeypatch) -> None:
    monkeypatch.setattr(gpu, "interleaved", lambda calls, repeats: {"product": [2.0, 0.5, 1.0]})
    assert gpu.product_rate(torch.device("cpu"), 64) == 2 * 64**3 / 0.5
