"""Jigsaw puzzles: learn to undo shuffles of normal video; what cannot be put in order again is odd.

Object level: Wang et al., "Video Anomaly Detection by Solving Decoupled Spatio-Temporal Jigsaw Puzzles" (ECCV 2022), on
cubes around whatever moves, found without a detector's weights and cut while training. Full-frame level: a student
variant of it, with puzzles of whole frames and of clips of clips on one backbone.
Both on the published networks, or on ours, which looks at each piece alone and solves all puzzles of a cube at once.
We differ: with the published networks a cube draws its task at random (theirs by the parity of its number, so that half
of the cubes never see a task); one convention of labels; the black border is everywhere; no weights are picked on test
video; tasks are put on one scale, that of normal video, before they are added. With our network there is a third
puzzle, `pace`, and a puzzle is as strange as its pieces in the mean.

N clips, C channels, T frames in a clip, H × W pixels; n boxes of a clip; S pixels a side of a cube.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.errors import BadInput
from oddframe.methods.jigsaw.cubes import BoxedVideo, Cubes, FrameCache, held_out, without_truth
from oddframe.methods.jigsaw.local_zscore import box_features, local_zscore
from oddframe.methods.jigsaw.networks import FourHeadNet, PieceNet, WideBranchNet
from oddframe.methods.jigsaw.proposals import (
    Scene,
    crop_cubes,
    expand_boxes,
    filter_boxes,
    grey_of,
    learn_scene,
    motion_proposals,
    touches_edge,
    union,
)
from oddframe.methods.jigsaw.puzzles import Check, Task, Unshuffled, weights_of
from oddframe.progress import logger, progress
from oddframe.run import Arrays, Run
from oddframe.training.config import Training
from oddframe.training.network_detector import NetworkDetector
from oddframe.training.precision import autocast
from oddframe.training.processes import run_in_processes
from oddframe.training.trainer import by_loss, train
from oddframe.types import Bools, Bytes, Clips, ClipSpec, Floats, Ints, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.object_boxes import OnnxBoxes, box_file, read_model, sized
from oddframe.video.reader import content_hash, facts_of, read

OBJECT_HEADS = ("temporal", "spatial")  # as published
OUR_HEADS = (*OBJECT_HEADS, "pace")
FRAME_HEADS = ("frame-temporal", "frame-spatial", "clip-temporal", "clip-spatial")
CELL = 8  # pixels of a cell of the map
AT_ONCE = {
    "object": 16,
    "full-frame": 4,
}  # cubes a network is given, always: another number may round otherwise
MEASURED = {
    "object": 3000,
    "full-frame": 300,
}  # normal clips from which the scale of each task is read
TOGETHER = 16  # of them in memory at once
SHARES = 6  # of the normal video; each network is taught without another
CHECKED = 256  # cubes not learned from, of which each epoch tells the loss
LEAST_STRANGE = 1e-3  # no unit is smaller


class Jigsaw(NetworkDetector):
    """Shuffled pieces of normal video are put in order again, in space and in time; what resists is odd.

    Args:
        level: Puzzles of cubes around moving things, or of whole frames and clips.
        heads: Which puzzles, with commas between: temporal, spatial and, of our network, pace at object level,
            frame-temporal, frame-spatial, clip-temporal and clip-spatial at full-frame level. A weight of its loss may
            follow, as in `spatial:0.5`.
        net: The network that solves them: ours, which looks at each piece alone and learns in minutes on a CPU, or the
            published one.
        networks: How many of them, up to 6. Each is taught without another sixth of the video, of which it tells the
            loss while it learns; new video all of them judge together.
        at_once: Networks taught at the same time, each in a process with its part of the cores.
        boxes: What things are: whatever moves, what a detector finds, both, or what a file says.
        detector: An ONNX object detector, for boxes of a detector or the union.
        boxes_file: Boxes made elsewhere, a pickle as the authors publish or an npz, or a folder of both.
        confidence: The least that a detector or a file must be sure of a box.
        frames: Frames of a cube or short clip, odd; 7 as published for Ped2 and Avenue, 9 for ShanghaiTech.
        clips: Short clips in a long one, odd, at full-frame level.
        around: Share of its sides by which a box is grown before its cube is cut.
        side: Pixels of a cube's or frame's side as the network sees it; 16 divides it. 64 as published.
        width: Pixels across at which video is looked at for cubes; nothing is enlarged.
        colour: Three channels, or one.
        channels: Of the network's first layer; 32 as published, fewer are quicker.
        lean: A clip-temporal head of the published network that pools over each sub-clip: 13 million parameters instead
            of 49. Ours has none such.
        judged_by: What makes a puzzle strange: the mean of its pieces, or the worst of them as published.
        still: Change of brightness from first frame to last, of 1, below which a cube keeps its order; with our network
            it is no puzzle in time.
        easy: Epochs before the training proper in which only some pieces of a temporal puzzle move, a random number
            from two on. The published network stays at chance for very long without.
        jitter: Share of its sides by which a training box is moved and stretched, and of full scale by which light
            varies; 0 as published.
        every: Frames from one middle of training cubes to the next.
        cubes: Cubes in an epoch at most, so that training takes no longer for longer video; 0 for all.
        memory: MB of decoded frames kept while training.
        smoothing: Weight of the past in the causal running mean of scores.
        training: How the network is trained.
    """

    name = "jigsaw"

    def __init__(
        self,
        *,
        level: Literal["object", "full-frame"] = "object",
        heads: str = "all",
        net: Literal["pieces", "published"] = "pieces",
        networks: int = 2,
        at_once: int = 1,
        boxes: Literal["motion", "detector", "union", "file"] = "motion",
        detector: str = "",
        boxes_file: str = "",
        confidence: float = 0.3,
        frames: int = 7,
        clips: int = 5,
        around: float = 0.0,
        side: int = 32,
        width: int = 640,
        colour: Literal["rgb", "grey"] = "rgb",
        channels: int = 32,
        lean: bool = False,
        judged_by: Literal["mean", "worst"] = "mean",
        still: float = 0.2,
        easy: int = 0,
        jitter: float = 0.1,
        every: int = 1,
        cubes: int = 20000,
        memory: int = 1000,
        smoothing: float = 0.7,
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
        super().__init__()
        for holds, rule, got in (
            (level in AT_ONCE, "level is object or full-frame", level),
            (
                boxes in ("motion", "detector", "union", "file"),
                "boxes are motion, detector, union or file",
                boxes,
            ),
            (
                boxes not in ("detector", "union") or detector,
                "boxes of a detector need --detector MODEL.onnx",
                boxes,
            ),
            (boxes != "file" or boxes_file, "boxes of a file need --boxes-file", boxes),
            (frames >= 3 and frames % 2 == 1, "frames are an odd number from 3 on", frames),
            (clips >= 3 and clips % 2 == 1, "clips are an odd number from 3 on", clips),
            (0 <= around <= 1, "around is from 0 to 1", around),
            (side >= 32 and side % 16 == 0, "a side is 32 pixels or more and divided by 16", side),
            (width >= 32, "width is at least 32 pixels", width),
            (channels >= 1, "channels are 1 or more", channels),
            (judged_by in ("mean", "worst"), "judged by mean or worst", judged_by),
            (0 <= still < 1, "still is at least 0 and below 1", still),
            (net in ("pieces", "published"), "net is pieces or published", net),
            (1 <= networks <= SHARES, f"networks are from 1 to {SHARES}", networks),
            (1 <= at_once <= networks, f"at once are from 1 to all {networks} networks", at_once),
            (
                at_once == 1 or training.devices == 1,
                "networks at once are for one device",
                training.devices,
            ),
            (
                not lean or (net, level) == ("published", "full-frame"),
                "lean is for --net published, full-frame",
                lean,
            ),
            (easy >= 0, "easy epochs are 0 or more", easy),
            (not easy or net == "published", "easy epochs are for --net published", easy),
            (0 <= jitter <= 0.5, "jitter is from 0 to 0.5", jitter),
            (every >= 1, "every is 1 frame or more", every),
            (cubes >= 0, "cubes are 0 (all) or more", cubes),
            (memory >= 1, "memory is 1 MB or more", memory),
            (0 <= confidence <= 1, "confidence is from 0 to 1", confidence),
            (0 <= smoothing < 1, "smoothing is at least 0 and below 1", smoothing),
        ):
            if not holds:
                raise ValueError(f"{rule}, got {got!r}")
        self.level, self.source, self.past = level, boxes, smoothing
        self.frames, self.clips, self.side, self.width, self.around = (
            frames,
            clips,
            side,
            width,
            around,
        )
        self.colour: Literal["rgb", "grey"] = colour
        self.first, self.lean, self.boxes_file, self.confidence = (
            channels,
            lean,
            boxes_file,
            confidence,
        )
        self.every, self.cubes, self.memory, self.training_options = every, cubes, memory, training
        self.detector_path, self.easy, self.jitter, self.which = detector, easy, jitter, net
        self.networks, self.at_once = networks, at_once
        known = (
            FRAME_HEADS if level == "full-frame" else OUR_HEADS if net == "pieces" else OBJECT_HEADS
        )
        self.weights = weights_of(heads, known)
        self.task = (Unshuffled if net == "pieces" else Task)(
            self.weights, frames, still, judged_by == "worst"
        )
        self.nets = nn.ModuleList(self._network() for _ in range(networks))
        self.finder: OnnxBoxes | None = None
        for name in ("background", "unrest", "sizes", "shown", "usual", "model", "place", "known"):
            self.register_buffer(name, torch.empty(0))
        self.background: Tensor  # (H, W) uint8, of the camera without what moves
        self.unrest: Tensor  # (H, W) grey levels
        self.sizes: Tensor  # (1 + 2 rows,) width / height of things; rows of feet, each with the height there
        self.shown: (
            Tensor  # (2,) height and width of the videos learned from, in which boxes of a file are
        )
        self.usual: Tensor  # (heads,) a high score of each task on normal video
        self.place: Tensor  # (K, 4) where normal things were, and how large
        self.known: Tensor  # (K, heads) how strange they looked to a network
        self.model: Tensor  # bytes of the detector, so that a run is whole

    @property
    def spec(self) -> ClipSpec:
        if self.level == "object":
            return ClipSpec(
                length=self.frames, size=self.width, colour=self.colour, target="centre"
            )
        long = any(name.startswith("clip") for name in self.weights)
        length = self.frames * (self.clips if long else 1)
        return ClipSpec(
            length=length, size=(self.side, self.side), colour=self.colour, target="centre"
        )

    @property
    def smoothing(self) -> float:
        return self.past

    # The two verbs.

    def core(self) -> nn.Module:
        return self.nets

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        torch.manual_seed(run.seed)
        self.to(run.device)
        facts = facts_of(videos[0])
        self.shown = torch.tensor([facts.height, facts.width])
        if self.level == "object":
            self._learn_places(videos)
        marked = self._mark_all(videos, run)
        counted = {"cubes": [one.place for one in marked], "frames": [one.index for one in marked]}
        run.notes["puzzles"] = {name: sum(map(len, parts)) for name, parts in counted.items()}
        with torch.random.fork_rng():
            torch.manual_seed(run.seed)
            self.nets = nn.ModuleList(self._network() for _ in range(self.networks)).to(run.device)
        shares = self._shares(marked)
        if self.at_once > 1:
            self._teach_side_by_side(shares, run)
        looked = []
        for k, (net, (learned, held)) in enumerate(zip(self.nets, shares, strict=True)):
            cache = self._teach(net, learned, held, run, f"jigsaw-{k + 1}")
            looked.append(self._look_at_normal(net, marked, cache))
        self._learn_scale(looked)
        self.eval()

    def score(self, clips: Clips) -> Scores:
        """(N,) scores, with boxes and (N, h, w) maps at object level; what each head says in parts.

        The value of a clip is the mean over the tasks of its strangest thing, in units of a high score of normal video;
        where nothing moves it is 0.
        Raises BadVideo for pictures of another size than those learned from.
        """
        if not self.usual.numel():
            raise BadInput("this jigsaw detector has learned nothing yet; fit it first")
        pixels = clips.pixels.transpose(0, 2, 3, 4, 1)  # (N, T, H, W, C)
        if self.level == "full-frame":
            peaks = self._judged(torch.from_numpy(clips.pixels))
            return Scores(
                clips.video,
                clips.frame_index,
                clips.seconds,
                _value(peaks),
                components=parts_of(peaks, self.weights),
            )
        with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
            found = list(
                pool.map(
                    lambda n: self._cut(pixels[n], clips.video, int(clips.frame_index[n])),
                    range(len(clips)),
                )
            )
        H, W = pixels.shape[2:4]
        ends = np.cumsum([len(boxes) for boxes, _ in found])
        things, cubes = (np.concatenate([pair[part] for pair in found]) for part in (0, 1))
        strange = self._judged(channels_first(cubes), things, (H, W))  # (n, heads)
        peaks, heat, said = np.zeros((len(clips), len(self.weights))), [], []
        for n, ((boxes, _), end) in enumerate(zip(found, ends, strict=True)):
            mine = strange[end - len(boxes) : end]
            peaks[n] = mine.max(0, initial=0)
            heat.append(painted(boxes, mine.mean(1), (H, W)))
            said.append(np.column_stack([boxes / [W, H, W, H], mine.mean(1)]).astype(np.float32))
        return Scores(
            clips.video,
            clips.frame_index,
            clips.seconds,
            _value(peaks),
            map=np.stack(heat),
            boxes=tuple(said),
            components=parts_of(peaks, self.weights),
        )

    # 1. Things: where they are in a clip, and what is cut around them.

    def _learn_places(self, videos: Sequence[Video]) -> None:
        """What boxes need to know: background and sizes, a detector's bytes, or that a file fits."""
        self.background, self.unrest, self.model = torch.empty(0), torch.empty(0), torch.empty(0)
        self.sizes, self.finder = torch.empty(0), None
        if self.source in ("motion", "union"):
            scene = learn_scene(videos, self.spec)
            self.sizes = torch.tensor([scene.aspect, *chain.from_iterable(scene.rise)])
            if scene.background is not None and scene.unrest is not None:
                self.background, self.unrest = (
                    torch.from_numpy(scene.background),
                    torch.from_numpy(scene.unrest),
                )
        if self.source in ("detector", "union"):
            self.model = torch.from_numpy(read_model(self.detector_path).copy())

    def _scene(self) -> Scene:
        aspect, *rise = self.sizes.tolist()
        known = self.background.numel() > 0
        background = self.background.cpu().numpy() if known else None
        return Scene(
            background,
            self.unrest.cpu().numpy() if known else None,
            tuple(zip(rise[::2], rise[1::2], strict=True)),
            aspect,
        )

    def _boxes(self, clip: Bytes, video: str, frame: int) -> Floats:
        """(n, 4) boxes of the middle frame of a clip (T, H, W, C), in its pixels."""
        shape, found = clip.shape[1:3], np.zeros((0, 4), np.float32)
        if self.source == "file":
            told = box_file(self.boxes_file, self.confidence).boxes(video, frame)
            found = sized(told, self.shown.tolist(), shape)
        if self.source in ("detector", "union"):
            if self.finder is None:
                self.finder = OnnxBoxes(self.model.cpu().numpy(), self.confidence)
            found = self.finder(clip[len(clip) // 2])
        if self.source in ("motion", "union"):
            found = union(found, motion_proposals(grey_of(clip), self._scene()))
        return filter_boxes(found, shape)

    def _cut(self, clip: Bytes, video: str, frame: int) -> tuple[Floats, Bytes]:
        boxes = self._boxes(clip, video, frame)
        return boxes, self._cubes(clip, boxes)

    def _cubes(self, clip: Bytes, boxes: Floats) -> Bytes:
        """(n, T, S, S, C) of a clip (T, H, W, C); one of all of it where pictures are whole."""
        return (
            crop_cubes(clip, expand_boxes(boxes, self.around), self.side)
            if self.level == "object"
            else clip[None]
        )

    def _mark_all(self, videos: Sequence[Video], run: Run) -> list[BoxedVideo]:
        """Where cubes are, in every video; from disk when it was looked at before."""
        with (
            ThreadPoolExecutor(max(1, run.threads)) as pool,
            progress("watching", len(videos), "videos") as tick,
        ):

            def one(video: Video) -> BoxedVideo:
                sure = [
                    blake2b(part.cpu().numpy().tobytes()).hexdigest()
                    for part in (self.background, self.model)
                ]
                words: list[object] = [
                    content_hash(video.source),
                    video.span,
                    self.spec,
                    self.source,
                    self.every,
                ]
                words += [self.boxes_file, self.confidence, self.sizes.tolist(), *sure]
                name = f"jigsaw-{blake2b(repr(words).encode(), digest_size=8).hexdigest()}"
                held = run.remember(name, lambda: self._mark(video))
                tick()
                return BoxedVideo(video, **held)

            return list(pool.map(one, videos))

    def _mark(self, video: Video) -> Arrays:
        spec, damage, index = self.spec, list[str](), list[int]()
        whole = np.zeros((1, 0), np.float32)  # a picture has no sides to be told
        places, boxes = (
            [],
            [whole[:0] if self.level == "full-frame" else np.zeros((0, 4), np.float32)],
        )
        place = spec.length // 2
        for clips in clips_of(
            _noted(read(video, spec, damage, threads=1), index), spec, video.name
        ):
            for clip, frame in zip(
                clips.pixels.transpose(0, 2, 3, 4, 1), clips.frame_index, strict=True
            ):
                if (place - spec.length // 2) % self.every == 0:
                    boxes.append(
                        whole
                        if self.level == "full-frame"
                        else self._boxes(clip, video.name, int(frame))
                    )
                    places += [place] * len(boxes[-1])
                place += 1
        for line in damage:
            logger.warning(f"damaged: {line}")
        if self.source == "file" and self.level == "object":
            box_file(self.boxes_file, self.confidence).refuse_other(video.name, len(index))
        return {
            "index": np.array(index, np.int64),
            "place": np.array(places, np.int64),
            "box": np.concatenate(boxes),
        }

    # 2. Puzzles: the network, and how strange it finds what lies as it should.

    def _network(self) -> nn.Module:
        # channels as they come: normalising cubes one by one and pooling copy any other order
        common: dict[str, Any] = {
            "frames": self.frames,
            "channels": 3 if self.colour == "rgb" else 1,
            "width": self.first,
        }
        many: dict[str, Any] = {"heads": list(self.weights), "clips": self.clips}
        if self.which == "pieces":
            return PieceNet(side=self.side, **common, **many)
        if self.level == "object":
            return WideBranchNet(side=self.side, **common)
        return FourHeadNet(lean=self.lean, **common, **many)

    def _shares(
        self, marked: Sequence[BoxedVideo]
    ) -> list[tuple[list[BoxedVideo], list[BoxedVideo]]]:
        """For each network what it learns from, and the normal video on which its loss is told."""
        return [held_out(marked, SHARES, k) for k in range(self.networks)]

    def _teach_side_by_side(
        self, shares: Sequence[tuple[list[BoxedVideo], list[BoxedVideo]]], run: Run
    ) -> None:
        """Teach the networks in processes of their own; each leaves a checkpoint, where `_teach` finds it finished."""
        student = self.fresh()
        jobs = [
            partial(
                student._teach,
                net,
                without_truth(learned),
                without_truth(held),
                run,
                f"jigsaw-{k + 1}",
            )
            for k, (net, (learned, held)) in enumerate(zip(self.nets, shares, strict=True))
        ]
        run_in_processes(jobs, self.at_once, "teaching", "networks")

    def _teach(
        self, net: nn.Module, learned: list[BoxedVideo], held: list[BoxedVideo], run: Run, name: str
    ) -> FrameCache:
        """Train one network; gives the frames that were decoded for it."""
        options, judge = (
            self.training_options,
            Check(self.task, partial(self._checked, without_truth(held), run.seed)),
        )
        data = self._cubes_of(learned, run.seed, count=self.cubes, jitter=self.jitter)
        if self.easy:
            easy = replace(options, epochs=self.easy)
            train(net, data, by_loss(replace(self.task, some=True)), run, easy, name=f"{name}-easy")
        history = train(net, data, by_loss(self.task), run, options, name=name, validate=judge)
        self.use_precision(history.precision)
        return data.cache

    def _checked(self, held: list[BoxedVideo], seed: int) -> Tensor:
        """(n, C, T, S, S) uint8 cubes of video that is not learned from."""
        check = self._cubes_of(held, seed, count=CHECKED)
        return torch.stack([check[i] for i in range(len(check))])

    def _cubes_of(self, marked: Sequence[BoxedVideo], seed: int, **more: Any) -> Cubes:
        memory = (self.memory << 20) // self.at_once // max(1, self.training_options.workers)
        around = [replace(one, box=expand_boxes(one.box, self.around)) for one in marked]
        return Cubes(around, self.spec, side=self.side, seed=seed, memory=memory, **more)

    def _strange(self, net: nn.Module, cubes: Tensor) -> Floats:
        """(n, heads) how strange uint8 cubes (n, C, T, S, S) are, so many at once that company changes nothing."""
        size, device = AT_ONCE[self.level], next(net.parameters()).device
        parts = [np.zeros((0, len(self.task.weights)))]
        for start in range(0, len(cubes), size):
            some = cubes[start : start + size]
            full = torch.zeros((size, *some.shape[1:]), dtype=torch.uint8, device=some.device)
            full[: len(some)] = some
            with torch.inference_mode(), autocast(device, self.precision):
                told = self.task.look(net, full.to(device))
            parts.append(torch.stack(list(told.values()), 1)[: len(some)].cpu().numpy())
        return np.concatenate(parts)

    def _without_pace(self, strange: Floats, gone: Bools) -> Floats:
        """The same (n, heads), where things of which the picture's edge has cut a part off (n,) have no pace.

        It is seen in widths of the box, and such a box is too narrow.
        """
        return np.where(
            gone[:, None] & np.array([name == "pace" for name in self.weights]), 0, strange
        )

    def _judged(
        self, cubes: Tensor, boxes: Floats | None = None, shape: Sequence[int] = ()
    ) -> Floats:
        """(n, heads) of cubes of things in a picture of H × W, or of whole clips: beyond normal things like them, in
        units of what is high in normal video.
        """
        strange, place = np.mean([self._strange(net, cubes) for net in self.nets], axis=0), None
        if boxes is not None:
            strange, place = (
                self._without_pace(strange, touches_edge(boxes, shape)),
                box_features(boxes, shape),
            )
        known = self.known.cpu().numpy()
        return np.asarray(
            local_zscore(strange, place, known, self.place.cpu().numpy()) / self.usual.cpu().numpy()
        )

    def _look_at_normal(
        self, net: nn.Module, marked: Sequence[BoxedVideo], cache: FrameCache
    ) -> tuple[Floats, Floats, Ints]:
        """Of normal things, taught or not: spots (n, 4), how strange they are (n, heads), which clip (n,).

        What was taught looks a little less strange than other normal video, and yet all of it is a better measure than
        the sixth that was not: a few videos do not have things of all kinds at every place (`docs/methods/jigsaw.md`).
        """
        every = [(k, place) for k, one in enumerate(marked) for place in np.unique(one.place)]
        measured = every[:: -(-len(every) * self.networks // MEASURED[self.level])]
        place, gone, strange, count = [], [], [], []
        for start in range(0, len(measured), TOGETHER):
            cubes = []
            for k, middle in measured[start : start + TOGETHER]:
                clip, boxes = cache.window(k, int(middle)), marked[k].box[marked[k].place == middle]
                cubes.append(self._cubes(clip, boxes))
                count.append(len(cubes[-1]))
                if self.level == "object":
                    place.append(box_features(boxes, clip.shape[1:3]))
                    gone.append(touches_edge(boxes, clip.shape[1:3]))
            strange.append(self._strange(net, channels_first(np.concatenate(cubes))))
        told, clip_of = np.concatenate(strange), np.repeat(np.arange(len(count)), count)
        if self.level == "full-frame":
            return np.zeros((len(told), 0)), told, clip_of
        return np.concatenate(place), self._without_pace(told, np.concatenate(gone)), clip_of

    def _learn_scale(self, looked: Sequence[tuple[Floats, Floats, Ints]]) -> None:
        """How strange normal things are where, and a high score of each task: of twenty clips one is stranger."""
        place, known = (np.concatenate([part[column] for part in looked]) for column in (0, 1))
        self.place, self.known = torch.from_numpy(place).float(), torch.from_numpy(known).float()
        above = local_zscore(known, place if self.level == "object" else None, known, place)
        ends = np.cumsum([len(part) for part, *_ in looked])[:-1]
        peaks = [
            [part[clip == one].max(0) for one in np.unique(clip)]
            for part, (*_, clip) in zip(np.split(above, ends), looked, strict=True)
        ]
        usual = np.quantile(np.concatenate(peaks), 0.95, axis=0)
        self.usual = torch.from_numpy(np.maximum(usual, LEAST_STRANGE)).float()


def parts_of(peaks: Floats, heads: Iterable[str]) -> dict[str, Floats]:
    """(N,) each, of (N, heads): what every head says, and the mean of those of one level or of one task.

    >>> list(parts_of(np.zeros((1, 4)), FRAME_HEADS))
    ['frame-temporal', 'frame-spatial', 'clip-temporal', 'clip-spatial', 'frame', 'clip', 'temporal', 'spatial']
    """
    columns = {head: [k] for k, head in enumerate(heads)}
    words = {head: head.split("-") for head in columns}
    for word in dict.fromkeys(chain(*zip(*words.values(), strict=True))):
        of_word = [k for k, said in enumerate(words.values()) if word in said]
        if 1 < len(of_word) < peaks.shape[1]:
            columns[word] = of_word
    return {name: _value(peaks[:, of_name]) for name, of_name in columns.items()}


def channels_first(cubes: Bytes) -> Tensor:
    """(n, C, T, S, S) of cubes (n, T, S, S, C)."""
    return torch.from_numpy(cubes).permute(0, 4, 1, 2, 3)


def _value(peaks: Floats) -> Floats:
    return np.asarray(peaks.mean(1), np.float32)


def painted(boxes: Floats, values: Floats, shape: Sequence[int]) -> Floats:
    """(h, w): in each cell of a picture of H × W the highest value of the boxes that cover it, 0 where none does."""
    heat = np.zeros([max(1, side // CELL) for side in shape], np.float32)
    scale = np.array([heat.shape[1] / shape[1], heat.shape[0] / shape[0]] * 2)
    for (x1, y1, x2, y2), value in zip(boxes * scale, values, strict=True):
        a, b = int(x1), int(y1)
        part = heat[b : max(b + 1, round(float(y2))), a : max(a + 1, round(float(x2)))]
        np.maximum(part, value, out=part)
    return heat


def _noted(frames: Iterator[Any], index: list[int]) -> Iterator[Any]:
    """The same frames; their indices are written down."""
    for frame in frames:
        index.append(frame.index)
        yield frame
