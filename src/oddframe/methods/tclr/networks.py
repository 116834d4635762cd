"""Networks for clips whose last stage keeps time: R3D-18 and R(2+1)D-18 as TCLR changes them, and a small one.

N clips, C channels, T frames, H × W pixels. Modules are called as in torchvision, whose blocks these are, so that
published weights fit. Du Tran et al., *A Closer Look at Spatiotemporal Convolutions*, CVPR 2018; Ishan Dave et al.,
*TCLR: Temporal Contrastive Learning for Video Representation*, CVIU 2022.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from oddframe.training.checkpoints import put_published, read_published, without

Network = Literal["r3d18", "r2plus1d18", "small"]

# network: separated convolutions or whole ones, channels of the first stage, blocks in each stage
SHAPES: dict[Network, tuple[bool, int, int]] = {
    "r3d18": (False, 64, 2),
    "r2plus1d18": (True, 64, 2),
    "small": (False, 16, 1),
}
SHRINKS = (
    4  # frames that become one position in time: stages two and three halve time, the last keeps it
)


class VideoResNet(nn.Module):
    """Clips (N, 3, T, H, W) to features (N, width, T / 4, 1, 1): averaged over space, time kept.

    Against torchvision's R3D-18 and R(2+1)D-18 the classifier is gone and two modules of the last stage's first block
    differ, as published: its first convolution is a plain 3×3×3 one (also in R(2+1)D), dilated by two in time instead
    of strided, and its shortcut is strided in space only.
    """

    def __init__(self, network: Network = "r3d18") -> None:
        super().__init__()
        from torchvision.models.video.resnet import Conv2Plus1D, Conv3DSimple

        separated, first, blocks = SHAPES[network]
        kind: Any = Conv2Plus1D if separated else Conv3DSimple
        self.width = 8 * first  # channels of the features
        self.stem = _separated_stem(first) if separated else _stem(first)
        self.layer1 = _stage(first, first, blocks, kind, 1)
        self.layer2 = _stage(first, 2 * first, blocks, kind, 2)
        self.layer3 = _stage(2 * first, 4 * first, blocks, kind, 2)
        self.layer4 = _stage(4 * first, 8 * first, blocks, kind, 2)
        start: Any = self.layer4[0]
        start.conv1[0] = nn.Conv3d(
            4 * first,
            8 * first,
            3,
            stride=(1, 2, 2),
            padding=(2, 1, 1),
            dilation=(2, 1, 1),
            bias=False,
        )
        start.downsample[0] = nn.Conv3d(4 * first, 8 * first, 1, stride=(1, 2, 2), bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        """Features that still say when: (N, width, T / 4, 1, 1)."""
        found = self.layer4(
            self.layer3(self.layer2(self.layer1(self.stem(clips))))
        )  # (N, width, T / 4, h, w)
        return functional.adaptive_avg_pool3d(found, (found.shape[2], 1, 1))


class ProjectionHead(nn.Module):
    """Features (N, width) to unit vectors (N, size), for contrast alone; what is kept is the features before it."""

    def __init__(self, width: int = 512, size: int = 128) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.bn1 = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, size, bias=False)
        self.bn2 = nn.BatchNorm1d(size)

    def forward(self, features: Tensor) -> Tensor:
        """(N, size), each of length one."""
        hidden = functional.relu(self.bn1(self.fc1(features)))
        # in full precision: half a precision's unit vectors are not of length one
        return functional.normalize(self.bn2(self.fc2(hidden)).float(), dim=1)


class Contrasted(nn.Sequential):
    """A network and the head that its features are contrasted through; `0.` and `1.` in the published files."""

    def __init__(self, network: Network = "r3d18", size: int = 128) -> None:
        body = VideoResNet(network)
        super().__init__(body, ProjectionHead(body.width, size))

    def forward(self, clips: Tensor, apart: bool = False) -> tuple[Tensor, ...]:
        """(N, size): one vector a clip, of its mean over time (mode `d` of the published code).

        With `apart` (mode `s`) then one vector (N, size) for each position in time. The head sees each of these as a
        batch of its own, which matters to its batch norm.
        """
        found = self[0](clips)[..., 0, 0]  # (N, width, T / 4)
        return (self[1](found.mean(2)), *(self[1](at) for at in (found.unbind(2) if apart else ())))


def load_tclr(model: Contrasted, path: Path) -> None:
    """Put weights that TCLR's authors published into a model: the network, and the head where the file has one.

    Reads what was saved from one GPU or several, with head or classifier or neither. Raises BadInput that names what is
    missing and what is unexpected.
    """
    weights = without(read_published(path), r"module\.")
    put_published(model[0], without(weights, r"0\.", leave=r"1\.|(0\.)?fc\."), path)
    if head := {name[2:]: part for name, part in weights.items() if name.startswith("1.")}:
        put_published(model[1], head, path)


def _stem(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, channels, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def _separated_stem(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        nn.Conv3d(45, channels, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def _stage(
    inside: int, outside: int, blocks: int, kind: Callable[..., nn.Module], stride: int
) -> nn.Sequential:
    """Residual blocks, the first of which changes size and channels where these differ."""
    from torchvision.models.video.resnet import BasicBlock

    shortcut = None
    if stride != 1 or inside != outside:
        shortcut = nn.Sequential(
            nn.Conv3d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm3d(outside)
        )
    first = BasicBlock(inside, outside, kind, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(outside, outside, kind) for _ in range(blocks - 1)))
