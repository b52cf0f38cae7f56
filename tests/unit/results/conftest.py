"""A small study of digits, swept once for all tests of figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study_files import swept_digits


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory; tests must not write into it."""
    return swept_digits(tmp_path_factory.mktemp("digits"))
