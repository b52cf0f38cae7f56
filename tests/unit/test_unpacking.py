"""Files that would grow beyond all measure are refused, in words, before they have."""

import bz2
import collections
import gzip
import io
import lzma
import pickle
import resource
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from gapslsim.calibration.table import TableError, load_table
from gapslsim.data._cifar_pickles import CifarPickles
from gapslsim.data._idx import IdxImages
from gapslsim.data._open_image import MOST_PIXELS, opened_image
from gapslsim.data.datasets.npz import Npz
from gapslsim.data.datasets.table import Table
from gapslsim.errors import DataError, NetworkError
from gapslsim.network._graph_files import read_raw
from gapslsim.network._traces import Table as TraceTable
from gapslsim.network._traces import read_trace
from gapslsim.sim._presence_traces import read_presence
from gapslsim.unpacking import VARIABLE, check_parquet, check_zip, most_unpacked, unpacked

ROWS = b"user,start_s,end_s,label\n" + b"1,2,3,4\n" * 10_000
"""80 kB, which pack to some hundred bytes."""
NO_TABLE = TraceTable(("0", "1"), ("s", "bit/s"))


@pytest.fixture
def little(monkeypatch):
    """No more than 50 kB may come of a file."""
    monkeypatch.setenv(VARIABLE, "50 kB")


def test_a_small_file_may_become_128_mib_a_larger_one_a_hundred_times_its_size_and_none_4_gib(monkeypatch):
    assert most_unpacked(1000) == 128 * 2**20
    assert most_unpacked(10**7) == 10**9
    assert most_unpacked(10**9) == 4 * 2**30
    monkeypatch.setenv(VARIABLE, "16 GiB")
    assert most_unpacked(1000) == 16 * 2**30
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(OSError, match=f"{VARIABLE}.*for instance '2 GiB'"):
        most_unpacked(1000)


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("ending", [*PACKED, "zip"])
def test_what_is_packed_is_read_whole_or_refused_while_it_grows(ending, tmp_path, monkeypatch):
    path = tmp_path / f"rows.csv.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("rows.csv", ROWS)
    else:
        path.write_bytes(PACKED[ending](ROWS))
    with unpacked(path) as file:
        assert file.read() == ROWS
    monkeypatch.setenv(VARIABLE, "50 kB")
    with (
        pytest.raises(OSError, match=f"unpacks to more than .*if you trust it, set {VARIABLE}"),
        unpacked(path) as file,
    ):
        file.read()


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-20], lambda packed: packed[:30] + b"#!" + packed[32:]]
)
def test_what_is_packed_and_damaged_is_told_in_words(ending, damage, tmp_path):
    path = tmp_path / f"rows.csv.{ending}"
    path.write_bytes(damage(PACKED[ending](ROWS)))
    with (
        unpacked(path) as file,
        pytest.raises(OSError, match=r"cut short or damaged|Not a gzipped|[Ii]nvalid|CRC"),
    ):
        file.read()
    with pytest.raises(DataError):
        read_presence(path, "intervals")


def test_a_bomb_is_never_held_in_memory(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", 1) as file:
        for _ in range(160):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        with unpacked(path) as file, pytest.raises(OSError, match="more than 128 MiB"):
            collections.deque(iter(lambda: file.read(2**16), b""), maxlen=0)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not bound memory")
def test_a_large_pickle_that_asks_for_more_memory_than_its_size_explains_is_refused(tmp_path):
    path, padding = tmp_path / "bomb.pickle", 17 << 20
    names = struct.pack("<I", 2**31)  # an entry of the unpickler's table: 16 GiB
    text = b"X" + struct.pack("<I", padding) + bytes(padding)
    path.write_bytes(b"\x80\x02}r" + names + b"0" + text + b".")
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(DataError, match="unpacks to more than 1,700 MiB"):
        read_presence(path, "fedscale")
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_users_of_a_pickle_who_share_a_list_too_often_are_refused(tmp_path):
    path, times = tmp_path / "shared.pickle", [float(i) for i in range(10_000)]
    user = {"active": times, "inactive": [time + 0.5 for time in times], "finish_time": 1e4}
    path.write_bytes(pickle.dumps({index: dict(user) for index in range(101)}))
    with pytest.raises(DataError, match="its users share lists"):
        read_presence(path, "fedscale")
    path.write_bytes(pickle.dumps({index: dict(user) for index in range(2)}))
    assert len(read_presence.__wrapped__(path, "fedscale")) == 2


@pytest.mark.usefixtures("little")
def test_tables_of_all_kinds_tell_the_limit(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(ROWS))
    with pytest.raises(DataError, match=VARIABLE):
        Table(file=path, label="label").load(None, 1)
    with pytest.raises(TableError, match=VARIABLE):
        load_table(path)
    with pytest.raises(DataError, match=VARIABLE):
        read_presence(path, "intervals")


@pytest.mark.usefixtures("little")
def test_an_archive_is_weighed_before_it_is_opened(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((1000, 64)), y=np.arange(1000) % 2)
    with pytest.raises(OSError, match=VARIABLE):
        check_zip(path)
    with pytest.raises(DataError, match=VARIABLE):
        Npz(file=path).load(None, 1)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": pa.array(np.zeros(100_000, np.int8)), "label": pa.array(np.zeros(100_000, np.int8))},
        {"a": pa.DictionaryArray.from_arrays(pa.array(np.zeros(500, np.int32)), pa.array(["x" * 10_000]))},
    ],
    ids=["many rows", "one long text for all rows"],
)
@pytest.mark.usefixtures("little")
def test_a_parquet_file_is_weighed_before_its_columns_are_read(columns, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path, store_schema=False)
    assert path.stat().st_size < 20_000
    with pytest.raises(OSError, match=VARIABLE):
        check_parquet(path)
    with pytest.raises(DataError, match=VARIABLE):
        Table(file=path, label="label").load(None, 1)


