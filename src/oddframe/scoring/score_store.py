"""Scores of one video on disk: made once, in bounded memory, found again when the video meets the
same detector.
"""

import json
import mmap
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from errno import ENOSPC
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from oddframe.cache import key as content_key
from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside, listing, open_results
from oddframe.progress import progress
from oddframe.scoring.pipeline import score_video
from oddframe.scoring.run_folder import PARTS, FittedDetector
from oddframe.scoring.two_sided import smooth_both
from oddframe.types import Floats, Ints, Scores, Video
from oddframe.video.reader import content_hash, times_of
from oddframe.video.scene_check import change_of_view

MAPS = np.float16  # three digits of a rarity are more than a colour shows
HIGHEST = float(np.finfo(MAPS).max)


@dataclass(frozen=True)
class ScoredVideo:
    """One video as it was scored. `scores` holds rarities; its map lies on disk and is read as it
    is needed.
    """

    video: Video
    scores: Scores
    score: Floats  # (N,) smoothed, on the method's own scale
    raw: Floats  # (N,) the same before smoothing
    # (N,) each: the parts of the score before smoothing; smoothed, `scores` has them
    raw_parts: Mapping[str, Floats]
    damage: tuple[str, ...]  # what could not be read
    path: Path  # the .npz
    notes: tuple[str, ...] = ()  # what a reader must know, such as that the view has changed


def score_to(path: Path, fitted: FittedDetector, video: Video, *, maps: bool = True) -> ScoredVideo:
    """Score a video into `path` (.npz), or find it there, scored by the same detector.

    The file holds `frame`, `seconds`, `score`, `raw`, `rarity`, with maps `map` (rarities), for
    each part of the score `part.NAME` and `raw.NAME`, and `key`. Raises BadVideo, also when the
    video changes while it is read.
    """
    video = fitted.as_learned(video)
    before = state_on_disk(video.source)
    content = content_hash(video.source)
    which = {"video": content, "fps": video.fps, "span": video.span}
    if video.levels is not None:
        which["levels"] = video.levels
    if fitted.lookahead_seconds:
        which["lookahead"] = fitted.lookahead_seconds
    if video.ignored is not None:
        which["ignored"] = content_key(video.ignored)
    key = json.dumps(which | {"detector": fingerprint(fitted), "maps": maps})
    stored = read_stored(path, key, video)
    if stored is not None:
        return stored
    with aside(path) as part:
        write_scores(part, fitted, video, key, maps)
        if (
            state_on_disk(video.source) != before
            or content_hash(video.source, again=True) != content
        ):
            raise BadVideo(f"{video.source} changed while it was read; score it again")
    stored = read_stored(path, key, video)
    if stored is None:
        raise BadInput(
            f"{path} cannot be read back just after it was written; is its disk in order?"
        )
    return stored


