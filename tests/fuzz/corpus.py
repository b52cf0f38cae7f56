"""Sound files of every kind that gapslsim reads: shipped ones, and small ones made by helpers of the tests."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pickle
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any, Final

import networkx as nx
import numpy as np
import pandas as pd
import yaml

from tests.own_files import own_files
from tests.study_files import STUDY, write_study
from tests.unit.calibration.test_table import GOOD, LINK, written
from tests.unit.data.malformed import BASES
from tests.unit.importing.published import FILES
from tests.unit.network.test_graph_files import GML, SNDLIB, ZOO
from tests.unit.network.test_reference_cases import case
from tests.unit.scenario.test_own_components import PARTITION

__all__ = ["COMPONENT", "build"]

ROOT: Final = Path(__file__).resolve().parents[2]
COMPONENT: Final = PARTITION
_SMALL: Final = {
    "name": "small",
    "seed": 1,
    "data": {"kind": "synthetic", "n_train": 60, "n_test": 20},
    "model": {"kind": "mlp", "hidden": [8], "cut": 1},
    "framework": "psl",
    "training": {"batch_size": 5, "client": {"optimizer": "sgd", "lr": 0.1}},
    "server": {"device": "jetson-orin-nx"},
    "clients": [{"count": 3, "device": "jetson-nano", "link": "wifi"}],
    "network": "star",
    "stop": {"rounds": 3},
}


def scenario(file: Path, **sections: Any) -> None:
    """A small scenario with some sections of its own."""
    file.write_text(yaml.safe_dump(_SMALL | sections, sort_keys=False))


def build(folder: Path) -> None:
    """Writes the inputs of every reader, a folder each; in a process of its own, so that forks find torch unused."""
    child = os.fork()
    if not child:
        code = 1
        try:
            for make in (_settings, _network, _data, _tables, _made):
                make(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the corpus could not be made")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _settings(folder: Path) -> None:
    shipped, shown = ROOT / "scenarios", _folder(folder / "scenario")
    for file in [
        shipped / "quickstart.yaml",
        *(f for d in ("frameworks", "models", "network") for f in sorted((shipped / d).glob("*.yaml"))),
    ]:
        (shown / file.name).write_text(file.read_text().replace("../quickstart.yaml", "quickstart.yaml"))
    studies = _folder(folder / "study")
    shutil.copy(shipped / "quickstart.yaml", studies)
    for name in ("quickstart", "retiming", "which_cut", "which_first"):
        text = (
            (shipped / "studies" / f"{name}.yaml")
            .read_text()
            .replace("../quickstart.yaml", "quickstart.yaml")
        )
        (studies / f"study_{name}.yaml").write_text(text)
    scenario(studies / "base.yaml")
    (studies / "study_tiny.yaml").write_text(STUDY)
    profiles = _folder(folder / "profile")
    for name in ("jetson-orin-nx", "edge-gpu-a2", "phone-nexus-6", "raspberry-pi-4b"):
        shutil.copy(ROOT / "hardware_profiles" / f"{name}.yaml", profiles)
        scenario(
            profiles / f"use_{name}.yaml", clients=[{"count": 2, "device": f"./{name}.yaml", "link": "wifi"}]
        )
    own = _folder(folder / "component")
    (own / "mine.py").write_text(COMPONENT)
    scenario(
        own / "use.yaml",
        components=["mine.py"],
        data=_SMALL["data"] | {"partition": {"kind": "half_to_the_first"}},
    )


_RATES = "1 1\n2 3\n4 0.5\n"
_TRACES: Final[dict[str, tuple[str, str]]] = {
    "mahimahi": ("down.mahi", "0\n1\n1\n5\n12\n30\n"),
    "cooked": ("rates.txt", _RATES),
    "oboe": ("oboe.txt", "0 1000\n500 2000\n1500 300\n"),
    "sabre": ("sabre.json", json.dumps([{"duration_ms": 500, "bandwidth_kbps": 900, "latency_ms": 5}] * 3)),
    "pantheon": ("pantheon.json", json.dumps({"timestamps": [0, 1, 2.5], "bandwidths": [3, 1.5, 2]})),
    "csv": ("rates.csv", "time_s,rate_mbit_s,run\n0,5,1\n1,7,1\n2,3,1\n"),
}


def _network(folder: Path) -> None:
    traces = _folder(folder / "trace")
    for form, (name, text) in _TRACES.items():
        (traces / name).write_text(text)
        settings = {"rate_column": "rate_mbit_s", "rate_unit": "Mbit/s"} if form == "csv" else {}
        link = {
            "uplink": {"kind": "trace", "file": name, "format": form} | settings,
            "downlink": "5 Mbit/s",
            "latency": "1 ms",
        }
        scenario(traces / f"use_{name}.yaml", clients=[{"count": 2, "device": "jetson-nano", "link": link}])
    (traces / "delays.csv").write_text("time_s,latency_ms\n0,5\n1,7\n2,3\n")
    late = {"uplink": "5 Mbit/s", "downlink": "5 Mbit/s", "latency": {"kind": "trace", "file": "delays.csv"}}
    scenario(traces / "use_delays.csv.yaml", clients=[{"count": 2, "device": "jetson-nano", "link": late}])
    presence = _folder(folder / "presence")
    stays = {
        "a": {"active": [0, 20], "inactive": [10, 30], "finish_time": 40},
        "b": {"active": [5], "inactive": [35], "finish_time": 40},
    }
    events = {0: "battery_charged_on", 5: "screen_off", 6: "wifi", 59: "screen_on"}
    lines = "\n".join(f"2020-01-01 00:00:{second:02d}\t{event}" for second, event in events.items())
    texts = {
        "intervals": ("stays.csv", b"user,start_s,end_s\na,0,20\nb,5,30\n"),
        "flash": ("flash.json", json.dumps({"u": {"messages": lines}}).encode()),
        "fedscale": ("behave.json", json.dumps(stays).encode()),
    }
    files = [
        *((form, *item) for form, item in texts.items()),
        ("fedscale", "behave.pickle", pickle.dumps(stays)),
    ]
    files.append(("intervals", "stays.csv.gz", gzip.compress(texts["intervals"][1], mtime=0)))
    for form, name, content in files:
        (presence / name).write_bytes(content)
        there = {"kind": "trace", "file": name, "format": form}
        scenario(
            presence / f"use_{name}.yaml",
            clients=[{"count": 2, "device": "jetson-nano", "link": "wifi", "availability": there}],
        )
    _graphs(_folder(folder / "graph"))
    cases = _folder(folder / "reference_case")
    (cases / "cases.json").write_text(
        json.dumps({"schema_version": 1, "family": "x", "cases": [case(), case(id="x-1")]})
    )


def _graphs(folder: Path) -> None:
    drawn = nx.Graph()
    drawn.add_edge("server", "a", rate="5 Mbit/s", latency="7 ms", name="cable")
    drawn.add_edge("a", "b", rate="9 Mbit/s", latency="1 ms", name="fibre")
    nx.write_graphml(drawn, folder / "own.graphml")
    (folder / "links.json").write_text(json.dumps(nx.node_link_data(drawn, edges="edges")))
    (folder / "adjacent.json").write_text(json.dumps(nx.adjacency_data(drawn)))
    own = [
        {"between": ["server", "a"], "rate": "5 Mbit/s", "latency": "7 ms"},
        {"between": ["a", "b"], "rate": "2 Mbit/s", "duplex": "half"},
    ]
    (folder / "own.yaml").write_text(yaml.safe_dump({"links": own}))
    mn = {
        "hosts": [{"number": "1", "opts": {"hostname": "server"}, "x": "1", "y": "2"}],
        "switches": [],
        "links": [{"src": "server", "dest": "a", "opts": {"bw": 10, "delay": "5ms"}}],
        "version": "2",
    }
    texts = {
        "zoo.graphml": ZOO,
        "net.xml": SNDLIB,
        "net.gml": GML,
        "mine.mn": json.dumps(mn),
        "topology.yml": "nodes: [server, a, b]\nlinks:\n- server-a\n- {a: {}, b: , bandwidth: 1000}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    plain: dict[str, Any] = {"gateways": ["a"]}
    told = {name: plain for name in ("own.graphml", "links.json", "adjacent.json", "own.yaml")} | {
        "zoo.graphml": {
            "attributes": {"LinkSpeedRaw": "rate in bit/s", "Link*": "ignore"},
            "names": "label",
            "coordinates": {},
            "default_rate": "10 Mbit/s",
            "server": "Null Island",
            "gateways": ["North"],
        },
        "net.xml": {
            "attributes": {"preInstalledModule.capacity": "rate in Mbit/s", "*": "ignore"},
            "coordinates": {"x": "x", "y": "y"},
            "server": "A",
            "gateways": ["B"],
        },
        "net.gml": {
            "attributes": {"LinkLabel": "rate", "LinkSpeedRaw": "ignore"},
            "names": "label",
            "server": "Osaka",
            "gateways": ["Nagoya"],
        },
        "mine.mn": {"attributes": {"opts.bw": "rate in Mbit/s", "opts.delay": "latency"}, "gateways": ["a"]},
        "topology.yml": {"attributes": {"bandwidth": "rate in kbps"}, "gateways": ["b"]},
    }
    for name, settings in told.items():
        scenario(folder / f"use_{name}.yaml", network={"kind": "graph", "file": name} | settings)


def _data(folder: Path) -> None:
    own = own_files(folder / "data")
    arrays = dict(
        zip(
            ("x_train", "y_train"),
            (pd.read_csv(own / "rows.csv")[["height"]].to_numpy(), [0, 1, 2] * 8),
            strict=True,
        )
    )
    np.savez(own / "t.npz", **arrays, x_test=arrays["x_train"][:6], y_test=arrays["y_train"][:6])
    (own / "rows.csv.gz").write_bytes(gzip.compress((own / "rows.csv").read_bytes(), mtime=0))
    pd.read_csv(own / "rows.csv").to_parquet(own / "rows.parquet")
    few = {
        "model": {"kind": "mlp", "hidden": [4], "cut": 1},
        "training": {"batch_size": 2, "client": {"optimizer": "sgd", "lr": 0.05}},
    }
    language = few | {"model": {"kind": "transformer_lm", "dim": 8, "depth": 1, "cut": 1}}
    table = BASES["table"][0]
    named = {kind: settings for kind, (settings, _) in BASES.items()}
    named |= {"gz": table | {"file": "rows.csv.gz"}, "columns": table | {"file": "rows.parquet"}}
    for kind, settings in named.items():
        scenario(own / f"use_{kind}.yaml", data=settings, **(language if kind == "text" else few))
    from tests.unit.data.datasets.test_cifar import torchvision_cifar10

    cifar = _folder(folder / "cifar")
    torchvision_cifar10(cifar)
    scenario(
        cifar / "use_cifar.yaml",
        data={"kind": "cifar10", "root": "../in", "n_train": 20},
        model={"kind": "mlp", "hidden": [4], "cut": 1},
        **{"training": few["training"]},
    )


def _tables(folder: Path) -> None:
    measured = _folder(folder / "measurements")
    rows = [GOOD.replace("1e9", str(k * 1e8)).replace("0.01", str(0.001 * k + 0.002)) for k in range(1, 13)]
    written(measured, *rows, LINK, LINK.replace("0.5", "0.6"))
    pd.read_csv(measured / "t.csv").to_parquet(measured / "t.parquet")
    testbed = _folder(folder / "testbed")
    scenario(testbed / "use.yaml")
    frame = pd.DataFrame(
        {
            "training.batch_size": [5, 5, 10, 10],
            "round_s": [0.05, 0.06, 0.07, 0.08],
            "note": ["x", "y", "x", "y"],
        }
    )
    frame.to_csv(testbed / "t.csv", index=False)
    frame.to_parquet(testbed / "t.parquet")
    logs = _folder(folder / "log")
    for name, text in FILES.items():
        (logs / name).write_text(text)


def _made(folder: Path) -> None:
    """What commands write: runs with their journal, a study, a cache."""
    os.environ["GAPSLSIM_CACHE"] = str(folder / "cache" / "kept")
    place = _folder(folder / "run")
    scenario(place / "base.yaml", framework={"kind": "gapsl", "eta": 0.5}, evaluation={"every": "1 rounds"})
    scenario(_folder(folder / "cache") / "use.yaml")
    for out, changes in (("one", []), ("two", ["--set", "seed=2"])):
        _call(
            "run", str(place / "base.yaml"), "-o", str(place / out), "--checkpoint-every", "1", "-q", *changes
        )
    shutil.copytree(place, folder / "journal")
    studies = _folder(folder / "study_directory")
    from gapslsim.studies.plan import load_study
    from gapslsim.studies.sweep import sweep
    from tests.study_files import InThisProcess

    figure = "figure: {kind: curves, x: time, y: accuracy, series: framework}\n"
    file = write_study(studies)
    file.write_text(
        file.read_text().replace("view: clients}", "view: clients}\n" + figure).replace("[1, 2]", "[1]")
    )
    sweep(load_study(file), studies / "swept", InThisProcess())


def _call(*arguments: str) -> None:
    from gapslsim.cli.main import main

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            main(arguments)
        except SystemExit as ended:
            if ended.code:
                sys.stderr.write(f"{arguments} ended with {ended.code}\n")
                raise
