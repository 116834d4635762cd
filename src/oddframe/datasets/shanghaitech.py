"""ShanghaiTech Campus: thirteen cameras on a campus (Luo, Liu and Gao, ICCV 2017).

Not the re-split for weak supervision of Zhong et al. (CVPR 2019), whose numbers do not compare.
"""

from functools import partial
from pathlib import Path

from oddframe.datasets.annotations import compare_frames
from oddframe.datasets.base import Counts, DataSet, Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.frame_labels import read_flags
from oddframe.datasets.masks import (
    array_masks,
    check_count,
    check_masks,
    odd_frames,
    size_of_video,
)
from oddframe.datasets.shared_layout import FRAME_MASK_FOLDERS
from oddframe.datasets.tree import nearest
from oddframe.types import Truth, Video

PIXEL_MASK_FOLDERS = ("test_pixel_mask", "pixel_masks", "pixel_mask", "test_pixel_masks")


class ShanghaiTech(DataSet):
    """ShanghaiTech Campus: thirteen cameras on a campus; bicycles, cars, running and fights are
    odd. 856×480, 24 fps.

    A video's label is its scene, the first two digits of its name.
    """

    name = "shanghaitech"
    origin = "https://svip-lab.github.io/dataset/campus_dataset.html"
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

    def find(self, root: Path) -> dict[str, Path]:
        for base in (root, nearest(root, "shanghaitech", "shanghaitech_campus", "shtech", "sht")):
            if base is not None and (nearest(base, "training") or nearest(base, "testing")):
                return {"shanghaitech": base}
        return {}

    def read_split(self, root: Path) -> Split:
        base = self.find(root).get("shanghaitech")
        if base is None:
            raise self.not_found(root, "there is neither training/ nor testing/")
        train = scene_videos(nearest(base, "training"))
        test = scene_videos(nearest(base, "testing"), judged=True)
        if not train and not test:
            raise self.not_found(root, f"there is no video in {base}")
        return Split(train, test)


def scene_videos(half: Path | None, judged: bool = False) -> list[Video]:
    """The videos of training/ or testing/, of frames/ where it holds any: whoever extracted frames
    wants them read.
    """
    if half is None:
        return []
    found = videos_under(nearest(half, "frames")) or videos_under(nearest(half, "videos"))
    videos = []
    for video in found:
        truth = None
        labels = file_in(half, FRAME_MASK_FOLDERS, video.name)
        masks = file_in(half, PIXEL_MASK_FOLDERS, video.name)
        if judged and labels is not None:
            truth = partial(frame_and_pixel_truth, labels, masks, video.source)
        scene = video.name[:2]
        videos.append(Video(video.name, video.source, fps=24.0, label=scene, truth=truth))
    return videos


def frame_and_pixel_truth(
    frame_mask: Path, pixel_mask: Path | None, source: Path, frames: int
) -> Truth:
    """Labels and masks of one test video, both .npy."""
    labels = read_flags(frame_mask, frames)
    check_count(frame_mask, "labels", len(labels), frames)
    if pixel_mask is None:
        return Truth(labels)
    masks = array_masks(pixel_mask)
    check_masks(pixel_mask, masks, frames, size_of_video(Video(source.stem, source)))
    note = compare_frames(pixel_mask, labels, odd_frames(masks), "pixel masks")
    return Truth(labels, masks, note=note)


def file_in(half: Path, folders: tuple[str, ...], video: str) -> Path | None:
    """The .npy called after a video in a folder that may have several names."""
    holder = nearest(half, *folders)
    if holder is None:
        return None
    path = holder / f"{video}.npy"
    if not path.exists():
        return None
    return path
