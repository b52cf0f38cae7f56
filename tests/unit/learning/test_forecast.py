"""What a training takes of its memory, said before it begins, against tensors that are counted while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gapslsim import load, simulate
from gapslsim.assembly import learning_setup, memory_forecast
from gapslsim.device_memory import described
from gapslsim.errors import MemoryShortError
from gapslsim.learning import pass_memory
from gapslsim.learning._limits import limits_for
from gapslsim.learning.live_bytes import LiveBytes
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.memory_options import Ways
from gapslsim.learning.pass_memory import PassMemory
from gapslsim.learning.server_pass import server_pass
from gapslsim.scenario.schema import Scenario
from tests.emulated import emulated

TEXT = """
name: memory
seed: 1
data: {{kind: synthetic, input_shape: {shape}, n_classes: 10, n_train: 240, n_test: 60}}
model: {model}
framework: {framework}
training:
  batch_size: 8
  workers: 1
  client: {{optimizer: adam, lr: 0.001}}
  memory: {memory}
server: {{device: jetson-orin-nx}}
clients: [{{count: 6, device: jetson-nano, link: {{uplink: 1 Gbit/s, downlink: 1 Gbit/s, latency: 1 ms}}}}]
network: {{kind: star, backhaul: 1 Gbit/s}}
evaluation: {{every: 1 rounds, batch_size: 32}}
stop: {{rounds: 3}}
"""
MLP = "{kind: mlp, hidden: [300, 300], cut: 1}"
CODEC = "codec={activations: {kind: top_k, error_feedback: true}, gradients: {kind: quantise, error_feedback: true}}"
MODELS = {
    "mlp": (MLP, [64]),
    "mlp, large clients": ("{kind: mlp, hidden: [1000, 20], cut: 1}", [256]),
    "cnn": ("{kind: cnn, channels: [16, 32, 32], cut: 1}", [1, 8, 8]),
    "cnn with statistics": ("{kind: cnn, channels: [16, 32, 32], norm: batch, cut: 1}", [1, 8, 8]),
    "vgg16": ("{kind: vgg16, width: 0.125, cut: 4}", [3, 32, 32]),
    "vit": ("{kind: vit, patch: 4, dim: 48, depth: 3, heads: 3, cut: 1}", [3, 16, 16]),
    "squeezenet": ("{kind: torchvision, arch: squeezenet1_1, cut: 3}", [3, 32, 32]),
}
FRAMEWORKS = [
    "{kind: psl}", "{kind: sfl}", "{kind: sl}", "{kind: fedavg, local_steps: 2}", "{kind: epsl}", "{kind: gapsl}",
    "{kind: non_gda}", "{kind: gapsl, gradient: exact, lambda: 0.1}", "{kind: pipelined_psl}",
    "{kind: async_gapsl}", "{kind: async_sfl}", "{kind: gas}", "{kind: psl, client_update: {kind: frozen}}",
    "{kind: psl, client_update: {kind: frozen, upload: once}}",
    "{kind: parallel, server_update: {kind: torchjd, aggregator: PCGrad}}",
    "{kind: gapsl, participation: {kind: sample, k: 3}}",
    "{kind: psl, server_schedule: joined}", "{kind: psl, server_schedule: sequential}",
    "{kind: psl, server_schedule: copies}", "{kind: splitfed_v1}", "{kind: splitfed_v2}",
    "{kind: splitfed_v3}", "{kind: sglr}", "{kind: cpsl, clusters: 3}",
    "{kind: sfl_replay, client_update: {kind: warmup, rounds: 1, upload: once}}",
    "{kind: psl, server_schedule: {kind: copies, every: 2, optimizer: reset}}", "{kind: cyclesl}",
    "{kind: cyclesl, server_schedule: {kind: pooled, batch_size: 1000}}", "{kind: cse_fsl}",
    "{kind: mergesfl, participation: {kind: sample, k: 3}}", "{kind: scala}",
    "{kind: scala, server_prior: batch, global_batch: 90, local_steps: 2}",
]  # fmt: skip


SHAPES = [
    "{kind: u_shape, tail: 1}", "{kind: tiers, edges: 2, cut: 2}",
    "{kind: chain, helpers: [{device: jetson-nano, cut: 2}]}",
]  # fmt: skip


def scenario(
    folder: Path, framework: str = "{kind: gapsl}", model: str = "mlp", memory: str = "{}"
) -> Scenario:
    file = folder / "memory.yaml"
    settings, shape = MODELS[model]
    file.write_text(TEXT.format(model=settings, shape=shape, framework=framework, memory=memory))
    return load(file)


def measured(of: Scenario) -> tuple[int, str]:
    """Peak of all tensors, and the hash of what was learned."""
    with LiveBytes() as meter:
        results = simulate(of)
    return meter.peak_bytes, results.summary["learning_sha256"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_forecast_is_within_a_quarter_of_what_a_run_of_every_framework_takes(
    framework: str, tmp_path: Path
) -> None:
    run = scenario(tmp_path, framework)
    assert memory_forecast(run).peak_bytes == pytest.approx(measured(run)[0], rel=0.25)


@pytest.mark.parametrize("model", ["mlp", "cnn with statistics"])
@pytest.mark.parametrize("framework", ["{kind: psl}", "{kind: gapsl}"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_forecast_knows_who_owns_which_blocks(
    shape: str, framework: str, model: str, tmp_path: Path
) -> None:
    scenario(tmp_path, framework, model)
    run = load(tmp_path / "memory.yaml", set=[f"shape={shape}"])
    assert memory_forecast(run).peak_bytes == pytest.approx(measured(run)[0], rel=0.25)


@pytest.mark.parametrize(
    ("framework", "shape"),
    [
        ("{kind: mp_sl}", "{kind: u_shape, tail: 1}"),
        ("{kind: splitfed_v1}", "{kind: tiers, edges: 2, cut: 2}"),
        ("{kind: hierarchical_sfl}", "{kind: tiers, edges: 2, cut: 2}"),
    ],
)
def test_the_forecast_knows_copies_of_machines_between(framework: str, shape: str, tmp_path: Path) -> None:
    scenario(tmp_path, "{kind: psl}", "mlp")
    run = load(tmp_path / "memory.yaml", set=[f"framework={framework}", f"shape={shape}"])
    assert memory_forecast(run).peak_bytes == pytest.approx(measured(run)[0], rel=0.25)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("framework", ["{kind: psl}", "{kind: pipelined_psl}"])
def test_the_forecast_knows_what_codecs_leave(framework: str, model: str, tmp_path: Path) -> None:
    plain = scenario(tmp_path, framework, model)
    coded = load(tmp_path / "memory.yaml", set=[CODEC])
    plan, plan_without = memory_forecast(coded), memory_forecast(plain)
    assert plan.peak_bytes == pytest.approx(measured(coded)[0], rel=0.25)
    # A message of each of six clients as it is decoded, and what is lost of it both ways.
    smashed = plan_without.parts["cut gradients"]
    waiting = 2 if "pipelined" in framework else 1
    assert plan.parts["decoded messages"] == waiting * smashed
    assert plan.parts["residuals"] == 2 * smashed
    assert plan.peak_bytes - plan_without.peak_bytes == (2 + waiting) * smashed


@pytest.mark.parametrize("model", MODELS)
def test_the_forecast_is_within_a_quarter_of_what_a_run_of_every_model_takes(
    model: str, tmp_path: Path
) -> None:
    run = scenario(tmp_path, "{kind: gapsl}", model)
    assert memory_forecast(run).peak_bytes == pytest.approx(measured(run)[0], rel=0.25)


@pytest.mark.parametrize(
    ("framework", "model", "cuts"),
    [
        ("{kind: psl}", "mlp", (1, 2)),
        ("{kind: sfl}", "mlp", (2, 1)),
        ("{kind: gapsl, excluded: train}", "mlp", (1, 2)),
        ("{kind: gapsl}", "vit", (1, 3)),
        ("{kind: gapsl}", "vgg16", (2, 9)),
        ("{kind: splitfed_v1}", "cnn with statistics", (1, 2)),
    ],
)
def test_the_forecast_is_within_a_quarter_of_what_clients_that_are_cut_unlike_take(
    framework: str, model: str, cuts: tuple[int, int], tmp_path: Path
) -> None:
    run = scenario(tmp_path, framework, model)
    (group,) = run.clients
    run = replace(run, clients=tuple(replace(group, count=3, cut=cut) for cut in cuts))
    assert memory_forecast(run).peak_bytes == pytest.approx(measured(run)[0], rel=0.25)


class _OnAccelerator(LiveBytes):
    """What lies on the emulated device, and not in the host's memory."""

    def _add(self, tensor: Any) -> None:
        super()._add(tensor.elem)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of the emulated device's, for attention