@pytest.mark.usefixtures("little")
def test_a_parquet_file_of_modest_size_passes(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", "y", "x"]}), path)
    check_parquet(path)


@pytest.mark.usefixtures("little")
def test_a_packed_idx_file_is_held_to_the_limit(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 1)) + struct.pack(">I", 60_000) + bytes(60_000)))
    with pytest.raises(DataError, match=VARIABLE):
        IdxImages({"train-labels-idx1-ubyte": path}).labels("train")


def png(width, height):
    """A picture that says how large it is and holds nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_500, 20_000, 2**31 - 1])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(side):
    with pytest.raises(OSError, match="pixels"):
        opened_image(png(side, side))
    with opened_image(png(9_000, 9_000)) as image:
        assert image.width * image.height < MOST_PIXELS


def test_only_formats_of_pixels_are_opened():
    with pytest.raises(OSError, match="cannot identify"):
        opened_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def shared_lists():
    inner = [1] * 10
    for _ in range(8):
        inner = [inner] * 10
    return pickle.dumps({b"labels": inner, b"data": np.zeros((1, 3072), np.uint8)})


@pytest.mark.parametrize(
    ("content", "says"),
    [(shared_lists(), "no list of numbers"), (b"\x80\x02}r\xff\xff\xff\x7f.", "no field 'labels'")],
    ids=["lists that share their items", "a memo of two thousand million entries"],
)
def test_a_small_pickle_stays_small(content, says, tmp_path):
    (tmp_path / "batch").write_bytes(content)
    files = CifarPickles({"batch": tmp_path / "batch"}, {"train": ["batch"], "test": []}, "labels")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=says):
            files.labels("train")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_stamp_far_away_costs_no_memory_and_stays_right(tmp_path):
    path = tmp_path / "far.trace"
    path.write_text("0\n1\n2\n99999999999\n")
    trace = read_trace(path, "mahimahi", 0.01, NO_TABLE)
    # Packets of 12000 bit: two in the first 10 ms; two, that at 0 among them, in the last 9 ms of 99999999.999 s.
    assert trace.times_s == (0.0, 0.01, 99999999.99)
    assert trace.rates_bit_per_s == pytest.approx((2.4e6, 0.0, 24_000 / 0.009), rel=1e-5)


@pytest.mark.parametrize(
    ("form", "text", "says"),
    [
        ("mahimahi", "0\n99999999999999999999999\n", "ends after 1e[+]10 s"),
        ("cooked", "0 1\n1e300 2\n", "spans 2e[+]300 s; the most is 1e[+]10 s"),
        ("cooked", "0 1\n1_000 2\n", "'1_000', which is no number"),
        ("oboe", "0 1\n1e-300 2\n", "a microsecond or more for each"),
        ("sabre", '[{"duration_ms": 1e308, "bandwidth_kbps": 1}]', "spans 1e[+]305 s"),
        ("sabre", "[" * 100_000, "deeper than 100 levels"),
        ("pantheon", '{"timestamps": [0, 1], "bandwidths": [1, 1e300]}', "0.001 to 1e[+]18 bit/s"),
        ("pantheon", '{"timestamps": [0, 1], "bandwidths": [1, %s]}' % ("9" * 10_000), "at most 64 bits"),
        ("csv", "0,1\n1e99,2\n", "spans 2e[+]99 s"),
    ],
)
def test_traces_without_sense_are_refused(form, text, says, tmp_path):
    path = tmp_path / "a.trace"
    path.write_text(text)
    with pytest.raises(NetworkError, match=says):
        read_trace(path, form, 0.01, NO_TABLE)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.graphml", '<!DOCTYPE l [<!ENTITY a "ha">]><graphml>&a;</graphml>', "declares entities"),
        ("a.xml", '<!doctype l [<!entity a "ha">]><network>&a;</network>', "declares entities"),
        ("a.gml", "graph [ " + "a [ " * 5000 + "]" * 5000 + " ]", "nested too deep"),
        ("a.json", "[" * 100_000, "deeper than 100 levels"),
    ],
)
def test_graphs_that_would_grow_are_refused(name, text, says, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(NetworkError, match=says):
        read_raw(tmp_path / name)


def test_a_side_of_images_has_a_bound():
    from gapslsim.data.datasets.image_folder import ImageFolder

    with pytest.raises(ValidationError, match="less than or equal to 8192"):
        ImageFolder(root=".", size=100_000)


def test_the_stream_is_an_ordinary_one(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    with unpacked(tmp_path / "a.txt") as file:
        assert isinstance(file, io.BufferedReader)
        assert list(file) == [b"one\n", b"two\n"]
