"""Components of your own: Python files and modules that a scenario names under `components`.

A file is carried out once per process, as an import would, and again if its text has changed; what its classes
register is known from then on. Nothing is carried out unless a scenario or a command names it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from gapslsim.errors import ComponentError
from gapslsim.registry import FAMILIES, registered_by_users

__all__ = ["digests", "is_file", "load_components", "registered_by"]

_LOADED: dict[str, str] = {}
"""SHA-256 of the text of what was loaded, by path or module name."""


def is_file(name: str) -> bool:
    """Whether `name` means a file and not a module."""
    return name.endswith(".py") or "/" in name or "\\" in name


def load_components(name: str) -> None:
    """Carries out a file, or imports a module, that registers components.

    Args:
        name: path of a `.py` file, or the name of a module that can be imported.

    Raises:
        ComponentError: if it is not there, breaks, or registers nothing.
    """
    before = registered_by_users()
    try:
        new = _load_file(Path(name)) if is_file(name) else _load_module(name)
    except ComponentError:
        raise
    except Exception as error:
        # Whatever a user's file does wrong is told in words, with its line.
        raise ComponentError(f"{name} cannot be used: {_in_words(error, name)}") from error
    if new and registered_by_users() <= before:
        _LOADED.pop(_key(name))
        known = ", ".join(FAMILIES)
        raise ComponentError(
            f"{name} registers nothing; put '@<family>.register' above '@component', the families being: {known}."
        )


def digests() -> dict[str, str]:
    """What was loaded in this process, by file name or module, with the first digits of the SHA-256 of its text."""
    return {Path(name).name if is_file(name) else name: digest[:16] for name, digest in _LOADED.items()}


def registered_by(name: str) -> list[tuple[str, str]]:
    """Family and kind of what a file that was loaded registers; of a module all that its package does.

    Args:
        name: as for `load_components`.
    """
    found = []
    for family in sorted(FAMILIES.made(), key=lambda family: family.name):
        for kind, cls in sorted(family.members.items()):
            module = cls.__module__
            if is_file(name):
                file = getattr(sys.modules.get(module), "__file__", None)
                is_own = file is not None and Path(file).resolve() == Path(name).resolve()
            else:
                is_own = module.partition(".")[0] == name.partition(".")[0]
            if is_own:
                found.append((family.name, kind))
    return found


def _key(name: str) -> str:
    return str(Path(name).resolve()) if is_file(name) else name


def _load_file(file: Path) -> bool:
    """Whether it was carried out now."""
    if file.suffix != ".py":
        raise ComponentError(f"{file}: write a .py file, or the name of a module without '/'.")
    if not file.is_file():
        near = ", ".join(sorted(other.name for other in file.parent.glob("*.py"))) or "no .py file"
        raise ComponentError(f"{file} is no file; its folder holds {near}.")
    path = _key(str(file))
    digest = _digest([file])
    if _LOADED.get(path) == digest:
        return False
    name = f"gapslsim_own_{file.stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _LOADED.pop(path, None)
    for family in FAMILIES.made():
        family.forget(name)
    sys.modules[name] = module  # where pydantic looks annotations up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _LOADED[path] = digest
    return True


def _load_module(name: str) -> bool:
    is_new = name not in sys.modules
    if not all(part.isidentifier() for part in name.split(".")):
        raise ComponentError(f"found {name!r}; write a .py file or a module's name such as my_package.rules.")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ComponentError(
            f"there is no module {name!r}; install the package that holds it into this environment, "
            f"or write a file: ./{name.replace('.', '/')}.py"
        ) from None
    _LOADED[name] = _digest(_sources(module))
    return is_new


def _sources(module: ModuleType) -> list[Path]:
    """Files of a module; of a package all that lie below it."""
    if hasattr(module, "__path__"):
        return sorted(file for folder in module.__path__ for file in Path(folder).rglob("*.py"))
    return [Path(module.__file__)] if module.__file__ else []


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _in_words(error: Exception, name: str) -> str:
    """The error and the last line of the user's own file that it came through."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == Path(name).name
    ]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    where = f"line {line}: " if line is not None else ""
    return f"{where}{type(error).__name__}: {error}"
