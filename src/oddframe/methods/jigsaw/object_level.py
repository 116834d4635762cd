"""Puzzles of cubes around things: `jigsaw`, with our network, and `jigsaw-published`.

N clips, C channels, T frames in a clip, H × W pixels; n boxes of a clip.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.methods.jigsaw.boxes import BoxFinder, BoxOptions, box_videos
from oddframe.methods.jigsaw.cubes import BoxedVideo, Sampling
from oddframe.methods.jigsaw.detector import HALF_LIFE, PuzzleDetector, head_components, mean_of
from oddframe.methods.jigsaw.ensemble import ENSEMBLE_FOLDS, EnsembleTraining
from oddframe.methods.jigsaw.networks import PieceNet, WideBranchNet
from oddframe.methods.jigsaw.puzzles import Reduce, ShuffledTask, UnshuffledTask, parse_heads
from oddframe.methods.jigsaw.scene import Scene, learn_scene
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Bytes, Clips, ClipSpec, Floats, Scores, Video
from oddframe.video.object_boxes import OnnxDetector, read_model
from oddframe.video.reader import facts_of

MOST_PIXELS = 100_000  # of a side of the videos
MAP_CELL = 8  # pixels of a cell of the map
PUBLISHED_HEADS = ("temporal", "spatial")
HEADS = (*PUBLISHED_HEADS, "pace")


class ObjectPuzzles(PuzzleDetector):
    """Puzzles of cubes around things, whatever network solves them."""

    pass_size: ClassVar[int] = 16
    feature_columns: ClassVar[int] = 4
    reference_clips: ClassVar[int] = 3000
    boxes: BoxOptions
    sampling: Sampling
    clip_spec: ClipSpec

    def register_places(self) -> None:
        """Declare what is learned of the camera; empty until it is."""
        self.box_finder: BoxFinder | None = None
        for name in ("background", "noise_level", "thing_sizes", "frame_size", "detector_model"):
            self.register_buffer(name, torch.empty(0))
        self.background: Tensor  # (H, W) uint8, of the camera without what moves
        self.noise_level: Tensor  # (H, W) grey levels
        # (1 + 2 rows,) width / height of things; rows of lower edges, each with the height there
        self.thing_sizes: Tensor
        self.frame_size: Tensor  # (2,) height and width of the videos learned from
        self.detector_model: Tensor  # bytes of an ONNX model, so that a run is whole

    @property
    def spec(self) -> ClipSpec:
        return self.clip_spec

    def check_learned(self) -> None:
        super().check_learned()
        specs = {"frame_size": ArraySpec((2,), kind="i", low=1, high=MOST_PIXELS)}
        if self.boxes.by_motion:
            specs["thing_sizes"] = ArraySpec(("sizes",), low=0)
            if len(self.thing_sizes) < 3 or len(self.thing_sizes) % 2 == 0:
                raise ValueError("thing_sizes are an aspect, then rows and heights in pairs")
            if self.background.numel() or self.noise_level.numel():
                specs["background"] = ArraySpec(("H", "W"), kind="u")
                specs["noise_level"] = ArraySpec(("H", "W"), low=0)
        check_arrays({name: getattr(self, name).numpy() for name in specs}, specs)

    def find_cubes(self, videos: Sequence[Video], run: Run) -> list[BoxedVideo]:
        """Learn where things may be, and find those of the training videos."""
        self.learn_places(videos)
        finder = self.finder()
        finder.check_videos(videos)
        return box_videos(
            videos,
            self.spec,
            finder,
            run,
            step=self.sampling.train_frame_step,
            depends_on=finder.depends_on(),
        )

    def learn_places(self, videos: Sequence[Video]) -> None:
        """Learn what boxes depend on: the scene, a detector's bytes, the size of the videos."""
        facts = facts_of(videos[0])
        self.frame_size = torch.tensor([facts.height, facts.width])
        self.background, self.noise_level = torch.empty(0), torch.empty(0)
        self.thing_sizes, self.detector_model = torch.empty(0), torch.empty(0)
        if self.boxes.by_motion:
            scene = learn_scene(videos, self.spec)
            rows = chain.from_iterable(scene.height_by_row)
            self.thing_sizes = torch.tensor([scene.aspect, *rows])
            if scene.background is not None and scene.noise_level is not None:
                self.background = torch.from_numpy(scene.background)
                self.noise_level = torch.from_numpy(scene.noise_level)
        if self.boxes.by_detector:
            self.detector_model = torch.from_numpy(read_model(self.boxes.model).copy())
        self.box_finder = None

    def finder(self) -> BoxFinder:
        """What finds boxes, from what was learned."""
        if self.box_finder is None:
            detector = None
            if self.boxes.by_detector:
                model = self.detector_model.cpu().numpy()
                detector = OnnxDetector(model, self.boxes.confidence)
            height, width = self.frame_size.tolist()
            self.box_finder = BoxFinder(
                self.boxes,
                self.scene(),
                detector,
                (height, width),
            )
        return self.box_finder

    def scene(self) -> Scene | None:
        """What was learned of the camera; None where boxes do not depend on it."""
        if not self.boxes.by_motion:
            return None
        aspect, *rows = self.thing_sizes.tolist()
        height_by_row = tuple(zip(rows[::2], rows[1::2], strict=True))
        if not self.background.numel():
            return Scene(None, None, height_by_row, aspect)
        background, noise_level = self.background.cpu().numpy(), self.noise_level.cpu().numpy()
        return Scene(background, noise_level, height_by_row, aspect)

    def find_and_cut(self, clip: Bytes, video: str, frame: int) -> tuple[Floats, Bytes]:
        """Boxes (n, 4) and cubes (n, T, S, S, C) of a clip (T, H, W, C)."""
        boxes = self.finder()(clip, video, frame)
        return boxes, self.cut_cubes(clip, boxes)

    def score(self, clips: Clips) -> Scores:
        """(N,) scores with boxes and (N, h, w) maps; each head is a component.

        The value of a clip is the mean over the heads of its highest thing, in units of a high
        score of normal video; where nothing moves it is 0.
        Raises BadVideo for pictures of another size than those learned from.
        """
        self.check_fitted()
        pixels = clips.pixels.transpose(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        H, W = pixels.shape[2:4]
        self.finder()
        with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
            jobs = [
                pool.submit(self.find_and_cut, clip, clips.video, int(frame))
                for clip, frame in zip(pixels, clips.frame_index, strict=True)
            ]
            found = [job.result() for job in jobs]
        boxes_of, cubes_of = zip(*found, strict=True)
        boxes = np.concatenate(boxes_of)
        cubes = np.concatenate(cubes_of)
        values = self.zscores(cubes, boxes, (H, W))  # (n, heads)
        peaks = np.zeros((len(clips), len(self.heads)))
        maps: list[Floats] = []
        scored_boxes: list[Floats] = []
        start = 0
        for number, of_clip in enumerate(boxes_of):
            end = start + len(of_clip)
            own = values[start:end]
            start = end
            mean = own.mean(1)
            peaks[number] = own.max(0, initial=0)
            maps.append(paint_boxes(of_clip, mean, (H, W)))
            shares = of_clip / [W, H, W, H]
            columns = np.column_stack([shares, mean])
            scored_boxes.append(columns.astype(np.float32))
        return Scores(
            clips.video,
            clips.frame_index,
            clips.seconds,
            mean_of(peaks),
            map=np.stack(maps),
            boxes=tuple(scored_boxes),
            components=head_components(peaks, self.heads),
        )


class Jigsaw(ObjectPuzzles):
    """Puzzles of pieces of what moves, each encoded alone: what is hard to put in order is odd.

    After Wang et al. (ECCV 2022), with a network of ours that learns in minutes on a CPU, without
    an object detector. It differs from the paper: every cube is a puzzle of all heads at once,
    unshuffled; there is a third head, `pace`, which places each frame beside the middle one alone
    and is scored by excess NLL; a puzzle is scored by the mean of its pieces; boxes are of what
    moves; heads are made comparable by the scores of normal things like them; boxes and light are
    varied in training; two networks, each trained without another sixth of the video, are averaged.

    Args:
        heads: Which puzzles, with commas between: temporal, spatial and pace. A weight of its loss
            may follow, as in `spatial:0.5`.
        clip_length: Frames of a cube, odd; 7 as published for Ped2 and Avenue, 9 for ShanghaiTech.
        size: Pixels of a cube's side as the network is given it, divisible by 16; 64 as published.
        frame_width: Pixels across of the video in which boxes are found; nothing is enlarged.
        colour: Three channels, or one.
        base_width: Channels of the network's first layer.
        reduce: What of its pieces' NLL scores a puzzle: the mean, or as published the maximum.
        min_motion: Change of brightness from first frame to last, of 1, below which a cube has no
            temporal puzzle.
        ensemble: Networks, up to 6, each trained without another sixth of the video, on which its
            validation loss is computed. Their scores are averaged.
        parallel: Networks trained at the same time, each in a process with its part of the cores.
        half_life: Seconds after which a score counts half in the causal running mean of scores; 0
            for none.
        boxes: Where things are.
        sampling: What is drawn from the training video.
        training: How each network is trained.
    """

    name = "jigsaw"

    def __init__(
        self,
        *,
        heads: str = "all",
        clip_length: Annotated[int, Range(3, 255)] = 7,
        size: Annotated[int, Range(32, 1024)] = 32,
        frame_width: Annotated[int, Range(32, 8192)] = 640,
        colour: Literal["rgb", "grey"] = "rgb",
        base_width: Annotated[int, Range(1, 1024)] = 32,
        reduce: Reduce = "mean",
        min_motion: Annotated[float, Range(0, 1, open_high=True)] = 0.2,
        ensemble: Annotated[int, Range(1, ENSEMBLE_FOLDS)] = 2,
        parallel: Annotated[int, Range(1, ENSEMBLE_FOLDS)] = 1,
        half_life: Annotated[float, Range(0, 3600)] = HALF_LIFE,
        boxes: BoxOptions = BoxOptions(),  # noqa: B008
        sampling: Sampling = Sampling(),  # noqa: B008
        training: Training = Training(  # noqa: B008
            epochs=24,
            batch=64,
            optimizer="adamw",
            lr=1e-3,
            weight_decay=0.01,
            schedule="cosine",
            warm_up=0.5,
        ),
    ) -> None:
        check_ranges(type(self), self.options)
        check_common_options(clip_length, size, reduce)
        if parallel > ensemble:
            raise ValueError(f"parallel is from 1 to all {ensemble} networks, got {parallel}")
        if parallel > 1 and training.devices > 1:
            raise ValueError(f"parallel networks are for one device, got {training.devices}")
        weights = parse_heads(heads, HEADS)
        spec = ClipSpec(clip_length, size=frame_width, colour=colour, target="centre")
        task = UnshuffledTask(weights, clip_length, min_motion, reduce)
        super().__init__(
            network=partial(
                PieceNet,
                heads=list(weights),
                frames=clip_length,
                channels=3 if colour == "rgb" else 1,
                side=size,
                width=base_width,
            ),
            ensemble=ensemble,
            training=EnsembleTraining(task, spec, size, boxes.margin, sampling, training, parallel),
            half_life=half_life,
        )
        self.boxes, self.sampling, self.clip_spec = boxes, sampling, spec
        self.register_places()


class JigsawPublished(ObjectPuzzles):
    """Jigsaw puzzles as published: the wide-branch network on shuffled cubes around things.

    Wang et al., "Video Anomaly Detection by Solving Decoupled Spatio-Temporal Jigsaw Puzzles", ECCV
    2022. Defaults are the authors' but for the boxes, which are of what moves unless a file of
    theirs is given. It differs from their code: a cube's task is drawn at random each time (theirs
    by the parity of its number, so that half of the cubes never see a task); the black border is on
    every cube; the weights are the last, not those best on test video; a sixth of the normal video
    is kept for the validation loss; heads are made comparable by the scores of normal things like
    them before they are averaged; scores are smoothed causally and not stretched by the test video.

    Args:
        heads: Which puzzles, with commas between: temporal and spatial. A weight of its loss may
            follow, as in `spatial:0.5`.
        clip_length: Frames of a cube, odd; 7 as published for Ped2 and Avenue, 9 for ShanghaiTech.
        size: Pixels of a cube's side as the network is given it, divisible by 16; 64 as published.
        frame_width: Pixels across of the video in which boxes are found; nothing is enlarged.
        colour: Three channels, or one.
        base_width: Channels of the network's first layer; 32 as published, fewer are quicker.
        reduce: What of its pieces' NLL scores a puzzle: the mean, or as published the maximum.
        min_motion: Change of brightness from first frame to last, of 1, below which a cube keeps
            its order.
        curriculum_epochs: Epochs before the training proper in which only some pieces of a temporal
            puzzle move, a random number from two on; 0 as published, with which the loss stays at
            chance for more than a thousand steps.
        half_life: Seconds after which a score counts half in the causal running mean of scores; 0
            for none.
        boxes: Where things are.
        sampling: What is drawn from the training video.
        training: How the network is trained.
    """

    name = "jigsaw-published"

    def __init__(
        self,
        *,
        heads: str = "all",
        clip_length: Annotated[int, Range(3, 255)] = 7,
        size: Annotated[int, Range(32, 1024)] = 64,
        frame_width: Annotated[int, Range(32, 8192)] = 640,
        colour: Literal["rgb", "grey"] = "rgb",
        base_width: Annotated[int, Range(1, 1024)] = 32,
        reduce: Reduce = "max",
        min_motion: Annotated[float, Range(0, 1, open_high=True)] = 0.2,
        curriculum_epochs: Annotated[int, Range(0, 100_000)] = 0,
        half_life: Annotated[float, Range(0, 3600)] = HALF_LIFE,
        boxes: BoxOptions = BoxOptions(),  # noqa: B008
        sampling: Sampling = Sampling(epoch_cubes=0, jitter=0.0),  # noqa: B008
        training: Training = Training(  # noqa: B008
            epochs=100,
            batch=192,
            optimizer="adam",
            lr=1e-4,
        ),
    ) -> None:
        check_ranges(type(self), self.options)
        check_common_options(clip_length, size, reduce)
        weights = parse_heads(heads, PUBLISHED_HEADS)
        spec = ClipSpec(clip_length, size=frame_width, colour=colour, target="centre")
        task = ShuffledTask(weights, clip_length, min_motion, reduce)
        super().__init__(
            network=partial(
                WideBranchNet,
                frames=clip_length,
                channels=3 if colour == "rgb" else 1,
                side=size,
                width=base_width,
            ),
            ensemble=1,
            training=EnsembleTraining(
                task,
                spec,
                size,
                boxes.margin,
                sampling,
                training,
                curriculum_epochs=curriculum_epochs,
            ),
            half_life=half_life,
        )
        self.boxes, self.sampling, self.clip_spec = boxes, sampling, spec
        self.register_places()


def check_common_options(clip_length: int, size: int, reduce: str) -> None:
    """Raise ValueError, one line, for what no jigsaw method takes."""
    if clip_length % 2 == 0:
        raise ValueError(f"clip_length is an odd number, got {clip_length}")
    if size % 16:
        raise ValueError(f"size is divisible by 16, got {size}")
    if reduce not in ("mean", "max"):
        raise ValueError(f"reduce is mean or max, got {reduce!r}")


def paint_boxes(boxes: Floats, values: Floats, shape: Sequence[int]) -> Floats:
    """(h, w): in each cell of a picture of H × W the highest value of the boxes that cover it.

    0 where none does.
    """
    H, W = shape
    h, w = max(1, H // MAP_CELL), max(1, W // MAP_CELL)
    heat = np.zeros((h, w), np.float32)
    scale = np.array([w / W, h / H, w / W, h / H])
    for box, value in zip(boxes * scale, values, strict=True):
        x1, y1, x2, y2 = box.tolist()
        left, top = int(x1), int(y1)
        right = max(left + 1, round(x2))
        bottom = max(top + 1, round(y2))
        part = heat[top:bottom, left:right]
        np.maximum(part, value, out=part)
    return heat
