"""Any classifier of torchvision, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from gapslsim.bounds import Side
from gapslsim.errors import unknown
from gapslsim.models.checks import check_classes, check_cut, image_shape
from gapslsim.models.model import Model, models
from gapslsim.own_path import OwnPath
from gapslsim.registry import component
from gapslsim.regular_files import is_file

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Torchvision"]


def _checked_cut(cut: int | str) -> int | str:
    if isinstance(cut, int) and cut < 1:
        raise PydanticCustomError("greater_than", "Input should be greater than 0")
    return cut


@models.register
@component
class Torchvision(Model):
    """A classifier of torchvision (resnet18, mobilenet_v2, efficientnet_b0, convnext_tiny, swin_t, vit_b_16, ...).

    Blocks are cut wherever one tensor passes from module to module, residual blocks stay whole; `gapslsim show model
    resnet18` lists them. The last layer has as many outputs as the data have classes; auxiliary outputs are left out.
    Weights are drawn as torchvision draws them, or read from a file; nothing is downloaded. Images of one channel enter
    a first layer for one channel.
    """

    kind: Literal["torchvision"] = "torchvision"
    cut: Annotated[int | str, AfterValidator(_checked_cut)] = 1
    """Blocks on the client, counted from the input, or the name of the client's last block: `layer2.1`."""
    arch: str = "resnet18"
    """Name of the network, as `torchvision.models.list_models()` gives it."""
    weights: OwnPath | None = None
    """File with a state dict (relative to the scenario file): torch.save's or `.safetensors`; null: weights are drawn.
    The last layer is drawn where the file has another number of classes."""
    stem: Literal["imagenet", "small"] = "imagenet"
    """What images enter: `imagenet` as torchvision has it; `small`, for images of about 32 pixels: a first convolution
    of stride 1 with a kernel of 3 at most (2 x 2 for patches) and no pooling before the second."""
    resize: Side | None = None
    """Side in pixels to which images are resized (bilinear) inside the first block; null: as they come."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from gapslsim.models import layers
        from gapslsim.models.cut_net import blocks_of

        channels, height, width = image_shape("torchvision", input_shape)
        check_classes("torchvision", n_classes)
        blocks = blocks_of(self._network(channels, self.resize or height, self.resize or width, n_classes))
        if self.resize:
            name, first = blocks[0]
            with_resize: Any = layers.named(("resize", layers.Resize(self.resize)), ("block", first))
            add = getattr(first, "came_from", ("", name))[1]
            with_resize.came_from = ("block.", add)
            blocks[0] = name, with_resize
        return blocks

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client; see the base class."""
        from gapslsim.models.split import block_names

        names = block_names(self, input_shape, n_classes)
        if isinstance(self.cut, int):
            shown = ", ".join(f"{place} {name}" for place, name in enumerate(names[:-1], 1))
            return check_cut("torchvision", self.cut, len(names), f"{self.arch}: after {shown}")
        wanted = self.cut.replace(".", "_")
        if wanted not in names[:-1]:
            raise ValueError(f"cut names an {unknown('block', self.cut, names[:-1])}")
        return names.index(wanted) + 1

    def _network(self, channels: int, height: int, width: int, n_classes: int) -> nn.Module:
        """The network for images of this size."""
        import torchvision.models as zoo

        known = zoo.list_models(module=zoo)
        if self.arch not in known:
            raise ValueError(f"arch names an {unknown('network', self.arch, known)}")
        how: dict[str, Any] = {"num_classes": n_classes, "weights": None}
        if self.arch in ("googlenet", "inception_v3"):
            how |= {"aux_logits": False, "init_weights": False}
        if self.arch.startswith("vit_"):
            if height != width:
                raise ValueError(
                    f"arch {self.arch} takes square images, found {height}x{width}; add `resize`."
                )
            how["image_size"] = height
        try:
            net: nn.Module = zoo.get_model(self.arch, **how)
        except (ValueError, AssertionError, RuntimeError) as error:
            if isinstance(error, NotImplementedError):
                raise  # no values on the meta device
            raise ValueError(
                f"arch {self.arch} cannot be built for {height}x{width} images: {error}"
            ) from error
        self._enter(net, channels)
        if self.weights is not None:
            self._read(net, channels)
        return net

    def _enter(self, net: nn.Module, channels: int) -> None:
        """Puts the first convolution in, as the images and `stem` ask."""
        from torch import nn

        layers = list(net.named_modules())
        place, (name, first) = next(
            (i, item) for i, item in enumerate(layers) if isinstance(item[1], nn.Conv2d)
        )
        assert isinstance(first, nn.Conv2d)
        how: dict[str, Any] = {key: getattr(first, key) for key in ("kernel_size", "stride", "padding")}
        if self.stem == "small":
            if self.arch.startswith("vit_"):
                raise ValueError(
                    "stem small needs a network of convolutions or windows; use kind vit, or `resize`."
                )
            if first.kernel_size == first.stride:
                how = {"kernel_size": 2, "stride": 2}
            else:
                side = min(3, first.kernel_size[0])
                how = {"kernel_size": side, "stride": 1, "padding": side // 2}
            for path, layer in layers[place + 1 :]:
                if isinstance(layer, nn.Conv2d):
                    break
                if isinstance(layer, nn.MaxPool2d):
                    _put(net, path, nn.Identity())
        elif channels == first.in_channels:
            return
        made = nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **how)
        if not made.weight.is_meta:
            nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
        _put(net, name, made)

    def _read(self, net: nn.Module, channels: int) -> None:
        """Puts the weights of the file in; on the meta device they are only compared.

        Raises:
            ValueError: if the file cannot be read or is of another network; the message begins with `weights`.
        """
        from torch import nn

        given, wanted = self._state_dict(), net.state_dict()
        # Counters that older files lack have no influence here.
        missing = [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")]
        if missing or set(given) - set(wanted):
            odd = missing or sorted(set(given) - set(wanted))
            what = "lacks" if missing else "has beside it"
            rule = f"{self.weights} is not of {self.arch}: it {what} {', '.join(odd[:3])}"
            raise ValueError(
                f"weights {rule}{f' and {len(odd) - 3} more' if len(odd) > 3 else ''}; change arch."
            )
        heads = [name for name, layer in net.named_modules() if isinstance(layer, (nn.Linear, nn.Conv2d))][
            -1:
        ]
        first = next(name for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d))
        for key, tensor in list(given.items()):
            if key == f"{first}.weight" and channels == 1 and tensor.dim() == 4:
                # Grey in all channels, which is what the network would be shown.
                given[key] = tensor = tensor.sum(1, keepdim=True)
            if tensor.shape == wanted[key].shape:
                continue
            if key.rpartition(".")[0] in heads:
                del given[key]
                continue
            fix = "with `stem: imagenet` and a `resize` to the size that it was trained with it may fit"
            sizes = f"{tuple(tensor.shape)} in the file and {tuple(wanted[key].shape)} here"
            raise ValueError(f"weights {self.weights} does not fit: {key} has shape {sizes}; {fix}.")
        if not next(net.parameters()).is_meta:
            net.load_state_dict(given, strict=False)

    def _state_dict(self) -> dict[str, Tensor]:
        import torch

        assert self.weights is not None
        if not is_file(self.weights):
            raise ValueError(f"weights {self.weights} is no file; correct the path.")
        try:
            if self.weights.suffix == ".safetensors":
                from safetensors.torch import load_file

                return dict(load_file(self.weights))
            with torch.device("cpu"):
                read = torch.load(self.weights, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files raise nearly anything
            raise ValueError(
                f"weights {self.weights} cannot be read ({str(error).partition('.')[0]}); save them by"
                " `torch.save(net.state_dict(), file)`."
            ) from error
        read = read.get("state_dict", read.get("model", read)) if isinstance(read, dict) else read
        if not isinstance(read, dict) or not all(
            isinstance(tensor, torch.Tensor) for tensor in read.values()
        ):
            raise ValueError(f"weights {self.weights} holds no state dict; save `net.state_dict()`.")
        # As nn.DataParallel names them.
        return {key.removeprefix("module."): tensor for key, tensor in read.items()}


def _put(net: nn.Module, path: str, layer: nn.Module) -> None:
    """Replaces a module."""
    parent, _, name = path.rpartition(".")
    setattr(net.get_submodule(parent), name, layer)
