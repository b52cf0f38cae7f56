"""Where a run's results go, what lies there already, and what keeps a run from being lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gapslsim._version import __version__
from gapslsim.documents import yaml_data
from gapslsim.errors import ResultsError
from gapslsim.regular_files import read_text
from gapslsim.results.outputs import write_text
from gapslsim.whole_files import is_unfinished, make_folder

__all__ = [
    "JOURNAL", "PROVENANCE", "SCENARIO", "SUMMARY", "Identity", "StoredIdentity", "check_place", "choose_place",
    "claim", "is_run", "look", "name_of_changes", "read_loosely", "release", "run_label",
    "told_apart",
]  # fmt: skip

SCENARIO: Final = "scenario.yaml"
SUMMARY: Final = "summary.json"
PROVENANCE: Final = "provenance.json"
JOURNAL: Final = "journal"
"""Folder of a run directory in which its training is recorded while it goes on."""
_LONGEST: Final = 100
"""Characters of a directory's name."""
_PLAIN: Final = ("kind", "optimizer", "rate", "delay", "value")
"""Keys that say nothing without the one before."""
_TOLD: Final = 3
"""Differences between two scenarios that a name or a message tells."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What two runs must have in common to be the same run."""

    label: str
    """Name, framework and seed, see `run_label`."""
    scenario_yaml: str
    """The resolved scenario."""
    dry: bool = False
    components: Mapping[str, str] = field(default_factory=dict)
    """Digests of the user's own components."""

    def differs_from(self, other: Identity) -> list[str]:
        """What is different in this one: `uplink=5 Mbit/s`, `dry`; empty for the same run."""
        found = [f"{path}={value}" for path, value in _changes(other.scenario_yaml, self.scenario_yaml)]
        if not found and (self.label, self.scenario_yaml) != (other.label, other.scenario_yaml):
            found = ["scenario"]
        if self.dry != other.dry:
            found.append("dry" if self.dry else "trained")
        # Modules that only a run imports are not known before it.
        common = self.components.keys() & other.components.keys()
        return found + [name for name in sorted(common) if self.components[name] != other.components[name]]

    @property
    def digest(self) -> str:
        """Eight digits that tell runs apart."""
        about = [self.scenario_yaml, self.dry, sorted(self.components.items())]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]


@dataclass(frozen=True, kw_only=True)
class StoredIdentity(Identity):
    """Of the run that lies in a directory."""

    status: str = ""
    """How it ended; empty where it was cut off."""
    made_by: str = ""
    """Version of gapslsim; empty where nothing tells."""

    def is_like(self, wanted: Identity) -> bool:
        """Whether it is the wanted run, as far as is known: one that was killed may not have left its scenario."""
        if not self.scenario_yaml:
            return self.label == wanted.label
        return not wanted.differs_from(self)

    @property
    def is_finished(self) -> bool:
        """Whether running it again would give the same."""
        return self.status.startswith(("completed", "stalled"))


def run_label(name: str, framework: str, seed: int) -> str:
    """Name of a run: `quickstart-gapsl-seed1`."""
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in name).strip(".-") or "run"
    return f"{safe}-{framework}-seed{seed}"


def is_run(directory: Path) -> bool:
    """Whether a directory holds a finished run: its summary, which is written last."""
    return (directory / SUMMARY).is_file() and (directory / SCENARIO).is_file()


def look(directory: Path) -> StoredIdentity | None:
    """The run in a directory, also a torn one; None if the directory is empty or is not there.

    Raises:
        ResultsError: if something else lies there, or the place cannot be written to.
    """
    if directory.exists() and not directory.is_dir():
        raise ResultsError(f"{directory} is a file; give a directory with --out")
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ResultsError(f"{directory} cannot be made: {place} is a file; give another one with --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ResultsError(f"{place} cannot be written to; give another directory with --out")
    names = [entry.name for entry in directory.iterdir()] if directory.exists() else []
    # A run that was killed while it wrote its results has left no more than these.
    names = [name for name in names if not is_unfinished(name)]
    if not names:
        return None
    if (stored := _stored(directory)) is not None:
        return stored
    if names == [JOURNAL]:
        return None
    raise ResultsError(
        f"{directory} is not empty and holds no run of gapslsim; give another directory with --out, "
        "or empty it first"
    )


def check_place(directory: Path, wanted: Identity, *, replace: bool = False) -> StoredIdentity | None:
    """Says before a run whether its results may go to a directory.

    Args:
        directory: where they shall go.
        wanted: the run.
        replace: another run that lies there.

    Returns:
        The run that lies there.

    Raises:
        ResultsError: if another run lies there, see also `look`.
    """
    held = look(directory)
    if held is not None and not replace and not held.is_like(wanted):
        unlike = "this one is " + wanted.label
        if held.label == wanted.label:
            unlike = f"this one has {', '.join(_first(wanted.differs_from(held)))}"
        raise ResultsError(
            f"{directory} holds another run ({held.label}; {unlike}); give another directory with --out, or replace "
            "it with --force"
        )
    return held


def claim(directory: Path, wanted: Identity) -> None:
    """Notes which run begins in an empty directory, so that it is known if it is killed."""
    about = {
        "run": wanted.label,
        "gapslsim": __version__,
        "dry": wanted.dry,
        "components": dict(wanted.components),
    }
    try:
        make_folder(directory)
    except OSError as error:
        raise ResultsError(f"{directory} could not be made: {error.strerror or error}") from error
    write_text(directory / PROVENANCE, json.dumps(about))
    write_text(directory / SCENARIO, wanted.scenario_yaml)


def release(directory: Path) -> None:
    """Takes `claim` back, where the run left nothing else."""
    if {entry.name for entry in directory.iterdir()} == {PROVENANCE, SCENARIO}:
        (directory / PROVENANCE).unlink()
        (directory / SCENARIO).unlink()
        for folder in (directory, directory.parent):
            with suppress(OSError):  # not empty
                folder.rmdir()


def choose_place(root: Path, wanted: Identity, changes: str = "") -> Path:
    """Directory of a run for which none was given: that where it lies already, else a free one.

    Args:
        root: where runs lie.
        wanted: the run.
        changes: what was changed against the scenario's file, see `name_of_changes`.
    """
    name = "-".join(filter(None, (wanted.label, "dry" if wanted.dry else "", changes)))
    if root.is_dir():
        for near in sorted(root.glob(f"{wanted.label}*")):
            stored = _stored(near) if near.is_dir() else None
            if stored is not None and stored.scenario_yaml and stored.is_like(wanted):
                return near
    held = look(root / name)
    if held is None or held.is_like(wanted):
        return root / name
    unlike = name_of_changes(_first(wanted.differs_from(held)))
    named = root / _short(f"{name}-{unlike}", wanted.digest)
    return named if look(named) is None else root / _short(f"{name}-{wanted.digest}", wanted.digest)


def name_of_changes(overrides: Iterable[str]) -> str:
    """Of `path=value` a part of a directory's name, `link=5g-rounds=20`; seed and framework are in the run's label."""
    overrides = list(overrides)
    parts = []
    for override in overrides:
        path, _, value = override.partition("=")
        keys = [key for key in path.strip().split(".") if not key.isdigit() and key != "*"]
        is_bare = re.fullmatch(r"\w+", value.strip()) is not None
        if keys in (["seed"], ["name"]) or (is_bare and keys in (["framework"], ["framework", "kind"])):
            continue
        key = _short_key(path.strip())
        parts.append(f"{_slug(key)}={_slug(value)}" if value else _slug(key))
    return _short(
        "-".join(dict.fromkeys(parts)), hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:8]
    )


