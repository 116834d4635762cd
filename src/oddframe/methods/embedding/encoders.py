"""Ready-made networks that turn a clip into a vector, by name: what each wants to see, and where its weights are.

N clips, C channels, T frames, H × W pixels; embeddings of D numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from oddframe.errors import BadInput

EncoderName = Literal[
    "r2plus1d-18",
    "r3d-18",
    "slow-r50",
    "slowfast-r50",
    "timesformer",
    "mvit-v2-s",
    "swin3d-t",
    "videomae-b",
    "vjepa2-l",
    "image-resnet18",
    "image-resnet50",
    "image-vit-b-16",
    "run",  # not one of these: a run of one's own
]
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
FACEBOOK = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TORCHVISION = "BSD-3-Clause, torchvision; trained on"


@dataclass(frozen=True)
class Encoder:
    """A network and what it was trained to see."""

    name: str
    make: Callable[
        [int, int], nn.Module
    ]  # of (frames, side): (N, D) from normalised clips (N, 3, T, H, W)
    width: int  # D
    frames: int  # T
    seconds: float  # that those frames spanned in training
    side: int  # pixels of the square picture
    colours: tuple[
        tuple[float, float, float], tuple[float, float, float]
    ]  # mean and deviation of pixels in 0 … 1
    url: str  # of the published weights
    terms: str  # licence, source and what they were trained on
    step: int = 1  # sides are multiples of this
    smallest: int = 16  # side
    thinned: int = 1  # frames are a multiple of this
    fixed: bool = False  # no other side and number of frames
    foreign: str = (
        ""  # the class of the transformers library whose weights these are; it fetches them itself
    )

    @property
    def file(self) -> str:
        """What the file of the published weights is called on disk."""
        name = self.url.rpartition("/")[2]
        return f"{self.name}-{name}" if name == "pytorch_model.bin" else name

    def check(self, frames: int, side: int) -> None:
        """Raise ValueError, one line, for clips that the network cannot take."""
        if self.fixed and (frames, side) != (self.frames, self.side):
            raise ValueError(
                f"{self.name} takes {self.frames} frames of {self.side}² pixels and no others"
            )
        if frames < self.thinned or frames % self.thinned:
            raise ValueError(f"{self.name} takes a multiple of {self.thinned} frames, got {frames}")
        if side < self.smallest or side % self.step:
            raise ValueError(
                f"{self.name} takes pictures whose side is a multiple of {self.step} and at least {self.smallest}, "
                f"got {side}"
            )


def encoder(name: str) -> Encoder:
    """The encoder of that name. Raises ValueError, one line, where there is none."""
    for one in ENCODERS:
        if one.name == name:
            return one
    raise ValueError(f"encoder is one of {', '.join(get_args(EncoderName))}, got {name!r}")


class OverTime(nn.Module):
    """A network for pictures, averaged over the frames of a clip: looks, and no motion."""

    def __init__(self, picture: nn.Module) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, x: Tensor) -> Tensor:
        N, C, T, H, W = x.shape
        out: Tensor = self.picture(x.transpose(1, 2).reshape(N * T, C, H, W))  # (N T, D)
        return out.reshape(N, T, -1).mean(1)


class Tokens(nn.Module):
    """A network of the transformers library, whose last tokens are averaged, and then normalised where it says so."""

    def __init__(self, model: nn.Module, argument: str, normed: int = 0) -> None:
        super().__init__()
        self.model, self.argument = model, argument
        # under the name that VideoMAE's weights have for it; a model that was tuned has it instead of its last layer's
        self.fc_norm = nn.LayerNorm(normed) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        more = {"skip_predictor": True} if self.argument == "pixel_values_videos" else {}
        told = self.model(**{self.argument: x.transpose(1, 2)}, **more)  # (N, T, C, H, W)
        out: Tensor = self.fc_norm(told.last_hidden_state.mean(1))
        return out


def _torchvision(
    name: str, last: str, _frames: int, side: int, *, picture: bool = False, **more: Any
) -> nn.Module:
    models = library(
        "torchvision.models" if picture else "torchvision.models.video", name, "networks"
    )
    if name == "vit_b_16":
        more["image_size"] = side
    net: nn.Module = getattr(models, name)(weights=None, **more)
    setattr(net, last, nn.Identity())
    return OverTime(net) if picture else net


def library(module: str, wants: str, extra: str) -> Any:
    """A module that not everybody has installed. Raises BadInput, one line, that says how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise BadInput(
            f"{wants} needs {name}, which is not installed: pip install 'oddframe[{extra}]'"
        ) from error


def _own(module: str, name: str, _frames: int, _side: int) -> nn.Module:
    net: nn.Module = getattr(import_module(f"oddframe.methods.embedding.{module}"), name)()
    return net


def _transformers(
    kind: str, argument: str, settings: dict[str, Any], frames: int, side: int
) -> nn.Module:
    found = library("transformers", kind, "hub")
    sizes = (
        {"frames_per_clip": frames, "crop_size": side}
        if kind == "VJEPA2"
        else {"num_frames": frames}
    )
    sizes |= {} if kind == "VJEPA2" else {"image_size": side}
    config = getattr(found, f"{kind}Config")(**settings, **sizes)
    normed = config.hidden_size if getattr(config, "use_mean_pooling", False) else 0
    return Tokens(getattr(found, f"{kind}Model")(config), argument, normed)


