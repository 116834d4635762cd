"""Is a data set all there? And which are known?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from oddframe.datasets.base import Counts, OfficialSplit, data_set
from oddframe.datasets.classes import ClassData
from oddframe.datasets.dad import Dad
from oddframe.datasets.inventory import Inventory, take_inventory
from oddframe.errors import BadInput, OddframeError
from oddframe.options import FramesPerSecond, Seed
from oddframe.preparation.dad_layout import DadLayout, lay_out
from oddframe.preparation.split_clips import ClipsAClass, ClipSplit, Dividing, divide_into
from oddframe.progress import ProgressCallback
from oddframe.registry import members
from oddframe.results import Listing, Result, to_plain, workflow
from oddframe.video.scene_check import check_videos


@dataclass(frozen=True)
class Preparation(Result):
    """What of a data set is there."""

    dataset: str
    about: str  # one line
    root: Path
    published: Counts | None
    inventory: Inventory
    offered: str  # where its authors offer it
    has_classes: bool  # clips in classes: what comes next is another method
    misfits: tuple[str, ...] = ()  # videos of your own that fit would leave out, and why

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the inventory's fields stand among the others."""
        return to_plain(
            {
                "dataset": self.dataset,
                "root": self.root,
                "usable": self.inventory.usable,
                "published": self.published,
                "misfits": self.misfits,
                **asdict(self.inventory),
            }
        )

    def problem(self) -> OddframeError | None:
        """Damage, for which the data set cannot be used as it is."""
        damaged = self.inventory.damaged
        if not damaged:
            return None
        others = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        text = f"{self.dataset} at {self.root} cannot be used as it is: {damaged[0]}{others}"
        return BadInput(text)


@workflow
def prepare(
    name: str,
    root: str | Path,
    out: str | Path | None = None,
    *,
    split: OfficialSplit | None = None,
    seed: Seed = 0,
    anomalous: Sequence[str] | None = None,
    by: Literal["source", "clip"] = "source",
    target: ClipsAClass = 0,
    vary: Literal["train", "all"] = "train",
    frames: bool = False,
    frame_rate: FramesPerSecond | None = None,
    progress: ProgressCallback | None = None,
) -> Preparation | ClipSplit | DadLayout:
    """Check a data set on disk: what is there, what is missing, whether the counts are the
    published ones.

    Frames are counted without decoding; all ground truth is read and held against its video.
    Nothing is changed. With OUT, clips in classes are divided into train, val, test and anomaly,
    and written there as mp4 with four tables; the recordings of `dad` are laid out there as the
    jigsaw variant has them, as links, with a mask for each.

    Args:
        name: a data set, as `oddframe datasets` lists them; `folder` for videos of your own.
        root: the folder that holds it.
        out: where clips in classes are written, divided, or `dad` is laid out; a folder that was
            begun is gone on with.
        split: number of an official split, of data sets that have several; the first unless given.
        seed: of the division and of the varied copies.
        anomalous: classes that count as anomalous, such as [fight]; those of the data set unless
            given.
        by: source keeps clips of one source on one side; clip divides them singly, as published.
        target: clips that each class of train is brought to by varied copies (val to a twentieth);
            0 makes none.
        vary: parts in which copies are made, train or all (train and val).
        frames: write films of `dad` as pictures into OUT, img_<n>.png without loss; otherwise they
            are only linked.
        frame_rate: frames per second, for folders of pictures and files that say it wrongly.
        progress: called with how far the work is.
    """
    data = data_set(name, split)
    place = Path(root).expanduser()
    classes = None
    if anomalous is not None:
        classes = tuple(anomalous)
    how = Dividing(seed, classes, by, target, vary)
    if how != Dividing() and (out is None or not isinstance(data, ClassData)):
        options = "--seed, --anomalous, --by, --target and --vary divide clips in classes"
        raise BadInput(f"{options}: give OUT, and a data set of classes")
    if vary != "train" and not target:
        raise BadInput("--vary says in which parts copies are made; --target says how many")
    if frames and (out is None or not isinstance(data, Dad)):
        raise BadInput("--frames writes pictures of dad, and needs OUT, a folder for them")
    if frame_rate is not None and out is not None:
        raise BadInput("--frame-rate is for counting and for truth in seconds: leave OUT away")
    if out is None:
        inventory = take_inventory(data, place, frame_rate)
        grouped = isinstance(data, ClassData)
        counts = data.counts
        misfits: tuple[str, ...] = ()
        if name == "folder":
            check = check_videos(data.read_split(place).train)
            misfits = tuple(str(misfit) for misfit in check.misfits)
        return Preparation(
            name, data.summary(), place, counts, inventory, data.origin, grouped, misfits
        )
    if isinstance(data, Dad):
        return lay_out(data, place, Path(out), frames=frames)
    if not isinstance(data, ClassData):
        raise BadInput(
            f"{name} is no data set of clips in classes: there is nothing to divide; leave OUT away"
        )
    return divide_into(data, place, Path(out), how)


@workflow
def datasets() -> Listing:
    """List the data sets that can be read, each in one line."""
    return Listing({name: data.summary() for name, data in members("datasets").items()})
