"""A run that Slurm or Docker asks to end writes what it has, and goes on to the hashes of one that was left alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fuzz.kills import Moments

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_runs_ended_by_a_signal_at_random_moments_go_on_to_the_same_hashes(tmp_path: Path) -> None:
    moments = Moments(tmp_path, ["sfl"], seed=4)
    assert moments.once("sfl", signal.SIGTERM) == ""
    assert moments.once("sfl", signal.SIGHUP) == ""