def state_on_disk(source: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of each file in a folder. Raises BadVideo."""
    try:
        paths = [source]
        if source.is_dir():
            paths = listing(source)
        state = []
        for path in paths:
            facts = path.stat()
            state.append((path.name, facts.st_size, facts.st_mtime_ns))
    except OSError as error:
        raise BadVideo(f"cannot read {source}: {error.strerror or error}") from error
    return state


def fingerprint(fitted: FittedDetector) -> str:
    """A name for everything that a score depends on besides the video."""
    digest = blake2b(digest_size=8)
    for name in PARTS:
        digest.update((fitted.folder / name).read_bytes())
    return digest.hexdigest()


def score_files(folder: Path, videos: Sequence[Video]) -> list[Path]:
    """Where the scores of videos lie in a folder."""
    return [folder / f"{video.name}.npz" for video in videos]


@contextmanager
def hold_score_files(*paths: Path) -> Iterator[None]:
    """Hold the folders of these .npz while they are written and read (`files.open_results`)."""
    names: dict[Path, list[str]] = {}
    for path in paths:
        names.setdefault(path.parent, []).append(path.name)
    with ExitStack() as stack:
        for folder, inside in names.items():
            stack.enter_context(open_results(folder, *inside))
        yield


def write_scores(part: Path, fitted: FittedDetector, video: Video, key: str, maps: bool) -> None:
    """Score a video into an .npz, batch by batch; maps go through a file, since those of a long
    video are large.
    """
    columns: dict[str, list[Floats]] = {
        name: [] for name in ("frame", "seconds", "score", "raw", "rarity")
    }
    damage: list[str] = []
    boxes: list[Floats] | None = None
    shape: tuple[int, ...] = ()
    done = 0
    with (
        TemporaryFile(dir=part.parent) as rough,
        progress(f"scoring {video.name}", len(times_of(video))) as tick,
    ):
        for raw, smoothed in raw_and_smoothed(fitted, video, damage):
            rare = fitted.rare(smoothed, video.ignored)
            append_batch(columns, raw, smoothed, rare)
            if maps and rare.map is not None:
                shape = rare.map.shape[1:]
                rough.write(np.minimum(rare.map, HIGHEST).astype(MAPS).tobytes())
            if rare.boxes is not None:
                if boxes is None:
                    boxes = []
                boxes += rare.boxes
            last = int(raw.frame[-1]) + 1
            tick(last - done)
            done = last
        arrays = {name: concatenate_batches(values) for name, values in columns.items()}
        if boxes is not None:
            arrays["boxes"] = np.zeros((0, 5))
            if boxes:
                arrays["boxes"] = np.concatenate(boxes)
            arrays["boxes_in_frame"] = np.array([len(box) for box in boxes])
        notes = []
        change = change_of_view(fitted.calibration.view, video)
        if change is not None:
            notes.append(change)
        words = {
            "key": np.array(key),
            "damage": np.array(damage, dtype=np.str_),
            "notes": np.array(notes, dtype=np.str_),
        }
        np.savez_compressed(part, **arrays, **words)  # type: ignore[arg-type]
        if shape:
            rough.seek(0)
            add_map(part, rough, (len(arrays["frame"]), *shape))


def append_batch(
    columns: dict[str, list[Floats]], raw: Scores, smoothed: Scores, rare: Scores
) -> None:
    """Add one batch to what will be the arrays of the file."""
    columns["frame"].append(np.asarray(raw.frame))
    columns["seconds"].append(raw.seconds)
    columns["raw"].append(raw.value)
    columns["score"].append(smoothed.value)
    columns["rarity"].append(rare.value)
    for name, values in smoothed.components.items():
        columns.setdefault(f"part.{name}", []).append(values)
    for name, values in raw.components.items():
        columns.setdefault(f"raw.{name}", []).append(values)


def concatenate_batches(values: list[Floats]) -> Floats:
    """The batches one after the other; nothing of none."""
    if not values:
        return np.zeros(0)
    return np.concatenate(values)


def raw_and_smoothed(
    fitted: FittedDetector, video: Video, damage: list[str]
) -> Iterator[tuple[Scores, Scores]]:
    """Raw and smoothed scores, batch by batch, smoothed as the run says."""
    unsmoothed = score_video(fitted.detector, video, damage=damage, half_life=0.0)
    return smooth_both(unsmoothed, fitted.detector.half_life, fitted.lookahead_seconds)


def read_stored(path: Path, key: str, video: Video) -> ScoredVideo | None:
    """What is stored there, if it is of this key; None when it is not, or damaged. Raises BadInput
    on a full disk.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            if str(held["key"]) != key:
                return None
            scores = Scores(
                video.name,
                held["frame"],
                held["seconds"],
                held["rarity"],
                boxes=stored_boxes(held),
                components=arrays_named(held, "part."),
            )
            if "map" in held.files:
                scores = replace(scores, map=map_on_disk(path))
            damage = tuple(held["damage"].tolist())
            raw_components = arrays_named(held, "raw.")
            notes = tuple(held["notes"].tolist())
            return ScoredVideo(
                video, scores, held["score"], held["raw"], raw_components, damage, path, notes
            )
    except OSError as error:
        if error.errno == ENOSPC:
            raise BadInput(f"cannot unpack {path}: {error.strerror}") from error
        return None
    except Exception:  # numpy, zip and zlib each have their own word for damage
        return None


def add_map(path: Path, rough: IO[bytes], shape: tuple[int, ...]) -> None:
    """Put the bare numbers of a map into an .npz as numpy would, but piece by piece: that of a long
    video is large.
    """
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed,
        packed.open("map.npy", "w", force_zip64=True) as to,
    ):
        about = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(MAPS)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(to, about)
        shutil.copyfileobj(rough, to, 1 << 20)


def map_on_disk(path: Path) -> Floats:
    """The map as a file in memory, unpacked into a nameless file beside the .npz: nobody else can
    cut it, and it goes with the last array that reads it.
    """
    with TemporaryFile(dir=path.parent) as file:
        with zipfile.ZipFile(path) as packed, packed.open("map.npy") as numbers:
            shutil.copyfileobj(numbers, file, 1 << 20)
        file.flush()
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{path}: its map is of format {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        opened: Floats = np.memmap(file, dtype, "r", file.tell(), shape).view(MapOnDisk)
    return opened


class MapOnDisk(np.memmap[Any, Any]):
    """A map on disk. What is read of it is a copy, and the pages go back: else a long video's whole
    map stays.
    """

    _mmap: mmap.mmap  # numpy's own

    def __getitem__(self, at: Any) -> Any:
        part = np.array(super().__getitem__(at))
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mmap.madvise(mmap.MADV_DONTNEED)
        return part


def arrays_named(held: Any, begins: str) -> dict[str, Floats]:
    """Arrays by what follows this beginning of their names."""
    found = {}
    for name in held.files:
        if name.startswith(begins):
            found[name.removeprefix(begins)] = held[name]
    return found


def stored_boxes(held: Any) -> tuple[Floats, ...] | None:
    """The boxes of each frame; None where the method gives none."""
    if "boxes" not in held.files:
        return None
    counts: Ints = held["boxes_in_frame"]
    if not len(counts):
        return ()
    return tuple(np.split(held["boxes"], np.cumsum(counts)[:-1]))
