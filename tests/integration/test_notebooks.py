"""The notebooks of `analysis/` run from start to end."""

from __future__ import annotations

from pathlib import Path

import pytest

ANALYSIS = Path(__file__).resolve().parents[2] / "analysis"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(path.name for path in ANALYSIS.glob("*.ipynb")))
def test_a_notebook_runs_without_an_error(name: str) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the notebooks extra")
    nbclient = pytest.importorskip("nbclient", reason="needs the notebooks extra")
    pytest.importorskip("ipykernel", reason="needs the notebooks extra")
    notebook = nbformat.read(ANALYSIS / name, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": ANALYSIS}}
    )
    client.execute()  # raises on the first cell that fails
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is not None for cell in cells)
    assert len(cells) >= 2


def test_notebooks_hold_their_outputs_and_stay_small() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the notebooks extra")
    for path in sorted(ANALYSIS.glob("*.ipynb")):
        assert path.stat().st_size < 500_000, path.name
        notebook = nbformat.read(path, as_version=4)
        kinds = [
            output.output_type
            for cell in notebook.cells
            if cell.cell_type == "code"
            for output in cell.outputs
        ]
        assert "display_data" in kinds
        assert "error" not in kinds
