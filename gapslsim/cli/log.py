"""What the command line says of its own doing, with `-v` on the error output and with `--log FILE` in a file."""

from __future__ import annotations

import logging
import platform
import sys
from pathlib import Path

from gapslsim._version import __version__
from gapslsim.errors import GapslsimError
from gapslsim.plain_text import visible

__all__ = ["log", "start_log"]


class LogError(GapslsimError):
    """A log file that cannot be written."""

    exit_code = 2


class _File(logging.FileHandler):
    """Stops at the first line that cannot be written, on a full disk for instance: a log is worth no command."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        log().removeHandler(self)
        logging.getLogger("py.warnings").removeHandler(self)
        sys.stderr.write(f"--log {self.baseFilename}: {sys.exc_info()[1]}; nothing more is added to it.\n")


class _Lines(logging.Formatter):
    """Texts of anybody's file go to a terminal here too."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log() -> logging.Logger:
    """Where commands tell what they do; nobody hears of it unless the user asked."""
    return logging.getLogger("gapslsim")


def start_log(verbose: bool, file: Path | None) -> None:
    """Sends everything, Python's warnings too, where the user asked for it.

    Raises:
        LogError: if the file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if verbose else []
    if file is not None:
        try:
            handlers.append(_File(file, encoding="utf-8"))
        except OSError as error:
            raise LogError(f"--log {file} cannot be written: {error.strerror}; give another file") from error
    for logger in (log(), logging.getLogger("py.warnings")):
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.handlers = handlers
    for handler in handlers:
        handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.captureWarnings(True)
    log().info("gapslsim %s, Python %s, %s", __version__, platform.python_version(), platform.platform())
