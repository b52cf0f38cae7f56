"""`gapslsim show partition SCENARIO`: which client has how much of which class, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from gapslsim.data.division import divide, load_sound
from gapslsim.data.skew import skew
from gapslsim.data.source import public_data_folder
from gapslsim.registry import settings_of
from gapslsim.scenario.loading import load
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_partition"]

_MOST_ROWS, _MOST_COLUMNS, _MOST_COLOURS = 40, 12, 20


def draw_partition(name: str, console: Terminal, png: Path | None = None) -> None:
    """Prints who has what in a scenario; also draws it if a file is named.

    Args:
        name: of a scenario or its file.
        console: where the table is printed.
        png: file to write, or None.

    Raises:
        GapslsimError: if the scenario, its data or its division cannot be had.
    """
    scenario = load(name)
    clean = load_sound(scenario.data, public_data_folder(), scenario.seed, dry=True)
    data, shares = divide(scenario.data, clean, scenario.n_clients, scenario.seed)
    labels = data.train.labels
    if data.target == "class":
        found = skew(labels, shares, data.n_classes)
        noisy = [int((labels[share] != clean.train.labels[share]).sum()) for share in shares]
    else:  # Without classes all samples are of one kind, and none is noisy.
        found, noisy = skew(np.zeros(len(labels), np.int64), shares, 1), [0] * len(shares)
    groups = [group.label for group in scenario.clients for _ in range(group.count)]
    settings = {key: value for key, value in settings_of(scenario.data.partition).items() if value}
    kind, more = settings.pop("kind"), ", ".join(f"{key}: {value}" for key, value in settings.items())
    title = f"{settings_of(scenario.data)['kind']} by {kind}{f' ({more})' if more else ''}"
    console.print(_table(title, groups, found.counts, found.total_variation, noisy))
    unused = len(labels) - int(found.sizes.sum())
    distance = found.total_variation
    console.print(
        f"{len(shares)} clients, {found.sizes.sum()} samples{f' ({unused} unused)' if unused else ''}, "
        f"{found.sizes.min()} to {found.sizes.max()} each; distance from the whole: mean {distance.mean():.2f}, "
        f"largest {distance.max():.2f}",
    )
    if png is not None:
        from gapslsim.results.drawing.matplotlib_printer import write_figure

        write_figure(_figure(title, found.counts), png)
        console.print(f"written: {png}")


def _table(
    title: str, groups: list[str], counts: NDArray[np.int64], distance: NDArray[np.float64], noisy: list[int]
) -> Table:
    """A row per client: its samples by class, or how many classes it has where these are many."""
    n_classes = counts.shape[1]
    by_class = 1 < n_classes <= _MOST_COLUMNS
    table = Table("client", "group", title=title, title_justify="left")
    wrong = ["wrong labels"] if any(noisy) else []
    classes = [str(k) for k in range(n_classes)] if by_class else ["classes", "most of class"]
    classes = classes if n_classes > 1 else []
    for column in ("samples", *classes, *wrong, "distance"):
        table.add_column(column, justify="right")
    for client, own in enumerate(counts[:_MOST_ROWS]):
        top = int(own.argmax())
        cells = (
            [str(n or "") for n in own]
            if by_class
            else [str((own > 0).sum()), f"{top} ({own[top] / own.sum():.0%})"]
        )
        cells = cells if n_classes > 1 else []
        extra = [str(noisy[client])] if wrong else []
        table.add_row(str(client), groups[client], str(own.sum()), *cells, *extra, f"{distance[client]:.2f}")
    if len(counts) > _MOST_ROWS:
        table.add_row("...", f"{len(counts) - _MOST_ROWS} more")
    table.caption = (
        "distance: 0.5 x sum over classes of |share of the client - share of all|, 0 for the same shares"
    )
    return table


def _figure(title: str, counts: NDArray[np.int64]) -> Figure:
    """Samples of each client: bars cut by class, or shades where classes are many."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    n_clients, n_classes = counts.shape
    figure = Canvas(figsize=(8, min(12.0, max(3.5, 1.6 + 0.3 * n_clients))), layout="constrained")
    axes = figure.subplots()
    if n_classes <= _MOST_COLOURS:
        colours = mpl.colormaps["tab10" if n_classes <= 10 else "tab20"].colors  # type: ignore[attr-defined]
        left = np.zeros(n_clients)
        for k in range(n_classes):
            height = 0.8 if n_clients <= 60 else 1.0
            axes.barh(np.arange(n_clients), counts[:, k], height, left=left, color=colours[k], label=str(k))
            left += counts[:, k]
        axes.set_xlabel("training samples")
        axes.invert_yaxis()
        figure.legend(
            *axes.get_legend_handles_labels(), title="class", loc="outside right upper", frameon=False
        )
    else:
        shades = axes.imshow(counts, aspect="auto", interpolation="nearest", cmap="Blues")
        axes.set_xlabel("class")
        figure.colorbar(shades, label="training samples")
    axes.set_ylabel("client")
    if n_clients <= 40:
        axes.set_yticks(np.arange(n_clients))
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
