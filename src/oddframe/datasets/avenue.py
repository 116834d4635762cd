"""CUHK Avenue: a campus corridor seen from one camera (Lu, Shi and Jia, ICCV 2013)."""

import re
from functools import partial
from pathlib import Path

import numpy as np

from oddframe.datasets.annotations import fits, odd_frames
from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.tree import nearest
from oddframe.errors import BadTruth
from oddframe.files import listing
from oddframe.types import Bools, Truth, Video

FPS = 25.0
SLACK = 2  # frames: decoders differ by one at the end of these files, the labels were made with one of them
MASKS = "testing_label_mask"


class Avenue(DataSet):
    """CUHK Avenue: people passing on a campus; running, throwing, and going the wrong way are odd. 640×360, 25 fps."""

    name = "avenue"
    offered = "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html (video and ground_truth_demo.zip)"
    counts = Counts(16, 15_328, 21, 15_324, 3_712)
    TREE = """
Avenue Dataset/
  training_videos/
    01.avi … 16.avi
  testing_videos/
    01.avi … 21.avi
ground_truth_demo/                  beside or in it
  testing_label_mask/
    1_label.mat … 21_label.mat      volLabel: a cell of one mask a frame
"""

    def places(self, root: Path) -> dict[str, Path]:
        inner = nearest(root, "Avenue_Dataset", "Avenue")
        for base in (root, inner):
            if base is not None and (
                nearest(base, "training_videos") or nearest(base, "testing_videos")
            ):
                truth = _ground_truth(root, base, base.parent)
                return {"Avenue Dataset": base} | ({"ground_truth_demo": truth} if truth else {})
        return {}

    def read(self, root: Path) -> Split:
        places = self.places(root)
        if "Avenue Dataset" not in places:
            raise self.nothing(root, "there is neither training_videos/ nor testing_videos/")
        base, masks = places["Avenue Dataset"], places.get("ground_truth_demo")
        train, test = nearest(base, "training_videos"), nearest(base, "testing_videos")
        labels = _label_files(masks)
        split = Split(
            [
                Video(video.name, video.source, fps=FPS)
                for video in (videos_under(train) if train else [])
            ],
            [
                Video(video.name, video.source, fps=FPS, truth=_told(video.name, labels))
                for video in (videos_under(test) if test else [])
            ],
        )
        if not split.train and not split.test:
            raise self.nothing(root, f"there is no video in {base}")
        return split


def truth_of(path: Path, frames: int) -> Truth:
    """Masks of one test video. A difference of one or two frames at the end is mended, and noted."""
    masks = masks_in(path)
    if not 0 < abs(len(masks) - frames) <= SLACK or not len(masks):
        fits(path, "masks", len(masks), frames)
        return Truth(odd_frames(masks), masks)
    note = f"{path.name} has {len(masks)} masks for {frames} frames"
    if len(masks) > frames:
        note, masks = f"{note}; the last were left out", masks[:frames]
    else:
        last = np.repeat(masks[-1:], frames - len(masks), axis=0)
        note, masks = f"{note}; the last was taken again", np.concatenate([masks, last])
    return Truth(odd_frames(masks), masks, note=note)


def masks_in(path: Path) -> Bools:
    """(frames, 360, 640) True where odd, of a file `<n>_label.mat`."""
    from scipy.io import loadmat

    try:
        cell = loadmat(path)["volLabel"]
    except KeyError as error:
        raise BadTruth(f"{path} has no variable volLabel") from error
    except Exception as error:  # scipy raises a dozen kinds for a damaged file
        raise BadTruth(f"{path} is not a MATLAB file that scipy can read ({error})") from error
    pictures = list(cell.reshape(-1)) if cell.dtype == object else []
    if not pictures or any(
        np.ndim(picture) != 2 or picture.shape != pictures[0].shape for picture in pictures
    ):
        raise BadTruth(
            f"{path}: volLabel is a cell of masks of one size, got {cell.dtype} of shape {cell.shape}"
        )
    return np.stack([picture > 0 for picture in pictures])


def _ground_truth(*around: Path) -> Path | None:
    """The folder that holds testing_label_mask/, for the videos' own folder, what is in it or what is beside it."""
    for folder in around:
        for holder in (nearest(folder, "ground_truth_demo"), folder):
            if holder is not None and nearest(holder, MASKS) is not None:
                return holder
    return None


def _label_files(holder: Path | None) -> dict[int, Path]:
    folder = nearest(holder, MASKS) if holder is not None else None
    files = (
        [path for path in listing(folder) if path.suffix == ".mat"] if folder is not None else []
    )
    return {int(number[0]): path for path in files if (number := re.match(r"\d+", path.name))}


def _told(video: str, labels: dict[int, Path]) -> partial[Truth] | None:
    """Videos are called 01, their labels 1_label.mat."""
    path = labels.get(int(video)) if video.isdigit() else None
    return partial(truth_of, path) if path is not None else None