@pytest.mark.parametrize(
    ("framework", "model", "memory"),
    [
        ("{kind: psl}", "mlp", "{}"),
        ("{kind: gapsl}", "vit", "{gradients: host, passes: remade}"),
    ],
)
def test_the_forecast_is_within_a_quarter_of_what_lies_on_a_gpu_with_its_own_ways_of_joining_passes(
    framework: str, model: str, memory: str, tmp_path: Path
) -> None:
    with emulated():
        run = scenario(tmp_path, framework, model, memory)
        plan = memory_forecast(run)
        with _OnAccelerator(device="cuda") as meter:
            simulate(run)
    assert plan.peak_bytes == pytest.approx(meter.peak_bytes, rel=0.25)
    assert plan.ways.rows_on_host == ("host" in memory)


def test_the_parts_are_those_of_shapes(tmp_path: Path) -> None:
    parts = memory_forecast(scenario(tmp_path)).parts
    # 300 samples of 64 numbers and a label; rows of 300 x 300 + 300 and 300 x 10 + 10 parameters; six batches of
    # eight times 300 numbers at the cut.
    assert parts["data set"] == 300 * (64 * 4 + 8)
    assert parts["gradients of clients"] == 6 * 4 * (300 * 301 + 301 * 10)
    assert parts["cut gradients"] == 6 * 8 * 300 * 4


