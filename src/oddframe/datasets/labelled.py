"""Somebody's own videos in folders of classes. What was cut out of one source is never on both
sides of a split.
"""

from pathlib import Path

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.discovery import nothing_in, videos_under
from oddframe.datasets.splits import hold_out_groups, labels_of_videos, read_groups
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput
from oddframe.files import natural

SHOWN_CLASSES = 6  # classes in a message


class Labelled(DataSet):
    """Your own videos in a folder for each class; a third of them is for testing, unless you say
    which.

    Videos of one source stay together. `videos.txt` says which these are: a line for each source,
    then lines that begin with the name of a video and a colon; or `groups.csv`, lines of a video's
    name and its group.
    """

    name = "labelled"
    origin = "your own disk"
    TREE = """
ROOT/
  one_class/ …
    some.mp4 …
  videos.txt                optional: (or groups.csv) which videos come from one source, and so stay together
or with the split made
ROOT/
  train/
    one_class/ …
      some.mp4 …
  test/
    one_class/ …
      some.mp4 …
"""

    def find(self, root: Path) -> dict[str, Path]:
        return {"ROOT": root}

    def read_split(self, root: Path) -> Split:
        if not root.exists():
            raise BadInput(f"no such folder: {root}")
        if not root.is_dir():
            raise self.not_found(root, "it is no folder")
        train = nearest(root, "train", "training")
        test = nearest(root, "test", "testing")
        if train is not None and test is not None:
            split = Split(videos_under(train), videos_under(test))
            refuse_new_classes(split, train, test)
        else:
            videos = videos_under(root)
            split = Split([], [])
            if videos:
                split = hold_out_groups(videos, read_groups(videos, root))
        if not split.train:
            raise BadInput(f"{nothing_in(root)}. Expected\n{self.TREE}")
        for video in (*split.train, *split.test):
            if video.label is None:
                raise BadInput(f"{video.source} is in no folder of a class. Expected\n{self.TREE}")
        return split

    def missing(self, root: Path) -> tuple[str, ...]:
        """Nothing: whatever can be read is as it should be."""
        del root
        return ()


def refuse_new_classes(split: Split, train: Path, test: Path) -> None:
    """Raise BadInput for a class that is to be tested and was never learned."""
    known = labels_of_videos(split.train)
    for label in sorted(labels_of_videos(split.test)):
        if label not in known:
            some = sorted(known, key=natural)[:SHOWN_CLASSES]
            raise BadInput(
                f"{test} has the class {label}, which {train} has not; there are {', '.join(some)}"
            )
