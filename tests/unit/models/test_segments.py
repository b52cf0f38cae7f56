"""Who owns which blocks: paths without gaps, what states hold, and costs stretch by stretch."""

from __future__ import annotations

import pytest

from gapslsim.errors import ProtocolError
from gapslsim.models.cost import chain_cost, split_cost
from gapslsim.models.segments import Range, Segments, Stretch, two_parts
from gapslsim.models.zoo.cnn import Cnn

U_SHAPE = (Stretch("client", 0, 1), Stretch("server", 1, 3), Stretch("client", 3, 4))
TIERS = (Stretch("client", 0, 1), Stretch("server-edge-0", 1, 2), Stretch("server", 2, 4))


def test_unlike_cuts_leave_the_server_all_that_any_client_lacks() -> None:
    segments = two_parts([1, 3, 1], 5)
    assert segments.bounds == (0, 1, 3, 5)
    assert segments.held("client-1") == ((0, 3),)
    assert segments.held("server") == segments.held("server-copy-1") == ((1, 5),)
    heads = [segments.of_client(client)[0] for client in range(3)]
    assert [client for client in range(3) if heads[client].holds(Range(1, 3))] == [1]
    assert [client for client in range(3) if heads[client].holds(Range(0, 1))] == [0, 1, 2]
    with pytest.raises(ProtocolError, match="one cut"):
        segments.held("client")


def test_a_client_holds_its_head_and_its_tail() -> None:
    segments = Segments((U_SHAPE, U_SHAPE))
    assert segments.held("client-0") == segments.held("kept-1") == ((0, 1), (3, 4))
    assert segments.owners == ("server",)


def test_a_station_and_its_copies_are_told_from_the_server_by_the_longest_name() -> None:
    segments = Segments((TIERS,))
    assert segments.owners == ("server-edge-0", "server")
    assert segments.held("server-edge-0") == segments.held("server-edge-0-copy") == ((1, 2),)
    assert segments.held("server-copy-0") == ((2, 4),)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ((Stretch("server", 0, 2),), "begins with blocks of the client"),
        ((Stretch("client", 0, 1), Stretch("server", 2, 3)), "without gaps"),
        ((Stretch("client", 0, 2), Stretch("server", 1, 3)), "without gaps"),
        ((Stretch("client", 1, 2), Stretch("server", 2, 3)), "without gaps"),
        ((Stretch("client", 0, 1), Stretch("client", 1, 2)), "unlike owners"),
        ((Stretch("client", 0, 2), Stretch("server", 2, 2)), "several blocks"),
    ],
)
def test_a_path_with_gaps_or_doubles_is_refused(path: tuple[Stretch, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segments((path,))


def test_paths_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="end with the last block"):
        Segments((U_SHAPE, (Stretch("client", 0, 1), Stretch("server", 1, 3))))


def test_the_stretches_of_a_chain_cost_what_the_two_sides_do() -> None:
    model = Cnn(channels=(4, 8, 8), cut=2)
    split = split_cost(model, (1, 8, 8), 10, 6)
    chain = chain_cost(model, (1, 8, 8), 10, 6, (1, 2, 3))
    for sides, whole in ((chain.stretches[:2], split.client), (chain.stretches[2:], split.server)):
        for of in ("n_parameters", "n_trained", "parameter_bytes", "buffer_bytes"):
            assert sum(getattr(side, of) for side in sides) == getattr(whole, of)
        for way in ("forward", "backward"):
            flop = [getattr(side, way).work_flop for side in sides]
            # The backward pass of a later stretch makes the gradient of its input as well, as inside a side.
            assert sum(flop) == getattr(whole, way).work_flop
    assert chain.shapes[1] == split.smashed_shape
    assert chain.shapes == ((4, 4, 4), (8, 2, 2), (8, 2, 2))
