"""Puzzles of whole frames and of clips of clips: `jigsaw-frames`.

N clips, C channels, T frames in a clip, H × W pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from torch import nn

from oddframe.methods.jigsaw.boxes import box_videos, whole_frame
from oddframe.methods.jigsaw.cubes import BoxedVideo, Sampling
from oddframe.methods.jigsaw.detector import HALF_LIFE, PuzzleDetector, head_components, mean_of
from oddframe.methods.jigsaw.ensemble import EnsembleTraining
from oddframe.methods.jigsaw.networks import FourHeadNet, PieceNet
from oddframe.methods.jigsaw.object_level import check_common_options
from oddframe.methods.jigsaw.puzzles import Reduce, ShuffledTask, UnshuffledTask, parse_heads
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Clips, ClipSpec, Scores, Video

FRAME_HEADS = ("frame-temporal", "frame-spatial", "clip-temporal", "clip-spatial")
SUB_CLIPS = 5  # as published


class JigsawFrames(PuzzleDetector):
    """Jigsaw puzzles of whole frames, and of clips of clips, for a camera whose picture is full.

    The variant of Wang et al. (ECCV 2022) for drivers filmed from near, github.com/yugwangyeol/
    Self-Supervised-Learning-for-Video-Anomaly-Detection: frames of a short clip and tiles of it,
    sub-clips of a long clip and tiles of that. Defaults are for our network on a CPU; the variant's
    settings are in recipes/jigsaw-frames-dad.yaml. Its code differs from this, with
    either network: there frames are cut to their upper left corner, here resized, and in [0, 1];
    here the black border is on every clip; tasks are drawn at random, not by parity; a clip's score
    belongs to its middle frame; heads are made comparable by their scores of normal video before
    they are averaged; there is no stretching by the test video.

    Args:
        heads: Which puzzles, with commas between: frame-temporal, frame-spatial, clip-temporal,
            clip-spatial. A weight of its loss may follow, as in `clip-temporal:0.5`.
        network: Ours, which encodes each piece alone (a network for each head), or the published
            one, four heads on one backbone.
        clip_length: Frames of a short clip, odd.
        sub_clips: Short clips in a long one, odd; 5 as published.
        size: Pixels of a frame's side as the network is given it, divisible by 16.
        colour: Three channels, or one as published.
        base_width: Channels of the network's first layer; 32 as published, fewer are quicker.
        reduce: What of its pieces' NLL scores a puzzle: the mean, or as published the maximum.
        min_motion: Change of brightness from first frame to last, of 1, below which a clip keeps
            its order; with our network it then has no temporal puzzle.
        curriculum_epochs: Epochs before the training proper in which only some pieces of a temporal
            puzzle move, a random number from two on; for the published network.
        pool_clip_head: Whether the published network's clip-temporal head pools each sub-clip: 13
            million parameters instead of 49.
        half_life: Seconds after which a score counts half in the causal running mean of scores; 0
            for none.
        sampling: What is drawn from the training video.
        training: How the network is trained.
    """

    name = "jigsaw-frames"
    pass_size: ClassVar[int] = 4
    feature_columns: ClassVar[int] = 0
    reference_clips: ClassVar[int] = 300

    def __init__(
        self,
        *,
        heads: str = "all",
        network: Literal["pieces", "published"] = "pieces",
        clip_length: Annotated[int, Range(3, 255)] = 7,
        sub_clips: Annotated[int, Range(3, 255)] = SUB_CLIPS,
        size: Annotated[int, Range(32, 1024)] = 64,
        colour: Literal["rgb", "grey"] = "grey",
        base_width: Annotated[int, Range(1, 1024)] = 32,
        reduce: Reduce = "max",
        min_motion: Annotated[float, Range(0, 1, open_high=True)] = 0.2,
        curriculum_epochs: Annotated[int, Range(0, 100_000)] = 0,
        pool_clip_head: bool = False,
        half_life: Annotated[float, Range(0, 3600)] = HALF_LIFE,
        sampling: Sampling = Sampling(),  # noqa: B008
        training: Training = Training(  # noqa: B008
            epochs=24,
            batch=16,
            optimizer="adamw",
            lr=1e-3,
            weight_decay=0.01,
            schedule="cosine",
            warm_up=1.0,
        ),
    ) -> None:
        check_ranges(type(self), self.options)
        check_common_options(clip_length, size, reduce)
        weights = parse_heads(heads, FRAME_HEADS)
        long = any(head.startswith("clip") for head in weights)
        if network not in ("pieces", "published"):
            raise ValueError(f"network is pieces or published, got {network!r}")
        if sub_clips % 2 == 0:
            raise ValueError(f"sub_clips are an odd number, got {sub_clips}")
        if sub_clips != SUB_CLIPS and not long:
            raise ValueError(f"sub_clips count with clip-temporal or clip-spatial, got {heads}")
        if curriculum_epochs and network == "pieces":
            raise ValueError("curriculum_epochs count with --network published")
        if pool_clip_head and (network == "pieces" or "clip-temporal" not in weights):
            raise ValueError("pool_clip_head counts with --network published and clip-temporal")
        length = clip_length * sub_clips if long else clip_length
        spec = ClipSpec(length, size=(size, size), colour=colour, target="centre")
        build: Callable[..., nn.Module]
        if network == "pieces":
            task: ShuffledTask = UnshuffledTask(weights, clip_length, min_motion, reduce)
            build = partial(PieceNet, side=size)
        else:
            task = ShuffledTask(weights, clip_length, min_motion, reduce)
            build = partial(FourHeadNet, pool_clip_head=pool_clip_head)
        super().__init__(
            network=partial(
                build,
                heads=list(weights),
                frames=clip_length,
                clips=sub_clips,
                channels=3 if colour == "rgb" else 1,
                width=base_width,
            ),
            ensemble=1,
            training=EnsembleTraining(
                task, spec, size, 0.0, sampling, training, curriculum_epochs=curriculum_epochs
            ),
            half_life=half_life,
        )
        self.clip_spec, self.sampling = spec, sampling

    @property
    def spec(self) -> ClipSpec:
        return self.clip_spec

    def find_cubes(self, videos: Sequence[Video], run: Run) -> list[BoxedVideo]:
        """Every clip of the training videos is one cube."""
        step = self.sampling.train_frame_step
        return box_videos(
            videos, self.spec, whole_frame, run, step=step, depends_on=["whole frames"], columns=0
        )

    def score(self, clips: Clips) -> Scores:
        """(N,) scores; each head is a component, and so are the means of a level and of a task."""
        self.check_fitted()
        pixels = clips.pixels.transpose(0, 2, 3, 4, 1)  # (N, T, S, S, C)
        H, W = pixels.shape[2:4]
        values = self.zscores(pixels, np.zeros((len(clips), 0)), (H, W))  # (N, heads)
        return Scores(
            clips.video,
            clips.frame_index,
            clips.seconds,
            mean_of(values),
            components=head_components(values, self.heads),
        )
