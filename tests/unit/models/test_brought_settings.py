"""Networks of torchvision, weights from files, frozen parameters, adapters: what works, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from gapslsim.cli.main import main
from gapslsim.errors import ScenarioError
from gapslsim.models.adapters import own_parameters
from gapslsim.models.cost import split_cost
from gapslsim.models.cut_net import blocks_of
from gapslsim.models.model import Model, models
from gapslsim.models.split import build, whole
from gapslsim.scenario.loading import loads
from tests.unit.models.test_torchvision_costs import Blocks

SHAPE, CLASSES = (3, 32, 32), 4
SCENARIO = """
name: brought
seed: 1
data: {{kind: synthetic, input_shape: [3, 32, 32], n_classes: 4, n_train: {n_train}, n_test: 8, partition: iid}}
model: {model}
framework: psl
network: {{kind: star, backhaul: 200 Mbit/s}}
training: {{batch_size: {batch}, client: {{optimizer: sgd, lr: 0.01}}, server: {{optimizer: sgd, lr: 0.01}}}}
server: {{device: jetson-orin-nx}}
clients: [{{count: 2, device: jetson-nano, link: {{uplink: 40 Mbit/s, downlink: 80 Mbit/s, latency: 4 ms}}}}]
stop: {{rounds: 1}}
"""


def said(model: str, n_train: int = 16, batch: int = 4) -> str:
    """What `validate` says."""
    with pytest.raises(ScenarioError) as error:
        loads(SCENARIO.format(model=model, n_train=n_train, batch=batch), deep=True)
    return str(error.value)


def torchvision_model(**settings: Any) -> Model:
    made: Model = models["torchvision"](**settings)
    return made


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v2", "efficientnet_b0", "regnet_y_400mf"])
def test_networks_with_batch_norm_are_accepted_for_images_of_32_pixels(arch: str) -> None:
    text = SCENARIO.format(model=f"{{kind: torchvision, arch: {arch}}}", n_train=16, batch=4)
    assert loads(text, deep=True).n_clients == 2


@pytest.mark.parametrize("arch", ["resnet18", "vit_b_32", "swin_t", "googlenet", "densenet121"])
def test_blocks_are_the_network_of_torchvision(arch: str) -> None:
    how: dict[str, Any] = {"aux_logits": False, "init_weights": False} if arch == "googlenet" else {}
    net = torchvision.models.get_model(arch, num_classes=CLASSES, **how).eval()
    blocks = blocks_of(net)
    x = torch.randn(1, 3, *((224, 224) if arch.startswith("vit") else (64, 64)))
    with torch.no_grad():
        assert torch.equal(nn.Sequential(*(block for _, block in blocks))(x), net(x))
    assert {name for name, _ in own_parameters(blocks)} == {name for name, _ in net.named_parameters()}


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if x.sum() > 0 else x


class Moody(Branching):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(self.inner(x), training=self.training)


def test_a_forward_pass_that_cannot_be_followed_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"Branching cannot be followed .* list its blocks yourself"):
        blocks_of(Branching())
    with pytest.raises(ValueError, match=r"Moody.forward asks `self.training`; .*nn.Dropout"):
        blocks_of(Moody())


@pytest.mark.parametrize("end", ["pt", "nested"])
def test_weights_come_from_a_file_and_a_head_for_other_classes_is_drawn(tmp_path: Path, end: str) -> None:
    net = torchvision.models.mobilenet_v3_small(num_classes=7)
    file, given = tmp_path / "weights.pt", net.state_dict()
    torch.save({"state_dict": given} if end == "nested" else given, file)
    model = torchvision_model(arch="mobilenet_v3_small", weights=file, cut=2)
    same = dict(own_parameters(list(whole(model, SHAPE, 7, seed=1).named_children())))
    assert all(torch.equal(same[name], given[name]) for name in same)
    other = dict(own_parameters(list(whole(model, SHAPE, CLASSES, seed=1).named_children())))
    assert torch.equal(other["features.0.0.weight"], given["features.0.0.weight"])
    assert other["classifier.3.weight"].shape[0] == CLASSES
    grey = dict(own_parameters(list(whole(model, (1, 32, 32), 7, seed=1).named_children())))
    assert torch.allclose(grey["features.0.0.weight"], given["features.0.0.weight"].sum(1, keepdim=True))


def test_a_small_stem_keeps_32_pixels_until_the_second_convolution() -> None:
    small = split_cost(torchvision_model(stem="small", cut="layer1.0"), SHAPE, CLASSES, 2)
    assert small.smashed_shape == (64, 32, 32)
    usual = split_cost(torchvision_model(cut="layer1.0"), SHAPE, CLASSES, 2)
    assert usual.smashed_shape == (64, 8, 8)
    resized = split_cost(torchvision_model(cut="layer1.0", resize=64), SHAPE, CLASSES, 2)
    assert resized.smashed_shape == (64, 16, 16)


def test_frozen_parameters_are_those_of_the_patterns_and_are_counted() -> None:
    model = torchvision_model(cut="layer1.1", freeze=("conv1", "bn1", "layer1.*"))
    blocks = list(whole(model, SHAPE, CLASSES, seed=1).named_children())
    frozen = {name for name, parameter in own_parameters(blocks) if not parameter.requires_grad}
    assert frozen == {n for n, _ in own_parameters(blocks) if n.startswith(("conv1", "bn1", "layer1."))}
    cost = split_cost(model, SHAPE, CLASSES, 2)
    assert (cost.client.n_trained, cost.client.backward.work_flop) == (0, 0)
    assert cost.server.n_trained == cost.server.n_parameters


def test_adapters_begin_at_the_models_own_outputs_and_alone_are_trained() -> None:
    plain = models["vit"](dim=8, depth=2, heads=2, patch=8, cut=1)
    lora = {"rank": 2, "alpha": 6.0, "targets": "*.attention.qkv", "train": "head.linear"}
    adapted = models["vit"](dim=8, depth=2, heads=2, patch=8, cut=1, lora=lora)
    x = torch.randn(2, *SHAPE)
    net, base = whole(adapted, SHAPE, CLASSES, 1), whole(plain, SHAPE, CLASSES, 1)
    assert torch.equal(net(x), base(x))
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    of_adapters = {f"encoder{i}.attention.qkv.{way}.weight" for i in (1, 2) for way in ("down", "up")}
    assert set(trained) == {*of_adapters, "head.linear.weight", "head.linear.bias"}
    with torch.no_grad():
        up, down = trained["encoder1.attention.qkv.up.weight"], trained["encoder1.attention.qkv.down.weight"]
        up.normal_()
        # By hand: the same network with W + (alpha / rank) B A in place of W.
        base.get_submodule("encoder1.attention.qkv").weight += 3.0 * up @ down
    torch.testing.assert_close(net(x), base(x))
    cost = split_cost(adapted, SHAPE, CLASSES, 2)
    assert cost.client.n_trained == 2 * 8 + 24 * 2  # A and B of the one layer on the client
    assert any(
        layer.name.endswith("qkv.down") and layer.kind == "linear" for layer in cost.client.forward.layers
    )


MALFORMED = {
    "{kind: torchvision, arch: resnet81}": ("model.arch", "unknown network 'resnet81'", "Did you mean"),
    "{kind: torchvision, arch: 18}": ("model.arch", "found 18", ""),
    "{kind: torchvision, cut: 0}": ("model.cut", "greater than 0", ""),
    "{kind: torchvision, cut: 14}": ("model.cut", "from 1 to 13", "change `cut`"),
    "{kind: torchvision, cut: layer9}": ("model.cut", "unknown block 'layer9'", "Did you mean"),
    "{kind: torchvision, cut: fc}": ("model.cut", "unknown block 'fc'", "avgpool"),
    "{kind: torchvision, stem: tiny}": ("model.stem", "imagenet", ""),
    "{kind: torchvision, arch: vit_b_16, resize: 224, stem: small}": ("model.stem", "kind vit", ""),
    "{kind: torchvision, arch: vit_b_16, resize: 33}": ("model.arch", "33x33", "divis"),
    "{kind: torchvision, arch: inception_v3}": ("model", "cannot be run", "resize"),
    "{kind: torchvision, resize: -1}": ("model.resize", "greater than 0", ""),
    "{kind: torchvision, weights: none.pt}": ("model.weights", "no file", "correct the path"),
    "{kind: torchvision, weights: text.pt}": ("model.weights", "cannot be read", "torch.save"),
    "{kind: torchvision, weights: list.pt}": ("model.weights", "no state dict", "net.state_dict()"),
    "{kind: torchvision, weights: other.pt}": ("model.weights", "not of resnet18", "change arch"),
    "{kind: torchvision, stem: small, weights: same.pt}": ("model.weights", "conv1.weight", "stem: imagenet"),
    "{kind: torchvision, freeze: layr1}": ("model.freeze", "matches none", "layer1"),
    "{kind: torchvision, freeze: ''}": ("model.freeze", "at least 1", ""),
    "{kind: torchvision, freeze: '*'}": ("model.freeze", "every parameter", "leave some"),
    "{kind: torchvision, lora: {rank: 4}}": ("model.lora.targets", "missing", ""),
    "{kind: torchvision, lora: {targets: fc, rank: 0}}": ("model.lora.rank", "greater than 0", ""),
    "{kind: torchvision, lora: {targets: fc, alfa: 2}}": ("model.lora.alfa", "unknown key", "alpha"),
    "{kind: torchvision, lora: {targets: bn1}}": ("model.lora.targets", "no linear layer", "conv1"),
    "{kind: torchvision, lora: {targets: fcc}}": ("model.lora.targets", "matches no layer", "fc"),
    "{kind: torchvision, lora: {targets: fc, train: hed}}": ("model.lora.train", "matches none", ""),
    "{kind: torchvision, arch: swin_t, lora: {targets: '*.attn.qkv'}}": ("model", "LowRank", "leave it out"),
    "{kind: transformer_lm}": ("model", "tokens of shape (length,)", "kind text"),
    "{kind: transformer_lm, heads: 3}": ("model.heads", "must divide dim", ""),
    "{kind: mlp, lora: {targets: hidden1.linear}, freeze: '*'}": ("model.freeze", "every parameter", ""),
}


@pytest.mark.parametrize("model", MALFORMED)
def test_settings_that_do_not_fit_are_refused_at_validate_with_line_place_and_fix(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.pt").write_text("no weights")
    torch.save([1, 2], "list.pt")
    torch.save(nn.Linear(2, 2).state_dict(), "other.pt")
    if "same.pt" in model:
        torch.save(torchvision.models.resnet18().state_dict(), "same.pt")
    place, what, fix = MALFORMED[model]
    text = said(model)
    assert f":5: {place}: " in text
    assert what in text
    assert fix in text


def test_batches_that_batch_norm_cannot_be_trained_on_are_refused_at_validate() -> None:
    model = "{kind: torchvision}"
    assert "Batch norm needs 2 samples or more" in said(model, batch=1)


class Two(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x, x


class One(nn.Module):
    def forward(self, x: Any) -> Tensor:
        out: Tensor = x[0].flatten(1)
        return out


def test_a_tuple_at_the_cut_is_told_with_the_cuts_that_work() -> None:
    model = Blocks(nn.Identity, Two, One)
    model.cut = 2
    with pytest.raises(ValueError, match=r"cut 2 lies after block 'block1', which gives a tuple of 2"):
        split_cost(model, (4,), 4, 2)


def test_whole_numbers_at_the_cut_and_shared_weights_across_it_are_refused() -> None:
    tokens = Blocks(nn.Identity, lambda: nn.Embedding(4, 4), nn.Flatten)
    with pytest.raises(ValueError, match=r"gives whole numbers .* cut after the embedding"):
        split_cost(tokens, (3,), 12, 2, "int64")
    with pytest.raises(ValueError, match=r"nn.Embedding takes tokens: give LoadedData input_dtype='int64'"):
        split_cost(tokens, (3,), 12, 2)
    shared = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="cut parts blocks that share a parameter"):
        build(Blocks(lambda: shared, lambda: shared), (4,), 4, 1)


def test_the_cuts_of_a_network_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as left:
        main(["show", "model", "resnet18"])
    assert not left.value.code
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "layer2_1" in line]
    cost = split_cost(torchvision_model(cut=8), SHAPE, 10, 2)
    # 128 channels of 4 x 4 float32.
    wanted = [
        "128x4x4",
        "8,192",
        f"{cost.client.n_parameters:,}",
        f"{cost.server.forward.work_flop / 2e6:.2f}",
    ]
    assert [text for text in wanted if text not in row] == []
