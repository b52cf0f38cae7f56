"""A sound scenario to vary."""

from pathlib import Path

import pytest

SOUND = Path(__file__).resolve().parents[2] / "broken_scenarios" / "sound.yaml"


@pytest.fixture(scope="session")
def sound_file() -> Path:
    return SOUND


@pytest.fixture(scope="session")
def sound_text() -> str:
    return SOUND.read_text()