def test_a_run_that_does_not_fit_makes_its_passes_again_within_the_limit_and_to_the_last_bit(
    tmp_path: Path,
) -> None:
    kept = scenario(tmp_path, "{kind: psl}", "vit", "{passes: kept}")
    whole, learned = measured(kept)
    limit = 0.9 * whole
    small = scenario(tmp_path, "{kind: psl}", "vit", f"{{limit: {limit:.0f} B}}")
    plan = memory_forecast(small)
    assert plan.ways.remakes_passes
    assert plan.peak_bytes < limit < memory_forecast(kept).peak_bytes
    taken, again = measured(small)
    assert taken == pytest.approx(plan.peak_bytes, rel=0.25)
    assert taken < limit
    assert again == learned


def test_graphs_of_exact_gradients_are_made_again_one_at_a_time_with_the_same_bits(tmp_path: Path) -> None:
    exact = "{kind: gapsl, gradient: exact, lambda: 0.1}"
    kept, remade = (scenario(tmp_path, exact, "cnn", f"{{passes: {how}}}") for how in ("kept", "remade"))
    (whole, learned), (taken, again) = measured(kept), measured(remade)
    assert taken < 0.7 * whole
    assert taken == pytest.approx(memory_forecast(remade).peak_bytes, rel=0.25)
    assert again == learned


def test_a_run_that_fits_in_no_way_is_refused_with_what_takes_how_much_and_what_to_change(
    tmp_path: Path,
) -> None:
    run = scenario(tmp_path, memory="{limit: 1 MB}")
    with pytest.raises(
        MemoryShortError,
        match=r"1 MB can be used \(training.memory.limit\).*gradients of clients.*batch_size",
    ):
        simulate(run)


def test_a_loss_that_looks_at_numbers_has_no_forecast_and_runs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def curious(self: CrossEntropy, outputs: Tensor, labels: Tensor, weights: Any) -> Tensor:
        each = functional.cross_entropy(outputs, labels, reduction="none")
        return each if each.mean().item() < 100 else each / 2

    monkeypatch.setattr(CrossEntropy, "each", curious)
    monkeypatch.setattr(CrossEntropy, "mean", lambda self, *given: self.each(*given).mean())
    run = scenario(tmp_path, memory="{limit: 1 kB, passes: remade}")
    plan = memory_forecast(run)
    assert "cannot be forecast" in described(plan)
    assert "meta" in plan.unknown
    assert plan.ways.remakes_passes
    assert simulate(run).summary["status"] == "completed"


def test_what_a_gpu_of_another_size_would_do_is_told_without_it(tmp_path: Path) -> None:
    # ViT-Base of the paper with 40 clients: kept passes alone would take 40 x 1.94 GB.
    model = "{kind: vit, cut: 3, resize: 224}"
    text = TEXT.format(model=model, shape=[3, 32, 32], framework="{kind: gapsl}", memory="{}")
    for old, new in {"count: 6": "count: 40", "batch_size: 8": "batch_size: 64", "240": "5000"}.items():
        text = text.replace(old, new)
    file = tmp_path / "vit.yaml"
    file.write_text(text)
    run = load(file, deep=False)
    assert memory_forecast(run, gpu_bytes=80e9).ways == Ways(remakes_passes=True)
    with pytest.raises(MemoryShortError, match="90% of the GPU"):
        memory_forecast(run, gpu_bytes=20e9)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_joined_pass_of_many_mini_batches_is_measured_with_few_messages_to_the_byte(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, shape = MODELS[model]
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT.format(model=net, shape=shape, framework="{kind: gpsl}", memory="{}"))
    setup, _ = learning_setup(load(file), dry=True)
    n_messages: list[int] = []

    def counted(side: Any, state: Any, smashed: Any, *more: Any, **named: Any) -> Any:
        n_messages.append(len(smashed))
        return server_pass(side, state, smashed, *more, **named)

    monkeypatch.setattr(pass_memory, "server_pass", counted)
    passes = PassMemory(setup, 4, limits_for(torch.device("cpu")))
    for n in (513, 640, 997):
        n_messages.clear()
        found = passes.server(n, keeps_rows=False, second_order=False)
        assert max(n_messages) <= 64
        assert len(n_messages) == 2
        assert found == passes._server_passes(n, 4, False, False)
        assert found.peak > found.left > 0
        assert n_messages[-1] == n
    n_messages.clear()
    assert passes.server(100_000, False, False).left > 100_000 * 4
    assert sum(n_messages) <= 2 * 64
    # The same question again takes no pass.
    n_messages.clear()
    passes.server(100_000, False, False)
    assert not n_messages
    # 521 messages of one sample have no such divisors: the next number that has two.
    alone = PassMemory(setup, 1, limits_for(torch.device("cpu")))
    assert alone.server(521, False, False) == alone._server_passes(522, 1, False, False)
