"""Small files in the layouts of the tools, of our own making."""

from __future__ import annotations

import json

__all__ = ["FILES"]


def _interval(start: float, rate: float, omitted: bool = False) -> dict[str, object]:
    part = {"start": start, "end": start + 1, "seconds": 1.0, "bytes": int(rate / 8), "bits_per_second": rate}
    return {"streams": [{"socket": 5, **part}], "sum": {**part, "omitted": omitted, "sender": True}}


IPERF3 = json.dumps(
    {
        "start": {"version": "iperf 3.9", "test_start": {"protocol": "TCP", "num_streams": 1, "reverse": 0}},
        "intervals": [_interval(0, 1e6, omitted=True), _interval(1.0, 40e6), _interval(2.0, 35.5e6)],
        "end": {"sum_sent": {"bits_per_second": 37.75e6}},
    }
)
PING = """PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.
64 bytes from 10.0.0.2: icmp_seq=1 ttl=57 time=12.0 ms
64 bytes from 10.0.0.2: icmp_seq=2 ttl=57 time=14.5 ms
no answer yet for icmp_seq=3
64 bytes from 10.0.0.2: icmp_seq=4 ttl=57 time=18.0 ms

--- 10.0.0.2 ping statistics ---
4 packets transmitted, 3 received, 25% packet loss, time 3004ms
rtt min/avg/max/mdev = 12.0/14.8/18.0/2.5 ms
"""


