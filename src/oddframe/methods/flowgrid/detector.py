"""FlowGrid: remember how things move at each height of the picture; what moves as nothing has moved
is odd.

Dense optical flow is averaged over windows about as large as the things that move, and the distance
to the nearest remembered windows is the score of a place. No weights, no gradient, no GPU, one pass
over the training video. A second channel notices what stands where nothing stood. Nearest
neighbours over location-aware exemplars of motion go back to Ramachandra & Jones (Street Scene,
WACV 2020); dense inverse-search flow is Kroeger et al. (ECCV 2016).

N clips, T frames in a clip, H × W pixels; the grid has h × w cells, A of them active, each
described by six numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from oddframe.array_spec import ArraySpec
from oddframe.detector import Detector
from oddframe.errors import BadInput, BadVideo
from oddframe.methods.flowgrid.bank import CANDIDATES, choose_bank, gather_windows
from oddframe.methods.flowgrid.explanation import explain
from oddframe.methods.flowgrid.features import Describer, MotionFeatures
from oddframe.methods.flowgrid.standing import LOOK_SECONDS, learn_background, learn_longest_dwell
from oddframe.methods.flowgrid.streaming import FlowGridStream
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.types import Bytes, Clips, ClipSpec, Example, Floats, Ints, Scores, Video
from oddframe.video.background import Background, StandingTracker, local_contrast, shrink
from oddframe.video.filmed_time import StreamClock
from oddframe.video.motion import (
    PRESETS,
    SMALLEST_SIDE,
    Flow,
    MotionGrid,
    choose_grid,
    motion_cells,
    refuse_tiny,
)
from oddframe.video.reader import sources_of

HIGH_QUANTILE = 0.999  # quantile of normal windows' distances that stands for a high score
STANDING_WEIGHT = 2.0  # how much standing for the whole dwell counts beside the reference level
SHAPE_TOLERANCE = 1.5  # cells by which a picture's height may differ: less is rounding


class FlowGrid(Detector):
    """Optical flow on a grid against remembered normal windows: sees what moves as nothing did.

    What is too fast or too large is odd, and what is where nobody goes. Blind to a wrong look with
    normal motion, nearly blind to a wrong direction. Wants a camera that does not move.

    Args:
        size: Pixels across at which video is looked at; the height follows, and nothing is
            enlarged.
        fps: Frames per second that are used; slower video is taken as it comes.
        flow: Preset of dense inverse-search flow; fast and ultrafast trade accuracy for speed.
        bank: Windows of normal video that are remembered.
        neighbours: How many of the nearest remembered windows give, by their mean distance, a
            cell's score.
        row_weight: How much the height in the picture counts beside the six numbers of motion.
        half_life: Seconds after which a score counts half in the causal running mean of scores; 0
            for none.
        rare_share: Share of the bank that is chosen far from the rest of it, so that rare normals
            are remembered.
        dwell_seconds: Longest time for which a thing is watched standing; 0 switches that channel
            off.
        windows: Sides in pixels of the two averaging windows; learned from the size of what moves
            unless given.
        frame_step: Frames between the two that are compared; learned from the speed of what moves
            unless given.
    """

    name = "flowgrid"
    learned: ClassVar[dict[str, ArraySpec]] = {
        "mean": ArraySpec((6,)),
        "spread": ArraySpec((6,), low=1e-4),
        "bank": ArraySpec(("B", 7)),
        "origin": ArraySpec(("B", 3), kind="i", low=0),
        "background": ArraySpec(("h", "w")),
        "noise_level": ArraySpec(("h", "w"), low=0),
        "longest_dwell": ArraySpec(("h", "w"), low=0),
        "reference_level": ArraySpec((), low=0),
    }

    def __init__(
        self,
        *,
        size: Annotated[int, Range(16, 20_000)] = 360,
        fps: Annotated[float, Range(0, 1000, open_low=True)] = 10.0,
        flow: Flow = "medium",
        bank: Annotated[int, Range(1, 10_000_000)] = 3000,
        neighbours: Annotated[int, Range(1, 100)] = 5,
        row_weight: Annotated[float, Range(0, 1e6)] = 5.0,
        half_life: Annotated[float, Range(0, 3600)] = 0.1,
        rare_share: Annotated[float, Range(0, 1, open_high=True)] = 0.0,
        dwell_seconds: Annotated[float, Range(0, 3600)] = 8.0,
        windows: tuple[Annotated[int, Range(1, 10_000)], Annotated[int, Range(1, 10_000)]]
        | None = None,
        frame_step: Annotated[int, Range(1, 1000)] | None = None,
    ) -> None:
        check_ranges(type(self), self.options)
        if flow not in PRESETS:
            known = ", ".join(PRESETS)
            raise ValueError(f"flow is one of {known}, got {flow}")
        if bank < neighbours:
            raise ValueError(
                f"a bank holds at least as many windows as there are neighbours, got {bank}"
            )
        self.size = size
        self.fps = fps
        self.flow = flow
        self.bank_size = bank
        self.neighbours = neighbours
        self.row_weight = row_weight
        self.half_life_seconds = half_life
        self.rare_share = rare_share
        self.dwell_seconds = dwell_seconds
        self.asked_windows = windows
        self.asked_step = frame_step
        self.grid = MotionGrid(frame_step or 1, windows or (32, 48), 8)
        self.held_grid: MotionGrid | None = None  # of an earlier fit that is gone on from
        self.learned_from: list[str] = []  # sources of the training videos, for `nearest_normal`
        self.tree: cKDTree | None = None
        nothing = np.zeros(0, np.float32)
        self.mean: Floats = nothing  # (6,) of normal windows
        self.spread: Floats = nothing  # (6,)
        self.bank: Floats = nothing  # (B, 7) remembered windows, standardised, with their row
        self.origin: Ints = np.zeros(0, np.int64)  # (B, 3) training video, frame, cell of each
        # (h, w) local contrast of the small picture without what moves
        self.background: Floats = nothing
        self.noise_level: Floats = nothing  # (h, w) grey levels from which a cell is unlike it
        # (h, w) looks for which a thing may stand there: the most in normal video, and a margin
        self.longest_dwell: Floats = nothing
        self.reference_level: Floats = nothing  # () a high score among normal windows

    @property
    def spec(self) -> ClipSpec:
        step = self.grid.frame_step
        length = max(2, 1 + round(self.dwell_seconds * self.fps / step))
        return ClipSpec(
            length=length,
            stride=step,
            size=self.size,
            colour="grey",
            fps=self.fps,
            pad_start=True,
            warm_up=(length - 1) * step / self.fps,
        )

    @property
    def half_life(self) -> float:
        return self.half_life_seconds

    @property
    def quick_to_fit(self) -> bool:
        return True

    @property
    def look_step(self) -> int:
        """Frames of a clip from one look at what stands to the next."""
        return max(1, round(LOOK_SECONDS * self.fps / self.grid.frame_step))

    @property
    def looks(self) -> int:
        """How many looks at what stands a clip holds."""
        return (self.spec.length - 1) // self.look_step + 1

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        refuse_tiny(videos)
        self.grid = self.choose_grid(videos, run)
        features = self.describer.describe_all(videos, run)
        self.learn(features, videos, run)

    def fit_part(self, videos: Sequence[Video], run: Run) -> None:
        """Fit again with the same grid, so that nothing is described anew but what was cut."""
        before = self.held_grid
        self.held_grid = self.grid
        try:
            self.fit(videos, run)
        finally:
            self.held_grid = before

    def score(self, clips: Clips) -> Scores:
        """(N,) scores and (N, h, w) maps; NaN where a clip has no earlier frame to compare with.

        Raises BadVideo for pictures of another shape than those learned from; other sizes are
        scaled to theirs.
        """
        self.check_shape(clips.pixels.shape[-2:], clips.video)
        heat = np.zeros((len(clips), *self.background.shape), np.float32)
        value = np.full(len(clips), np.nan, np.float32)
        for n, clip in enumerate(clips.pixels[:, 0]):
            times = clips.times[n]
            seconds = times[-1] - times[-2]
            if np.isnan(seconds):
                continue
            standing = self.standing_in(clip, times)
            before = self.scaled(clip[-2])
            now = self.scaled(clip[-1])
            heat[n] = self.score_map(before, now, seconds, standing)
            value[n] = heat[n].max()
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)

    def stream(self, video: str) -> FlowGridStream:
        """The same scores frame by frame: of the past it keeps counts, no pixels but those of one
        pair.
        """
        return FlowGridStream(self, video)

    def score_folds(
        self, videos: Sequence[Video], folds: Sequence[int], run: Run
    ) -> Iterator[Scores]:
        """Leave-one-fold-out with one pass over the pixels: features do not depend on what was
        learned.
        """
        student = self.fresh()
        if self.learned_from == sources_of(videos):  # `fit` has just chosen the grid from them
            student.grid = self.grid
        else:
            student.grid = student.choose_grid(videos, run)
        features = student.describer.describe_all(videos, run)
        learned_without: int | None = None
        for k, fold in enumerate(folds):
            if fold != learned_without:
                others = np.flatnonzero(np.asarray(folds) != fold).tolist()
                other_features = [features[other] for other in others]
                other_videos = [videos[other] for other in others]
                student.learn(other_features, other_videos, run)
                learned_without = fold
            yield student.score_features(features[k], videos[k].name)

    def keep(
        self,
        videos: Sequence[Video],
        segments: Sequence[Video],
        run: Run,
        earlier: Detector | None,
    ) -> None:
        """Keep the features of whole videos, about 130 MB an hour; the grid of `earlier` is kept to."""
        refuse_tiny(videos)
        if isinstance(earlier, FlowGrid):
            self.held_grid = earlier.grid
        else:
            self.held_grid = None
            self.held_grid = self.choose_grid(segments, run)
        self.grid = self.held_grid
        self.describer.keep_all(videos, run)

    def nearest_normal(self, clips: Clips) -> Example:
        """The remembered window nearest to the hottest cell of the last clip, and how the two move."""
        return explain(self, clips)

    # 1. Describe: pixels to six numbers in each cell where something moves.

    def choose_grid(self, videos: Sequence[Video], run: Run) -> MotionGrid:
        """Window sizes and frame step for these videos, noted in the run."""
        grid = self.held_grid or choose_grid(
            videos,
            size=self.size,
            fps=self.fps,
            windows=self.asked_windows,
            frame_step=self.asked_step,
        )
        run.notes["grid"] = asdict(grid)
        return grid

    @property
    def describer(self) -> Describer:
        """What turns videos into features, with the grid as it is now."""
        pairs = replace(self.spec, length=2, warm_up=0.0)
        return Describer(pairs, self.grid, self.flow)

    # 2. Learn: a bank of normal windows, and where things stand.

    def learn(self, features: Sequence[MotionFeatures], videos: Sequence[Video], run: Run) -> None:
        """Learn from the features of videos, forgetting what was learned. Raises BadInput for too
        little.
        """
        if not any(len(one.frame) for one in features):
            raise BadInput(
                "flowgrid found no two frames to compare in the training videos; give longer ones"
            )
        shapes = {one.small.shape[1:] for one in features}
        if len(shapes) > 1:
            raise BadInput(
                f"the training videos differ in shape (grids of {sorted(shapes)}); "
                "fit one detector for each camera"
            )
        self.learned_from = sources_of(videos)
        self.learn_motion(features, run)
        self.learn_standing(features)

    def learn_motion(self, features: Sequence[MotionFeatures], run: Run) -> None:
        """Choose the bank of normal windows and the units in which distances are measured."""
        shape = features[0].small.shape[1:]
        count = sum(len(one.cell) for one in features)
        if count <= self.neighbours:
            raise BadInput(
                "nothing moves in the training videos, so there is no normal motion to learn"
            )
        random = run.random(1)
        wanted = min(max(CANDIDATES, self.bank_size), count)
        drawn = random.choice(count, wanted, replace=False)
        vector, cell, origin = gather_windows(features, np.sort(drawn))
        self.mean = vector.mean(0)
        self.spread = np.maximum(vector.std(0), 1e-3)
        points = self.standardise(cell, vector, shape)
        size = min(self.bank_size, len(points))
        kept = choose_bank(points, size, self.rare_share, random)
        self.bank = points[kept]
        self.origin = origin[kept].astype(np.int64)
        self.tree = None
        others = points
        if len(kept) < len(points):
            others = np.delete(points, kept, axis=0)
        high = np.quantile(self.distance(others), HIGH_QUANTILE)
        self.reference_level = np.array(high, np.float32)

    def learn_standing(self, features: Sequence[MotionFeatures]) -> None:
        """The background, its noise, and for how long things stand where in normal video."""
        background = learn_background(features)
        self.background = background.picture
        self.noise_level = background.level
        longest_of = [self.longest_standing(one) for one in features]
        self.longest_dwell = learn_longest_dwell(longest_of)

    def longest_standing(self, one: MotionFeatures) -> Floats:
        """(h, w) the most looks for which something stood at each cell, or beside it, in one video."""
        longest = np.zeros(self.background.shape, np.float32)
        for count in self.standing_through(one):
            longest = np.maximum(longest, count)
        beside = np.ones((3, 3), np.uint8)
        return np.asarray(cv2.dilate(longest, beside), np.float32)

    # 3. Score: how far is the nearest normal window, and does something stand where nothing stood?

    def score_features(self, one: MotionFeatures, name: str) -> Scores:
        """The scores of a video from its features."""
        heat = np.zeros(one.small.shape, np.float32)
        spoken = np.flatnonzero(one.spoken)
        for m, standing in enumerate(self.standing_through(one)):
            if one.spoken[m]:
                cell, vector = one.cells(m)
                heat[m] = self.combine(cell, vector, standing)
        value = heat.max((1, 2))
        return Scores(
            name,
            one.frame[spoken],
            one.seconds[spoken],
            value[spoken],
            map=heat[spoken],
        )

    def score_map(self, before: Bytes, now: Bytes, seconds: float, standing: Floats) -> Floats:
        """(h, w) scores of a pair of frames (H, W) and of how long each cell has stood."""
        cell, vector = motion_cells(before, now, seconds, self.grid, self.flow)
        return self.combine(cell, vector, standing)

    def combine(self, cell: Ints, vector: Floats, standing: Floats) -> Floats:
        """(h, w) from the active cells (A,), their numbers (A, 6), and looks for which each has
        stood (h, w).
        """
        heat: Floats = np.zeros(standing.shape, np.float32)
        if len(cell):
            points = self.standardise(cell, vector, standing.shape)
            heat.ravel()[cell] = self.distance(points)
            heat = np.asarray(cv2.blur(heat, (3, 3)))
        beyond = standing - self.longest_dwell
        # standing for the whole time watched, where nothing ever stood, counts three times the
        # oddest normal motion
        share = STANDING_WEIGHT * beyond / self.looks
        stands = float(self.reference_level) * (1 + share)
        too_long = np.where(beyond > 0, stands, 0)
        return np.maximum(heat, too_long)

    def standing_through(self, one: MotionFeatures) -> Iterator[Floats]:
        """For each frame of a video: for how many looks, up to now, each cell was unlike its
        background.
        """
        tracker = self.standing_tracker()
        clock = StreamClock()
        for small, seconds in zip(one.small, one.seconds.tolist(), strict=True):
            if clock.jumps_to(seconds):
                tracker.reset()
            clock = clock.at(seconds)
            yield tracker.push(self.unlike(small))

    def standing_in(self, clip: Bytes, times: Floats) -> Floats:
        """(h, w) the same at the last frame of a clip (T, H, W), of whose frames those at NaN are
        made up.
        """
        tracker = StandingTracker(1, self.looks)
        step = self.look_step
        last = len(clip) - 1
        for t in range(last % step, last + 1, step):
            if not np.isnan(times[t]):
                small = shrink(clip[t], self.background.shape)
                counts = tracker.push(self.unlike(small))
        return counts

    def standing_tracker(self) -> StandingTracker:
        """Counts looks of a stream of all frames."""
        frames = self.look_step * self.grid.frame_step  # from one look to the next
        return StandingTracker(frames, self.looks)

    def unlike(self, small: Bytes) -> Any:
        """(h, w) where a small picture differs from the background; nowhere when the scene has
        changed as a whole.
        """
        background = Background(self.background, self.noise_level)
        return background.unlike(local_contrast(small))

    def standardise(self, cell: Ints, vector: Floats, shape: Sequence[int]) -> Floats:
        """(A, 7): the six numbers in units of their normal spread, and the row."""
        h, w = shape
        row = self.row_weight * (cell // w + 0.5) / h
        scaled = (vector - self.mean) / self.spread
        points = np.concatenate([scaled, row[:, None]], axis=1)
        return points.astype(np.float32)

    def distance(self, points: Floats) -> Floats:
        """(A,) mean distance of windows (A, 7) to the nearest remembered ones."""
        count = min(self.neighbours, len(self.bank))
        ranks = list(range(1, count + 1))
        distances, _ = self.search_tree().query(points, ranks)
        return np.asarray(distances.mean(1))

    def search_tree(self) -> cKDTree:
        """The bank, ready to be searched."""
        if self.tree is None:
            # a sixth quicker here than with the usual 16
            self.tree = cKDTree(self.bank, leafsize=32)
        return self.tree

    def check_shape(self, shape: Sequence[int], video: str) -> None:
        """Raise BadVideo for pictures of H × W of another shape than those learned from."""
        H, W = shape
        h, w = self.background.shape
        if abs(H / W * w - h) > SHAPE_TOLERANCE:
            stride = self.grid.stride
            raise BadVideo(
                f"{video} has pictures of another shape ({W}×{H}) than the normal video (about "
                f"{w * stride}×{h * stride}); fit a detector on normal video of this camera"
            )

    def scaled(self, frame: Bytes) -> Bytes:
        """A frame (H, W) of the size learned."""
        h, w = self.background.shape
        same_grid = self.grid.grid(frame.shape) == (h, w)
        if same_grid and max(frame.shape) >= SMALLEST_SIDE:
            return frame
        side = self.grid.stride
        return shrink(frame, (h * side, w * side))

    def metadata(self) -> dict[str, Any]:
        return {"grid": asdict(self.grid), "learned_from": self.learned_from}

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        plain = metadata or {}
        super().load_state(arrays, plain)
        numbers = dict(plain["grid"])
        numbers["windows"] = tuple(numbers["windows"])  # JSON knows lists only
        grid = MotionGrid(**numbers)
        sources = plain["learned_from"]
        check_grid(grid)
        if not len(self.bank) or not self.background.size:
            raise ValueError("nothing was learned")
        known = isinstance(sources, list) and all(isinstance(one, str) for one in sources)
        if not known or self.origin[:, 0].max() >= len(sources):
            raise ValueError("the bank comes from videos that are not named")
        if self.origin[:, 2].max() >= self.background.size:
            raise ValueError("the bank has cells that are not on the grid")
        self.grid, self.learned_from = grid, sources
        self.tree = None


def check_grid(grid: MotionGrid) -> None:
    """Raise ValueError for a grid that no fit chooses."""
    numbers = (grid.frame_step, grid.stride, *grid.windows)
    whole = all(isinstance(number, int) for number in numbers) and len(grid.windows) == 2
    if not whole or min(numbers) < 1 or max(numbers) > 20_000:
        raise ValueError(f"its grid is {numbers}, not whole numbers from 1 to 20 000")
