"""Somebody's own videos."""

from pathlib import Path

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.discovery import (
    find_videos,
    is_video_file,
    nothing_in,
    videos_under,
    what_is_read,
    with_truth,
)
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.types import Video

TRAIN, TEST, TRUTH = ("train", "training"), ("test", "testing"), ("truth", "labels")


class Folder(DataSet):
    """Your own videos: ordinary ones to learn from and, if you like, others to be judged, with what is odd in them.

    A video is a file or a folder of pictures. Sub-folders are looked through; a video's label is the one it lies in.
    What operating systems leave behind is ignored. docs/how-to/ground-truth.md says how to write down what is odd.
    """

    name = "folder"
    offered = "your own disk"
    TREE = """
ROOT/
  train/                  ordinary video: files, or folders of pictures; sub-folders as you like
    monday.mp4 …
  test/                   optional: video to be judged on
    friday.mp4 …
  truth/                  optional: (or labels/) what is odd in test/, see docs/how-to/ground-truth.md
    friday.csv …
or just a folder of ordinary video
ROOT/
  monday.mp4 …
or the same as pictures
ROOT/
  monday/
    001.png …
"""

    def places(self, root: Path) -> dict[str, Path]:
        return {"ROOT": root}

    def read(self, root: Path) -> Split:
        if root.is_file():
            if not is_video_file(root):
                raise BadInput(f"{root} is not a video; {what_is_read()}")
            return Split([Video(root.stem, root)], [])
        if not root.is_dir():
            raise BadInput(f"no such file or folder: {root}")
        train, test, truth = nearest(root, *TRAIN), nearest(root, *TEST), nearest(root, *TRUTH)
        if train is None and test is None:
            if truth is not None:
                raise BadInput(
                    f"{truth} says what is odd in the videos of {root / 'test'}, which is not there"
                )
            split = Split(videos_under(root), [])
        else:
            tested = find_videos(test) if test is not None else []
            judged = (
                with_truth(tested, truth)
                if truth is not None
                else [found.video for found in tested]
            )
            split = Split(videos_under(train) if train is not None else [], judged)
        if not split.train and not split.test:
            raise BadInput(f"{nothing_in(root)}. Expected\n{self.TREE}")
        return split

    def lacks(self, root: Path) -> tuple[str, ...]:
        """Nothing: whatever can be read is as it should be."""
        del root
        return ()
