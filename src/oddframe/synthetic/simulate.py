"""A street of our own: films of a plaza in which people come and go, and test films in which
something is odd.

A film is made frame by frame: the place in its light, shadows, then everything that moves from the
far end to the near one, and last what the camera does to it. The same shot gives the same pixels. H
× W pixels, T frames.
"""

from __future__ import annotations

from collections import Counter
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
# number of the first test film: they stay the same however many there are to learn from
FIRST_TEST = 1_000_000
SMALLEST_PICTURE = 64  # pixels a side
LARGEST_PICTURE = 8192
LONGEST_ODD = 10.0  # seconds for what does not end by leaving the picture
USUAL_SLOT = 20.0  # seconds of a test video for each oddity, where the kinds leave the choice
SEEN = 0.1  # share of a thing that must be visible for it to count as there
SOLID = 128  # coverage from which a pixel belongs to a thing
# for the masks of a video; those of long or large ones are written coarser to stay within it
MASK_BYTES = 1 << 27
COMPRESSION = 24  # H.264's constant rate factor


@dataclass(frozen=True)
class Shot:
    """One film to be made. `number` tells apart the films of one place, which `seed` and `size`
    determine.
    """

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
    # track → x1 y1 x2 y2, fractions of the picture
    boxes: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)


def film(shot: Shot) -> Iterator[tuple[Bytes, Seen]]:
    """The frames, (H, W, 3) RGB uint8 before compression, each with what is odd in it."""
    where = place.build(shot.size, shot.seed)
    actors = cast_of(shot, where)
    random = np.random.default_rng([shot.seed, shot.number, 1])
    weather = Weather(random)
    sensor = Sensor(where.pattern, random)
    for index in range(shot.frames):
        seconds = index / shot.fps
        sky = weather.at(seconds)
        light = cv2.addWeighted(where.sunny, sky.sun, where.cloudy, 1 - sky.sun, 0)
        picture = np.asarray(light, np.uint8)
        seen = draw_frame(picture, where, actors, seconds, sky)
        yield sensor(picture, sky.light), seen


def truth_of(seen: Sequence[Seen]) -> Truth:
    """The ground truth of a film from what was odd in each of its frames."""
    kinds = [part.kind for part in seen]
    masks = [part.mask for part in seen]
    rows = []
    for index, part in enumerate(seen):
        for track, box in part.boxes.items():
            rows.append((index, track, *box))
    tracks = np.array(rows, float).reshape(-1, 6)
    kind = np.array(kinds, dtype=np.str_)
    return Truth(kind != "", np.stack(masks), tracks, kind)


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
    """Film `train` normal videos and `test` videos with oddities into a folder, with truth, and say
    what is in it.

    One of two or more test videos is wholly normal. Raises BadInput for options that cannot be, and
    for a folder that holds something other than an earlier simulation, which is filmed over.
    """
    kinds = tuple(dict.fromkeys(kinds))
    if seed < 0:
        raise BadInput(f"a seed is 0 or more, got {seed}")
    check_options(train, test, seconds=seconds, fps=fps, size=size, kinds=kinds)
    make_room(folder)
    frames = max(1, round(seconds * fps))
    normal: dict[str, Shot] = {}
    for k in range(train):
        normal[f"train{k + 1:02d}"] = Shot(seed, k, frames, fps, size)
    tests: dict[str, Shot] = {}
    for k, odd in enumerate(programme(kinds, test, seconds, seed)):
        tests[f"test{k + 1:02d}"] = Shot(seed, FIRST_TEST + k, frames, fps, size, odd)
    scene: dict[str, Any] = {
        "format": VERSION,
        # until all is filmed; a simulation that was broken off can be filmed over
        "complete": False,
        "seed": seed,
        "fps": fps,
        "seconds": frames / fps,
        "size": list(size),
        "kinds": list(kinds),
        "videos": {"train": train, "test": test},
        "frames": {"train": train * frames, "test": test * frames},
        "test_videos": {name: list(shot.kinds) for name, shot in tests.items()},
    }
    write_json(folder / "scene.json", scene)
    odd_frames: Counter[str] = Counter()
    with progress("filming", frames * (train + test)) as tick:
        for name, shot in normal.items():
            for _ in write_shot(folder / "train" / f"{name}.mp4", shot):
                tick(note=name)
        for name, shot in tests.items():
            seen = []
            for odd_there in write_shot(folder / "test" / f"{name}.mp4", shot):
                seen.append(odd_there)
                tick(note=name)
            write_truth(folder / "truth", name, truth_of(seen))
            odd_frames.update(part.kind for part in seen if part.kind)
    scene |= {"complete": True, "odd_frames": dict(odd_frames)}
    write_json(folder / "scene.json", scene)
    return scene


