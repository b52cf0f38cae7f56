"""Components of your own: Python files and modules that a scenario names under `components`.

A file is carried out once per process, as an import would, and again if its text has changed; what its classes
register is known from then on. Nothing is carried out unless a scenario or a command names it, and nothing at all where
`GAPSLSIM_NO_COMPONENTS` is set (`--no-components`). Files beside it can be imported, as from a script, and count as a
part of it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pydantic.dataclasses import rebuild_dataclass

from gapslsim.errors import ComponentError
from gapslsim.registry import FAMILIES, registered_by_users
from gapslsim.regular_files import files_sha256, real_path

__all__ = ["REFUSED", "TELL", "digests", "is_file", "load_components", "registered_by"]

REFUSED: Final = "GAPSLSIM_NO_COMPONENTS"
"""Environment variable: whether no file or module may be carried out; inherited by workers."""

TELL: ContextVar[Callable[[str], object]] = ContextVar("tell", default=lambda name: None)
"""Is told what is about to be carried out. The command line prints it; workers say nothing."""

_PREFIX = "gapslsim_own_"
_LOADED: dict[str, str] = {}
"""SHA-256 of the text of what was loaded, by path or module name."""

_BESIDE: dict[str, str] = {}
"""The same of modules that were imported from beside a file, by path, as they were when they were first seen."""


def is_file(name: str) -> bool:
    """Whether `name` means a file and not a module."""
    return name.endswith(".py") or "/" in name or "\\" in name


def load_components(name: str) -> None:
    """Carries out a file, or imports a module, that registers components.

    Args:
        name: path of a `.py` file, or the name of a module that can be imported.

    Raises:
        ComponentError: if it is not there, breaks, registers nothing, or none may be carried out.
    """
    if os.environ.get(REFUSED, "0") not in ("", "0"):
        raise ComponentError(
            f"{name} is Python code and was not run, as --no-components (or {REFUSED}) is set; read it first, then "
            "leave that out, or take the name out of 'components'."
        )
    before = registered_by_users()
    try:
        new = _load_file(Path(name)) if is_file(name) else _load_module(name)
        if new:
            _complete(name)
    except ComponentError:
        raise
    except BaseException as error:
        if type(error) is KeyboardInterrupt:  # Ctrl-C
            raise
        # Whatever a user's file does wrong is told in words, with its line; `sys.exit` ends nobody else's program.
        raise ComponentError(f"{name} cannot be used: {_in_words(error, name)}") from error
    if new and registered_by_users() <= before and not registered_by(name):
        _LOADED.pop(_key(name))
        known = ", ".join(FAMILIES)
        raise ComponentError(
            f"{name} registers nothing; put '@<family>.register' above '@component', the families being: {known}."
        )


def _complete(name: str) -> None:
    """Resolves the annotations of what was registered: pydantic puts those off that name what is not there yet."""
    for family, kind in registered_by(name):
        cls: Any = FAMILIES[family].members[kind]
        if not getattr(cls, "__pydantic_complete__", True):
            try:
                rebuild_dataclass(cls)
            except BaseException:
                FAMILIES[family].members.pop(kind)
                _LOADED.pop(_key(name))
                raise


def digests(names: Iterable[str] | None = None) -> dict[str, str]:
    """What was loaded in this process, by file name or module, with the first digits of the SHA-256 of its text.

    Args:
        names: files and modules, as for `load_components`, that count with what lies beside them; all unless given.
    """
    _see_modules_beside()
    loaded = _LOADED | _BESIDE
    if names is not None:
        keys = {_key(name) for name in names}
        folders = {Path(key).parent for key in keys if is_file(key)}
        beside = {path for path in _BESIDE if any(Path(path).is_relative_to(folder) for folder in folders)}
        loaded = {name: digest for name, digest in loaded.items() if name in keys | beside}
    return {Path(name).name if is_file(name) else name: digest[:16] for name, digest in loaded.items()}


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
                is_own = file is not None and real_path(file) == real_path(name)
            else:
                is_own = module.partition(".")[0] == name.partition(".")[0]
            if is_own:
                found.append((family.name, kind))
    return found


def _key(name: str) -> str:
    return str(real_path(name)) if is_file(name) else name


def _load_file(file: Path) -> bool:
    """Whether it was carried out now."""
    if file.suffix != ".py":
        raise ComponentError(f"{file}: write a .py file, or the name of a module without '/'.")
    if not file.is_file():
        near = ", ".join(sorted(other.name for other in file.parent.glob("*.py"))) or "no .py file"
        raise ComponentError(f"{file} is no file; its folder holds {near}.")
    path = _key(str(file))
    digest = files_sha256([file])
    if not _forget_changed_modules() and _LOADED.get(path) == digest:
        return False
    TELL.get()(path)
    if (folder := str(Path(path).parent)) not in sys.path:
        # Behind all others, so that a file of a user's hides nobody else's; for good, since methods import later.
        sys.path.append(folder)
    name = f"{_PREFIX}{file.stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
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


def _modules_beside() -> dict[str, tuple[str, ModuleType]]:
    """Modules that were imported from the folders of files that were loaded: path, then name and module."""
    folders = tuple({os.path.join(Path(path).parent, "") for path in _LOADED if is_file(path)})
    found = {}
    for name, module in list(sys.modules.items()) if folders else ():
        file = getattr(module, "__file__", None)
        # Of thousands of modules few lie below: only these are looked at closely.
        if file is None or not (file.startswith(folders) and file.endswith(".py")):
            continue
        if name.partition(".")[0] == __package__ or name.startswith((_PREFIX, "__main__")):
            continue
        depth, above = name.count(".") + (Path(file).name == "__init__.py"), Path(file).parents
        if depth < len(above) and os.path.join(above[depth], "") in folders:
            found[file] = name, module
    return found


def _see_modules_beside() -> None:
    for path in _modules_beside():
        if path not in _BESIDE:
            _BESIDE[path] = files_sha256([Path(path)])


def _forget_changed_modules() -> bool:
    """Whether the text of a module beside a file has changed; it is then imported anew."""
    _see_modules_beside()
    changed = [
        path
        for path, digest in _BESIDE.items()
        if not Path(path).exists() or files_sha256([Path(path)]) != digest
    ]
    beside = _modules_beside()
    for path in changed:
        del _BESIDE[path]
        if path in beside:
            del sys.modules[beside[path][0]]
    return bool(changed)


def _load_module(name: str) -> bool:
    is_new = name not in _LOADED
    if not all(part.isidentifier() for part in name.split(".")):
        raise ComponentError(f"found {name!r}; write a .py file or a module's name such as my_package.rules.")
    if is_new:
        TELL.get()(name)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ComponentError(
            f"there is no module {name!r}; install the package that holds it into this environment, "
            f"or write a file: ./{name.replace('.', '/')}.py"
        ) from None
    _LOADED[name] = files_sha256(_sources(module))
    return is_new


def _sources(module: ModuleType) -> list[Path]:
    """Files of a module; of a package all that lie below it."""
    if hasattr(module, "__path__"):
        return sorted(file for folder in module.__path__ for file in Path(folder).rglob("*.py"))
    return [Path(module.__file__)] if module.__file__ else []


def _in_words(error: BaseException, name: str) -> str:
    """The error and the last line of the user's own file that it came through."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == Path(name).name
    ]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    where = f"line {line}: " if line is not None else ""
    what = str(error).partition("\n\nFor further information")[0]
    return f"{where}{type(error).__name__}: {what}"
