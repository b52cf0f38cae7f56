"""Files of measured presence, read as they are."""

from __future__ import annotations

import csv
import pickle
from collections import defaultdict
from pathlib import Path

import pytest

from gapslsim.data.source import public_data_folder
from gapslsim.errors import DataError
from gapslsim.sim._presence_traces import read_presence


def test_a_stay_that_began_before_the_recording_begins_with_it(tmp_path: Path) -> None:
    file = tmp_path / "stays.csv"
    file.write_text("user,start_s,end_s\na,-50,20\na,10,30\na,-9,-3\nb,-5,-1\nb,40,60\n")
    a, b = read_presence(file, "intervals")
    assert a.stays == ((0.0, 30.0),)
    assert b.stays == ((40.0, 60.0),)
    assert (a.period_s, b.period_s) == (60.0, 60.0)


@pytest.mark.parametrize("row", ["a,5,4", "a,nan,4", "a,-inf,4", "a,0,inf"])
def test_a_stay_that_is_none_is_refused(row: str, tmp_path: Path) -> None:
    file = tmp_path / "stays.csv"
    file.write_text(f"user,start_s,end_s\nb,1,2\n{row}\n")
    with pytest.raises(DataError, match="must end when it begins or later"):
        read_presence(file, "intervals")


@pytest.mark.data
@pytest.mark.parametrize("name", ["studentlife_charging_and_locked.csv"])
def test_measured_phones_are_there_as_long_as_their_rows_say(name: str) -> None:
    folder = public_data_folder()
    if folder is None or not (folder / "availability" / name).exists():
        pytest.skip("needs the public data")
    file = folder / "availability" / name
    seconds: dict[str, float] = defaultdict(float)
    with file.open() as opened:
        for row in csv.DictReader(opened):
            seconds[row["user"]] += max(0.0, float(row["end_s"])) - max(0.0, float(row["start_s"]))
    found = read_presence(file, "intervals")
    assert len(found) == len(seconds)
    # Their rows do not overlap.
    for user, trace in zip(sorted(seconds), found, strict=True):
        assert sum(until - since for since, until in trace.stays) == pytest.approx(seconds[user], rel=1e-12)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_is_cut_short_anywhere_is_refused_in_words(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "behave.pickle"
    whole = pickle.dumps({1: {"active": [0, 5], "inactive": [2, 9], "finish_time": 10}}, protocol)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        read_presence.cache_clear()
        with pytest.raises(DataError, match="is not a trace of presence in the format 'fedscale'"):
            read_presence(file, "fedscale")
