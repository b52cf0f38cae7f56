"""The notebooks of `analysis/` run from start to end, and say what their tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ANALYSIS = Path(__file__).resolve().parents[2] / "analysis"
PUBLISHED = ANALYSIS.parent / "docs" / "results" / "published.csv"
SEEDS = {1: -0.01, 2: 0.0, 3: 0.01}
"""What a seed adds to every accuracy of the stand-in studies."""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The quick size, with runs made anew in a folder of the test's own; says where tables may be put."""
    for package in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(package, reason="needs the notebooks extra")
    monkeypatch.setenv("GAPSLSIM_QUICK", "1")
    monkeypatch.setenv("GAPSLSIM_RUNS", str(tmp_path / "runs"))
    tables = tmp_path / "tables"
    tables.mkdir()
    return tables


def executed(name: str) -> Any:
    """A notebook after all its cells have run."""
    import nbclient
    import nbformat

    notebook = nbformat.read(ANALYSIS / name, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": ANALYSIS}}
    )
    client.execute()  # raises on the first cell that fails
    return notebook


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def sentences(notebook: Any) -> str:
    """All that the notebook says of its tables."""
    return "\n".join(output.get("data", {}).get("text/markdown", "") for output in outputs(notebook))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(path.name for path in ANALYSIS.glob("*.ipynb")))
def test_a_notebook_runs_without_an_error(name: str, quick: Path) -> None:
    notebook = executed(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is not None for cell in cells)
    assert len(cells) >= 2


def test_notebooks_hold_their_outputs_and_stay_small() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the notebooks extra")
    for path in sorted(ANALYSIS.glob("*.ipynb")):
        assert path.stat().st_size < 300_000, path.name
        assert str(ANALYSIS.parent) not in path.read_text(encoding="utf-8"), path.name
        kinds = [output.output_type for output in outputs(nbformat.read(path, as_version=4))]
        assert "display_data" in kinds
        assert "error" not in kinds


def study(claims: pd.DataFrame, accuracy: pd.Series, **axes: Any) -> pd.DataFrame:
    """The `runs` table of a study that came out with these accuracies, over three seeds."""
    rows = [
        {
            **{axis: getattr(claim, of) for axis, of in axes.items()},
            "run": f"{claim.framework}-{claim.setting}-{seed}",
            "framework": claim.framework, "seed": seed, "status": "completed", "rounds": 40, "epochs": 4.0,
            "simulated_time_s": 100.0, "accuracy_global_last": value + offset, "accuracy_clients_last": value + offset,
        }
        for claim, value in zip(claims.itertuples(), accuracy, strict=True) for seed, offset in SEEDS.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_paper_tables_says_whether_studies_bear_the_claims_out(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPSLSIM_TABLES", str(quick))
    published = pd.read_csv(PUBLISHED)
    published = published[published.data == "CIFAR-10"]
    first, third = (published[published.table == table] for table in ("I", "III"))
    same_order = study(first, first.accuracy_percent / 100 - 0.2, partition="setting")
    same_order.to_csv(quick / "table1_small.csv", index=False)
    study(third, 1 - third.accuracy_percent / 100, alpha="alpha").to_csv(
        quick / "table3_small.csv", index=False
    )

    text = sentences(executed("paper_tables.ipynb"))

    assert "Missing: table2_small, readings_small, drift_small, ablations_small and fleets_small" in text
    assert text.count("Of 8 claims that GAPSL is ahead of a baseline: 8 borne out.") == 2  # two views
    assert text.count("The mean of tau is +1.00.") == 2
    assert text.count("Of 16 claims that GAPSL is ahead of a baseline: 16 contradicted.") == 2
    assert text.count("The mean of tau is -1.00.") == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_paper_tables_takes_a_time_that_was_not_reached_as_longer_than_the_run(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPSLSIM_TABLES", str(quick))
    names = pd.DataFrame({"framework": ["PSL", "SFL"], "setting": "alpha 0.1", "fleet": "lab"})
    runs = study(names, pd.Series([0.35, 0.60]), fleet="fleet").assign(
        bytes_up=1e6, bytes_down=1e6, energy_clients_j=10.0, energy_total_j=20.0
    )
    runs.to_csv(quick / "fleets_small.csv", index=False)
    curves = {"PSL": [0.10, 0.35, 0.35], "SFL": [0.10, 0.20, 0.60]}  # at 0, 10 and 100 s
    pd.DataFrame(
        {
            "run": run.run,
            "round": 20 * step,
            "time_s": time_s,
            "view": "global",
            "client": -1,
            "accuracy": accuracy,
        }
        for run in runs.itertuples()
        for step, (time_s, accuracy) in enumerate(zip([0.0, 10.0, 100.0], curves[run.framework], strict=True))
    ).to_csv(quick / "fleets_small_evaluations.csv", index=False)

    notebook = executed("paper_tables.ipynb")

    assert "First is PSL (30%, 10.0 s), SFL (40%, 1 min 40 s) and SFL (50%, 1 min 40 s)." in sentences(
        notebook
    )
    tables = [
        output["data"]["text/plain"] for output in outputs(notebook) if "text/plain" in output.get("data", {})
    ]
    times = next(table for table in tables if "> 100 s" in table)
    assert times.count("> 100 s") == 2  # PSL at 40 % and 50 %
