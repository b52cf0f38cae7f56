"""What a dry run knows of public images without their files."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gapslsim.data.datasets.cifar10 import Cifar10
from gapslsim.data.division import divide, load_sound
from gapslsim.errors import DataError
from tests.unit.data.datasets.test_cifar import BATCHES, torchvision_cifar10


@pytest.mark.parametrize("partition", ["iid", "dirichlet", "shards", "quantity"])
@pytest.mark.parametrize("n_train", [None, 20])
def test_an_outline_without_files_gives_every_client_as_many_samples(
    partition: str, n_train: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = replace(Cifar10.image_kind, n_classes=2, n_samples=(30, 4))
    monkeypatch.setattr(Cifar10, "image_kind", kind)
    settings = {"iid": {}, "shards": {}}.get(partition, {"min_size": 1, "alpha": 1.0})
    dataset = Cifar10(n_train=n_train, partition={"kind": partition, **settings})
    torchvision_cifar10(tmp_path / "cifar10")
    random = np.random.default_rng(5)
    # As published: every class equally often, in any order.
    for name in [*BATCHES, "test_batch"]:
        path = tmp_path / "cifar10" / "cifar-10-batches-py" / name
        content = pickle.loads(path.read_bytes())
        content[b"labels"] = random.permutation(np.arange(len(content[b"labels"])) % 2).tolist()
        path.write_bytes(pickle.dumps(content, protocol=2))
    sizes = []
    for folder in (tmp_path / "nowhere", tmp_path):
        data, shares = divide(dataset, load_sound(dataset, folder, 1, dry=True), 3, 1)
        sizes.append([len(share) for share in shares])
        assert (data.input_shape, data.n_classes, len(data.test)) == ((3, 32, 32), 2, 4)
    assert sizes[0] == sizes[1]
    with pytest.raises(DataError, match="is missing"):
        _ = load_sound(dataset, tmp_path / "nowhere", 1, dry=True).train.inputs
    with pytest.raises(DataError, match="is missing"):
        load_sound(dataset, tmp_path / "nowhere", 1)
    with pytest.raises(DataError, match=r"n_train = 31 is more than the 30 train samples"):
        Cifar10(n_train=31).outline(tmp_path / "nowhere", 1)