def _slug(text: str) -> str:
    """Safe on every file system."""
    return re.sub(r"[^A-Za-z0-9.+=]+", "_", text.replace(": ", "=")).strip("_.")


def _short(name: str, digest: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9].rstrip('-_.')}-{digest}"


def _first(differences: Sequence[str]) -> list[str]:
    more = len(differences) - _TOLD
    return list(differences[:_TOLD]) + ([f"{more} more"] if more > 0 else [])


def _changes(old: str, new: str) -> list[tuple[str, str]]:
    """Where two resolved scenarios differ: dotted path and new value."""
    try:
        before, after = (dict(_leaves(yaml_data(text), ())) for text in (old, new))
    except ValueError:  # one that lies there may be damaged; it is another then
        return []
    paths = dict.fromkeys([*after, *before])
    return [(path, str(after.get(path, "unset"))) for path in paths if before.get(path) != after.get(path)]


def told_apart(scenarios: Sequence[str]) -> list[str]:
    """Of several resolved scenarios each by what it has unlike the others: `uplink=5 Mbit/s, cut=2`."""
    all_leaves = [dict(_leaves(yaml_data(text), ())) for text in scenarios]
    paths = dict.fromkeys(path for leaves in all_leaves for path in leaves)
    unlike = [path for path in paths if len({repr(leaves.get(path)) for leaves in all_leaves}) > 1]
    unlike = [path for path in unlike if path not in ("name", "seed", "description", "framework.kind")]
    found = []
    for leaves in all_leaves:
        parts = dict.fromkeys(f"{_short_key(path)}={leaves.get(path, 'unset')}" for path in unlike)
        found.append(", ".join(_first(list(parts))))
    return found


def _short_key(path: str) -> str:
    """The last part that says something: `link` for `clients.0.link`, `uplink` for `clients.0.link.uplink.rate`."""
    keys = [key for key in path.split(".") if not key.isdigit() and key != "*"]
    return keys[-2] if len(keys) > 1 and keys[-1] in _PLAIN else "".join(keys[-1:])


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(index)))
    else:
        yield ".".join(path), value


def _stored(directory: Path) -> StoredIdentity | None:
    summary, made = read_loosely(directory / SUMMARY), read_loosely(directory / PROVENANCE)
    label = _label_in(summary) or (str(made["run"]) if "run" in made else None)
    try:
        text = read_text(directory / SCENARIO)
    except (OSError, UnicodeDecodeError):
        text = ""
    if label is None and (directory / JOURNAL).is_dir():
        headers = (directory / JOURNAL).glob("training-*/header.json")
        label = next(filter(None, (_label_in(read_loosely(header).get("about")) for header in headers)), None)
    if label is None:
        return None
    components = made.get("components")
    return StoredIdentity(
        label=label,
        scenario_yaml=text,
        dry=bool(summary.get("dry", made.get("dry"))),
        components=components if isinstance(components, dict) else {},
        status=str(summary.get("status", "")),
        made_by=str(made.get("gapslsim", "")),
    )


def _label_in(about: Any) -> str | None:
    """Label of the run that a summary or a journal tells of; None where it is none."""
    try:
        return run_label(str(about["name"]), str(about["framework"]), int(about["seed"]))
    except (ValueError, KeyError, TypeError):
        return None


def read_loosely(file: Path) -> dict[str, Any]:
    """The object in a file of JSON; an empty one if there is none."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_text(file))
        if isinstance(found, dict):
            return found
    return {}