_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
_TORCH = "https://download.pytorch.org/models"
_HUB = "https://huggingface.co"
_VJEPA2 = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
ENCODERS = (
    Encoder(
        "r2plus1d-18",
        partial(_torchvision, "r2plus1d_18", "fc"),
        512,
        16,
        1.0,
        112,
        KINETICS,
        f"{_TORCH}/r2plus1d_18-91a641e6.pth",
        f"{TORCHVISION} Kinetics-400",
    ),
    Encoder(
        "r3d-18",
        partial(_torchvision, "r3d_18", "fc"),
        512,
        16,
        1.0,
        112,
        KINETICS,
        f"{_TORCH}/r3d_18-b3b3357e.pth",
        f"{TORCHVISION} Kinetics-400",
    ),
    Encoder(
        "slow-r50",
        partial(_own, "slowfast", "SlowR50"),
        2048,
        8,
        2.0,
        256,
        FACEBOOK,
        f"{_ZOO}/SLOW_8x8_R50.pyth",
        "PyTorchVideo's model zoo (code Apache-2.0); trained on Kinetics-400",
        smallest=32,
    ),
    Encoder(
        "slowfast-r50",
        partial(_own, "slowfast", "SlowFastR50"),
        2304,
        32,
        2.0,
        256,
        FACEBOOK,
        f"{_ZOO}/SLOWFAST_8x8_R50.pyth",
        "PyTorchVideo's model zoo (code Apache-2.0); trained on Kinetics-400",
        smallest=32,
        thinned=4,
    ),
    Encoder(
        "timesformer",
        partial(_own, "timesformer", "TimeSformer"),
        768,
        8,
        2.0,
        224,
        FACEBOOK,
        f"{_HUB}/facebook/timesformer-base-finetuned-k400/resolve/main/pytorch_model.bin",
        "CC BY-NC 4.0, facebook/timesformer-base-finetuned-k400; trained on Kinetics-400",
        step=16,
    ),
    Encoder(
        "mvit-v2-s",
        partial(_torchvision, "mvit_v2_s", "head"),
        768,
        16,
        2.0,
        224,
        FACEBOOK,
        f"{_TORCH}/mvit_v2_s-ae3be167.pth",
        f"{TORCHVISION} Kinetics-400",
        fixed=True,
    ),
    Encoder(
        "swin3d-t",
        partial(_torchvision, "swin3d_t", "head"),
        768,
        32,
        2.0,
        224,
        IMAGENET,
        f"{_TORCH}/swin3d_t-7615ae03.pth",
        f"{TORCHVISION} Kinetics-400",
        smallest=32,
    ),
    Encoder(
        "videomae-b",
        partial(_transformers, "VideoMAE", "pixel_values", {"use_mean_pooling": True}),
        768,
        16,
        2.0,
        224,
        IMAGENET,
        f"{_HUB}/MCG-NJU/videomae-base-finetuned-kinetics",
        "CC BY-NC 4.0, MCG-NJU/videomae-base-finetuned-kinetics; trained on Kinetics-400",
        step=16,
        thinned=2,
        foreign="VideoMAEForVideoClassification",
    ),
    Encoder(
        "vjepa2-l",
        partial(_transformers, "VJEPA2", "pixel_values_videos", _VJEPA2),
        1024,
        16,
        4.0,
        256,
        IMAGENET,
        f"{_HUB}/facebook/vjepa2-vitl-fpc64-256",
        "MIT, facebook/vjepa2-vitl-fpc64-256; trained on VideoMix22M",
        step=16,
        thinned=2,
        foreign="VJEPA2Model",
    ),
    Encoder(
        "image-resnet18",
        partial(_torchvision, "resnet18", "fc", picture=True),
        512,
        4,
        1.0,
        224,
        IMAGENET,
        f"{_TORCH}/resnet18-f37072fd.pth",
        f"{TORCHVISION} ImageNet-1K",
    ),
    Encoder(
        "image-resnet50",
        partial(_torchvision, "resnet50", "fc", picture=True),
        2048,
        4,
        1.0,
        224,
        IMAGENET,
        f"{_TORCH}/resnet50-11ad3fa6.pth",
        f"{TORCHVISION} ImageNet-1K",
    ),
    Encoder(
        "image-vit-b-16",
        partial(_torchvision, "vit_b_16", "heads", picture=True),
        768,
        4,
        1.0,
        224,
        IMAGENET,
        f"{_TORCH}/vit_b_16-c867db91.pth",
        f"{TORCHVISION} ImageNet-1K",
        step=16,
    ),
)


def normalised(pixels: Tensor, one: Encoder, device: torch.device) -> Tensor:
    """(N, 3, T, H, W) float from uint8, in the colours that the network was trained on."""
    mean, deviation = (
        torch.tensor(part, device=device).view(1, 3, 1, 1, 1) for part in one.colours
    )
    return (pixels.to(device).float() / 255 - mean) / deviation
