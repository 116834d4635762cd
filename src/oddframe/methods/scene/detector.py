"""Scene: a background that follows the light shows what is there; three memories of normal video say
how odd it moves, how odd it is sized, and how odd it is that it stands there.

No weights, no gradient, no GPU, one pass over the training video. What a memory finds far from all
that it knows counts by how rare that is in this scene's own normal video, so that the three speak
one language; one that cannot tell a fault from normal video is not heard. Nearest neighbours over
location-aware exemplars go back to Ramachandra & Jones (Street Scene, WACV 2020), the background
to Oliver, Rosario & Pentland (PAMI 2000), the flow to Kroeger et al. (ECCV 2016).

N clips, T frames in a clip, H × W pixels; a grid of h × w cells, A of them covered by things.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from oddframe.array_spec import ArraySpec
from oddframe.detector import Detector
from oddframe.errors import BadInput, BadVideo
from oddframe.methods.scene.cells import Cells, CellStream, CellWatcher, grid_of, memory_of
from oddframe.methods.scene.evidence import KNOTS, Curve, is_heard
from oddframe.methods.scene.explanation import explain
from oddframe.methods.scene.learning import Learned, learn_memories
from oddframe.methods.scene.memories import MEMORIES, STANDING_LEVELS, Memory
from oddframe.methods.scene.remembered import Described, Describer, VideoCells, recall
from oddframe.methods.scene.streaming import SceneStream
from oddframe.options import Range, check_ranges
from oddframe.progress import logger
from oddframe.run import Run
from oddframe.types import Bytes, Clips, ClipSpec, Example, Floats, Frame, Ints, Scores, Video
from oddframe.video.background import shrink
from oddframe.video.eigenbackground import WAYS, EigenBackground, learn_eigenbackground
from oddframe.video.motion import PRESETS, Flow, choose_grid, refuse_tiny
from oddframe.video.reader import facts_of, sources_of

STRIDES = (6, 16)  # pixels of a cell: a quarter of a thing's height, within these
LEAST_EXPLAINED = 0.7  # of the training frames, or there is no background
SHAPE_TOLERANCE = 1.5  # pixels by which a picture's height may differ: less is rounding


class Scene(Detector):
    """Remembers how things move, how large they are and where they stand: finds what is too fast,
    goes the wrong way, is too large, lies, waits or was left behind. The method when none is named.

    Wants a camera that does not move. Does not know what things look like: somebody in fancy dress
    who walks as all do is normal to it.

    Args:
        size: Pixels across at which video is looked at; the height follows, and nothing is enlarged.
        fps: Frames per second that are used; slower video is taken as it comes.
        flow: Preset of dense inverse-search flow; fast and ultrafast trade accuracy for speed.
        bank: Cells of normal video that are remembered.
        neighbours: How many of the nearest remembered cells give, by their mean distance, how odd
            a cell moves and is sized.
        standing_seconds: Longest time for which standing is counted.
        half_life: Seconds after which a score counts half in the causal running mean of scores; 0
            for none.
        stride: Pixels of a cell; learned from the size of what moves unless given.
    """

    name = "scene"
    learned: ClassVar[dict[str, ArraySpec]] = {
        "picture": ArraySpec(("H", "W")),
        "variation": ArraySpec((WAYS, "H", "W")),
        "noise": ArraySpec(("H", "W"), low=0),
        "bank": ArraySpec(("B", 6)),
        "origin": ArraySpec(("B", 3), kind="i", low=0),
        "speed": ArraySpec(("h",), low=1e-6),
        "standing": ArraySpec((STANDING_LEVELS + 1, "h"), low=0),
        "knots": ArraySpec((len(MEMORIES), KNOTS), low=0),
        "mean_excess": ArraySpec((len(MEMORIES),), low=1e-9),
        "say": ArraySpec((len(MEMORIES),), low=0, high=1),
    }

    def __init__(
        self,
        *,
        size: Annotated[int, Range(16, 20_000)] = 360,
        fps: Annotated[float, Range(0, 1000, open_low=True)] = 10.0,
        flow: Flow = "medium",
        bank: Annotated[int, Range(1, 1_000_000)] = 8000,
        neighbours: Annotated[int, Range(1, 100)] = 5,
        standing_seconds: Annotated[float, Range(0, 60, open_low=True)] = 4.0,
        half_life: Annotated[float, Range(0, 3600)] = 0.3,
        stride: Annotated[int, Range(1, 1000)] | None = None,
    ) -> None:
        check_ranges(type(self), self.options)
        if flow not in PRESETS:
            known = ", ".join(PRESETS)
            raise ValueError(f"flow is one of {known}, got {flow}")
        if bank < neighbours:
            raise ValueError(
                f"a bank holds at least as many cells as there are neighbours, got {bank}"
            )
        self.size = size
        self.fps = fps
        self.flow = flow
        self.bank_size = bank
        self.neighbours = neighbours
        self.standing_seconds = standing_seconds
        self.half_life_seconds = half_life
        self.stride = stride or STRIDES[0]
        self.asked_stride = stride
        # share of the training frames that the background explains: 1 is all
        self.explained = 1.0
        self.one_view = 1.0  # share of the training video that shows the same place
        self.holds_view = False  # whether it looks as an earlier fit did, which is gone on from
        self.learned_from: list[str] = []  # sources of the training videos, for `nearest_normal`
        nothing = np.zeros(0, np.float32)
        self.picture: Floats = nothing  # (H, W) the background
        self.variation: Floats = nothing  # (K, H, W) what light does to it
        self.noise: Floats = nothing  # (H, W) grey levels
        self.bank: Floats = nothing  # (B, 6) remembered cells, each number in its unit
        self.origin: Ints = np.zeros(0, np.int64)  # (B, 3) training video, frame, cell of each
        self.speed: Floats = nothing  # (h,) usual in a row, pixels in a tenth of a second
        self.standing: Floats = nothing  # (G + 1, h) rarity of standing for so long in a row
        self.knots: Floats = nothing  # (3, KNOTS) how high answers are in normal frames
        self.mean_excess: Floats = nothing  # (3,) beyond the highest tenth
        self.say: Floats = nothing  # (3,) how well each memory tells faults from normal frames
        self.memory: Memory | None = None

    @property
    def spec(self) -> ClipSpec:
        length = memory_of(self.fps, self.standing_seconds)
        return ClipSpec(
            length=length,
            size=self.size,
            colour="grey",
            fps=self.fps,
            pad_start=True,
            warm_up=(length - 1) / self.fps,
        )

    @property
    def half_life(self) -> float:
        return self.half_life_seconds

    @property
    def quick_to_fit(self) -> bool:
        return True

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        refuse_tiny(videos)
        self.look_at(videos, run)
        described = self.describer.describe_all(videos, run)
        self.learn(described, videos, run)
        run.notes["memories"] = self.what_speaks()
        if not is_heard(self.say).any():
            logger.warning(
                "no memory tells a fault from normal video, so nothing will be found; give more video"
            )

    def score(self, clips: Clips) -> Scores:
        """(N,) scores and (N, h, w) maps; NaN where a clip has no earlier frame to compare with.

        Raises BadVideo for pictures of another shape than those learned from; other sizes are
        scaled to theirs.
        """
        self.check_shape(clips.pixels.shape[-2:], clips.video)
        heat = np.zeros((len(clips), *self.grid), np.float32)
        value = np.full(len(clips), np.nan, np.float32)
        for n in range(len(clips)):
            cells = self.cells_of_clip(clips, n)
            if cells is not None:
                heat[n] = self.heat_of(cells)
                value[n] = heat[n].max()
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)

    def stream(self, video: str) -> SceneStream:
        """The same scores frame by frame."""
        return SceneStream(self, video)

    def score_folds(
        self, videos: Sequence[Video], folds: Sequence[int], run: Run
    ) -> Iterator[Scores]:
        """Leave-one-fold-out with one pass over the pixels. The background and the grid are those
        of all the videos: neither tells what moves.
        """
        student = self.fresh()
        if self.holds_view or self.learned_from == sources_of(videos):  # `fit` has just looked
            student.see_as(self)
            student.refuse_other_shapes(videos)
        else:
            student.look_at(videos, run)
        described = student.describer.describe_all(videos, run)
        learned_without: int | None = None
        for k, fold in enumerate(folds):
            if fold != learned_without:
                others = np.flatnonzero(np.asarray(folds) != fold).tolist()
                student.learn(
                    [described[other] for other in others],
                    [videos[other] for other in others],
                    run,
                )
                learned_without = fold
            (cells,) = recall(run, [described[k]])
            yield student.score_cells(cells, videos[k].name)

    def keep(
        self,
        videos: Sequence[Video],
        segments: Sequence[Video],
        run: Run,
        earlier: Detector | None,
    ) -> None:
        """Keep what is seen in whole videos, about 60 MB an hour; the background of `earlier`, and
        the size of its cells, are kept to.
        """
        refuse_tiny(videos)
        self.holds_view = False
        if isinstance(earlier, Scene):
            self.see_as(earlier)
        else:
            self.look_at(segments, run)
        self.holds_view = True
        self.describer.keep_all(videos, run)

    def nearest_normal(self, clips: Clips) -> Example:
        """What is odd about the hottest cell of the last clip, and the nearest normal to it."""
        return explain(self, clips)

    # 1. Look: the background, and cells about a quarter as high as a thing.

    def look_at(self, videos: Sequence[Video], run: Run) -> None:
        """Learn the background of these videos, and choose the size of cells; both are noted in the
        run, and those of an earlier fit that is gone on from are kept.
        """
        self.refuse_other_shapes(videos)
        if not self.holds_view:
            self.learn_view(videos)
        run.notes["stride"] = self.stride
        run.notes["background_explains"] = round(self.explained, 3)
        run.notes["same_place"] = round(self.one_view, 3)
        if not self.has_background:
            logger.warning(
                "the camera moves, or the scene changes as a whole: in %.0f %% of the frames no "
                "background is found, so motion is judged everywhere, and standing nowhere",
                100 * (1 - self.explained),
            )
        if self.one_view < LEAST_EXPLAINED:
            logger.warning(
                "the place itself changes: %.0f %% of the training video show it otherwise than the "
                "rest, and what changed is taken for a change of light; fit on video since then",
                100 * (1 - self.one_view),
            )

    def refuse_other_shapes(self, videos: Sequence[Video]) -> None:
        """Raise BadInput for videos of more than one shape of picture."""
        shapes = {facts_of(video).height / facts_of(video).width for video in videos}
        if max(shapes) - min(shapes) > SHAPE_TOLERANCE / self.size:
            raise BadInput(
                "the training videos differ in shape (height over width from "
                f"{min(shapes):.2f} to {max(shapes):.2f}); fit one detector for each camera"
            )

    def learn_view(self, videos: Sequence[Video]) -> None:
        """Learn the background of these videos, and choose the size of cells."""
        if self.asked_stride is None:
            looked = choose_grid(videos, size=self.size, fps=self.fps)
            low, high = STRIDES
            self.stride = int(np.clip(looked.stride, low, high))
        background, self.explained, self.one_view = learn_eigenbackground(
            videos, ClipSpec(size=self.size, colour="grey")
        )
        self.picture = background.picture
        self.variation = background.variation
        self.noise = background.noise

    def see_as(self, other: "Scene") -> None:
        """Look at video as another detector does."""
        self.stride = other.stride
        self.explained = other.explained
        self.one_view = other.one_view
        self.picture = other.picture
        self.variation = other.variation
        self.noise = other.noise

    @property
    def has_background(self) -> bool:
        """Whether most of what was learned from shows one scene, from where the camera stands."""
        return self.explained >= LEAST_EXPLAINED

    @property
    def background(self) -> EigenBackground | None:
        """What is there when nothing moves; None where the camera moves."""
        if not self.has_background:
            return None
        return EigenBackground(self.picture, self.variation, self.noise)

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w): the cells of a picture."""
        return grid_of(self.picture.shape, self.stride)

    @property
    def describer(self) -> Describer:
        """What turns videos into cells, with the background as it is now."""
        return Describer(
            self.spec,
            self.background,
            self.picture.shape,
            stride=self.stride,
            fps=self.fps,
            seconds=self.standing_seconds,
            flow=self.flow,
        )

    def watcher(self) -> CellWatcher:
        """What describes frames one after the other."""
        return self.describer.watcher()

    # 2. Learn: what is remembered, and how rare each answer is in normal video.

    def learn(self, described: Sequence[Described], videos: Sequence[Video], run: Run) -> None:
        """Learn from described videos, forgetting what was learned. Raises BadInput for too little."""
        if not any(one.frames for one in described):
            raise BadInput(
                "scene found no two frames to compare in the training videos; give longer ones"
            )
        if sum(one.cells for one in described) <= self.neighbours:
            raise BadInput(
                "nothing moves in the training videos, so there is no normal motion to learn"
            )
        found = learn_memories(
            described,
            [recording_of(video) for video in videos],
            run,
            shape=self.grid,
            bank=self.bank_size,
            neighbours=self.neighbours,
            longest=self.standing_seconds,
        )
        self.take(found)
        self.learned_from = sources_of(videos)

    def take(self, found: Learned) -> None:
        """Keep what was learned as arrays."""
        self.bank = found.memory.bank
        self.origin = found.origin
        self.speed = found.memory.speed
        self.standing = found.memory.standing
        self.knots = np.stack([curve.knots for curve in found.curves])
        self.mean_excess = np.array([curve.mean_excess for curve in found.curves], np.float32)
        self.say = found.say.astype(np.float32)
        if not self.has_background:  # nothing stands there but the whole place
            self.say[MEMORIES.index("standing")] = 0.0
        self.memory = None

    def what_speaks(self) -> dict[str, dict[str, object]]:
        """For each memory how well it tells faults from normal video, and whether it is heard."""
        heard = is_heard(self.say)
        words: dict[str, dict[str, object]] = {}
        for name, say, speaks in zip(MEMORIES, self.say, heard, strict=True):
            words[name] = {"auc_on_made_faults": round(float(say), 3), "heard": bool(speaks)}
        return words

    # 3. Score: the rarest answer of any memory, at each cell.

    def heat_of(self, cells: Cells) -> Floats:
        """(h, w) rarities of the cells of one frame."""
        return np.asarray(self.rarities_of(cells).max(axis=0))

    def rarities_of(self, cells: Cells) -> Floats:
        """(3, h, w) the rarity of each memory's answer; 0 of one that is not heard."""
        answers = self.remembering().maps(cells)
        rarities = np.zeros_like(answers)
        for k in np.flatnonzero(is_heard(self.say)).tolist():
            curve = Curve(self.knots[k], float(self.mean_excess[k]))
            rarities[k] = curve.rarity(answers[k])
        return rarities

    def remembering(self) -> Memory:
        """What was learned, ready to be asked."""
        if self.memory is None:
            self.memory = Memory(
                self.bank,
                self.speed,
                self.standing,
                self.grid,
                neighbours=self.neighbours,
                longest=self.standing_seconds,
            )
        return self.memory

    def score_cells(self, video: VideoCells, name: str) -> Scores:
        """The scores of a video from its cells."""
        heat = np.zeros((len(video.frame), *self.grid), np.float32)
        for m in range(len(heat)):
            heat[m] = self.heat_of(video.at(m))
        return Scores(name, video.frame, video.seconds, heat.max((1, 2)), map=heat)

    def cells_of_clip(self, clips: Clips, n: int) -> Cells | None:
        """The cells of the last frame of the n-th clip; None where it has no frame before it."""
        watched = CellStream(self.watcher())
        frames = []
        for pixels, seconds in zip(clips.pixels[n, 0], clips.times[n], strict=True):
            if not np.isnan(seconds):
                frames.append(Frame(0, float(seconds), self.scaled(pixels)[..., None]))
        seen = watched.see(frames)
        if not seen or seen[-1][0] is not frames[-1]:
            return None
        return seen[-1][1]

    def check_shape(self, shape: Sequence[int], video: str) -> None:
        """Raise BadVideo for pictures of H × W of another shape than those learned from."""
        H, W = shape
        height, width = self.picture.shape
        if abs(H / W * width - height) > SHAPE_TOLERANCE:
            raise BadVideo(
                f"{video} has pictures of another shape ({W}×{H}) than the normal video "
                f"({width}×{height}); fit a detector on normal video of this camera"
            )

    def scaled(self, picture: Bytes) -> Bytes:
        """A picture (H, W) at the size learned."""
        if picture.shape == self.picture.shape:
            return picture
        return shrink(picture, self.picture.shape)

    def metadata(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "explained": self.explained,
            "one_view": self.one_view,
            "learned_from": self.learned_from,
        }

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        plain = metadata or {}
        super().load_state(arrays, plain)
        stride = plain["stride"]
        sources = plain["learned_from"]
        if not isinstance(stride, int) or not 1 <= stride <= 20_000:
            raise ValueError(f"its cells are {stride} pixels, not a whole number from 1 to 20 000")
        for name in ("explained", "one_view"):
            share = plain[name]
            if not isinstance(share, int | float) or not 0 <= share <= 1:
                raise ValueError(f"the share {name} is from 0 to 1, not {share}")
        known = isinstance(sources, list) and all(isinstance(one, str) for one in sources)
        if not known or self.origin[:, 0].max() >= len(sources):
            raise ValueError("what is remembered comes from videos that are not named")
        self.stride = stride
        self.explained = float(plain["explained"])
        self.one_view = float(plain["one_view"])
        self.learned_from = sources
        self.memory = None
        h, w = self.grid
        if len(self.speed) != h or self.origin[:, 2].max() >= h * w:
            raise ValueError("what is remembered has cells that are not on the grid")
        if (np.diff(self.knots, axis=1) < 0).any():
            raise ValueError("the answers in normal frames are not in ascending order")


def recording_of(video: Video) -> str:
    """What a video was cut from."""
    return video.group or str(video.source)
