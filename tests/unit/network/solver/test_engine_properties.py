"""What must hold of the engine for any links, flows and times."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.network.solver import engine as engine_module
from gapslsim.network.solver.engine import FlowEngine
from gapslsim.network.solver.flows import Flow, Link, load
from gapslsim.network.solver.maxmin import fair_rates


@dataclass
class Plan:
    """Links (capacity, shared, later steps) and flows (links, size, cap, start)."""

    links: list[tuple[float, bool, list[tuple[float, float]]]]
    flows: list[tuple[tuple[int, ...], float, float, float]] = field(default_factory=list)


@pytest.fixture(autouse=True, scope="module")
def _small_hubs() -> Generator[None, None, None]:
    """Groups of links around one are kept solved from two classes on, not only from eight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_HUB_FROM", 2)
        yield


RATES = st.one_of(st.sampled_from([1.0, 2.0, 3.0, 4.0, 10.0]), st.floats(0.1, 100.0))
TIMES = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0.0, 5.0))


@st.composite
def plans(draw: st.DrawFn, changing: bool = True) -> Plan:
    links = []
    for _ in range(draw(st.integers(1, 5))):
        steps: list[tuple[float, float]] = []
        if changing:
            times = sorted(draw(st.sets(st.floats(0.1, 6.0), max_size=3)))
            steps = [(time_s, draw(st.one_of(st.just(0.0), RATES))) for time_s in times]
            if steps:  # no flow waits for ever
                steps.append((7.0, draw(RATES)))
        links.append((draw(RATES), draw(st.integers(0, 4)) > 0, steps))
    plan = Plan(links)
    # Around one link (link 0) most of the time, so that groups of links that are kept solved are met too.
    around = draw(st.booleans())
    for _ in range(draw(st.integers(1, 14))):
        route = draw(st.lists(st.integers(0, len(links) - 1), min_size=1, unique=True))
        if around and draw(st.integers(0, 19)):
            route = [*route[:1], 0] if route[0] else [0]
        cap = draw(st.one_of(st.just(math.inf), RATES))
        plan.flows.append(
            (tuple(route), draw(st.one_of(st.just(4.0), st.floats(0.01, 50.0))), cap, draw(TIMES))
        )
    return plan


def made(engine: FlowEngine, links: list[Link], plan: Plan) -> list[Flow]:
    """The flows of a plan; a cap is a link of the flow's own, as those of a protocol are."""
    own = [engine.add_link("", cap, shared=False) for _, _, cap, _ in plan.flows]
    return [
        Flow((*(links[i] for i in route), cap), size)
        for (route, size, _, _), cap in zip(plan.flows, own, strict=True)
    ]


def rate_of(flow: Flow) -> float:
    return load((flow,))


def run(
    plan: Plan, order: list[int] | None = None, pauses: tuple[float, ...] = (), check: bool = False
) -> tuple[list[float], list[tuple[str, float, float, float]]]:
    """Ends of the flows, and use of the links; `pauses` are instants at which the engine is stopped for nothing."""
    engine = FlowEngine(record=True)
    links = [
        engine.add_link(f"link-{i}", rate, shared, iter(steps) if steps else None)
        for i, (rate, shared, steps) in enumerate(plan.links)
    ]
    flows = made(engine, links, plan)
    ends = [math.inf] * len(flows)
    waiting = sorted(order or range(len(flows)), key=lambda i: plan.flows[i][3])
    halts = sorted(pauses)
    while waiting or any(math.isinf(end) for end in ends):
        now = min(
            engine.next_s(), plan.flows[waiting[0]][3] if waiting else math.inf, *halts[:1] or [math.inf]
        )
        assert math.isfinite(now), "flows stand still for ever"
        for flow in engine.advance(now):
            ends[flows.index(flow)] = now
        while halts and halts[0] <= now:
            halts.pop(0)
        while waiting and plan.flows[waiting[0]][3] <= now:
            engine.start(flows[waiting.pop(0)])
        engine.solve()
        if check:
            active = [flow for flow in flows if any(flow in link.flows for link in flow.links)]
            check_fair(links, active)
    return ends, [row[:4] for row in engine.link_use()]


