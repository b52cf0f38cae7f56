"""What takes the place of a file in a directory of results is refused in words, waited for never, followed nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import Campaign
from tests.fuzz.kinds import KINDS, odd_files, tried
from tests.fuzz.shift import Shift

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_some_of_all_files_as_all_kinds_end_every_command_in_words(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, ("run", "journal", "study_directory"))
    some = list(odd_files(campaign))[::211]
    assert {odd.kind for odd in some} == set(KINDS)
    assert {odd.reader for odd in some} == set(campaign.readers)
    ended = list(tried(campaign, some))
    assert [odd for odd, _ in ended] == some
    assert [
        (odd, ending.fault, ending.said) for odd, ending in ended if ending.fault not in ("", Shift.ASKED)
    ] == []
    assert len({ending.code for _, ending in ended}) > 1
