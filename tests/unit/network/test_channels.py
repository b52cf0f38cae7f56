"""Channels: their steps, means and randomness, and how a link uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import simpy
from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel, channels
from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.gilbert_elliott import GilbertElliott
from gapslsim.network.channels.lognormal import Lognormal
from gapslsim.network.channels.markov import Markov
from gapslsim.network.channels.outage import Outage
from gapslsim.network.channels.trace import MeasuredTrace
from gapslsim.network.channels.wireless import Wireless
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.star import Star
from gapslsim.units import STRICT_UNITS

ANY: TypeAdapter[Channel] = TypeAdapter(Annotated[Channel, channels])
EXAMPLES = [
    Constant(rate=1e6),
    GilbertElliott(good=1e7, bad=1e6, mean_good=2, mean_bad=1),
    Markov(rates=[1e6, 2e6, 0.0], transitions=[[0.5, 0.5, 0], [0.2, 0.6, 0.2], [0, 1, 0]], step=0.5),
    Lognormal(mean=1e7, sigma=0.5, correlation_time=3),
    Outage(channel=Lognormal(mean=1e7, sigma=0.5, correlation_time=3), mean_up=2, mean_down=1),
    Wireless(fading="rician", speed=3),
]


def first(channel: Channel, n: int, seed: int = 0) -> list[tuple[float, float]]:
    return list(islice(channel.steps(np.random.default_rng(seed)), n))


def mean_over(channel: Channel, duration_s: float, seed: int = 0) -> float:
    moved, before = 0.0, (0.0, 0.0)
    for time_s, rate in channel.steps(np.random.default_rng(seed)):
        moved += before[1] * (min(time_s, duration_s) - before[0])
        if time_s >= duration_s:
            break
        before = (time_s, rate)
    return moved / duration_s


@pytest.mark.parametrize("channel", EXAMPLES, ids=lambda channel: channel.kind)
def test_steps_start_at_zero_grow_and_are_the_same_for_the_same_stream(channel: Channel) -> None:
    steps = first(channel, 200)
    assert steps[0][0] == 0
    assert all(a < b for (a, _), (b, _) in pairwise(steps))
    assert all(rate >= 0 for _, rate in steps)
    assert steps == first(channel, 200)
    assert len(steps) == 1 or steps != first(channel, 200, seed=1)


@pytest.mark.parametrize("channel", EXAMPLES[1:5], ids=lambda channel: channel.kind)
def test_the_long_run_mean_is_what_the_channel_says(channel: Channel) -> None:
    means = [mean_over(channel, 3000, seed) for seed in range(4)]
    assert np.mean(means) == pytest.approx(channel.mean_bit_per_s, rel=0.06)


@pytest.mark.parametrize("channel", EXAMPLES, ids=lambda channel: channel.kind)
def test_settings_survive_a_round_trip_through_json(channel: Channel) -> None:
    written = json.loads(json.dumps(ANY.dump_python(channel, mode="json")))
    assert ANY.validate_python(written, context=STRICT_UNITS) == channel


def test_a_rate_alone_is_a_constant_channel_and_needs_its_unit() -> None:
    assert ANY.validate_python("40 Mbit/s", context=STRICT_UNITS) == Constant(rate=40e6)
    with pytest.raises(ValidationError, match="has no unit"):
        ANY.validate_python(40, context=STRICT_UNITS)
    with pytest.raises(ValidationError, match="is zero"):
        ANY.validate_python("0 Mbit/s", context=STRICT_UNITS)


def test_an_unknown_channel_inside_an_outage_is_named() -> None:
    settings: dict[str, Any] = {"kind": "outage", "mean_up": "1 s", "mean_down": "1 s"}
    with pytest.raises(ValidationError, match="Did you mean 'wireless'"):
        ANY.validate_python(settings | {"channel": {"kind": "wirless"}}, context=STRICT_UNITS)


def test_gilbert_elliott_is_good_for_its_share_of_time() -> None:
    channel = GilbertElliott(good=3.0, mean_good=3, mean_bad=1)
    assert channel.mean_bit_per_s == 2.25
    stays = first(channel, 4001)
    bad = [b - a for (a, rate), (b, _) in pairwise(stays) if rate == 0]
    assert np.mean(bad) == pytest.approx(1.0, rel=0.1)


def test_markov_has_its_stationary_distribution_and_rests_in_an_absorbing_state() -> None:
    # Balance: pi_0 / 10 = pi_1 / 5, so 2/3 and 1/3.
    channel = Markov(rates=[1.0, 4.0], transitions=[[0.9, 0.1], [0.2, 0.8]], step=1)
    assert channel.stationary == pytest.approx([2 / 3, 1 / 3])
    assert channel.mean_bit_per_s == pytest.approx(2.0)
    assert first(Markov(rates=[5.0], transitions=[[1.0]], step=1), 9) == [(0.0, 5.0)]


def test_a_matrix_that_is_not_stochastic_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"row 1 of transitions must sum to 1; it sums to 0\.9"):
        Markov(rates=[1.0, 2.0], transitions=[[1, 0], [0.5, 0.4]], step=1)
    with pytest.raises(ValidationError, match="2 x 2 matrix"):
        Markov(rates=[1.0, 2.0], transitions=[[1.0]], step=1)


def test_lognormal_has_its_spread_and_its_correlation() -> None:
    channel = Lognormal(mean=1e6, sigma=0.4, correlation_time=5, step=1)
    logs = np.log([rate for _, rate in first(channel, 40000)])
    assert np.std(logs) == pytest.approx(0.4, rel=0.05)
    lag5 = np.corrcoef(logs[:-5], logs[5:])[0, 1]
    assert lag5 == pytest.approx(np.exp(-1), abs=0.05)


def test_an_outage_cuts_the_channel_inside_and_nothing_else() -> None:
    inner = MeasuredSteps([(0.0, 1.0), (1.0, 2.0), (2.5, 3.0), (4.0, 4.0)])
    steps = first(_outage(inner), 60, seed=4)
    values = {0.0, 1.0, 2.0, 3.0, 4.0}
    assert {rate for _, rate in steps} <= values
    for time_s, rate in steps:
        expected = [r for t, r in inner.points if t <= time_s][-1]
        assert rate in (0.0, expected)


class MeasuredSteps(Channel):
    def __init__(self, points: list[tuple[float, float]]) -> None:
        self.points = points

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        yield from self.points


def _outage(inner: Channel) -> Outage:
    outage = Outage(channel=Constant(rate=1.0), mean_up=1, mean_down=1)
    object.__setattr__(outage, "channel", inner)
    return outage


def test_changing_the_outage_leaves_the_channel_inside_as_it_was() -> None:
    inner = Lognormal(mean=1e6, sigma=0.5, correlation_time=2)
    rates = [
        {rate for _, rate in first(Outage(channel=inner, mean_up=up, mean_down=1), 400)} for up in (5.0, 50.0)
    ]
    assert len(rates[0] & rates[1]) > 50


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_mahimahi_trace_counts_packets_per_bin_and_loops(tmp_path: Path) -> None:
    file = write(tmp_path / "t.up", "10\n20\n20\n150\n200\n")
    channel = MeasuredTrace(file=file, format="mahimahi", bin=0.1)
    # Bins of 0.1 s: 3 and 2 packets of 12000 bit; the trace lasts 0.2 s.
    times, rates = zip(*first(channel, 4), strict=True)
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rates == pytest.approx([360e3, 240e3, 360e3, 240e3])
    assert channel.mean_bit_per_s == pytest.approx(300e3)


def test_a_cooked_trace_holds_each_rate_until_the_next_and_starts_at_its_offset(tmp_path: Path) -> None:
    file = write(tmp_path / "t.txt", "5.0 1.0\n7.0 2.0\n8.0 4.0\n")
    assert first(MeasuredTrace(file=file, format="cooked"), 5) == [
        (0.0, 1e6), (2.0, 2e6), (3.0, 4e6), (4.0, 1e6), (6.0, 2e6),
    ]  # fmt: skip
    assert first(MeasuredTrace(file=file, format="cooked", offset=2.5, scale=0.5), 3) == [
        (0.0, 1e6), (0.5, 2e6), (1.5, 0.5e6),
    ]  # fmt: skip
    assert first(MeasuredTrace(file=file, format="cooked", loop=False, offset=99), 9) == [(0.0, 4e6)]


def test_a_csv_trace_reads_named_or_numbered_columns_in_their_units(tmp_path: Path) -> None:
    named = write(tmp_path / "a.csv", "t,down,up\n0,1,10\n500,,20\n1000,3,30\n")
    settings = {"format": "csv", "time_column": "t", "time_unit": "ms", "rate_unit": "kB/s"}
    down = MeasuredTrace(file=named, rate_column="down", **settings)  # type: ignore[arg-type]
    up = MeasuredTrace(file=named, rate_column="up", **settings)  # type: ignore[arg-type]
    assert first(down, 2) == [(0.0, 8e3), (1.0, 24e3)]
    assert first(up, 3) == [(0.0, 8e4), (0.5, 16e4), (1.0, 24e4)]
    bare = write(tmp_path / "b.csv", "1,100\r\n2,200\r\n")
    numbered = MeasuredTrace(file=bare, format="csv", time_column="0", rate_column="1", rate_unit="B/s")
    assert first(numbered, 2) == [(0.0, 800.0), (1.0, 1600.0)]


def test_oboe_sabre_and_pantheon_traces(tmp_path: Path) -> None:
    oboe = write(tmp_path / "o", "1000 8\n2000 8\n3000 16\n")
    assert first(MeasuredTrace(file=oboe, format="oboe"), 3) == [(0.0, 8e3), (1.0, 8e3), (2.0, 16e3)]
    sabre = write(
        tmp_path / "s", json.dumps([{"duration_ms": 500, "bandwidth_kbps": 8, "latency_ms": 1}] * 2)
    )
    assert first(MeasuredTrace(file=sabre, format="sabre"), 2) == [(0.0, 8e3), (0.5, 8e3)]
    pantheon = write(tmp_path / "p", json.dumps({"timestamps": [0, 0.5], "bandwidths": [0.1, 7]}))
    assert first(MeasuredTrace(file=pantheon, format="pantheon"), 2) == [(0.0, 1e5), (0.5, 7e6)]


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("1.0 nonsense\n", "cooked", "is not a cooked trace"),
        ("2 1\n1 1\n", "cooked", "times must not fall"),
        ("0 -1\n", "cooked", "the rate is -1e.06 bit/s; it must be 0, or"),
        ("", "cooked", "it is empty"),
        ("0\n0\n", "mahimahi", "no delivery opportunity"),
        ("a,b\n1,2\n", "csv", "no column 'time_s' in its first line"),
        ("[]", "pantheon", "is not a pantheon trace"),
    ],
)
def test_a_file_that_is_no_such_trace_says_why(tmp_path: Path, text: str, form: str, words: str) -> None:
    channel = MeasuredTrace(file=write(tmp_path / "bad", text), format=form)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=words):
        channel.steps(np.random.default_rng(0)).__next__()


def test_a_missing_trace_says_where_it_was_looked_for() -> None:
    with pytest.raises(NetworkError, match=r"'nowhere/x' not found; looked at nowhere/x and .*GAPSLSIM_DATA"):
        _ = MeasuredTrace(file="nowhere/x", format="cooked").trace


def star_with(uplink: Channel, env: simpy.Environment, seed: int = 1) -> Any:
    fleet = Fleet((AccessLink("client-0", uplink, Constant(rate=1e6)),))
    return Star().build(env, fleet, seed=seed)


def test_a_transfer_goes_on_at_the_new_rate_stalls_at_zero_and_resumes() -> None:
    env = simpy.Environment()
    # 1 Mbit in 1 s, nothing for 2 s, then 2 Mbit/s: 3 Mbit end at 1 + 2 + 1 = 4 s.
    network = star_with(MeasuredSteps([(0.0, 1e6), (1.0, 0.0), (3.0, 2e6)]), env)
    transfer = network.send("client-0", "server", 3e6 / 8)
    env.run()
    assert transfer.finished_s == pytest.approx(4.0, rel=1e-12)


def test_an_idle_link_skips_ahead_and_an_endless_channel_does_not_keep_the_clock_running() -> None:
    env = simpy.Environment()
    endless = GilbertElliott(good=1e6, bad=1e6, mean_good=0.1, mean_bad=0.1)
    network = star_with(endless, env)
    network.send("client-0", "server", 1e6 / 8)
    env.run()
    assert env.now == pytest.approx(1.0)
    env.run(until=100)
    transfer = network.send("client-0", "server", 1e6 / 8)
    env.run()
    assert transfer.finished_s == pytest.approx(101.0)


def test_two_transfers_share_a_channel_that_changes_under_them() -> None:
    env = simpy.Environment()
    network = star_with(MeasuredSteps([(0.0, 4e6), (1.0, 2e6)]), env)
    # 2 Mbit each in the first second, then 1 Mbit/s each: 3 Mbit end at 2 s.
    transfers = [network.send("client-0", "server", 3e6 / 8) for _ in range(2)]
    env.run()
    assert [transfer.finished_s for transfer in transfers] == [pytest.approx(2.0)] * 2


def test_each_link_draws_from_the_stream_of_its_own_name() -> None:
    fast = Lognormal(mean=1e7, sigma=1.0, correlation_time=1, step=0.1)

    def end(seed: int, downlink: Channel) -> float | None:
        env = simpy.Environment()
        fleet = Fleet((AccessLink("client-0", fast, downlink),))
        network = Star().build(env, fleet, seed=seed)
        network.send("server", "client-0", 1e6)
        transfer = network.send("client-0", "server", 1e6)
        env.run()
        return transfer.finished_s

    assert end(1, Constant(rate=1e6)) == end(1, fast)
    assert end(1, fast) != end(2, fast)


@pytest.mark.data
def test_every_kind_of_public_trace_is_read_with_the_mean_of_the_index(public_data: Path) -> None:
    import csv

    folder = public_data / "network"
    forms = {
        "mahimahi": "mahimahi",
        "cooked": "cooked",
        "oboe": "oboe",
        "sabre_json": "sabre",
        "pantheon_json": "pantheon",
    }
    checked = set()
    with (folder / "INDEX.csv").open() as file:
        for row in csv.DictReader(file):
            form = forms.get(row["file"].split("/")[0])
            kind = row["file"].rsplit("/", 1)[0]
            if form is None or kind in checked or not row["mean_mbit_s"]:
                continue
            checked.add(kind)
            channel = MeasuredTrace(file=str(folder / row["file"]), format=form)  # type: ignore[arg-type]
            tolerance = 0.15 if form == "pantheon" else 0.02  # the index skips two entries there
            assert channel.mean_bit_per_s / 1e6 == pytest.approx(float(row["mean_mbit_s"]), rel=tolerance), (
                row["file"]
            )
    assert len(checked) >= 10
