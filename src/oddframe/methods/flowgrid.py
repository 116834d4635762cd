"""FlowGrid: remember how things move at each height of the picture; what moves as nothing has moved is odd.

Dense optical flow is averaged over windows about as large as the things that move, and the nearest remembered windows
say how strange a place is. No weights, no gradient, no GPU, one pass over the training video. A second channel notices
what stands where nothing stood. Nearest neighbours over location-aware exemplars of motion go back to Ramachandra
& Jones (Street Scene, WACV 2020); dense inverse-search flow is Kroeger et al. (ECCV 2016).

N clips, T frames in a clip, H × W pixels; the grid has h × w cells, A of them active, each described by six numbers.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from oddframe.detector import Detector
from oddframe.errors import BadInput, BadVideo
from oddframe.progress import logger, progress
from oddframe.run import Arrays, Run, usable_threads
from oddframe.types import Bytes, Clips, ClipSpec, Example, Floats, Ints, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.motion import PRESETS, Flow, MotionGrid, choose_grid, motion_cells
from oddframe.video.reader import content_hash, facts_of, read

CANDIDATES = 20_000  # windows of normal video, drawn at random, from which the bank is chosen
SAMPLED = 400  # frames, over all training videos, from which the background is learned
GLANCE = 0.5  # seconds between the looks that decide whether something stands
LEAST_STAND = 3.0  # seconds that a thing must stand longer than any did in normal video
UNLIKE = 10.0  # grey levels, the least by which a standing thing differs from its background
SMALLEST = 12  # pixels of the longer side, below which OpenCV finds no flow
CHANGED_SCENE = (
    0.4  # share of the picture unlike the background from which on it is the light or the camera
)


@dataclass(frozen=True)
class MotionFeatures:
    """What is kept of one video of M frames: all that learning and judging need, no pixels. About 130 MB an hour."""

    frame: Ints  # (M,) index in the source
    seconds: Floats  # (M,)
    spoken: Ints  # (M,) 0 where there is no earlier frame to compare with
    first: Ints  # (M + 1,) where each frame's active cells begin in the next two
    cell: Ints  # (A,) which cell of the grid
    vector: Floats  # (A, 6)
    small: Bytes  # (M, h, w) the frame itself, a pixel a cell

    def cells(self, m: int) -> tuple[Ints, Floats]:
        part = slice(int(self.first[m]), int(self.first[m + 1]))
        return self.cell[part], self.vector[part].astype(np.float32)


class FlowGrid(Detector):
    """Optical flow on a grid against remembered normal windows: things too fast, too large, or where nobody goes.

    Blind to a wrong look with normal motion, nearly blind to a wrong direction. Wants a camera that does not move.

    Args:
        width: Pixels across at which video is looked at; the height follows, and nothing is enlarged.
        fps: Frames per second looked at; slower video is taken as it comes.
        flow: Preset of dense inverse-search flow; fast and ultrafast trade accuracy for speed.
        bank: Windows of normal video that are remembered.
        neighbours: How many of the nearest remembered windows give, by their mean distance, a cell's score.
        row_weight: How much the height in the picture counts beside the six numbers of motion.
        smoothing: Weight of the past in the causal running mean of scores.
        rare_share: Share of the bank that is chosen far from the rest of it, so that rare normals are remembered.
        dwell_seconds: Longest time for which a thing is watched standing; 0 switches that channel off.
        windows: Sides in pixels of the two averaging windows; learned from the size of what moves unless given.
        gap: Frames between the two that are compared; learned from the speed of what moves unless given.
    """

    name = "flowgrid"
    quick_to_fit = True
    learned = ("mean", "spread", "bank", "origin", "background", "unrest", "stood", "usual")

    def __init__(
        self,
        *,
        width: int = 360,
        fps: float = 10.0,
        flow: Flow = "medium",
        bank: int = 3000,
        neighbours: int = 5,
        row_weight: float = 5.0,
        smoothing: float = 0.5,
        rare_share: float = 0.0,
        dwell_seconds: float = 8.0,
        windows: tuple[int, int] | None = None,
        gap: int | None = None,
    ) -> None:
        super().__init__()
        for holds, rule, got in (
            (width >= 16, "width is at least 16 pixels", width),
            (0 < fps <= 1000, "fps is above 0 and at most 1000", fps),
            (flow in PRESETS, f"flow is one of {', '.join(PRESETS)}", flow),
            (neighbours >= 1, "neighbours are 1 or more", neighbours),
            (
                bank >= neighbours,
                "a bank holds at least as many windows as there are neighbours",
                bank,
            ),
            (row_weight >= 0, "row_weight is 0 or more", row_weight),
            (0 <= smoothing < 1, "smoothing is at least 0 and below 1", smoothing),
            (0 <= rare_share < 1, "rare_share is at least 0 and below 1", rare_share),
            (dwell_seconds >= 0, "dwell_seconds are 0 or more", dwell_seconds),
            (windows is None or min(windows) >= 1, "windows are sides of 1 pixel or more", windows),
            (gap is None or gap >= 1, "a gap is 1 frame or more", gap),
        ):
            if not holds:
                raise ValueError(f"{rule}, got {got}")
        self.width, self.fps, self.flow = width, fps, flow
        self.bank_size, self.neighbours, self.row_weight = bank, neighbours, row_weight
        self.past, self.rare_share, self.dwell_seconds = smoothing, rare_share, dwell_seconds
        self.asked_windows, self.asked_gap = windows, gap
        self.look = MotionGrid(gap or 1, windows or (32, 48), 8)
        self.learned_from: list[str] = []  # sources of the training videos, for `nearest_normal`
        self.tree: cKDTree | None = None
        nothing = np.zeros(0, np.float32)
        self.mean: Floats = nothing  # (6,) of normal windows
        self.spread: Floats = nothing  # (6,)
        self.bank: Floats = nothing  # (B, 7) remembered windows, standardised, with their row
        self.origin: Ints = np.zeros(0, np.int64)  # (B, 3) training video, frame and cell of each
        # (h, w) the small picture without what moves, less its local mean
        self.background: Floats = nothing
        self.unrest: Floats = nothing  # (h, w) grey levels from which a cell is unlike background
        # (h, w) glances that a thing may stand there: the most in normal video, and a margin
        self.stood: Floats = nothing
        self.usual: Floats = nothing  # () a high score among normal windows

    @property
    def spec(self) -> ClipSpec:
        length = max(2, 1 + round(self.dwell_seconds * self.fps / self.look.gap))
        return ClipSpec(
            length=length,
            stride=self.look.gap,
            size=self.width,
            colour="grey",
            fps=self.fps,
            pad_start=True,
        )

    @property
    def smoothing(self) -> float:
        return self.past

    @property
    def glance(self) -> int:
        """Frames of a clip from one look at what stands to the next."""
        return max(1, round(GLANCE * self.fps / self.look.gap))

    @property
    def glances(self) -> int:
        """How many looks at what stands a clip holds."""
        return (self.spec.length - 1) // self.glance + 1

    # The two verbs.

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        _refuse_tiny(videos)
        self.look = self._choose_look(videos, run)
        self._learn(self._describe_all(videos, run), videos, run)

    def score(self, clips: Clips) -> Scores:
        """(N,) scores and (N, h, w) maps; NaN where a clip has no earlier frame to compare with.

        Raises BadVideo for pictures of another shape than those learned from; other sizes are scaled to theirs.
        """
        shape = self._learned_grid(clips)
        value, heat = (
            np.full(len(clips), np.nan, np.float32),
            np.zeros((len(clips), *shape), np.float32),
        )
        pixels, pasts = clips.pixels[:, 0], _Pasts(self, shape)
        standing = [
            pasts.standing(clip, times) for clip, times in zip(pixels, clips.times, strict=True)
        ]
        self._tree()  # made before threads share it

        def one(n: int) -> None:
            before, now = clips.times[n, -2:]
            if not np.isnan(before):
                cells = motion_cells(*self._pair(pixels[n]), now - before, self.look, self.flow)
                heat[n] = self._heat(*cells, standing[n])
                value[n] = heat[n].max()

        with ThreadPoolExecutor(usable_threads()) as pool:
            list(pool.map(one, range(len(clips))))
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)

    def held_out(self, videos: Sequence[Video], folds: Sequence[int], run: Run) -> Iterator[Scores]:
        """Leave-one-fold-out with one pass over the pixels, for descriptions do not depend on what was learned."""
        same = self.learned_from == [
            str(video.source) for video in videos
        ]  # `fit` has just looked at them
        look = self.look if same else self._choose_look(videos, run)
        described: list[MotionFeatures] | None = None
        students: dict[int, FlowGrid] = {}
        for k, fold in enumerate(folds):
            if fold not in students:
                student = self.fresh()
                student.look = look
                described = described or student._describe_all(videos, run)
                others = [other for other, of in enumerate(folds) if of != fold]
                student._learn([described[o] for o in others], [videos[o] for o in others], run)
                students = {fold: student}
            assert described is not None
            yield students[fold]._judge(described[k], videos[k].name)

    def nearest_normal(self, clips: Clips) -> Example:
        """The remembered window nearest to the hottest cell of the last clip, and how the two move."""
        scores = self.score(clips)
        assert scores.map is not None
        heat = scores.map[-1]
        where = int(heat.argmax())
        clip, times = clips.pixels[-1, 0], clips.times[-1]
        before, now = self._pair(clip)
        cell, vector = motion_cells(before, now, times[-1] - times[-2], self.look, self.flow)
        here = np.flatnonzero(cell == where)
        box = self._window(where, heat.shape)
        if not len(here):
            return Example(
                "Something stands where, in normal video, nothing stood for so long.", box
            )
        point = self._standard(cell[here], vector[here], heat.shape)[0]
        nearest = int(self._tree().query(point)[1])
        usual = self.bank[nearest, :6] * self.spread + self.mean
        most = int(np.abs(point[:6] - self.bank[nearest, :6]).argmax())
        video, frame, at = (int(n) for n in self.origin[nearest])
        text = _compared(most % 3, float(vector[here][0, most]), float(usual[most]), now)
        return Example(
            text, box, Path(self.learned_from[video]), frame, self._window(at, heat.shape)
        )

    # 1. Describe: pixels to six numbers in each cell where something moves.

    def _choose_look(self, videos: Sequence[Video], run: Run) -> MotionGrid:
        look = choose_grid(
            videos, width=self.width, fps=self.fps, windows=self.asked_windows, gap=self.asked_gap
        )
        run.notes["look"] = asdict(look)
        return look

    def _describe_all(self, videos: Sequence[Video], run: Run) -> list[MotionFeatures]:
        stop = Event()
        with (
            ThreadPoolExecutor(max(1, run.threads)) as pool,
            progress("watching", len(videos), "videos") as tick,
        ):

            def one(video: Video) -> MotionFeatures:
                words = f"{content_hash(video.source)} {video.span} {self.look} {self.width} {self.fps} {self.flow}"
                name = f"flowgrid-{blake2b(words.encode(), digest_size=8).hexdigest()}"
                described = MotionFeatures(
                    **run.remember(name, lambda: self._describe(video, stop))
                )
                tick()
                return described

            try:
                return list(pool.map(one, videos))
            except BaseException:
                stop.set()  # or Ctrl-C would wait for the videos at hand, hours perhaps
                raise

    def _describe(self, video: Video, stop: Event | None = None) -> Arrays:
        spec, damage = replace(self.spec, length=2), list[str]()
        stream = clips_of(read(video, spec, damage, threads=1), spec, video.name)
        described = self._described(stream if stop is None else _unless(stop, stream))
        for line in damage:
            logger.warning(f"damaged: {line}")
        return described

    def _described(self, stream: Iterable[Clips]) -> Arrays:
        parts: dict[str, list[Any]] = {field.name: [] for field in fields(MotionFeatures)}
        count = 0
        for clips in stream:
            pixels = clips.pixels[:, 0]  # (N, 2, H, W)
            shape = self.look.grid(pixels.shape[-2:])
            for (before, now), times, frame in zip(
                pixels, clips.times, clips.frame_index, strict=True
            ):
                spoken = not np.isnan(times[0])
                parts["first"].append(count)
                if spoken:
                    cell, vector = motion_cells(
                        before, now, times[1] - times[0], self.look, self.flow
                    )
                    parts["cell"].append(cell.astype(np.int32))
                    parts["vector"].append(vector.astype(np.float16))
                    count += len(cell)
                parts["frame"].append(frame)
                parts["seconds"].append(times[1])
                parts["spoken"].append(spoken)
                parts["small"].append(_small(now, shape))
        parts["first"].append(count)
        ragged = {"cell": np.zeros(0, np.int32), "vector": np.zeros((0, 6), np.float16)}
        whole = {name: np.concatenate([empty, *parts[name]]) for name, empty in ragged.items()}
        return {
            name: np.asarray(part) for name, part in parts.items() if name not in ragged
        } | whole

    # 2. Learn: a bank of normal windows, and where things stand.

    def _learn(
        self, described: Sequence[MotionFeatures], videos: Sequence[Video], run: Run
    ) -> None:
        if not sum(len(one.frame) for one in described):
            raise BadInput(
                "flowgrid found no two frames to compare in the training videos; give longer ones"
            )
        self.learned_from = [str(video.source) for video in videos]
        self._learn_motion(described, run)
        self._learn_standing(described)

    def _learn_motion(self, described: Sequence[MotionFeatures], run: Run) -> None:
        shape = described[0].small.shape[1:]
        if any(one.small.shape[1:] != shape for one in described):
            sizes = sorted({one.small.shape[1:] for one in described})
            raise BadInput(
                f"the training videos differ in shape (grids of {sizes}); fit one detector for each camera"
            )
        counts = np.array([len(one.cell) for one in described])
        if counts.sum() <= self.neighbours:
            raise BadInput(
                "nothing moves in the training videos, so there is no normal motion to learn"
            )
        random = run.random(1)
        drawn = np.sort(
            random.choice(
                counts.sum(), min(max(CANDIDATES, self.bank_size), counts.sum()), replace=False
            )
        )
        starts = np.cumsum(counts) - counts
        pieces, origins = [], []
        for k, one in enumerate(described):
            mine = drawn[(drawn >= starts[k]) & (drawn < starts[k] + counts[k])] - starts[k]
            frame = one.frame[np.searchsorted(one.first, mine, side="right") - 1]
            pieces.append(
                np.concatenate([one.vector[mine], one.cell[mine, None]], axis=1, dtype=np.float32)
            )
            origins.append(np.stack([np.full(len(mine), k), frame, one.cell[mine]], axis=1))
        rows, origin = np.concatenate(pieces), np.concatenate(origins)
        vector, cell = rows[:, :6], rows[:, 6].astype(int)
        self.mean = vector.mean(0)
        self.spread = np.maximum(vector.std(0), 1e-3)
        points = self._standard(cell, vector, shape)
        kept = _coreset(points, min(self.bank_size, len(points)), self.rare_share, random)
        self.bank = points[kept]
        self.origin = origin[kept].astype(np.int64)
        self.tree = None
        others = np.delete(points, kept, axis=0) if len(kept) < len(points) else points
        self.usual = np.array(np.quantile(self._distance(others), 0.999), np.float32)

    def _learn_standing(self, described: Sequence[MotionFeatures]) -> None:
        """The background, how restless it is, and how long things stand where in normal video."""
        every = max(1, sum(len(one.small) for one in described) // SAMPLED)
        sample = _local(np.concatenate([one.small[::every] for one in described]))  # (S, h, w)
        background = np.median(sample, axis=0)
        noise = 1.4826 * np.median(np.abs(sample - background), axis=0)
        self.background = background.astype(np.float32)
        # light that grows stronger scales the contrast of the background itself
        self.unrest = np.maximum(UNLIKE, 4 * noise + 0.15 * np.abs(background)).astype(np.float32)
        each: list[Floats] = []
        for one in described:
            longest = np.zeros(background.shape, np.float32)
            for count in self._standing(one.small):
                longest = np.maximum(longest, count)
            each.append(np.asarray(cv2.dilate(longest, np.ones((3, 3), np.uint8)), np.float32))
        # a short recording has not seen all standing that is normal: as far as one video goes beyond all others,
        # a new one may go beyond all of these
        surprise = (
            [(one - _max_of(each, but=k)).max() for k, one in enumerate(each)]
            if len(each) > 1
            else [0]
        )
        margin = max(LEAST_STAND / GLANCE, *surprise)
        self.stood = np.asarray(_max_of(each) + margin, np.float32)

    # 3. Judge: how far is the nearest normal window, and does something stand where nothing stood?

    def _judge(self, one: MotionFeatures, name: str) -> Scores:
        heat = np.zeros(one.small.shape, np.float32)
        spoken = np.flatnonzero(one.spoken)
        for m, standing in enumerate(self._standing(one.small)):
            if one.spoken[m]:
                heat[m] = self._heat(*one.cells(m), standing)
        value = heat.reshape(len(heat), -1).max(1)
        return Scores(name, one.frame[spoken], one.seconds[spoken], value[spoken], map=heat[spoken])

    def _heat(self, cell: Ints, vector: Floats, standing: Floats) -> Floats:
        """(h, w) from the active cells (A,), their numbers (A, 6), and how many glances each cell has stood (h, w)."""
        heat: Floats = np.zeros(standing.shape, np.float32)
        if len(cell):
            points = self._standard(cell, vector, standing.shape)
            heat.ravel()[cell] = self._distance(points)
            heat = np.asarray(cv2.blur(heat, (3, 3)))
        beyond = standing - self.stood
        # standing for the whole time watched, where nothing ever stood, counts three times the oddest normal motion
        return np.maximum(
            heat, np.where(beyond > 0, float(self.usual) * (1 + 2 * beyond / self.glances), 0)
        )

    def _standing(self, small: Bytes) -> Iterator[Floats]:
        """For each frame of a video (M, h, w): for how many glances, up to now, each cell was unlike its background."""
        step, longest = self.glance * self.look.gap, self.glances
        past: deque[Floats] = deque(maxlen=step)
        for frame in small:
            before = past[0] if len(past) == step else 0
            past.append(
                np.where(self._unlike(frame), np.minimum(before + 1, longest), 0).astype(np.float32)
            )
            yield past[-1]

    def _unlike(self, small: Bytes) -> Any:
        """(h, w) where a small picture differs from the background; nowhere when the scene as a whole has changed."""
        unlike = np.abs(_local(small[None])[0] - self.background) > self.unrest
        return unlike if unlike.mean() < CHANGED_SCENE else np.zeros_like(unlike)

    def _standard(self, cell: Ints, vector: Floats, shape: Sequence[int]) -> Floats:
        """(A, 7): the six numbers in units of their normal spread, and the row."""
        row = self.row_weight * (cell // shape[1] + 0.5) / shape[0]
        scaled = (vector - self.mean) / self.spread
        return np.concatenate([scaled, row[:, None]], axis=1).astype(np.float32)

    def _distance(self, points: Floats) -> Floats:
        """(A,) mean distance to the nearest remembered windows."""
        return np.asarray(self._tree().query(points, self._ranks(len(self.bank)))[0].mean(1))

    def _ranks(self, held: int) -> list[int]:
        return list(range(1, min(self.neighbours, held) + 1))

    def _tree(self) -> cKDTree:
        if self.tree is None:
            self.tree = cKDTree(
                self.bank, leafsize=32
            )  # a sixth quicker here than with the usual 16
        return self.tree

    def _window(self, cell: int, shape: Sequence[int]) -> tuple[float, float, float, float]:
        """The larger averaging window around a cell, as fractions of the picture."""
        h, w = shape
        reach = self.look.windows[1] / self.look.stride / 2
        row, column = cell // w + 0.5, cell % w + 0.5
        return (
            max(0.0, (column - reach) / w),
            max(0.0, (row - reach) / h),
            min(1.0, (column + reach) / w),
            min(1.0, (row + reach) / h),
        )

    def _learned_grid(self, clips: Clips) -> tuple[int, int]:
        (H, W), (h, w) = clips.pixels.shape[-2:], self.background.shape
        if abs(H / W * w - h) > 1.5:  # cells: less is rounding
            raise BadVideo(
                f"{clips.video} has pictures of another shape ({W}×{H}) than the normal video (about "
                f"{w * self.look.stride}×{h * self.look.stride}); fit a detector on normal video of this camera"
            )
        return h, w

    def _pair(self, clip: Bytes) -> tuple[Bytes, Bytes]:
        """The two frames (H, W) of a clip (T, H, W) that are compared, of the size learned."""
        h, w = self.background.shape
        if self.look.grid(clip.shape[1:]) == (h, w) and max(clip.shape[1:]) >= SMALLEST:
            return clip[-2], clip[-1]
        side = self.look.stride
        before, now = (_small(frame, (h * side, w * side)) for frame in clip[-2:])
        return before, now

    def metadata(self) -> dict[str, Any]:
        return {"look": asdict(self.look), "learned_from": self.learned_from}

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().load_state(arrays)
        look = (metadata or {})["look"]
        self.look = MotionGrid(look["gap"], tuple(look["windows"]), look["stride"])
        self.learned_from = list((metadata or {})["learned_from"])
        self.tree = None


class _Pasts:
    """What stood in the past of each clip of a batch. Clips overlap, so each frame is reduced once."""

    def __init__(self, detector: FlowGrid, shape: tuple[int, int]) -> None:
        self.detector, self.shape = detector, shape
        self.known: dict[float, Any] = {}

    def standing(self, clip: Bytes, times: Floats) -> Floats:
        """(h, w): for how many glances, from now back, a cell has been unlike its background without a break."""
        count, still = np.zeros(self.shape, np.float32), np.ones(self.shape, bool)
        for t in range(len(clip) - 1, -1, -self.detector.glance):
            if np.isnan(times[t]) or not still.any():
                break
            if times[t] not in self.known:
                self.known[times[t]] = self.detector._unlike(_small(clip[t], self.shape))
            still = still & self.known[times[t]]
            count += still
        return count


def _unless(stop: Event, stream: Iterable[Clips]) -> Iterator[Clips]:
    """The same until told to stop; then an error, for a part must not be taken for the whole."""
    for clips in stream:
        if stop.is_set():
            raise CancelledError
        yield clips


def _refuse_tiny(videos: Sequence[Video]) -> None:
    for video in videos:
        facts = facts_of(video)
        if max(facts.height, facts.width) < SMALLEST:
            raise BadVideo(
                f"{video.source} has pictures of {facts.width}×{facts.height} pixels, too small to see motion in; "
                f"the longer side has at least {SMALLEST}"
            )


def _compared(number: int, here: float, usual: float, picture: Bytes) -> str:
    """What differs most from the nearest normal motion, in a sentence: momentum 0, energy 1 or speed 2."""
    if number == 2:
        return (
            f"Moves {_share(here, picture):.0f} % of the picture's width a second here; the most similar normal motion "
            f"at this height moves {_share(usual, picture):.0f} %."
        )
    if number == 1:
        here, usual = float(np.expm1(here)), float(np.expm1(usual))
    what = ("Size and speed together are", "The picture changes")[number]
    how = "as large" if number == 0 else "as strongly"
    return f"{what} {here / max(usual, 1e-3):.1f} times {how} here as in the most similar normal motion at this height."


def _share(speed: float, picture: Bytes) -> float:
    """Pixels in a tenth of a second as percent of the picture's width in a second."""
    return 1000 * speed / int(picture.shape[-1])


def _small(frame: Bytes, shape: tuple[int, int]) -> Bytes:
    return np.asarray(cv2.resize(frame, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))


def _local(small: Any) -> Floats:
    """Small pictures (M, h, w) less their local mean: slow changes of the light fall out."""
    return np.stack(
        [one.astype(np.float32) - cv2.blur(one.astype(np.float32), (9, 9)) for one in small]
    )


def _max_of(maps: Sequence[Floats], but: int = -1) -> Floats:
    return np.asarray(np.max([one for k, one in enumerate(maps) if k != but], axis=0))


def _coreset(points: Floats, size: int, rare_share: float, random: np.random.Generator) -> Ints:
    """Indices of a sample: drawn at random, as dense as normal is, but for a share far from all chosen before."""
    far = min(round(size * rare_share), size - 1)
    kept = list(random.choice(len(points), size - far, replace=False))
    distance = cKDTree(points[kept]).query(points)[0] ** 2
    for _ in range(far):
        kept.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[kept[-1]]) ** 2).sum(1))
    return np.sort(np.asarray(kept))
