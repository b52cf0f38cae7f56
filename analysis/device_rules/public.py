"""The public data, and every number that more than one rule takes from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from gapslsim.calibration.public_tables import convert

NCNN = "Tencent/ncnn@a4d2ea1d benchmark/README.md"
PAGODA = "dream-lab/pagoda@34dbe0f4"
JETSON_INFERENCE = "dusty-nv/jetson-inference@45da40a8"
SBC_BENCH = "ThomasKaiser/sbc-bench@53f79517 Results.md"
SBC_REVIEWS = "geerlingguy/sbc-reviews@968b675e web/data/results.yml"
MNN = "UbiquitousLearning/Benchmark-On-Device-Training@752659f8 (MNN, Snapdragon 855)"
NASBENCH = "roldebijvank/HW-NAS-Bench-360@a9b243e0"
FLASH = "flash_layer_train_time.csv.gz of FLASH@55cbede0"
RADIO = "SIGCOMM21-5G/artifact@35aaf285 Data-Transfer-Power/MN-Transfer"
OPENCV_ZOO = "opencv/opencv_zoo@966be4cb benchmark/"
HEAVY = (
    "median over the nine convolution networks of 1 GMAC or more (googlenet, mobilenet_ssd, mobilenet_yolo, "
    "mobilenetv2_yolov3, resnet18, resnet50, squeezenet_ssd, vgg16, yolov4-tiny)"
)
RESNET_LAYERS = 158
"""Layers that PyTorch executes in a ResNet-50."""


@dataclass(frozen=True)
class Public:
    """The folder of public data; see the READMEs in it for columns and licences."""

    folder: Path

    @cached_property
    def specs(self) -> pd.Series:
        """Published figures, by device and figure."""
        return pd.read_csv(self.folder / "device_specs.csv").set_index(["device", "figure"]).value

    def spec(self, device: str, figure: str) -> float:
        """A published number, in the unit of its row."""
        return float(self.specs[device, figure])

    def source(self, device: str, figure: str) -> str:
        """Where a published number is from."""
        table = pd.read_csv(self.folder / "device_specs.csv").set_index(["device", "figure"]).source
        return str(table[device, figure]).removeprefix("database: ")

    @cached_property
    def ncnn(self) -> pd.DataFrame:
        """Whole networks in floating point on a CPU or GPU, batch 1."""
        rows = pd.read_csv(self.folder / "latency" / "ncnn_benchmark.csv")
        rows = rows[(rows.precision == "float") & rows.macs.notna() & (rows.model != "vision_transformer")]
        return rows.assign(gflops=2 * rows.macs / rows.min_ms / 1e6)

    def ncnn_rows(
        self, device: str, threads: int, backend: str = "cpu", least_macs: float = 1e9
    ) -> pd.DataFrame:
        """One device's networks of at least so many multiply-accumulates."""
        rows = self.ncnn
        at = rows.device.str.contains(device, regex=False) | (rows.board == device)
        return rows[
            at & (rows.num_threads == threads) & (rows.backend == backend) & (rows.macs >= least_macs)
        ]

    def heavy(self, device: str, threads: int) -> float:
        """Rate of the heavy convolution networks in ncnn, their median [FLOP/s]."""
        return 1e9 * float(self.ncnn_rows(device, threads).gflops.median())

    @cached_property
    def speed_ups(self) -> pd.Series:
        """Rate of four threads over that of one, by device that gives both, heavy networks in ncnn."""
        rows = self.ncnn[(self.ncnn.backend == "cpu") & (self.ncnn.macs >= 1e9)]
        rate = rows.groupby(["device", "num_threads"]).gflops.median().unstack()
        return (rate[4] / rate[1]).dropna()

    @cached_property
    def ncnn_layers(self) -> pd.DataFrame:
        """Layers of ncnn's networks, as a measurement table."""
        return convert("ncnn", self.folder / "latency" / "ncnn_benchmark.csv")

    @cached_property
    def resnet18_flop(self) -> float:
        """FLOP of a forward pass of ResNet-18 on one image of 224 x 224."""
        costs = pd.read_csv(self.folder / "latency" / "ncnn_model_costs.csv").set_index("model")
        return 2 * float(costs.loc["resnet18", "macs"])

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Training times stated for Jetson Nano and Xavier NX, with `seconds` per epoch."""
        rows = pd.read_csv(self.folder / "training" / "jetson_training_epochs.csv")
        return rows.assign(seconds=(rows.seconds_per_epoch_low + rows.seconds_per_epoch_high) / 2)

    @cached_property
    def pagoda(self) -> pd.DataFrame:
        """Inference on Jetson AGX Orin, with the rates reached [FLOP/s and B/s]."""
        rows = pd.read_csv(self.folder / "latency" / "pagoda_orin_agx.csv")
        return rows.assign(
            rate=1e3 * rows.flops / rows.latency_ms, byte_rate=1e3 * rows.mem_bytes / rows.latency_ms
        )

    @cached_property
    def agx_rate(self) -> float:
        """Median rate of ResNet-50 at batch 16 and more on Jetson AGX Orin [FLOP/s]."""
        return float(self.pagoda.rate[self.agx_large].median())

    @cached_property
    def agx_large(self) -> pd.Series:
        """Which rows of `pagoda` are ResNet-50 at batch 16 and more."""
        return (self.pagoda.model == "resnet50") & (self.pagoda.batch_size >= 16)

    @cached_property
    def agx_share(self) -> float:
        """Share of its FP32 peak that Jetson AGX Orin reaches, to three digits."""
        return round(self.agx_rate / self.spec("Jetson AGX Orin 64GB", "gpu_peak_fp32") / 1e9, 3)

    @cached_property
    def agx_bytes(self) -> float:
        """Highest memory rate of YOLOv8n on Jetson AGX Orin [B/s]."""
        return float(self.pagoda.byte_rate[self.pagoda.model == "yolov8n"].max())

    @cached_property
    def bytes_share(self) -> float:
        """Share of its peak memory rate that Jetson AGX Orin reaches, to three digits."""
        return round(self.agx_bytes / self.spec("Jetson AGX Orin 64GB", "mem_bandwidth_peak") / 1e9, 3)

    @cached_property
    def dispatch_s(self) -> float:
        """What PyTorch takes per layer beside its work on Jetson AGX Orin [s].

        ResNet-50 at batch 1, less its FLOP at the mean rate of batch 16 and 32, over its layers.
        """
        rows = self.pagoda[self.pagoda.model == "resnet50"].set_index("batch_size")
        work_s = rows.flops[1] / rows.rate[[16, 32]].mean()
        return float(rows.latency_ms[1] / 1e3 - work_s) / RESNET_LAYERS

    @cached_property
    def sevenzip(self) -> pd.DataFrame:
        """Single-core 7-zip [MIPS], by board and clock."""
        return pd.read_csv(self.folder / "microbench" / "sbc_bench.csv")

    def mips(self, device: str, *clocks: str) -> float:
        """Single-core 7-zip of a board: the median of its runs (at these clocks) [MIPS]."""
        rows = self.sevenzip[self.sevenzip.device == device]
        rows = rows[rows.clock.isin(clocks)] if clocks else rows
        return float(rows.sevenzip_single_mips.median())

    @cached_property
    def mnn(self) -> pd.DataFrame:
        """Training steps on a Snapdragon 855 with the rates reached [FLOP/s]; memory thrash left out."""
        rows = pd.read_csv(self.folder / "training" / "mnn_phone_training.csv")
        rows = rows[(rows.batch_size >= 8) & (rows.model != "Lenet")]
        rows = rows[~((rows.model == "Squeezenet") & (rows.batch_size == 32))]
        flop = 2e3 * rows.macs_fwd_per_sample * rows.batch_size
        return rows.assign(
            flop=flop / 1e3,
            forward=flop / rows.infer_expr_ms,
            session=flop / rows.infer_session_ms,
            backward=2 * flop / (rows.train_ms - rows.infer_expr_ms),
        )

    @cached_property
    def training_share(self) -> float:
        """Rate of MNN's training runtime over that of its inference runtime, to two digits."""
        return round(mnn_ratio(self.mnn, "forward", "session"), 2)

    @cached_property
    def backward_share(self) -> float:
        """Rate of backward over forward passes in MNN, to three digits."""
        return round(mnn_ratio(self.mnn, "backward", "forward"), 3)

    @cached_property
    def lenet(self) -> pd.Series:
        """LeNet at batch 1 in MNN: nearly all overhead."""
        rows = pd.read_csv(self.folder / "training" / "mnn_phone_training.csv")
        at = (rows.model == "Lenet") & (rows.batch_size == 1) & (rows.config == "XIAOMI")
        return rows[at].iloc[0]

    @cached_property
    def flash(self) -> pd.DataFrame:
        """Training steps of single layers on phones, as a measurement table."""
        return convert("flash", self.folder / "training" / "flash_layer_train_time.csv.gz")

    @cached_property
    def pi5(self) -> pd.DataFrame:
        """Architectures on one core of a Raspberry Pi 5 in Torch Mobile."""
        rows = pd.read_parquet(self.folder / "latency" / "nasbench201_pi5_pixel.parquet")
        return rows[(rows.device == "pi5") & (rows.framework == "torchmobile")]

    @cached_property
    def radio(self) -> pd.DataFrame:
        """Power of a phone against the throughput of its radio."""
        return pd.read_csv(self.folder / "power" / "cellular_radio_power.csv")

    @cached_property
    def opencv_zoo(self) -> pd.DataFrame:
        """Networks in OpenCV on CPUs and GPUs, batch 1."""
        return pd.read_csv(self.folder / "latency" / "opencv_zoo_benchmark.csv")


def mnn_ratio(rows: pd.DataFrame, over: str, under: str) -> float:
    """Ratio of two rates in MNN: its median over networks, of the medians of each."""
    median = rows.groupby("model")[[over, under]].median()
    return float((median[over] / median[under]).median())