def _trip(number: int, sent_ns: int, rtt_ns: int, lost: str = "false") -> dict[str, object]:
    if lost != "false":
        return {
            "seqno": number,
            "lost": lost,
            "timestamps": {"client": {"send": {"wall": sent_ns}}},
            "delay": {},
        }
    stamps = {"client": {"receive": {"wall": sent_ns + rtt_ns}, "send": {"wall": sent_ns, "monotonic": 5}}}
    delay = {"receive": rtt_ns // 4, "rtt": rtt_ns, "send": rtt_ns - rtt_ns // 4}
    return {"seqno": number, "lost": lost, "timestamps": stamps, "delay": delay, "ipdv": {}}


IRTT = json.dumps(
    {
        "version": {"irtt": "0.9.0", "protocol": 1, "json_format": 1},
        "config": {"interval": 20_000_000},
        "stats": {"packets_sent": 3, "packets_received": 2},
        "round_trips": [
            _trip(0, 1_700_000_000_000_000_000, 20_000_000),
            _trip(1, 1_700_000_000_020_000_000, 0, "true_down"),
            _trip(2, 1_700_000_000_040_000_000, 24_000_000),
        ],
    }
)
TEGRASTATS = """\
11-26-2026 10:00:00 RAM 1021/3964MB (lfb 2x4MB) SWAP 0/1982MB (cached 0MB) CPU [4%@102,1%@102,off,off] EMC_FREQ 0% \
GR3D_FREQ 0% PLL@30C CPU@32C POM_5V_IN 1200/1200 POM_5V_GPU 0/0 POM_5V_CPU 160/160
11-26-2026 10:00:01 RAM 1500/3964MB (lfb 2x4MB) SWAP 0/1982MB (cached 0MB) CPU [30%@1479,20%@1479,off,off] EMC_FREQ 0% \
GR3D_FREQ 30% PLL@31C CPU@33C POM_5V_IN 2900/1500 POM_5V_GPU 900/300 POM_5V_CPU 700/300
11-26-2026 10:00:02 RAM 1700/3964MB (lfb 2x4MB) SWAP 0/1982MB (cached 0MB) CPU [90%@1479,20%@1479,off,off] EMC_FREQ 0% \
GR3D_FREQ 99% PLL@33C CPU@35C POM_5V_IN 4800/2000 POM_5V_GPU 2400/600 POM_5V_CPU 900/400
"""
JTOP = """\
time,uptime,CPU1,CPU2,RAM,SWAP,EMC,GPU,Fan pwmfan0,Temp CPU,Power VDD_CPU_GPU_CV,Power VDD_SOC,Power TOT,jetson_clocks
2026-11-26 10:00:00.1,"5 days, 1:00:00",3,OFF,0.3,0.0,0,0.0,30.0,45.0,500,1200,5100,OFF
2026-11-26 10:00:01.1,"5 days, 1:00:01",20,OFF,0.3,0.0,0,98.4,30.0,46.0,6000,2200,14200,OFF
"""
NVIDIA_SMI = """\
timestamp, name, power.draw [W], utilization.gpu [%]
2026/11/26 10:00:00.000, NVIDIA A2, 9.50 W, 0 %
2026/11/26 10:00:01.000, NVIDIA A2, 58.00 W, 100 %
2026/11/26 10:00:02.000, NVIDIA A2, [N/A], 100 %
2026/11/26 10:00:03.000, NVIDIA A2, 60.00 W, 99 %
"""
PERF_STAT = """# started on Thu Nov 26 10:00:00 2026

 Performance counter stats for 'python train.py' (3 runs):

         16,004.61 msec task-clock                #    3.997 CPUs utilized            ( +-  0.2% )
    40,000,000,000      cycles                    #    2.5 GHz                        (66.67%)
     3,000,000,000      fp_arith_inst_retired.256b_packed_single
       500,000,000      fp_arith_inst_retired.scalar_single
        10,000,000      LLC-load-misses
   <not supported>      LLC-store-misses
             80.00 Joules power/energy-pkg/
             20.00 Joules power/energy-ram/
             60.00 Joules power/energy-cores/

       4.000000000 +- 0.008 seconds time elapsed  ( +-  0.2% )

       15.900000000 seconds user
"""
TRTEXEC = """[
  { "startEnqMs" : 1.0, "endEnqMs" : 1.1, "startH2dMs" : 1.0, "endH2dMs" : 1.2,
    "startComputeMs" : 1.2, "endComputeMs" : 3.2,
    "startD2hMs" : 3.2, "endD2hMs" : 3.3, "h2dMs" : 0.2, "computeMs" : 2.0, "d2hMs" : 0.1, "latencyMs" : 2.3 }
, { "startEnqMs" : 4.0, "endEnqMs" : 4.1, "startH2dMs" : 4.0, "endH2dMs" : 4.2,
    "startComputeMs" : 4.2, "endComputeMs" : 6.4,
    "startD2hMs" : 6.4, "endD2hMs" : 6.5, "h2dMs" : 0.2, "computeMs" : 2.2, "d2hMs" : 0.1, "latencyMs" : 2.5 }
]
"""


def _op(
    name: str,
    at: float,
    took: float,
    dims: list[list[int]],
    *,
    tid: int = 1,
    number: int | None = None,
    **more: object,
):  # type: ignore[no-untyped-def]
    args = {
        "External id": int(at),
        "Input Dims": dims,
        **({} if number is None else {"Sequence number": number}),
        **more,
    }
    return {
        "ph": "X",
        "cat": "cpu_op",
        "name": name,
        "pid": 9,
        "tid": tid,
        "ts": at,
        "dur": took,
        "args": args,
    }


_LINEAR = [[4, 8], [2, 8], [2]]
_BACK = "autograd::engine::evaluate_function: "
KINETO = json.dumps(
    {
        "schemaVersion": 1,
        "deviceProperties": [],
        "traceEvents": [
            {"ph": "M", "name": "process_name", "pid": 9, "args": {"name": "python"}},
            _op("aten::linear", 100, 50, _LINEAR, number=0, **{"Concrete Inputs": ["", "", ""]}),
            _op("aten::t", 105, 5, [[2, 8]], number=0),
            _op("aten::addmm", 115, 30, [[2], [4, 8], [8, 2]], number=1),
            _op("aten::sum", 160, 9, [[4, 2]], number=2),
            _op(f"{_BACK}AddmmBackward0", 200, 40, [], tid=2, number=1),
            _op("aten::mm", 205, 10, [[2, 4], [4, 8]], tid=2),
            _op(f"{_BACK}TBackward0", 245, 6, [], tid=2, number=0),
        ],
    }
)
FILES = {
    "iperf3": IPERF3, "ping": PING, "irtt": IRTT, "tegrastats": TEGRASTATS, "jtop": JTOP, "nvidia-smi": NVIDIA_SMI,
    "perf-stat": PERF_STAT, "trtexec": TRTEXEC, "kineto": KINETO,
}  # fmt: skip
