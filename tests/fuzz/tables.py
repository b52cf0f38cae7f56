"""Changes to text that is read by lines and cells: traces, tables, logs, code."""

from __future__ import annotations

from random import Random

from tests.fuzz.values import PATHS, TEXTS, number

__all__ = ["mutate_lines"]


def cell(dice: Random) -> str:
    return str(number(dice)) if dice.random() < 0.6 else dice.choice(TEXTS + PATHS)


def mutate_lines(text: str, dice: Random, others: list[str]) -> str:
    """One to three changes."""
    for _ in range(dice.choice([1, 1, 2, 3])):
        text = _one(text, dice, others)
    return text


def _one(text: str, dice: Random, others: list[str]) -> str:
    lines = text.split("\n")
    at = dice.randrange(len(lines))
    separator = max(",\t; ", key=lines[at].count)
    cells = lines[at].split(separator)
    place = dice.randrange(len(cells))
    how = dice.randrange(13)
    if how <= 3:
        cells[place] = cell(dice)
        lines[at] = separator.join(cells)
    elif how == 4:
        del cells[place]
        lines[at] = separator.join(cells)
    elif how == 5:
        lines[at] = separator.join([*cells, cell(dice)])
    elif how == 6:
        del lines[at]
    elif how == 7:
        lines.insert(at, dice.choice(lines))
    elif how == 8:
        lines.insert(at, dice.choice(dice.choice(others or [text]).split("\n")))
    elif how == 9:  # a column goes, everywhere
        lines = [
            separator.join(c for i, c in enumerate(line.split(separator)) if i != place) for line in lines
        ]
    elif how == 10:
        return dice.choice(
            [
                "\ufeff" + text,
                text.replace("\n", "\r"),
                text.replace(separator, dice.choice(",;\t|")),
                text + '"',
            ]
        )
    elif how == 11:
        return "\n".join(lines[:at])
    else:
        dice.shuffle(lines)
    return "\n".join(lines)
