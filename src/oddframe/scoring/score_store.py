"""Scores of one video on disk: made once, in bounded memory, found again when the video meets the same detector."""

import json
import mmap
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import ENOSPC
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.errors import BadInput
from oddframe.files import aside
from oddframe.progress import progress
from oddframe.scoring.pipeline import score_video, smooth
from oddframe.scoring.run_folder import FittedDetector
from oddframe.serialization import STATE
from oddframe.types import Floats, Ints, Scores, Video
from oddframe.video.reader import content_hash, times_of

MAPS = np.float16  # three digits of a rarity are more than a colour shows
HIGHEST = float(np.finfo(MAPS).max)


@dataclass(frozen=True)
class ScoredVideo:
    """One video as it was scored. `scores` holds rarities; its map lies on disk and is read as it is needed."""

    video: Video
    scores: Scores
    score: Floats  # (N,) smoothed, on the method's own scale
    raw: Floats  # (N,) the same before smoothing
    raw_parts: Mapping[
        str, Floats
    ]  # (N,) each: the parts of the score before smoothing; smoothed, `scores` has them
    damage: tuple[str, ...]  # what could not be read
    path: Path  # the .npz


def score_to(path: Path, fitted: FittedDetector, video: Video, *, maps: bool = True) -> ScoredVideo:
    """Score a video into `path` (.npz), or find it there, scored by the same detector.

    The file holds `frame`, `seconds`, `score`, `raw`, `rarity`, with maps `map` (rarities), for each part of the score
    `part.NAME` and `raw.NAME`, and `key`. Raises BadVideo.
    """
    which = {"video": content_hash(video.source), "fps": video.fps, "span": video.span}
    key = json.dumps(which | {"detector": fingerprint(fitted), "maps": maps})
    if (found := _found(path, key, video)) is not None:
        return found
    rough = path.with_name(f".{path.stem}.map")
    damage: list[str] = []
    parts: dict[str, list[Any]] = {
        name: [] for name in ("frame", "seconds", "score", "raw", "rarity")
    }
    shape: tuple[int, ...] = ()
    boxes: list[Floats] | None = None
    with aside(path) as part:
        try:
            with (
                rough.open("wb") as file,
                progress(f"scoring {video.name}", len(times_of(video))) as tick,
            ):
                done = 0
                for raw, smoothed in _both(fitted, video, damage):
                    rare = fitted.rare(smoothed)
                    parts["frame"].append(raw.frame)
                    parts["seconds"].append(raw.seconds)
                    parts["raw"].append(raw.value)
                    parts["score"].append(smoothed.value)
                    parts["rarity"].append(rare.value)
                    for begins, of in (("part.", smoothed), ("raw.", raw)):
                        for name, part_of_score in of.components.items():
                            parts.setdefault(f"{begins}{name}", []).append(part_of_score)
                    if maps and rare.map is not None:
                        shape = rare.map.shape[1:]
                        file.write(np.minimum(rare.map, HIGHEST).astype(MAPS).tobytes())
                    if rare.boxes is not None:
                        boxes = [*(boxes or []), *rare.boxes]
                    tick(int(raw.frame[-1]) + 1 - done)
                    done = int(raw.frame[-1]) + 1
            arrays = {
                name: np.concatenate(values) if values else np.zeros(0)
                for name, values in parts.items()
            }
            if boxes is not None:
                arrays["boxes"] = np.concatenate(boxes) if boxes else np.zeros((0, 5))
                arrays["boxes_in_frame"] = np.array([len(box) for box in boxes])
            arrays |= {"key": np.array(key), "damage": np.array(damage, dtype=np.str_)}
            np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
            if shape:
                _add_map(part, rough, (len(arrays["frame"]), *shape))
        finally:
            rough.unlink(missing_ok=True)
    found = _found(path, key, video)
    if found is None:
        raise BadInput(
            f"{path} cannot be read back just after it was written; is its disk in order?"
        )
    return found


def fingerprint(fitted: FittedDetector) -> str:
    """A name for everything that a score depends on besides the video."""
    digest = blake2b(digest_size=8)
    for name in ("detector.json", STATE, "calibration.npz"):
        digest.update((fitted.folder / name).read_bytes())
    return digest.hexdigest()


@contextmanager
def remove_unpacked_after(*paths: Path) -> Iterator[None]:
    """Remove, however the block ends, the unpacked maps that lie beside these .npz while they are looked at."""
    try:
        yield
    finally:
        for path in paths:
            shutil.rmtree(_unpacked(path), ignore_errors=True)


def _both(
    fitted: FittedDetector, video: Video, damage: list[str]
) -> Iterator[tuple[Scores, Scores]]:
    """Raw and smoothed scores, batch by batch."""
    raw: list[Scores] = []

    def passing() -> Iterator[Scores]:
        for scores in score_video(fitted.detector, video, damage=damage, smoothing=0.0):
            raw.append(scores)
            yield scores

    for smoothed in smooth(passing(), fitted.detector.smoothing):
        yield raw.pop(), smoothed


def _found(path: Path, key: str, video: Video) -> ScoredVideo | None:
    """What is stored there, if it is of this key; None when it is not, or damaged. Raises BadInput on a full disk."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            if str(held["key"]) != key:
                return None
            frame, seconds = held["frame"], held["seconds"]
            scores = Scores(
                video.name,
                frame,
                seconds,
                held["rarity"],
                boxes=_boxes(held),
                components=_named(held, "part."),
            )
            if "map" in held.files:
                scores = replace(scores, map=_map_of(path))
            damage = tuple(str(line) for line in held["damage"])
            return ScoredVideo(
                video, scores, held["score"], held["raw"], _named(held, "raw."), damage, path
            )
    except OSError as error:
        if error.errno == ENOSPC:
            raise BadInput(f"cannot unpack {path}: {error.strerror}") from error
        return None
    except Exception:  # numpy, zip and zlib each have their own word for damage
        return None


def _add_map(path: Path, rough: Path, shape: tuple[int, ...]) -> None:
    """Put the bare numbers of a map into an .npz as numpy would, but piece by piece: that of a long video is large."""
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
        with rough.open("rb") as numbers:
            shutil.copyfileobj(numbers, to, 1 << 20)


def _map_of(path: Path) -> Floats:
    """The map as a file in memory: compressed on disk, it is unpacked beside the .npz as long as it is needed."""
    folder = _unpacked(path)
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path) as packed:
        packed.extract("map.npy", folder)
    opened: Floats = np.load(folder / "map.npy", mmap_mode="r").view(_OnDisk)
    return opened


class _OnDisk(np.memmap[Any, Any]):
    """A map on disk. What is read of it is a copy, and the pages go back: else a long video's whole map stays."""

    _mmap: mmap.mmap  # numpy's own

    def __getitem__(self, at: Any) -> Any:
        part = np.array(super().__getitem__(at))
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mmap.madvise(mmap.MADV_DONTNEED)
        return part


def _unpacked(path: Path) -> Path:
    return path.with_name(f".{path.stem}.unpacked")


def _named(held: Any, begins: str) -> dict[str, Floats]:
    """Arrays by what follows this beginning of their names."""
    return {name.removeprefix(begins): held[name] for name in held.files if name.startswith(begins)}


def _boxes(held: Any) -> tuple[Floats, ...] | None:
    if "boxes" not in held.files:
        return None
    counts: Ints = held["boxes_in_frame"]
    return tuple(np.split(held["boxes"], np.cumsum(counts)[:-1])) if len(counts) else ()
