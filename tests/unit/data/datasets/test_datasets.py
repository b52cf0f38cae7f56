from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from gapslsim.data.dataset import Dataset, datasets
from gapslsim.data.datasets.cifar10 import Cifar10
from gapslsim.data.partitions.dirichlet import Dirichlet
from gapslsim.data.partitions.iid import Iid

ADAPTER: TypeAdapter[Dataset] = TypeAdapter(Annotated[Dataset, datasets])


def test_every_data_set_is_found_and_divided_evenly_by_default() -> None:
    assert set(datasets) == {
        "cifar10", "cifar100", "digits", "fashion_mnist", "image_folder", "leaf", "npz", "parquet_images", "synthetic",
        "table", "text",
    }  # fmt: skip
    for kind in {"cifar10", "cifar100", "digits", "fashion_mnist", "synthetic", "text"}:
        assert ADAPTER.validate_python({"kind": kind}).partition == Iid()


def test_settings_are_read_and_written_back() -> None:
    given = {"kind": "cifar10", "root": "here", "size": 16, "partition": {"kind": "dirichlet", "alpha": 0.3}}
    data = ADAPTER.validate_python(given)
    assert isinstance(data, Cifar10)
    assert data.partition == Dirichlet(alpha=0.3)
    assert ADAPTER.validate_python(ADAPTER.dump_python(data, mode="json")) == data


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "cifar10", "n_trian": 3}, "n_trian"),
        ({"kind": "cifar10", "n_train": 0}, "greater than 0"),
        ({"kind": "cifar11"}, "Did you mean 'cifar10'"),
        ({"kind": "digits", "root": "here"}, "root"),
    ],
)
def test_wrong_settings_of_a_data_set_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(settings)


def test_every_field_has_a_description() -> None:
    for name, definition in ADAPTER.json_schema()["$defs"].items():
        for field, schema in definition["properties"].items():
            known = field in {"kind"} or "description" in schema
            assert known, f"{name}.{field} has no description"


def test_settings_and_partitions_need_neither_torch_nor_the_readers_of_files() -> None:
    code = (
        "import sys; from gapslsim.data.dataset import datasets; from gapslsim.data.partition import partitions;"
        "list(datasets), list(partitions);"
        "heavy = {'torch', 'sklearn', 'pyarrow', 'PIL', 'pandas', 'simpy'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
