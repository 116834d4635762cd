"""Ready-made networks that turn a clip into a vector, by name: what each wants to see, and where
its weights are.

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
# mean and deviation of red, green and blue in 0 … 1
Colours = tuple[tuple[float, float, float], tuple[float, float, float]]
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
FACEBOOK = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TORCHVISION = "BSD-3-Clause, torchvision; trained on"


@dataclass(frozen=True)
class Encoder:
    """A network and what it was trained to see."""

    name: str
    make: Callable[[int, int], nn.Module]  # of (clip_length, size): (N, D) from (N, 3, T, H, W)
    width: int  # D
    clip_length: int  # T
    seconds: float  # that a clip spanned in training
    size: int  # pixels of the square frame
    colours: Colours
    url: str  # of the published weights
    terms: str  # licence, source and what they were trained on
    size_step: int = 1  # sizes are multiples of this
    smallest: int = 16  # size
    length_step: int = 1  # clip lengths are multiples of this
    fixed: bool = False  # no other size and clip length
    # the class of the transformers library whose weights these are; it downloads them itself
    foreign: str = ""

    @property
    def file(self) -> str:
        """What the file of the published weights is called on disk."""
        name = self.url.rpartition("/")[2]
        if name == "pytorch_model.bin":  # as every file of the hub is called
            return f"{self.name}-{name}"
        return name

    def check(self, clip_length: int, size: int) -> None:
        """Raise ValueError, one line, for clips that the network cannot take."""
        published = (self.clip_length, self.size)
        if self.fixed and (clip_length, size) != published:
            raise ValueError(
                f"{self.name} takes {self.clip_length} frames of {self.size}² pixels and no others"
            )
        if clip_length < self.length_step or clip_length % self.length_step:
            raise ValueError(
                f"{self.name} takes a multiple of {self.length_step} frames, got {clip_length}"
            )
        if size < self.smallest or size % self.size_step:
            raise ValueError(
                f"{self.name} takes frames whose size is a multiple of {self.size_step} "
                f"and at least {self.smallest}, got {size}"
            )


def encoder_named(name: str) -> Encoder:
    """The encoder of that name. Raises ValueError, one line, where there is none."""
    for one in ENCODERS:
        if one.name == name:
            return one
    raise ValueError(f"network is one of {', '.join(get_args(EncoderName))}, got {name!r}")


class FrameAverage(nn.Module):
    """A network for pictures, averaged over the frames of a clip: appearance, and no motion."""

    def __init__(self, picture: nn.Module) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, x: Tensor) -> Tensor:
        N, C, T, H, W = x.shape
        frames = x.transpose(1, 2).reshape(N * T, C, H, W)
        out: Tensor = self.picture(frames)  # (N T, D)
        by_clip = out.reshape(N, T, -1)
        return by_clip.mean(1)


class TokenAverage(nn.Module):
    """A network of the transformers library whose last tokens are averaged, and then normalised
    where it says so.
    """

    def __init__(self, model: nn.Module, argument: str, normed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.argument = argument
        # under the name that VideoMAE's weights have for it; a model that was tuned has it instead
        # of its last layer's
        self.fc_norm: nn.Module = nn.Identity()
        if normed:
            self.fc_norm = nn.LayerNorm(normed)

    def forward(self, x: Tensor) -> Tensor:
        given: dict[str, Any] = {self.argument: x.transpose(1, 2)}  # (N, T, C, H, W)
        if self.argument == "pixel_values_videos":
            given["skip_predictor"] = True
        tokens = self.model(**given).last_hidden_state
        out: Tensor = self.fc_norm(tokens.mean(1))
        return out


def library(module: str, wants: str, extra: str) -> Any:
    """A module that not everybody has installed. Raises BadInput, one line, that says how to get
    it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise BadInput(
            f"{wants} needs {name}, which is not installed: pip install 'oddframe[{extra}]'"
        ) from error


# Makers: (clip_length, size) to an untrained network without its classifier.


def make_torchvision(
    name: str, last: str, _clip_length: int, size: int, *, picture: bool = False
) -> nn.Module:
    """A network of torchvision, its layer `last` taken off; one for pictures is averaged over
    frames.
    """
    module = "torchvision.models.video"
    if picture:
        module = "torchvision.models"
    models = library(module, name, "networks")
    options = {}
    if name == "vit_b_16":
        options["image_size"] = size
    net: nn.Module = getattr(models, name)(weights=None, **options)
    setattr(net, last, nn.Identity())
    if picture:
        return FrameAverage(net)
    return net


def make_own(module: str, name: str, _clip_length: int, _size: int) -> nn.Module:
    """A network of this package."""
    found = import_module(f"oddframe.methods.embedding.{module}")
    net: nn.Module = getattr(found, name)()
    return net


def make_transformers(
    kind: str, argument: str, settings: dict[str, Any], clip_length: int, size: int
) -> nn.Module:
    """A network of the transformers library."""
    found = library("transformers", kind, "hub")
    if kind == "VJEPA2":
        sizes = {"frames_per_clip": clip_length, "crop_size": size}
    else:
        sizes = {"num_frames": clip_length, "image_size": size}
    config = getattr(found, f"{kind}Config")(**settings, **sizes)
    model = getattr(found, f"{kind}Model")(config)
    normed = 0
    if getattr(config, "use_mean_pooling", False):
        normed = config.hidden_size
    return TokenAverage(model, argument, normed)


