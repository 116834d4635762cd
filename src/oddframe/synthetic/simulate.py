"""A street of our own: films of a plaza in which people come and go, and test films in which something is odd.

A film is made frame by frame: the place in its light, shadows, then everything that moves from the far end to the near
one, and last what the camera does to it. The same shot gives the same pixels. H × W pixels, T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.datasets.annotations import write_truth
from oddframe.errors import BadInput, unknown
from oddframe.files import listing, write_json
from oddframe.progress import progress
from oddframe.synthetic import crowd, oddities, place
from oddframe.synthetic.drawing import Sprite, paste, render, shadow
from oddframe.synthetic.place import SHADOW, Place, darken, in_shade
from oddframe.synthetic.sensor import Sensor
from oddframe.synthetic.weather import Sky, Weather
from oddframe.types import Bools, Bytes, Floats, Truth
from oddframe.video.writer import video_writer

VERSION = 1  # of the layout and of scene.json
KINDS = tuple(oddities.KINDS)
FIRST_TEST = 1_000_000  # number of the first test film: they stay the same however many there are to learn from
SMALLEST, LARGEST = 64, 8192  # pixels a side
LONGEST_ODD = 10.0  # seconds for what does not end by leaving the picture
USUAL_SLOT = (
    20.0  # seconds of a test video for each oddity, where the kinds asked for leave the choice
)
SEEN = 0.1  # share of a thing that must be visible for it to count as there
SOLID = 128  # coverage from which a pixel belongs to a thing
MASK_BYTES = (
    1 << 27
)  # for the masks of a video; those of long or large ones are written coarser to stay within it
COMPRESSION = 24  # H.264's constant rate factor


@dataclass(frozen=True)
class Shot:
    """One film to be made. `number` tells apart the films of one place, which `seed` and `size` determine."""

    seed: int
    number: int
    frames: int
    fps: float
    size: tuple[int, int]  # (height, width)
    kinds: tuple[str, ...] = ()  # what is odd in it, in this order; none in a normal film


@dataclass(frozen=True)
class Seen:
    """What is odd in one frame. Without anything odd: kind "", no box, an empty mask."""

    kind: str
    mask: Bools  # (H, W) the odd things' pixels as far as they are visible
    boxes: dict[int, tuple[float, float, float, float]] = field(
        default_factory=dict
    )  # track → x1 y1 x2 y2, fractions


def film(shot: Shot) -> Iterator[tuple[Bytes, Seen]]:
    """The frames, (H, W, 3) RGB uint8 before compression, each with what is odd in it."""
    where = place.build(shot.size, shot.seed)
    actors = _cast(shot, where)
    random = np.random.default_rng([shot.seed, shot.number, 1])
    weather, sensor = Weather(random), Sensor(where.pattern, random)
    for index in range(shot.frames):
        seconds = index / shot.fps
        sky = weather.at(seconds)
        picture = np.asarray(
            cv2.addWeighted(where.sunny, sky.sun, where.cloudy, 1 - sky.sun, 0), np.uint8
        )
        seen = _draw(picture, where, actors, seconds, sky)
        yield sensor(picture, sky.light), seen


def truth_of(seen: Sequence[Seen]) -> Truth:
    """The ground truth of a film from what was odd in each of its frames."""
    kind = np.array([part.kind for part in seen], dtype=np.str_)
    rows = [
        (index, track, *box) for index, part in enumerate(seen) for track, box in part.boxes.items()
    ]
    tracks = np.array(rows, float).reshape(-1, 6)
    return Truth(kind != "", np.stack([part.mask for part in seen]), tracks, kind)


def simulate(
    folder: Path,
    *,
    seed: int = 0,
    train: int = 4,
    test: int = 4,
    seconds: float = 60.0,
    fps: float = 10.0,
    size: tuple[int, int] = (240, 360),
    kinds: Sequence[str] = KINDS,
) -> dict[str, Any]:
    """Film `train` normal videos and `test` videos with oddities into a folder, with truth, and say what is in it.

    One of two or more test videos is wholly normal. Raises BadInput for options that cannot be, and for a folder that
    holds something other than an earlier simulation, which is filmed over.
    """
    kinds = tuple(dict.fromkeys(kinds))
    if seed < 0:
        raise BadInput(f"a seed is 0 or more, got {seed}")
    _check(train, test, seconds=seconds, fps=fps, size=size, kinds=kinds)
    _make_room(folder)
    frames = max(1, round(seconds * fps))
    shots = {f"train{k + 1:02d}": Shot(seed, k, frames, fps, size) for k in range(train)}
    for k, odd in enumerate(_programme(kinds, test, seconds, seed)):
        shots[f"test{k + 1:02d}"] = Shot(seed, FIRST_TEST + k, frames, fps, size, odd)
    scene: dict[str, Any] = {
        "format": VERSION,
        "complete": False,  # until all is filmed; a simulation that was broken off can be filmed over
        "seed": seed,
        "fps": fps,
        "seconds": frames / fps,
        "size": list(size),
        "kinds": list(kinds),
        "videos": {"train": train, "test": test},
        "frames": {"train": train * frames, "test": test * frames},
        "test_videos": {
            name: list(shot.kinds) for name, shot in shots.items() if name.startswith("test")
        },
    }
    write_json(folder / "scene.json", scene)
    step = ceil(sqrt(frames * size[0] * size[1] / MASK_BYTES))
    odd_frames: dict[str, int] = {}
    with progress("filming", frames * len(shots)) as tick:
        for name, shot in shots.items():
            part = "test" if name.startswith("test") else "train"
            seen: list[Seen] = []
            with video_writer(folder / part / f"{name}.mp4", fps, size, crf=COMPRESSION) as video:
                for picture, odd_there in film(shot):
                    video.write(picture)
                    if part == "test":
                        seen.append(replace(odd_there, mask=_coarser(odd_there.mask, step)))
                    tick(note=name)
            if part == "test":
                truth = truth_of(seen)
                write_truth(folder / "truth", name, truth)
                for kind in filter(None, truth.kind.tolist() if truth.kind is not None else []):
                    odd_frames[kind] = odd_frames.get(kind, 0) + 1
    scene |= {"complete": True, "odd_frames": odd_frames}
    write_json(folder / "scene.json", scene)
    return scene


def _cast(shot: Shot, where: Place) -> list[crowd.Actor]:
    """Everything that moves in a film: what is odd, and everybody else who is not in its way."""
    seconds = shot.frames / shot.fps
    random = np.random.default_rng([shot.seed, shot.number, 2])
    odd: list[crowd.Actor] = []
    slot = seconds / max(1, len(shot.kinds))
    for k, kind in enumerate(shot.kinds):
        begins = slot * (k + float(random.uniform(0.15, 0.35)))
        odd += oddities.KINDS[kind](where.camera, begins, min(LONGEST_ODD, 0.4 * slot), random)
    people = crowd.ordinary(
        where.camera, seconds, np.random.default_rng([shot.seed, shot.number, 0])
    )
    return odd + crowd.apart(people, odd)


def _draw(
    picture: Bytes, where: Place, actors: list[crowd.Actor], seconds: float, sky: Sky
) -> Seen:
    """Draw all that is not baked into the place, far things first, and see what of the odd remains visible."""
    height, width = picture.shape[:2]
    on_ground = np.zeros((height, width), np.uint8)
    moving: list[tuple[float, Sprite, int]] = []  # distance, sprite, track of something odd or 0
    kinds: dict[int, str] = {}
    for track, actor in enumerate(actors, 1):
        moment = actor.path.at(seconds)
        if moment is None or not where.camera.may_see(moment.x, moment.y):
            continue
        shape = actor.body(moment)
        if cast := shadow(shape, where.camera):
            darken(on_ground, cast)
        if sprite := render(shape, where.camera):
            kind = actor.kind_at(seconds)
            if kind:
                kinds[track] = kind
            moving.append((moment.y, sprite, track if kind else 0))
    picture[:] = in_shade(
        picture, np.asarray(cv2.blur(on_ground, (3, 3)), np.uint8), SHADOW * sky.sun
    )
    tracks = np.zeros((height, width), np.uint16)
    layers = moving + _furniture_before(where, moving, sky.wind)
    for _, sprite, track in sorted(layers, key=lambda layer: -layer[0]):
        paste(picture, sprite)
        if kinds:
            _mark(tracks, sprite, track)
    return _seen(tracks, {track: sprite for _, sprite, track in moving if track}, kinds)


def _furniture_before(
    where: Place, moving: list[tuple[float, Sprite, int]], wind: Floats
) -> list[tuple[float, Sprite, int]]:
    """Trees, which sway, and whatever else of the place has somebody behind it."""
    layers = []
    for k, thing in enumerate(where.things):
        if thing.sways:
            layers.append(
                (thing.y, _swayed(thing.sprite, thing.sways * float(wind[k % len(wind)])), 0)
            )
        elif any(y > thing.y and _touch(sprite, thing.sprite) for y, sprite, _ in moving):
            layers.append((thing.y, thing.sprite, 0))
    return layers


def _swayed(sprite: Sprite, shift: float) -> Sprite:
    height, width = sprite.pixels.shape[:2]
    lean = np.array([[1.0, -shift / height, shift], [0.0, 1.0, 0.0]])  # the foot stays where it is
    bent = cv2.warpAffine(sprite.pixels, lean, (width, height), flags=cv2.INTER_LINEAR)
    return Sprite(sprite.left, sprite.top, np.asarray(bent, np.uint8))


def _touch(a: Sprite, b: Sprite) -> bool:
    h, w, *_ = a.pixels.shape
    i, j, *_ = b.pixels.shape
    return bool(
        a.left < b.left + j and b.left < a.left + w and a.top < b.top + i and b.top < a.top + h
    )


def _mark(tracks: NDArray[np.uint16], sprite: Sprite, track: int) -> None:
    if lies := sprite.overlap(*tracks.shape):
        rows, columns, own_rows, own_columns = lies
        tracks[rows, columns][sprite.pixels[own_rows, own_columns, 3] >= SOLID] = track


def _seen(tracks: NDArray[np.uint16], sprites: dict[int, Sprite], kinds: dict[int, str]) -> Seen:
    """Masks and boxes of the odd things of which enough is visible; the kind is that of the largest."""
    height, width = tracks.shape
    mask, boxes, largest, kind = np.zeros((height, width), bool), {}, 0, ""
    for track, sprite in sprites.items():
        visible = tracks == track
        many, whole = int(visible.sum()), int((sprite.pixels[:, :, 3] >= SOLID).sum())
        if many == 0 or many < SEEN * whole:
            continue
        mask |= visible
        ys, xs = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        boxes[track] = (xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height)
        if many > largest:
            largest, kind = many, kinds[track]
    return Seen(kind, mask, boxes)


def _programme(
    kinds: tuple[str, ...], test: int, seconds: float, seed: int
) -> list[tuple[str, ...]]:
    """The kinds in each test video: all of them in turn, none in one video where there are several."""
    normal = int(np.random.default_rng([seed, 3]).integers(test)) if test > 1 else None
    odd = test - (normal is not None)
    each = max(ceil(len(kinds) / max(1, odd)), round(seconds / USUAL_SLOT))
    endless = cycle(kinds)
    return [() if k == normal else tuple(islice(endless, each)) for k in range(test)]


def _coarser(mask: Bools, step: int) -> Bools:
    """The mask at a step-th of its size: True where any of the pixels was."""
    if step == 1:
        return mask
    height, width = (ceil(side / step) * step for side in mask.shape)
    padded = np.zeros((height, width), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(height // step, step, width // step, step).any(axis=(1, 3)))


def _check(
    train: int,
    test: int,
    *,
    seconds: float,
    fps: float,
    size: tuple[int, int],
    kinds: tuple[str, ...],
) -> None:
    if train < 0 or test < 0 or train + test == 0:
        raise BadInput(
            f"a simulation has at least one video, got train = {train} and test = {test}"
        )
    if not 0 < seconds <= 86400:
        raise BadInput(f"a video lasts more than 0 and at most 86400 seconds, got {seconds}")
    if not 1 <= fps <= 240:
        raise BadInput(f"a camera films 1 to 240 frames per second, got {fps}")
    if len(size) != 2 or not all(SMALLEST <= side <= LARGEST for side in size):
        raise BadInput(
            f"a picture's height and width are {SMALLEST} to {LARGEST} pixels, got {list(size)}"
        )
    if not kinds:
        raise BadInput(f"name at least one kind of oddity; there are {', '.join(KINDS)}")
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of oddity", kind, KINDS)


def _make_room(folder: Path) -> None:
    """Take away an earlier simulation; anything else stays and is refused."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a folder to film into")
    if not folder.exists() or not listing(folder):
        return
    if not (folder / "scene.json").exists():
        raise BadInput(
            f"{folder} is not empty and holds no scene.json, so it is no simulation; name another folder"
        )
    for pattern in ("train/train*.mp4", "test/test*.mp4", "truth/test*"):
        for path in filter(Path.is_file, folder.glob(pattern)):
            try:
                path.unlink()
            except OSError as error:
                raise BadInput(f"cannot film over {path}: {error.strerror or error}") from error
