"""What a method keeps of a whole video beside its `kept` (`detector.Extendable`): arrays in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.errors import BadRun
from oddframe.files import aside
from oddframe.run import Arrays
from oddframe.types import Video
from oddframe.video.kept import load_kept
from oddframe.video.reader import content_hash


def path_of_features(video: Video, method: str) -> Path:
    """Where the features of a video are kept."""
    assert video.kept is not None
    return video.kept.with_suffix(f".{method}.npz")


def are_kept(video: Video, method: str, made_by: str) -> bool:
    """Whether features of a video, made in this way, lie beside its `kept`. Raises BadRun."""
    if video.kept is None or not path_of_features(video, method).is_file():
        return False
    with opened_features(video, method) as arrays:
        return str(arrays["made_by"]) == made_by


def save_features(video: Video, method: str, made_by: str, arrays: Arrays) -> None:
    """Write them, whole or not at all."""
    with aside(path_of_features(video, method)) as part:
        np.savez(part, made_by=np.array(made_by), **arrays)  # type: ignore[arg-type]


@contextmanager
def opened_features(video: Video, method: str) -> Iterator[Any]:
    """The arrays that are kept of a video. Raises BadRun for what is damaged."""
    path = path_of_features(video, method)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except Exception as error:  # zipfile and numpy each have their own words for damage
        why = " ".join(str(error).split())[:160]
        raise BadRun(f"{path} is damaged ({why}); fit again on all videos") from error


def refuse_gone(video: Video, method: str, way: str) -> None:
    """Raise BadRun for a video that cannot be described again in this way ("of another grid", say):
    it is gone, or another one.
    """
    assert video.kept is not None
    there = video.source.exists()
    if not there or content_hash(video.source) != load_kept(video.kept).content:
        raise BadRun(
            f"{path_of_features(video, method).name} is missing, or {way}, and {video.source} is "
            "no longer there to be seen again; fit again on all videos"
        )
