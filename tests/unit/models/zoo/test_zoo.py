"""What each model is made of, and what it says of inputs that do not fit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gapslsim.models.model import models
from gapslsim.models.split import whole


def shapes(network: nn.Sequential, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    x, found = torch.zeros(2, *input_shape), {}
    for name, block in network.named_children():
        x = block(x)
        found[name] = tuple(x.shape[1:])
    return found


def test_settings_are_read_without_torch() -> None:
    code = (
        "import sys; from gapslsim.models.model import models; "
        "assert [models[k](cut=1) for k in models]; "
        "assert models['cnn'](cut=2).cut_index((1, 8, 8), 10) == 2; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_mlp_flattens_and_counts_hidden_layers() -> None:
    model = models["mlp"](hidden=(7, 5), cut=2)
    assert shapes(whole(model, (1, 2, 3), 4, 0), (1, 2, 3)) == {
        "hidden1": (7,),
        "hidden2": (5,),
        "head": (4,),
    }
    assert model.cut_index((1, 2, 3), 4) == 2


def test_cnn_stops_pooling_at_maps_of_two_by_two() -> None:
    network = whole(models["cnn"](), (1, 8, 8), 10, 0)
    assert shapes(network, (1, 8, 8)) == {
        "conv1": (16, 4, 4),
        "conv2": (32, 2, 2),
        "conv3": (64, 2, 2),
        "fc1": (10,),
    }
    network = whole(models["cnn"](classifier=(20,)), (3, 32, 32), 10, 0)
    assert shapes(network, (3, 32, 32))["conv3"] == (64, 4, 4)
    assert shapes(network, (3, 32, 32))["fc1"] == (20,)


def test_vgg16_has_13_convolutions_and_3_fully_connected_layers() -> None:
    network = whole(models["vgg16"](width=0.125), (3, 32, 32), 10, 0)
    found = shapes(network, (3, 32, 32))
    assert list(found) == [f"conv{i}" for i in range(1, 14)] + ["fc1", "fc2", "fc3"]
    assert found["conv2"] == (8, 16, 16)
    assert found["conv4"] == (16, 8, 8)
    assert found["conv13"] == (64, 1, 1)
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 13
    assert sum(isinstance(m, nn.Linear) for m in network.modules()) == 3
    assert not any(isinstance(m, nn.Dropout) for m in network.modules())


def test_vgg16_pools_after_or_before_the_cut_with_the_same_weights() -> None:
    early, late = (models["vgg16"](width=0.125, pool_with=side) for side in ("previous", "next"))
    one, other = whole(early, (3, 32, 32), 10, 0), whole(late, (3, 32, 32), 10, 0)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one(x), other(x))
    assert shapes(other, (3, 32, 32))["conv4"] == (16, 16, 16)


def test_vgg16_without_norm_keeps_its_signal() -> None:
    # 13 convolutions with PyTorch's default weights shrink a unit signal by orders of magnitude; He's keep it.
    network = whole(models["vgg16"](width=0.25), (3, 32, 32), 10, 0)
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.1 < network[:13](x).std() < 10


def test_vit_base_has_197_tokens_and_the_head_reads_the_class_token() -> None:
    model = models["vit"](dim=12, heads=3, depth=2, patch=16, cut=1)
    network = whole(model, (3, 224, 224), 5, 0)
    found = shapes(network, (3, 224, 224))
    assert found == {"embed": (197, 12), "encoder1": (197, 12), "encoder2": (197, 12), "head": (5,)}
    assert model.cut_index((3, 224, 224), 5) == 2
    tokens = torch.randn(2, 197, 12, generator=torch.Generator().manual_seed(0))
    changed = torch.cat((tokens[:, :1], tokens[:, 1:] + 1), dim=1)
    assert torch.equal(network.head(tokens), network.head(changed))


def test_attention_is_softmax_of_scaled_products_per_head() -> None:
    from gapslsim.models.layers import SelfAttention

    qkv = torch.randn(2, 5, 18, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q, k, v = qkv.split(6, dim=2)
    expected = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = q[..., head] @ k[..., head].transpose(1, 2) / 3**0.5
        expected.append(scores.softmax(dim=2) @ v[..., head])
    torch.testing.assert_close(SelfAttention(2)(qkv), torch.cat(expected, dim=2), rtol=0, atol=1e-12)


def test_dropout_is_a_setting() -> None:
    network = whole(models["vgg16"](width=0.1, dropout=0.5), (3, 32, 32), 10, 0)
    assert sum(isinstance(m, nn.Dropout) for m in network.modules()) == 2
    vit = models["vit"](dim=4, heads=1, depth=2, patch=4, dropout=0.1, cut=1)
    assert sum(isinstance(m, nn.Dropout) for m in whole(vit, (1, 8, 8), 3, 0).modules()) == 2


def test_no_layer_works_in_place() -> None:
    for kind in models:
        shape = (3, 32, 32) if models[kind].input_dtype == "float32" else (8,)
        network = whole(models[kind](), shape, 10, 0) if kind != "vit" else whole(_tiny_vit(), shape, 10, 0)
        assert not any(getattr(module, "inplace", False) for module in network.modules())


def _tiny_vit() -> object:
    return models["vit"](dim=4, heads=1, depth=1, cut=1)


@pytest.mark.parametrize(
    ("kind", "settings", "input_shape", "words"),
    [
        ("cnn", {}, (64,), r"cnn needs images .* found inputs of shape \(64,\); use model kind 'mlp'"),
        ("vgg16", {}, (1, 8, 8), r"at least 32x32 pixels, found 8x8; set `resize: 32`"),
        ("vgg16", {"resize": 16}, (3, 32, 32), r"at least 32x32 pixels, found resize: 16"),
        (
            "vit",
            {},
            (1, 8, 8),
            r"patch must divide .* patch 16 and an image of 8x8; change `patch`, or set `resize`",
        ),
        ("vit", {"resize": 30}, (3, 32, 32), r"patch 16 and an image of 30x30"),
        ("mlp", {}, (0, 3), r"at least one element, found shape \(0, 3\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_fix(
    kind: str, settings: dict[str, int], input_shape: tuple[int, ...], words: str
) -> None:
    model = models[kind](**settings)
    with pytest.raises(ValueError, match=words):
        model.cut_index(input_shape, 10)
    with pytest.raises(ValueError, match=words):
        model.blocks(input_shape, 10)


@pytest.mark.parametrize("kind", list(models))
def test_no_classes_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="n_classes must be 1 or more"):
        models[kind]().cut_index((3, 32, 32), 0)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("vit", {"dim": 10, "heads": 3}, "heads must divide dim, found heads 3 and dim 10"),
        ("vit", {"dim": 100}, "heads must divide dim, found heads 12 and dim 100"),
        ("mlp", {"hidden": ()}, "at least 1 item"),
        ("cnn", {"channels": ()}, "at least 1 item"),
        ("cnn", {"kernel": 2}, "1, 3, 5 or 7"),
        ("vgg16", {"width": 0.0}, "greater than 0"),
        ("vgg16", {"dropout": 1.0}, "less than 1"),
        ("vgg16", {"norm": "layer"}, "'none', 'batch' or 'group'"),
    ],
)
def test_settings_out_of_range_are_refused(kind: str, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        models[kind](**settings)


def test_vit_computes_what_torchvisions_does() -> None:
    from torchvision.models import VisionTransformer

    reference = VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=48, num_classes=5
    ).double()
    model = models["vit"](dim=12, heads=3, depth=2, patch=4, cut=1)
    network = whole(model, (3, 8, 8), 5, 0).double()
    class_token, weight, bias, positions, *others = network_parameters(reference)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for mine, theirs in zip(
            network.parameters(), [weight, bias, class_token, positions, *others], strict=True
        ):
            theirs.copy_(mine.normal_(0, 0.3, generator=generator))
    x = torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(network(x), reference(x), rtol=0, atol=1e-12)


def network_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Parameters of torchvision's ViT in the order in which the forward pass meets them, but for the first four."""
    found = dict(network.named_parameters())
    first = ["class_token", "conv_proj.weight", "conv_proj.bias", "encoder.pos_embedding"]
    return [found.pop(name) for name in first] + list(found.values())


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_vgg16s_convolutions_compute_what_torchvisions_do(norm: str) -> None:
    from torchvision.models import vgg

    network = whole(models["vgg16"](norm=norm), (3, 32, 32), 10, 0)[:13].double()
    reference = vgg.make_layers(vgg.cfgs["D"], batch_norm=norm == "batch").double()
    with torch.no_grad():
        for mine, theirs in zip(network.parameters(), reference.parameters(), strict=True):
            theirs.copy_(mine)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(network(x), reference(x))
