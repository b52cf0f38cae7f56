"""Sessions for development: `nox` runs what CI runs, in the current environment."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "site", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of the package, strict."""
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Layers, and the two sides that never import each other."""
    session.run("lint-imports")


@nox.session
def site(session: nox.Session) -> None:
    """The documentation site; a broken link or a page that nothing leads to is an error."""
    session.run("mkdocs", "build", "--quiet", *(session.posargs or ("--site-dir", session.create_tmp())))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; extra arguments go to pytest."""
    session.run("pytest", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile and broken inputs on every reader and command: `nox -s fuzz -- --inputs 20000 --only graph`."""
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def atheris(session: nox.Session) -> None:
    """Readers under coverage-guided fuzzing, where atheris is installed: `nox -s atheris -- -max_total_time=600`."""
    session.run("python", "-m", "tests.fuzz.coverage_guided", *session.posargs)
