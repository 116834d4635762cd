"""ShanghaiTech Campus: thirteen cameras on a campus (Luo, Liu and Gao, ICCV 2017).

Not the re-split for weak supervision of Zhong et al. (CVPR 2019), whose numbers do not compare.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from oddframe.datasets.annotations import fits, odd_frames, read_labels, read_masks
from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.tree import nearest
from oddframe.errors import BadTruth
from oddframe.types import Truth, Video

FPS = 24.0
FRAME_MASKS = ("test_frame_mask", "frame_masks", "frame_mask", "test_frame_masks")
PIXEL_MASKS = ("test_pixel_mask", "pixel_masks", "pixel_mask", "test_pixel_masks")


class ShanghaiTech(DataSet):
    """ShanghaiTech Campus: thirteen cameras on a campus; bicycles, cars, running and fights are odd. 856×480, 24 fps.

    A video's label is its scene, the first two digits of its name.
    """

    name = "shanghaitech"
    offered = "https://svip-lab.github.io/dataset/campus_dataset.html"
    counts = Counts(330, 274_515, 107, 40_791, 17_326)
    TREE = """
shanghaitech/
  training/
    videos/
      01_001.avi …
  testing/
    frames/
      01_0014/ …
        000.jpg …
    test_frame_mask/ or frame_masks/
      01_0014.npy …
    test_pixel_mask/                optional: or pixel_masks/
      01_0014.npy …
or with the training frames extracted
shanghaitech/
  training/
    frames/
      01_001/ …
        000.jpg …
  testing/
    frames/
      01_0014/ …
        000.jpg …
    test_frame_mask/ or frame_masks/
      01_0014.npy …
"""

    def places(self, root: Path) -> dict[str, Path]:
        for base in (root, nearest(root, "shanghaitech", "shanghaitech_campus", "shtech", "sht")):
            if base is not None and (nearest(base, "training") or nearest(base, "testing")):
                return {"shanghaitech": base}
        return {}

    def read(self, root: Path) -> Split:
        base = self.places(root).get("shanghaitech")
        if base is None:
            raise self.nothing(root, "there is neither training/ nor testing/")
        training, testing = nearest(base, "training"), nearest(base, "testing")
        split = Split(
            _videos(training, "frames", "videos"),  # whoever extracted frames wants them read
            [
                replace(video, truth=_told(testing, video.name))
                for video in _videos(testing, "frames", "videos")
            ],
        )
        if not split.train and not split.test:
            raise self.nothing(root, f"there is no video in {base}")
        return split


def truth_of(frame_mask: Path, pixel_mask: Path | None, frames: int) -> Truth:
    """Labels and masks of one test video, both .npy."""
    labels = read_labels(frame_mask)
    if labels.ndim != 1:
        raise BadTruth(
            f"{frame_mask}: a frame mask is one number for every frame, got an array of shape {labels.shape}"
        )
    fits(frame_mask, "labels", len(labels), frames)
    if pixel_mask is None:
        return Truth(labels)
    masks = read_masks(pixel_mask)
    fits(pixel_mask, "masks", len(masks), frames)
    differ = np.count_nonzero(odd_frames(masks) != labels)
    note = (
        f"frame and pixel masks disagree in {differ} frames; the frame mask counts"
        if differ
        else ""
    )
    return Truth(labels, masks, note=note)


def _videos(part: Path | None, *folders: str) -> list[Video]:
    """The videos of the first of these folders that holds any."""
    for holder in (nearest(part, name) for name in folders if part is not None):
        if holder is not None and (videos := videos_under(holder)):
            return [
                Video(video.name, video.source, fps=FPS, label=video.name[:2]) for video in videos
            ]
    return []


def _told(testing: Path | None, video: str) -> partial[Truth] | None:
    labels, masks = _beside(testing, FRAME_MASKS, video), _beside(testing, PIXEL_MASKS, video)
    return partial(truth_of, labels, masks) if labels is not None else None


def _beside(testing: Path | None, called: tuple[str, ...], video: str) -> Path | None:
    holder = nearest(testing, *called) if testing is not None else None
    return path if holder is not None and (path := holder / f"{video}.npy").exists() else None
