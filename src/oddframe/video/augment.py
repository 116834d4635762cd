"""Other looks of the same clip: one draw of parameters for all its frames, as published by TCLR.

T frames, C channels, H × W pixels; clips are (T, C, H, W) uint8, which is how torchvision's
transforms like them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from oddframe.types import ClipSpec, Video
from oddframe.video.reader import facts_of

LEAST_CROP = 0.6  # of the shorter side: no crop is smaller
CENTRE = 0.8  # of the shorter side: the crop that clips are judged by
ANY_CLIP = ClipSpec()
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Jitter:
    """How often and how much a clip's looks change. A strength s draws factors from 1 - s to 1 + s."""

    contrast: float = 0.25  # share of clips; half of them before the other colours, half after
    colour: float = 0.3  # share of clips, for each of hue, saturation and brightness
    strength: float = 0.25  # of contrast, saturation and brightness
    hue: float = 0.1  # of the whole circle
    grey: float = 0.175  # share of clips
    gamma: float = 0.75  # share of grey clips
    gamma_strength: float = 0.25
    channel: float = 0.125  # share of clips that lose one colour channel
    flip: float = 0.5
    erase: float = 0.5  # share of clips that lose a rectangle of 8 to 16 % of a side


STRONG = Jitter()  # pretraining
WEAK = Jitter(
    0.125, 0.15, 0.1, 0.05, 0.1, 0.75, 0.15, 0.0, 0.5, 0.25
)  # linear evaluation and fine-tuning


def crop_spec(
    video: Video, side: int, share: float = LEAST_CROP, spec: ClipSpec = ANY_CLIP
) -> ClipSpec:
    """How to decode a video so that a crop of this share has `side` pixels: no more is decoded than
    is used.
    """
    facts = facts_of(video)
    shorter = min(facts.height, facts.width)
    scale = min(1.0, side / share / shorter)
    height = max(1, round(facts.height * scale))
    width = max(1, round(facts.width * scale))
    return replace(spec, size=(height, width))


def varied(
    clip: Tensor, size: tuple[int, int], random: np.random.Generator, jitter: Jitter = STRONG
) -> Tensor:
    """A (T, C, *size) uint8 view of an RGB clip (T, C, H, W): cropped anywhere, its colours
    changed, perhaps mirrored, a rectangle erased.

    The published crop is drawn as if it were as wide as the picture, so that the right of the
    picture is never seen; here every place is equally likely.
    """
    out = crop_anywhere(clip, size, random)
    if out.shape[1] == 3:
        for change in colour_changes(random, jitter):
            out = change(out)
    if random.random() < jitter.flip:
        out = out.flip(-1)
    if random.random() < jitter.erase:
        out = erase_somewhere(out, random)
    return out.contiguous()


def centred(clip: Tensor, size: tuple[int, int], share: float = CENTRE) -> Tensor:
    """(T, C, *size): the square in the middle, `share` of the shorter side."""
    H, W = clip.shape[-2:]
    side = max(1, round(min(H, W) * share))
    top = (H - side) // 2
    left = (W - side) // 2
    return scale_square(clip, top, left, side, size)


def mirrored(wanted: list[int], count: int) -> list[int]:
    """Positions in time of which only those under `count` are there; the rest is gone through
    again, backwards.

    >>> mirrored([0, 4, 8, 12, 16], 10)
    [0, 4, 8, 4, 0]
    """
    there = [position for position in wanted if position < count]
    if not there:
        raise ValueError(f"none of the frames {wanted} is among {count}")
    way = there + there[-2:0:-1]  # there and back, the turning points once
    return [way[k % len(way)] for k in range(len(wanted))]


def crop_anywhere(clip: Tensor, size: tuple[int, int], random: np.random.Generator) -> Tensor:
    """(T, C, *size): a square of any size and place."""
    H, W = clip.shape[-2:]
    share = random.uniform(LEAST_CROP, 1)
    side = max(1, int(min(H, W) * share))
    top = int(random.integers(H - side + 1))
    left = int(random.integers(W - side + 1))
    return scale_square(clip, top, left, side, size)


def scale_square(clip: Tensor, top: int, left: int, side: int, size: tuple[int, int]) -> Tensor:
    """(T, C, *size): a square of a clip."""
    from torchvision.transforms.v2 import functional

    out: Tensor = functional.resized_crop(clip, top, left, side, side, list(size), antialias=True)
    return out


def colour_changes(random: np.random.Generator, jitter: Jitter) -> list[Callable[[Tensor], Tensor]]:
    """What is to be done to the colours, in order. Every chance is drawn, used or not: none hangs
    on another.
    """
    from torchvision.transforms.v2 import functional

    def factor(strength: float) -> float:
        return float(random.uniform(1 - strength, 1 + strength))

    first, hued, saturated, bright, last, toned = random.random(6)
    contrast = factor(jitter.strength)
    hue = float(random.uniform(-jitter.hue, jitter.hue))
    saturation = factor(jitter.strength)
    brightness = factor(jitter.strength)
    gamma = factor(jitter.gamma_strength)
    gone = int(random.integers(3))
    todo: list[Callable[[Tensor], Tensor]] = []
    if first < jitter.contrast / 2:
        todo.append(lambda clip: functional.adjust_contrast(clip, contrast))
    if hued < jitter.colour:
        todo.append(lambda clip: turn_hue(clip, hue))
    if saturated < jitter.colour:
        todo.append(lambda clip: functional.adjust_saturation(clip, saturation))
    if bright < jitter.colour:
        todo.append(lambda clip: functional.adjust_brightness(clip, brightness))
    if jitter.contrast / 2 <= first < jitter.contrast:
        todo.append(lambda clip: functional.adjust_contrast(clip, contrast))
    if last < jitter.grey:
        todo.append(lambda clip: functional.rgb_to_grayscale(clip, 3))
        if toned < jitter.gamma:
            todo.append(lambda clip: functional.adjust_gamma(clip, gamma))
    elif last < jitter.grey + jitter.channel:
        todo.append(lambda clip: drop_channel(clip, gone))
    return todo


def turn_hue(clip: Tensor, turn: float) -> Tensor:
    """Hue turned by a share of the circle, around the grey axis: a matrix, a tenth of the time that
    HSV takes.
    """
    angle = 2 * np.pi * turn
    cos = np.cos(angle)
    sin = np.sin(angle)
    to_yiq = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
    rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    turned = np.linalg.inv(to_yiq) @ rotation @ to_yiq
    matrix = torch.from_numpy(turned).float()
    mixed = torch.einsum("dc,tchw->tdhw", matrix, clip.float())
    return mixed.round_().clamp_(0, 255).to(torch.uint8)


def drop_channel(clip: Tensor, channel: int) -> Tensor:
    """The clip (T, C, H, W) with one channel zero."""
    out = clip.clone()
    out[:, channel] = 0
    return out


def erase_somewhere(clip: Tensor, random: np.random.Generator) -> Tensor:
    """Published: sides of 9 to 18 of 112 pixels, drawn one by one, which may run over the border."""
    H, W = clip.shape[-2:]
    height = erased_side(H, random)
    width = erased_side(W, random)
    top = int(random.integers(H))
    left = int(random.integers(W))
    out = clip.clone()
    out[..., top : top + height, left : left + width] = 0
    return out


def erased_side(pixels: int, random: np.random.Generator) -> int:
    """The side of an erased rectangle in a picture with a side of so many pixels."""
    least = max(1, round(9 / 112 * pixels))
    most = max(2, round(19 / 112 * pixels))
    return int(random.integers(least, most))
