"""Devices by name: the shipped profiles, and profile files of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from gapslsim.errors import ComponentError, did_you_mean
from gapslsim.hardware.profile import Profile
from gapslsim.hardware.profile_file import read_profile
from gapslsim.hardware.profiled_device import ProfiledDevice, device_of
from gapslsim.hardware.shipped import shipped_folder
from gapslsim.regular_files import is_file

__all__ = ["known_devices", "load_device", "load_profile", "with_profiles"]

_INSTEAD: ContextVar[Mapping[str, Profile]] = ContextVar("profiles in memory", default={})  # noqa: B039


def known_devices() -> list[str]:
    """Names of the shipped profiles, in order."""
    return sorted(path.stem for path in shipped_folder("hardware_profiles").glob("*.yaml"))


def load_device(name_or_path: str | Path, base: Path | None = None) -> ProfiledDevice:
    """The device of a shipped profile or of a YAML file, in its own or a named power mode.

    Args:
        name_or_path: `jetson-nano`, `jetson-nano@5w`, `my/device.yaml`, `my/device.yaml@5w`.
        base: folder that a relative path starts from; the working directory unless given.

    Raises:
        ComponentError: on an unknown device or mode, with the near miss and the known ones.
        ProfileError: on a broken profile.
    """
    name, mode = _split_mode(str(name_or_path))
    return device_of(load_profile(name, base), mode)


def load_profile(name_or_path: str | Path, base: Path | None = None) -> Profile:
    """The profile of a shipped device by name, or of a YAML file. Raises as `load_device`."""
    name = str(name_or_path)
    if (instead := _INSTEAD.get().get(name)) is not None:
        return instead
    if name.endswith((".yaml", ".yml")) or "/" in name or "\\" in name:
        path = (base or Path()) / name
        if not is_file(path):
            raise ComponentError(
                f"There is no profile file {path}; give a path to a YAML file, or one of the shipped "
                f"devices: {', '.join(known_devices())}."
            )
        if not name.endswith((".yaml", ".yml")):  # What is wrong in another's text is told to nobody.
            raise ComponentError(
                f"{path} is called neither .yaml nor .yml, so that it is not read; rename it."
            )
        return _read(path)
    shipped = shipped_folder("hardware_profiles") / f"{name}.yaml"
    if not is_file(shipped):
        raise ComponentError(
            f"Unknown device {name!r}; known: {', '.join(known_devices())}, or a path to a YAML file."
            f"{did_you_mean(name.lower(), known_devices())}"
        )
    return _read(shipped)


@contextmanager
def with_profiles(profiles: Mapping[str, Profile]) -> Iterator[None]:
    """Within it, devices of these names (as scenarios write them, without `@mode`) have these profiles."""
    token = _INSTEAD.set({**_INSTEAD.get(), **profiles})
    try:
        yield
    finally:
        _INSTEAD.reset(token)


def _read(path: Path) -> Profile:
    """A profile file; read again only after it has changed, since the runs of a study share their devices."""
    try:
        found = path.stat()
    except OSError:
        return read_profile(path)
    return _read_version(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=128)
def _read_version(path: Path, mtime_ns: int, size: int) -> Profile:
    return read_profile(path)


def _split_mode(text: str) -> tuple[str, str | None]:
    """Splits off what follows the last `@`, unless that belongs to a path."""
    name, at, mode = text.rpartition("@")
    # A folder or file may hold an @ itself.
    if not at or "/" in mode or "\\" in mode or mode.endswith((".yaml", ".yml")):
        return text, None
    return name, mode
