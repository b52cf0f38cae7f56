"""Weights of torchvision's networks come from files, whole, and in either format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from gapslsim.models.model import models
from gapslsim.models.split import whole


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("n_classes", [1000, 7])
def test_weights_of_a_file_are_those_of_the_network(suffix: str, n_classes: int, tmp_path: Path) -> None:
    torch.manual_seed(3)
    source = squeezenet1_1().eval()
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(source.state_dict(), file)
    else:
        save_file(source.state_dict(), file)
    model = models["torchvision"](arch="squeezenet1_1", weights=str(file))
    network = whole(model, (3, 64, 64), n_classes, seed=1).eval()
    given = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        outputs = network(given)
        assert outputs.shape == (2, n_classes)
        assert torch.equal(outputs, source(given)) == (n_classes == 1000)  # another last layer is drawn anew
    found = {tuple(p.shape): p for p in network.parameters()}
    first = source.features[0].weight
    assert torch.equal(found[tuple(first.shape)], first)


@pytest.mark.parametrize("text", [b"", b"no weights", b"\x80\x04K\x01."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_holds_none_is_refused_in_words(suffix: str, text: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(text)
    model = models["torchvision"](arch="squeezenet1_1", weights=str(file))
    with pytest.raises(ValueError, match=f"weights{suffix}"):
        whole(model, (3, 64, 64), 10, seed=1)