def check_fair(links: list[Link], active: list[Flow]) -> None:
    """No link over capacity; every flow is at its cap or on a full link on which no flow is faster."""
    loads = {link: load(link.flows) for link in links}
    for link in links:
        if link.shared:
            assert loads[link] <= link.capacity * (1 + 1e-9) + 1e-9
    for flow in active:
        caps = [link.capacity for link in flow.links if not link.shared]
        assert rate_of(flow) <= min(caps) * (1 + 1e-9) + 1e-12
        if rate_of(flow) >= min(caps) * (1 - 1e-9):
            continue
        assert any(
            link.shared
            and loads[link] >= link.capacity * (1 - 1e-9)
            and rate_of(flow) >= max(rate_of(other) for other in link.flows) * (1 - 1e-9)
            for link in flow.links
        ), f"a flow at {rate_of(flow)} is limited by nothing"


@given(plans())
def test_every_flow_is_limited_by_its_cap_or_a_full_link_and_no_link_is_over_capacity(plan: Plan) -> None:
    run(plan, check=True)


@given(plans(), st.randoms())
def test_the_order_of_simultaneous_starts_changes_nothing(plan: Plan, random: object) -> None:
    order = list(range(len(plan.flows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert run(plan, order)[0] == pytest.approx(run(plan)[0], rel=1e-9, abs=1e-9)


@given(plans(), st.lists(st.floats(0.01, 8.0), max_size=6))
def test_stopping_in_between_changes_nothing(plan: Plan, pauses: list[float]) -> None:
    assert run(plan, pauses=tuple(pauses))[0] == pytest.approx(run(plan)[0], rel=1e-9, abs=1e-9)


@given(plans())
def test_bytes_over_each_link_are_the_bytes_of_its_flows(plan: Plan) -> None:
    _, rows = run(plan)
    for index in range(len(plan.links)):
        sent = sum(size for route, size, _, _ in plan.flows if index in route)
        carried = sum(rate * (end - start) for name, start, end, rate in rows if name == f"link-{index}")
        assert carried == pytest.approx(sent, rel=1e-9, abs=1e-9)


@given(plans(changing=False))
@settings(max_examples=100)
def test_rates_are_those_of_progressive_filling(plan: Plan) -> None:
    engine = FlowEngine()
    links = [engine.add_link(f"link-{i}", rate, shared) for i, (rate, shared, _) in enumerate(plan.links)]
    flows = made(engine, links, plan)
    for flow in flows:
        engine.start(flow)
    engine.solve()
    expected = fair_rates(
        [rate if shared else math.inf for rate, shared, _ in plan.links],
        [route for route, _, _, _ in plan.flows],
        [
            min([cap, *(plan.links[i][0] for i in route if not plan.links[i][1])])
            for route, _, cap, _ in plan.flows
        ],
    )
    assert [rate_of(flow) for flow in flows] == pytest.approx(expected, rel=1e-9)


@given(plans(), st.data())
def test_a_stopped_flow_has_moved_what_its_rates_say_and_the_others_go_on(
    plan: Plan, data: st.DataObject
) -> None:
    engine = FlowEngine(record=True)
    links = [engine.add_link(f"link-{i}", rate, shared) for i, (rate, shared, _) in enumerate(plan.links)]
    flows = made(engine, links, plan)
    for flow in flows:
        engine.start(flow)
    engine.solve()
    at = data.draw(st.floats(0.01, 1.0)) * engine.next_s()
    assert engine.advance(at * (1 - 1e-9)) == []
    at = engine.now_s
    victim = data.draw(st.sampled_from(flows))
    rate = rate_of(victim)
    rest = engine.stop(victim)
    engine.solve()
    assert victim.size_bit - rest == pytest.approx(rate * at, rel=1e-9)
    left = [flow for flow in flows if flow is not victim]
    while left:
        ended = engine.advance(engine.next_s())
        assert victim not in ended
        left = [flow for flow in left if flow not in ended]
        engine.solve()


@given(plans())
def test_a_group_that_is_kept_solved_gives_what_solving_it_anew_gives(plan: Plan) -> None:
    kept = run(plan)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "_HUB_FROM", 10**9)
        anew = run(plan)[0]
    assert kept == pytest.approx(anew, rel=1e-9, abs=1e-9)


def test_a_group_around_one_link_is_met_by_the_plans_and_given_up_when_its_shape_is_broken() -> None:
    engine = FlowEngine()
    links = [engine.add_link(f"link-{i}", 10.0) for i in range(4)]
    for leaf in (1, 2, 3):
        for _ in range(2):
            engine.start(Flow((links[leaf], links[0]), 100.0))
    engine.solve()
    assert set(engine._hubs) == set(links)
    assert len(set(engine._hubs.values())) == 1
    crossing = Flow((links[1], links[2], links[0]), 100.0)
    engine.start(crossing)
    engine.solve()
    assert not engine._hubs
    assert rate_of(crossing) == pytest.approx(10 / 7)
