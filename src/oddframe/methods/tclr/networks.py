"""Networks for clips whose last stage keeps time: R3D-18 and R(2+1)D-18 as TCLR changes them, and a
small one.

N clips, C channels, T frames, H × W pixels. Modules are called as in torchvision, whose blocks
these are, so that published weights fit. Du Tran et al., *A Closer Look at Spatiotemporal
Convolutions*, CVPR 2018; Ishan Dave et al., *TCLR: Temporal Contrastive Learning for Video
Representation*, CVIU 2022.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from oddframe.training.checkpoints import put_published, read_published, without

VideoNetwork = Literal["r3d18", "r2plus1d18", "small"]

# network: separated convolutions or whole ones, channels of the first stage, blocks in each stage
SHAPES: dict[VideoNetwork, tuple[bool, int, int]] = {
    "r3d18": (False, 64, 2),
    "r2plus1d18": (True, 64, 2),
    "small": (False, 16, 1),
}
# frames that become one position in time: stages two and three halve time, the last keeps it
TIME_REDUCTION = 4


class VideoResNet(nn.Module):
    """Clips (N, 3, T, H, W) to features (N, width, T / 4, 1, 1): averaged over space, time kept.

    Against torchvision's R3D-18 and R(2+1)D-18 the classifier is gone and two modules of the last
    stage's first block differ, as published: its first convolution is a plain 3×3×3 one (also in
    R(2+1)D), dilated by two in time instead of strided, and its shortcut is strided in space only.
    """

    def __init__(self, network: VideoNetwork = "r3d18") -> None:
        super().__init__()
        from torchvision.models.video.resnet import Conv2Plus1D, Conv3DSimple

        separated, first, blocks = SHAPES[network]
        self.width = 8 * first  # channels of the features
        kind: Any = Conv3DSimple
        self.stem = whole_stem(first)
        if separated:
            kind = Conv2Plus1D
            self.stem = separated_stem(first)
        self.layer1 = stage(first, first, blocks, kind, 1)
        self.layer2 = stage(first, 2 * first, blocks, kind, 2)
        self.layer3 = stage(2 * first, 4 * first, blocks, kind, 2)
        self.layer4 = stage(4 * first, 8 * first, blocks, kind, 2)
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
        x = self.stem(clips)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)  # (N, width, T / 4, h, w)
        times = x.shape[2]
        return functional.adaptive_avg_pool3d(x, (times, 1, 1))


class PooledFeatures(nn.Module):
    """A video network's features as embeddings: the mean over time (N, width), or all moments (N,
    width T / 4).
    """

    def __init__(self, network: nn.Module, keep_time: bool) -> None:
        super().__init__()
        self.network = network
        self.keep_time = keep_time

    def forward(self, clips: Tensor) -> Tensor:
        features: Tensor = self.network(clips)[..., 0, 0].float()  # (N, width, T / 4)
        if self.keep_time:
            return features.flatten(1)
        return features.mean(2)


class ProjectionHead(nn.Module):
    """Features (N, width) to unit vectors (N, size), for contrast alone; what is kept is the
    features before it.
    """

    def __init__(self, width: int = 512, size: int = 128) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.bn1 = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, size, bias=False)
        self.bn2 = nn.BatchNorm1d(size)

    def forward(self, features: Tensor) -> Tensor:
        """(N, size), each of length one."""
        hidden = self.bn1(self.fc1(features))
        projected = self.bn2(self.fc2(functional.relu(hidden)))
        # in full precision: half a precision's unit vectors are not of length one
        return functional.normalize(projected.float(), dim=1)


class ContrastedNetwork(nn.Sequential):
    """A network and the head that its features are contrasted through; `0.` and `1.` in the
    published files.
    """

    def __init__(self, network: VideoNetwork = "r3d18", size: int = 128) -> None:
        body = VideoResNet(network)
        super().__init__(body, ProjectionHead(body.width, size))
        self.width = body.width  # channels of the features

    def forward(self, clips: Tensor, by_time: bool = False) -> tuple[Tensor, ...]:
        """(N, size): one vector a clip, of its mean over time (mode `d` of the published code).

        With `by_time` (mode `s`) then one vector (N, size) for each position in time. The head sees
        each of these as a batch of its own, which matters to its batch norm.
        """
        network, head = self
        features = network(clips)[..., 0, 0]  # (N, width, T / 4)
        vectors = [head(features.mean(2))]
        if by_time:
            for moment in features.unbind(2):
                vectors.append(head(moment))
        return tuple(vectors)


def load_tclr(model: ContrastedNetwork, path: Path) -> None:
    """Put weights that TCLR's authors published into a model: the network, and the head where the
    file has one.

    Reads what was saved from one GPU or several, with head or classifier or neither. Raises
    BadInput that names what is missing and what is unexpected.
    """
    weights = without(read_published(path), r"module\.")
    put_published(model[0], without(weights, r"0\.", leave=r"1\.|(0\.)?fc\."), path)
    head = {}
    for name, value in weights.items():
        if name.startswith("1."):
            own_name = name.removeprefix("1.")
            head[own_name] = value
    if head:
        put_published(model[1], head, path)


def whole_stem(channels: int) -> nn.Sequential:
    """The first layers of R3D: one convolution through space and time."""
    return nn.Sequential(
        nn.Conv3d(3, channels, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def separated_stem(channels: int) -> nn.Sequential:
    """The first layers of R(2+1)D: a convolution through space, and one through time."""
    return nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        nn.Conv3d(45, channels, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def stage(
    inside: int, outside: int, blocks: int, kind: Callable[..., nn.Module], stride: int
) -> nn.Sequential:
    """Residual blocks, the first of which changes size and channels where these differ."""
    from torchvision.models.video.resnet import BasicBlock

    shortcut = None
    if stride != 1 or inside != outside:
        shortcut = nn.Sequential(
            nn.Conv3d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm3d(outside)
        )
    layers = [BasicBlock(inside, outside, kind, stride, shortcut)]
    for _ in range(blocks - 1):
        layers.append(BasicBlock(outside, outside, kind))
    return nn.Sequential(*layers)