_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
_TORCH = "https://download.pytorch.org/models"
_HUB = "https://huggingface.co"
_VJEPA2 = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
ENCODERS = (
    Encoder(
        name="r2plus1d-18",
        make=partial(make_torchvision, "r2plus1d_18", "fc"),
        width=512,
        clip_length=16,
        seconds=1.0,
        size=112,
        colours=KINETICS,
        url=f"{_TORCH}/r2plus1d_18-91a641e6.pth",
        terms=f"{TORCHVISION} Kinetics-400",
    ),
    Encoder(
        name="r3d-18",
        make=partial(make_torchvision, "r3d_18", "fc"),
        width=512,
        clip_length=16,
        seconds=1.0,
        size=112,
        colours=KINETICS,
        url=f"{_TORCH}/r3d_18-b3b3357e.pth",
        terms=f"{TORCHVISION} Kinetics-400",
    ),
    Encoder(
        name="slow-r50",
        make=partial(make_own, "slowfast", "SlowR50"),
        width=2048,
        clip_length=8,
        seconds=2.0,
        size=256,
        colours=FACEBOOK,
        url=f"{_ZOO}/SLOW_8x8_R50.pyth",
        terms="PyTorchVideo's model zoo (code Apache-2.0); trained on Kinetics-400",
        smallest=32,
    ),
    Encoder(
        name="slowfast-r50",
        make=partial(make_own, "slowfast", "SlowFastR50"),
        width=2304,
        clip_length=32,
        seconds=2.0,
        size=256,
        colours=FACEBOOK,
        url=f"{_ZOO}/SLOWFAST_8x8_R50.pyth",
        terms="PyTorchVideo's model zoo (code Apache-2.0); trained on Kinetics-400",
        smallest=32,
        length_step=4,
    ),
    Encoder(
        name="timesformer",
        make=partial(make_own, "timesformer", "TimeSformer"),
        width=768,
        clip_length=8,
        seconds=2.0,
        size=224,
        colours=FACEBOOK,
        url=f"{_HUB}/facebook/timesformer-base-finetuned-k400/resolve/main/pytorch_model.bin",
        terms="CC BY-NC 4.0, facebook/timesformer-base-finetuned-k400; trained on Kinetics-400",
        size_step=16,
    ),
    Encoder(
        name="mvit-v2-s",
        make=partial(make_torchvision, "mvit_v2_s", "head"),
        width=768,
        clip_length=16,
        seconds=2.0,
        size=224,
        colours=FACEBOOK,
        url=f"{_TORCH}/mvit_v2_s-ae3be167.pth",
        terms=f"{TORCHVISION} Kinetics-400",
        fixed=True,
    ),
    Encoder(
        name="swin3d-t",
        make=partial(make_torchvision, "swin3d_t", "head"),
        width=768,
        clip_length=32,
        seconds=2.0,
        size=224,
        colours=IMAGENET,
        url=f"{_TORCH}/swin3d_t-7615ae03.pth",
        terms=f"{TORCHVISION} Kinetics-400",
        smallest=32,
    ),
    Encoder(
        name="videomae-b",
        make=partial(make_transformers, "VideoMAE", "pixel_values", {"use_mean_pooling": True}),
        width=768,
        clip_length=16,
        seconds=2.0,
        size=224,
        colours=IMAGENET,
        url=f"{_HUB}/MCG-NJU/videomae-base-finetuned-kinetics",
        terms="CC BY-NC 4.0, MCG-NJU/videomae-base-finetuned-kinetics; trained on Kinetics-400",
        size_step=16,
        length_step=2,
        foreign="VideoMAEForVideoClassification",
    ),
    Encoder(
        name="vjepa2-l",
        make=partial(make_transformers, "VJEPA2", "pixel_values_videos", _VJEPA2),
        width=1024,
        clip_length=16,
        seconds=4.0,
        size=256,
        colours=IMAGENET,
        url=f"{_HUB}/facebook/vjepa2-vitl-fpc64-256",
        terms="MIT, facebook/vjepa2-vitl-fpc64-256; trained on VideoMix22M",
        size_step=16,
        length_step=2,
        foreign="VJEPA2Model",
    ),
    Encoder(
        name="image-resnet18",
        make=partial(make_torchvision, "resnet18", "fc", picture=True),
        width=512,
        clip_length=4,
        seconds=1.0,
        size=224,
        colours=IMAGENET,
        url=f"{_TORCH}/resnet18-f37072fd.pth",
        terms=f"{TORCHVISION} ImageNet-1K",
    ),
    Encoder(
        name="image-resnet50",
        make=partial(make_torchvision, "resnet50", "fc", picture=True),
        width=2048,
        clip_length=4,
        seconds=1.0,
        size=224,
        colours=IMAGENET,
        url=f"{_TORCH}/resnet50-11ad3fa6.pth",
        terms=f"{TORCHVISION} ImageNet-1K",
    ),
    Encoder(
        name="image-vit-b-16",
        make=partial(make_torchvision, "vit_b_16", "heads", picture=True),
        width=768,
        clip_length=4,
        seconds=1.0,
        size=224,
        colours=IMAGENET,
        url=f"{_TORCH}/vit_b_16-c867db91.pth",
        terms=f"{TORCHVISION} ImageNet-1K",
        size_step=16,
    ),
)


def normalise(pixels: Tensor, encoder: Encoder) -> Tensor:
    """(N, 3, T, H, W) float from uint8, in the colours that the network was trained on."""
    colours = torch.tensor(encoder.colours, device=pixels.device)  # (2, 3)
    mean, deviation = colours.view(2, 1, 3, 1, 1, 1)
    share = pixels.float() / 255
    normal: Tensor = (share - mean) / deviation
    return normal