def write_shot(path: Path, shot: Shot) -> Iterator[Seen]:
    """Film a shot into an mp4; gives what is odd in each frame once it is written.

    Masks of long or large films are made coarser, so that those of one film stay within
    `MASK_BYTES`.
    """
    height, width = shot.size
    step = ceil(sqrt(shot.frames * height * width / MASK_BYTES))
    with video_writer(path, shot.fps, shot.size, crf=COMPRESSION) as video:
        for picture, seen in film(shot):
            video.write(picture)
            mask = coarser(seen.mask, step)
            yield replace(seen, mask=mask)


def cast_of(shot: Shot, where: Place) -> list[crowd.Actor]:
    """Everything that moves in a film: what is odd, and everybody else who is not in its way."""
    seconds = shot.frames / shot.fps
    random = np.random.default_rng([shot.seed, shot.number, 2])
    odd: list[crowd.Actor] = []
    slot = seconds / max(1, len(shot.kinds))
    lasts = min(LONGEST_ODD, 0.4 * slot)
    for k, kind in enumerate(shot.kinds):
        begins = slot * (k + float(random.uniform(0.15, 0.35)))
        make = oddities.KINDS[kind]
        odd += make(where.camera, begins, lasts, random)
    ordinary = np.random.default_rng([shot.seed, shot.number, 0])
    people = crowd.ordinary(where.camera, seconds, ordinary)
    return odd + crowd.apart(people, odd)


def draw_frame(
    picture: Bytes, where: Place, actors: list[crowd.Actor], seconds: float, sky: Sky
) -> Seen:
    """Draw all that is not baked into the place, far things first, and see what of the odd remains
    visible.
    """
    height, width = picture.shape[:2]
    on_ground = np.zeros((height, width), np.uint8)
    moving: list[tuple[float, Sprite, int]] = []  # distance, sprite, track of something odd or 0
    kinds: dict[int, str] = {}
    for track, actor in enumerate(actors, 1):
        moment = actor.path.at(seconds)
        if moment is None or not where.camera.may_see(moment.x, moment.y):
            continue
        shape = actor.body(moment)
        cast = shadow(shape, where.camera)
        if cast:
            darken(on_ground, cast)
        sprite = render(shape, where.camera)
        if not sprite:
            continue
        odd_track = 0
        kind = actor.kind_at(seconds)
        if kind:
            kinds[track] = kind
            odd_track = track
        moving.append((moment.y, sprite, odd_track))
    soft = np.asarray(cv2.blur(on_ground, (3, 3)), np.uint8)
    picture[:] = in_shade(picture, soft, SHADOW * sky.sun)
    tracks = np.zeros((height, width), np.uint16)
    layers = moving + furniture_before(where, moving, sky.wind)
    odd_sprites = {}
    for _, sprite, track in sorted(layers, key=lambda layer: -layer[0]):
        paste(picture, sprite)
        if kinds:
            mark(tracks, sprite, track)
    for _, sprite, track in moving:
        if track:
            odd_sprites[track] = sprite
    return what_is_seen(tracks, odd_sprites, kinds)


def furniture_before(
    where: Place, moving: list[tuple[float, Sprite, int]], wind: Floats
) -> list[tuple[float, Sprite, int]]:
    """Trees, which sway, and whatever else of the place has somebody behind it."""
    layers = []
    for k, thing in enumerate(where.things):
        if thing.sways:
            shift = thing.sways * float(wind[k % len(wind)])
            layers.append((thing.y, swayed(thing.sprite, shift), 0))
        elif any(y > thing.y and touch(sprite, thing.sprite) for y, sprite, _ in moving):
            layers.append((thing.y, thing.sprite, 0))
    return layers


def swayed(sprite: Sprite, shift: float) -> Sprite:
    """A sprite whose top is moved to the right by some pixels; its foot stays where it is."""
    height, width = sprite.pixels.shape[:2]
    lean = np.array([[1.0, -shift / height, shift], [0.0, 1.0, 0.0]])
    size = (width, height)
    bent = cv2.warpAffine(sprite.pixels, lean, size, flags=cv2.INTER_LINEAR)
    return Sprite(sprite.left, sprite.top, np.asarray(bent, np.uint8))


def touch(a: Sprite, b: Sprite) -> bool:
    """Whether the boxes of two sprites have a pixel in common."""
    a_height, a_width = a.pixels.shape[:2]
    b_height, b_width = b.pixels.shape[:2]
    across = a.left < b.left + b_width and b.left < a.left + a_width
    down = a.top < b.top + b_height and b.top < a.top + a_height
    return bool(across and down)


