"""Invariants of frameworks: what a run leaves in the states and on the clock agrees, however it is run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from gapslsim.checks._world import N_ROUNDS, Run, Runs
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.errors import DryRunError
from gapslsim.frameworks.slots import participations
from gapslsim.results.categories import category_of, relayed
from gapslsim.scenario.shape import shapes

_CLOSE = 1e-9
_GAP_S = 1e-9


def runs_to_its_end(runs: Runs) -> None:
    """It runs in a small world of unlike clients, and time passes in every round.

    Loop over `w.rounds(self)`, or for ever in a protocol without barrier. In every round somebody must compute or send:
    `yield from node.compute(work)`, `yield from node.send(...)`.
    """
    ran = runs.run()
    n, status = len(ran.rounds), str(ran.summary["status"])
    require(not status.startswith("stalled"), status)
    require(n >= N_ROUNDS, f"it ended by itself after {n} rounds, and {N_ROUNDS} were asked for")
    require(ran.end_s > 0, f"{N_ROUNDS} rounds took no simulated time")
    for one in ran.rounds if runs.framework.has_rounds else ():
        require(one.end_s > one.start_s, f"round {one.round} begins and ends at {one.start_s:g} s")


def no_step_of_the_server_is_lost(runs: Runs) -> None:
    """Every step that a server made is in its states at the end of the run.

    Weights that were read before were installed over it. Read weights when they are sent, and merge copies by
    `w.learner.average`.
    """
    ledger = runs.run().ledger
    lost = ledger.lost_steps()
    for one in lost:
        said = f"{len(lost)} of the server's {len(ledger.steps)} steps are in no server-side state at the end"
        which = f"the first is that of {one.name!r} at {one.at_s:g} s in round {one.round}"
        raise InvariantError(f"{said}; {which}")


def states_count_the_steps(runs: Runs) -> None:
    """The optimizer steps that server-side states count are those that were made, less those that a rule left out.

    Change server-side states by `w.learner.server_step` alone.
    """
    ledger = runs.run().ledger
    for name, state in ledger.final_states.items():
        made, counted = ledger.updates_of(name), state.value.n_updates
        said = f"the state {name!r} counts {counted} optimizer steps, and {made} were made on its way"
        require(made in (None, counted), said)


def operations_take_time(runs: Runs) -> None:
    """What was computed took time on a device: operations and their spans on the clock are as many.

    Hand each work to `yield from node.compute(work)` once, as the learner offers it, and leave `work.carry_out` to it.
    """
    ran = runs.run()
    on_the_clock = Counter(span.phase for span in ran.spans)
    for phase in sorted({*ran.ledger.carried_out, "server_step", "client_forward", "client_backward"}):
        made, spans = ran.ledger.carried_out[phase], on_the_clock[phase]
        said = f"{made} operations {phase!r} were carried out, and {spans} are on the clock"
        require(made == spans, said)


def backward_passes_follow_forward_passes(runs: Runs) -> None:
    """Every backward pass of a client has a forward pass of its own.

    Give each answer to the client whose smashed data the server's step took.
    """
    phases = Counter((span.actor, span.phase) for span in runs.run().spans)
    for client in runs.clients:
        forward, backward = phases[client, "client_forward"], phases[client, "client_backward"]
        require(
            backward <= forward, f"{client} made {backward} backward passes after {forward} forward passes"
        )


def dry_is_real(runs: Runs) -> None:
    """A dry run, without tensors, has the same timeline to the last bit.

    Let the protocol depend on shapes, names and time alone, and leave losses and other values of tensors to operations
    and rules.
    """
    real = runs.run()
    try:
        _same(real, runs.run("dry"), "a dry run", ("timeline",))
    except DryRunError as error:
        said = f"it reads a value of a tensor, which a dry run has not ({error})"
        raise InvariantError(said) from error


def replay_is_the_first_run(runs: Runs) -> None:
    """From its journal it is replayed without computing anything, with the same two hashes.

    An operation had another key, the protocol asked for a value (`.value`) itself, or something depends on what earlier
    runs left behind. Let names and rounds come from the protocol alone.
    """
    replay = runs.run("replay")
    _same(runs.run(), replay, "a replay from the journal")
    journal = replay.summary["journal"]
    n = journal["computed"] + journal["rebuilt"]
    require(not n, f"a second run with the same journal computed tensors again, in {n} operations")


def same_seed_same_run(runs: Runs) -> None:
    """The same seed gives the same two hashes.

    Draw from `w.random(purpose)` alone, and remember in local variables of `run`.
    """
    _same(runs.run(), runs.run("again"), "a second run")


def bytes_arrive_where_they_are_charged(runs: Runs) -> None:
    """What the network moved is what the clients' spans say: bytes sent, and bytes received.

    Move everything by `send` and `broadcast`, as 'uplink', 'model_uplink', 'downlink', 'model_downlink' or 'handover',
    between stations and servers as 'relay_up' or 'relay_down': a phase of another name is taken for a computation.
    """
    ran = runs.run()
    moved, charged = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for transfer in ran.ledger.transfers:
        size = transfer.moved_bytes + 1e-6 if transfer.finished_s is None else transfer.size_bytes
        moved[transfer.source, "uplink"] += int(size)
        moved.update({(target, "downlink"): int(size) for target in transfer.targets})
    for span in ran.spans:
        charged[span.actor, category_of(span.phase, span.client)] += span.size_bytes
    between = sum(
        int(one.size_bytes)
        for one in ran.ledger.transfers
        if one.finished_s is not None and not any(n.startswith("client-") for n in (one.source, *one.targets))
    )
    told = sum(span.size_bytes for span in ran.spans if relayed(span.phase))
    require(
        between == told, f"stations and servers moved {between} bytes among them, and their spans say {told}"
    )
    for client in runs.clients:
        for direction, name in (("uplink", "sent"), ("downlink", "received")):
            on_network, in_spans = moved[client, direction], charged[client, direction]
            said = f"{client} {name} {on_network} bytes on the network, and its spans say {in_spans}"
            require(on_network == in_spans, said)


def phases_fill_the_time(runs: Runs) -> None:
    """Each client's phases sum to the elapsed time, without a gap; none lies outside the run or takes negative energy.

    Leave the clock to the stage's verbs: nothing is charged twice, and energy is 0 or more.
    """
    ran = runs.run()
    sums, slack_s = Counter[str](), _CLOSE * max(1.0, ran.end_s)
    for span in ran.spans:
        said = f"{span.actor}: {span.phase!r} goes from {span.start_s:g} to {span.end_s:g} s"
        holds = -slack_s <= span.start_s <= span.end_s <= ran.end_s + slack_s
        require(holds, f"{said}, and the run from 0 to {ran.end_s:g} s")
        require(span.energy_j >= -_CLOSE, f"{said} and takes {span.energy_j:g} J")
        sums[span.actor] += span.end_s - span.start_s - span.overlap_s  # type: ignore[assignment]
    for client in runs.clients:
        said = f"the phases of {client} sum to {sums[client]:.9g} s, and the run took {ran.end_s:.9g} s"
        require(abs(sums[client] - ran.end_s) <= slack_s * max(1, len(ran.spans)), said)
        until_s = 0.0
        own = sorted((s.start_s, s.end_s, s.round) for s in ran.spans if s.actor == client)
        for start_s, end_s, number in (*own, (ran.end_s, ran.end_s, ran.spans[-1].round)):
            # In seconds, not of the whole: a sum over a long run does not show that a span is missing.
            gap_s = start_s - until_s
            said = f"{client} has no span for {gap_s:.3g} s from {until_s:.9g} s on, in round {number}"
            require(gap_s <= _GAP_S, said)
            until_s = max(until_s, end_s)


def samples_are_as_expected(runs: Runs) -> None:
    """`samples_per_round` is what a round takes in samples: to 1 %, or about it if chance says who takes part.

    Epochs, schedules and the planned number of rounds come from it.
    """
    ran, framework = runs.run(), runs.framework
    if not framework.has_rounds:
        raise InapplicableError("its rounds are counted by samples")
    batches, shards = ran.sizes
    expected, found = framework.samples_per_round(batches, shards), ran.n_samples / len(ran.rounds)
    slack = 0.5 if framework.participation.expected_share(len(shards)) < 1 else 0.01
    said = f"samples_per_round says {expected:g} for batches of {batches} and shards of {shards}"
    holds = abs(found - expected) <= slack * max(expected, 1.0)
    require(holds, f"{said}, and a round took {found:g}")


def steps_are_as_expected(runs: Runs) -> str | None:
    """`optimizer_steps_per_round` says how often the server steps."""
    ran, framework = runs.run(), runs.framework
    if not framework.has_rounds or framework.participation.expected_share(runs.n_clients) < 1:
        raise InapplicableError("how often it steps depends on chance or samples")
    expected = framework.server_steps_per_round(*ran.sizes)
    found = sum(step.n for step in ran.ledger.steps.values()) / len(ran.rounds)
    if abs(found - expected) <= 0.01 * max(expected, 1.0):
        return None
    said = (
        f"optimizer_steps_per_round says {expected:g} steps of the server in a round, and {found:g} were made"
    )
    return f"{said}; schedules of the learning rate are planned by it."


def works_with_one_client(runs: Runs) -> None:
    """It works with one client."""
    runs.under(runs.framework, 1, "one client")


def works_with_a_sample(runs: Runs) -> None:
    """It works if a random sample of the clients takes part in each round."""
    sample: Any = participations["sample"]
    runs.under(replace(runs.framework, participation=sample(k=2)), 4, "a sample of the clients")


def works_in_every_shape(runs: Runs) -> None:
    """It works where others than client and server own blocks: every byte arrives, dry = real, phases fill the time.

    Take mini-batches on their way as `frameworks/parallel.py` does, or let `two_parts_because` say why not.
    """
    if runs.shape is not None:
        raise InapplicableError("it is looked at in one shape")
    if why := runs.framework.two_parts_because:
        raise InapplicableError(f"it trains client and server alone: {why}")
    made: Any = shapes
    helpers = ({"device": "jetson-orin-nx", "cut": 2},)
    every = (
        made["u_shape"](),
        made["tiers"](edges=2, cut=2),
        *(made["chain"](helpers=helpers, tail=tail) for tail in (0, 1)),
    )
    fit = runs.framework.shapes
    for shape in (one for one in every if not fit or one.kind in fit):
        if runs.framework.needs_tail and not getattr(shape, "tail", 0):
            continue
        inside = Runs(runs.framework, shape)
        try:
            for holds in (
                runs_to_its_end,
                dry_is_real,
                bytes_arrive_where_they_are_charged,
                phases_fill_the_time,
            ):
                holds(inside)
            replay_is_the_first_run(inside)
        except InvariantError as error:
            raise InvariantError(f"in shape {shape.kind!r}: {error}") from error


def nothing_goes_on_at_the_end(runs: Runs) -> str | None:
    """Nothing goes on behind the last round."""
    n = runs.run().n_going_on if runs.framework.has_rounds else 0
    return f"{n} activities go on when the last round ends; the end of the run cancels them" if n else None


def _same(one: Run, other: Run, what: str, hashes: tuple[str, ...] = ("timeline", "learning")) -> None:
    for name in hashes:
        place = _first_difference(one, other) if name == "timeline" else "other losses or accuracies"
        holds = one.summary[f"{name}_sha256"] == other.summary[f"{name}_sha256"]
        require(holds, f"{what} has another {name} ({place})")


def _first_difference(one: Run, other: Run) -> str:
    in_order = (
        sorted(ran.spans, key=lambda s: (s.start_s, s.end_s, s.actor, s.phase)) for ran in (one, other)
    )
    for pair in zip(*in_order, strict=False):
        if pair[0] != pair[1]:
            words = [f"{s.actor}: {s.phase} from {s.start_s:.6g} to {s.end_s:.6g} s" for s in pair]
            return f"first {words[0]}, then {words[1]}"
    return f"it took {one.end_s:g} s, then {other.end_s:g} s"
