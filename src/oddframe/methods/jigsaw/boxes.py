"""Where things are in a clip: boxes of what moves, of an object detector, of both, or of a file.

T frames in a clip, C channels, H × W pixels; n boxes, rows of x1 y1 x2 y2 in pixels of the clip.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Annotated, Literal

import numpy as np

from oddframe.methods.jigsaw.cubes import BoxedVideo
from oddframe.methods.jigsaw.proposals import filter_boxes, motion_proposals, to_grey, union_boxes
from oddframe.methods.jigsaw.scene import Scene
from oddframe.options import Range, check_ranges
from oddframe.progress import logger, progress
from oddframe.run import Arrays, Run
from oddframe.types import Bytes, ClipSpec, Floats, Frame, Video
from oddframe.video.clips import clips_of
from oddframe.video.ignored import GREY
from oddframe.video.object_boxes import OnnxDetector, open_box_file, scale_boxes
from oddframe.video.reader import content_of, read, times_of

# of the middle frame of a clip (T, H, W, C) of a video, and that frame's source index: (n, 4) boxes
FindBoxes = Callable[[Bytes, str, int], Floats]


@dataclass(frozen=True)
class BoxOptions:
    """Where things are.

    Args:
        source: Boxes of what moves, of an object detector, of both, or of a file.
        model: An ONNX object detector, for the sources detector and union.
        file: Boxes made elsewhere, for the source file: a pickle as the authors publish, an npz, or
            a folder of both.
        confidence: The least confidence of a box of a detector or a file.
        margin: Share of its sides by which a box is grown before its cube is cut.
    """

    source: Literal["motion", "detector", "union", "file"] = "motion"
    model: str = ""
    file: str = ""
    confidence: Annotated[float, Range(0, 1)] = 0.3
    margin: Annotated[float, Range(0, 1)] = 0.0

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))
        if self.source not in ("motion", "detector", "union", "file"):
            raise ValueError(
                f"boxes.source is motion, detector, union or file, got {self.source!r}"
            )
        if self.by_detector and not self.model:
            raise ValueError(
                f"boxes.source {self.source} needs a detector: --boxes.model MODEL.onnx"
            )
        if self.source == "file" and not self.file:
            raise ValueError("boxes.source file needs --boxes.file FILE")
        if self.model and not self.by_detector:
            raise ValueError(
                f"boxes.model counts with --boxes.source detector or union, got {self.source}"
            )
        if self.file and self.source != "file":
            raise ValueError(f"boxes.file counts with --boxes.source file, got {self.source}")
        if self.source == "motion" and self.confidence != BoxOptions.confidence:
            raise ValueError(
                "boxes.confidence counts with --boxes.source detector, union or file: what moves "
                "has none"
            )

    @property
    def by_motion(self) -> bool:
        """Whether what moves has boxes."""
        return self.source in ("motion", "union")

    @property
    def by_detector(self) -> bool:
        """Whether an object detector is asked."""
        return self.source in ("detector", "union")


@dataclass(frozen=True)
class BoxFinder:
    """Finds the boxes of the middle frame of a clip, by the source that was chosen."""

    options: BoxOptions
    scene: Scene | None  # for what moves
    detector: OnnxDetector | None
    frame_size: tuple[int, int]  # height and width of the videos that boxes of a file are of

    def __call__(self, clip: Bytes, video: str, frame: int) -> Floats:
        """(n, 4) boxes in pixels of a clip (T, H, W, C), whose middle is a frame of a video."""
        shape, boxes = clip.shape[1:3], np.zeros((0, 4), np.float32)
        if self.options.source == "file":
            boxes = open_box_file(self.options.file, self.options.confidence).boxes(video, frame)
            boxes = outside_ignored(scale_boxes(boxes, self.frame_size, shape), clip)
        if self.detector is not None:
            boxes = self.detector(clip[len(clip) // 2])
        if self.scene is not None:
            boxes = union_boxes(boxes, motion_proposals(to_grey(clip), self.scene))
        return filter_boxes(boxes, shape)

    def depends_on(self) -> list[object]:
        """What the boxes depend on besides the clip, in values whose text tells them apart."""
        words: list[object] = [self.options.source, self.options.file, self.options.confidence]
        if self.scene is not None:
            words += [self.scene.height_by_row, self.scene.aspect, digest(self.scene.background)]
        if self.detector is not None:
            words.append(digest(self.detector.model))
        return words

    def check_videos(self, videos: Sequence[Video]) -> None:
        """Raise BadInput where boxes of a file are of other videos."""
        if self.options.source != "file":
            return
        file = open_box_file(self.options.file, self.options.confidence)
        for source in {video.source: video for video in videos}.values():
            # boxes are of the file's frames, whatever part of it is learned from
            file.check_length(source.name, len(times_of(replace(source, span=None))))


def outside_ignored(boxes: Floats, clip: Bytes) -> Floats:
    """Those of n boxes whose centre is not the grey of ignored areas in all of a clip (T, H, W, C).

    Boxes of a file know nothing of the area that a run ignores.
    """
    if not len(boxes):
        return boxes
    H, W = clip.shape[1:3]
    ignored = (clip == GREY).all(axis=(0, 3))  # (H, W)
    column = np.clip((boxes[:, 0] + boxes[:, 2]) / 2, 0, W - 1).astype(int)
    row = np.clip((boxes[:, 1] + boxes[:, 3]) / 2, 0, H - 1).astype(int)
    return np.asarray(boxes[~ignored[row, column]])


def whole_frame(clip: Bytes, video: str, frame: int) -> Floats:
    """(1, 0): one thing without a box, for puzzles of whole frames."""
    del clip, video, frame
    return np.zeros((1, 0), np.float32)


def box_videos(
    videos: Sequence[Video],
    spec: ClipSpec,
    find: FindBoxes,
    run: Run,
    *,
    step: int,
    depends_on: Sequence[object],
    columns: int = 4,
) -> list[BoxedVideo]:
    """Where the cubes of each video are; from disk when the same was looked for before.

    `step` is from one middle frame of cubes to the next. Two searches that are alike in
    `depends_on` are one. A box has 4 columns; where cubes are whole frames, 0.
    """
    with (
        ThreadPoolExecutor(max(1, run.threads)) as pool,
        progress("finding boxes", len(videos), "videos") as tick,
    ):

        def box(video: Video) -> BoxedVideo:
            words = [content_of(video), spec, step, *depends_on]
            key = blake2b(repr(words).encode(), digest_size=8).hexdigest()
            empty = np.zeros((0, columns), np.float32)
            arrays = run.remember(
                f"jigsaw-{key}", lambda: find_cubes(video, spec, find, step, empty)
            )
            tick()
            return BoxedVideo(video, **arrays)

        return list(pool.map(box, videos))


def find_cubes(video: Video, spec: ClipSpec, find: FindBoxes, step: int, empty: Floats) -> Arrays:
    """The arrays of a BoxedVideo: which frames can be read, and the boxes of every `step`-th."""
    damage: list[str] = []
    index: list[int] = []
    places: list[int] = []
    boxes = [empty]
    first = place = spec.length // 2
    frames = noted_indices(read(video, spec, damage, threads=1), index)
    for clips in clips_of(frames, spec, video.name):
        pixels = clips.pixels.transpose(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        for clip, frame in zip(pixels, clips.frame_index, strict=True):
            if (place - first) % step == 0:
                found = find(clip, video.name, int(frame))
                boxes.append(found)
                places += [place] * len(found)
            place += 1
    for line in damage:
        logger.warning(f"damaged: {line}")
    return {
        "index": np.array(index, np.int64),
        "place": np.array(places, np.int64),
        "box": np.concatenate(boxes),
    }


def noted_indices(frames: Iterable[Frame], index: list[int]) -> Iterator[Frame]:
    """The same frames; their source indices are appended to `index`."""
    for frame in frames:
        index.append(frame.index)
        yield frame


def digest(array: Bytes | None) -> str:
    """A short text that differs when the bytes do."""
    if array is None:
        return ""
    return blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
