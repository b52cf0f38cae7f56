"""The garbage collector during and after a run."""

from __future__ import annotations

import gc

import pytest

from gapslsim.collector import rare_collections


def test_thresholds_are_as_before_after_a_run_also_after_an_error() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() != before
    assert gc.get_threshold() == before
    with pytest.raises(KeyboardInterrupt), rare_collections():
        raise KeyboardInterrupt
    assert gc.get_threshold() == before


def test_what_a_run_made_counts_as_old_afterwards_and_is_still_collected_as_garbage() -> None:
    gc.collect()
    with rare_collections():
        kept = [[place] for place in range(5000)]
        cycle: list[object] = []
        cycle.append(cycle)
        number = id(cycle)
        del cycle
    young = {id(one) for one in gc.get_objects(generation=0)}
    assert not young & {id(one) for one in kept}
    assert gc.get_freeze_count() == 0
    assert number in {id(one) for one in gc.get_objects()}
    assert gc.collect() >= 1


def test_objects_that_somebody_else_froze_stay_frozen() -> None:
    gc.collect()
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with rare_collections():
            pass
        assert gc.get_freeze_count() == before > 0
    finally:
        gc.unfreeze()