def mark(tracks: NDArray[np.uint16], sprite: Sprite, track: int) -> None:
    """Write the number of a track where its sprite is solid, in place."""
    height, width = tracks.shape
    overlap = sprite.overlap(height, width)
    if overlap is None:
        return
    rows, columns, own_rows, own_columns = overlap
    coverage = sprite.pixels[own_rows, own_columns, 3]
    tracks[rows, columns][coverage >= SOLID] = track


def what_is_seen(
    tracks: NDArray[np.uint16], sprites: dict[int, Sprite], kinds: dict[int, str]
) -> Seen:
    """Masks and boxes of the odd things of which enough is visible; the kind is that of the
    largest.
    """
    mask = np.zeros(tracks.shape, bool)
    boxes = {}
    largest = 0
    kind = ""
    for track, sprite in sprites.items():
        visible = tracks == track
        count = int(visible.sum())
        whole = int((sprite.pixels[:, :, 3] >= SOLID).sum())
        if count == 0 or count < SEEN * whole:
            continue
        mask |= visible
        boxes[track] = box_of(visible)
        if count > largest:
            largest = count
            kind = kinds[track]
    return Seen(kind, mask, boxes)


def box_of(visible: Bools) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 of the True pixels as fractions of the picture."""
    height, width = visible.shape
    ys = np.flatnonzero(visible.any(1))
    xs = np.flatnonzero(visible.any(0))
    right = xs[-1] + 1
    lower = ys[-1] + 1
    return xs[0] / width, ys[0] / height, right / width, lower / height


def programme(
    kinds: tuple[str, ...], test: int, seconds: float, seed: int
) -> list[tuple[str, ...]]:
    """The kinds in each test video: all of them in turn, none in one video where there are several."""
    normal = None
    odd = test
    if test > 1:
        normal = int(np.random.default_rng([seed, 3]).integers(test))
        odd -= 1
    all_in_turn = ceil(len(kinds) / max(1, odd))
    each = max(all_in_turn, round(seconds / USUAL_SLOT))
    endless = cycle(kinds)
    videos: list[tuple[str, ...]] = []
    for k in range(test):
        if k == normal:
            videos.append(())
        else:
            videos.append(tuple(islice(endless, each)))
    return videos


def coarser(mask: Bools, step: int) -> Bools:
    """The mask at a step-th of its size: True where any of the pixels was."""
    if step == 1:
        return mask
    rows = ceil(mask.shape[0] / step)
    columns = ceil(mask.shape[1] / step)
    padded = np.zeros((rows * step, columns * step), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    blocks = padded.reshape(rows, step, columns, step)
    return np.asarray(blocks.any(axis=(1, 3)))


def check_options(
    train: int,
    test: int,
    *,
    seconds: float,
    fps: float,
    size: tuple[int, int],
    kinds: tuple[str, ...],
) -> None:
    """Raise BadInput for options that cannot be."""
    if train < 0 or test < 0 or train + test == 0:
        raise BadInput(
            f"a simulation has at least one video, got train = {train} and test = {test}"
        )
    if not 0 < seconds <= 86400:
        raise BadInput(f"a video lasts more than 0 and at most 86400 seconds, got {seconds}")
    if not 1 <= fps <= 240:
        raise BadInput(f"a camera films 1 to 240 frames per second, got {fps}")
    if len(size) != 2 or min(size) < SMALLEST_PICTURE or max(size) > LARGEST_PICTURE:
        raise BadInput(
            f"a picture's height and width are {SMALLEST_PICTURE} to {LARGEST_PICTURE} pixels, "
            f"got {list(size)}"
        )
    if not kinds:
        raise BadInput(f"name at least one kind of oddity; there are {', '.join(KINDS)}")
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of oddity", kind, KINDS)


def make_room(folder: Path) -> None:
    """Take away an earlier simulation; anything else stays and is refused."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a folder to film into")
    if not folder.exists() or not listing(folder):
        return
    if not (folder / "scene.json").exists():
        raise BadInput(
            f"{folder} is not empty and holds no scene.json, so it is no simulation; "
            "name another folder"
        )
    for pattern in ("train/train*.mp4", "test/test*.mp4", "truth/test*"):
        for path in filter(Path.is_file, folder.glob(pattern)):
            try:
                path.unlink()
            except OSError as error:
                raise BadInput(f"cannot film over {path}: {error.strerror or error}") from error
