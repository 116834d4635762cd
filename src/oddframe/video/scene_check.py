"""Whether videos show one scene: shape of the picture, steadiness of the camera, view and exposure.

A handful of small grey frames a video are looked at, so that it costs next to nothing before a fit.
Videos of many scenes, as data sets have them, have nothing in common and nothing is said of them;
only what differs from a clear majority is named. V videos, K frames of one, h × w pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.types import Bytes, ClipSpec, Floats, Video
from oddframe.video.background import median_picture
from oddframe.video.ignored import filled_in
from oddframe.video.kept import KeptVideo, load_kept
from oddframe.video.reader import facts_of, indices_within, read_frames, times_of

SCENE_WIDTH = 160  # pixels of the frames that are looked at
FRAMES = 12  # of each video
NOISE = 2.0  # edge strength that compression makes
# pixels of the squares in which edges are compared: finer detail moves with leaves and compression
EDGE_SQUARE = 8
FEWEST_VIDEOS = 3  # videos from which on a majority can be told
MAJORITY = 0.6  # share of the videos that has to agree
SHAPE = 0.03  # by which ratios of width to height may differ
# of the width: how far the picture of a standing camera may jump, in the median of its frames
SHAKE = 0.015
# times the shake of the other videos, from which on a camera is not held as they are
RESTLESS = 4.0
VIEW = 0.4  # correlation of edges under which two backgrounds are of different views
MOVED = 0.03  # of the width: by so much may a view be displaced
DARK, BRIGHT = 18.0, 247.0  # mean grey levels beyond which a picture shows nothing
EXPOSURE = 50.0  # grey levels by which the mean may differ from that of the video nearest to it


@dataclass(frozen=True)
class SceneSample:
    """What a few frames say of one video."""

    name: str
    shape: tuple[int, int]  # height and width as shown, pixels
    background: Bytes  # (h, w) the median of the frames
    shake: float  # how far frames lie from their background, median, in widths of the picture
    exposure: float  # mean grey level

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.shape[1] / self.shape[0]


@dataclass(frozen=True)
class Misfit:
    """A video that does not belong to the others, and why, in one sentence without its name."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class SceneCheck:
    """What was found of all videos."""

    misfits: tuple[Misfit, ...]
    view: Bytes | None  # (h, w) the background that most videos share; None where they share none


def sample_scene(video: Video) -> SceneSample:
    """Look at a few frames of a video, evenly from its span, or at what was kept of it. Raises
    BadVideo.
    """
    if video.kept is not None:
        return kept_sample(video.name, load_kept(video.kept))
    facts = facts_of(video)
    indices = indices_within(video, times_of(video))
    if not len(indices):
        raise BadVideo(f"{video.source} has no frame")
    count = min(FRAMES, len(indices))
    evenly = np.linspace(0, len(indices) - 1, count).astype(int)
    chosen = indices[evenly]
    spec = ClipSpec(length=1, size=SCENE_WIDTH, colour="grey")
    found = read_frames(video, spec, chosen.tolist())
    if not found:
        raise BadVideo(f"{video.source}: none of {len(chosen)} frames could be read")
    pictures = [found[index][..., 0] for index in sorted(found)]
    if video.ignored is not None:
        # an edge that stands in every picture would hide that the camera moves
        pictures = [filled_in(picture, video.ignored) for picture in pictures]
    frames = np.stack(pictures)  # (K, h, w)
    background = median_picture(frames).astype(np.uint8)
    shape = (facts.height, facts.width)
    shake = shake_of(frames, background)
    return SceneSample(video.name, shape, background, shake, float(frames.mean()))


def kept_sample(name: str, kept: KeptVideo) -> SceneSample:
    """What was kept of a video. Raises BadVideo where no frame could be read for it."""
    if not kept.background.size:
        raise BadVideo(f"{name}: none of its frames could be read")
    shape = (kept.facts.height, kept.facts.width)
    return SceneSample(name, shape, kept.background, kept.shake, kept.exposure)


def shake_of(frames: Bytes, background: Bytes) -> float:
    """The median distance between frames (K, h, w) and their common background, in widths of the
    picture.
    """
    still = edges_of(background)
    width = background.shape[1]
    distances = []
    for frame in frames:
        x, y = shift_between(still, edges_of(frame))
        pixels = np.hypot(x, y)
        distances.append(pixels / width)
    return float(np.median(distances))


def edges_of(picture: Bytes) -> Floats:
    """(h, w) strength of edges in [0, 1), half at the picture's own mean: what light changes least.

    So compressed, one strong thing that is in the way does not outweigh the rest.
    """
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength = np.hypot(x, y)
    return (strength / (strength + float(strength.mean()) + NOISE)).astype(np.float32)


def shift_between(edges: Floats, others: Floats) -> tuple[float, float]:
    """By how many pixels (x, y) the second picture of edges is displaced against the first, by
    phase correlation.
    """
    h, w = edges.shape
    window = cv2.createHanningWindow((w, h), cv2.CV_32F)
    first = np.ascontiguousarray(edges, np.float32)
    second = np.ascontiguousarray(others, np.float32)
    (x, y), _ = cv2.phaseCorrelate(first, second, window)
    return x, y


def view_agreement(one: Bytes, other: Bytes) -> float:
    """Correlation of the edges of two backgrounds, square by square: 1 for the same view, about 0
    for another.
    """
    ours = squares_of(edges_of(one))
    theirs = squares_of(edges_of(brought_to(one, other)))
    return correlation(ours, theirs)


def brought_to(one: Bytes, other: Bytes) -> Bytes:
    """The second picture at the size of the first."""
    if one.shape == other.shape:
        return other
    height, width = one.shape
    return np.asarray(cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def squares_of(edges: Floats) -> Floats:
    """Mean edge strength of squares of EDGE_SQUARE pixels."""
    h, w = edges.shape
    size = (max(1, w // EDGE_SQUARE), max(1, h // EDGE_SQUARE))
    return np.asarray(cv2.resize(edges, size, interpolation=cv2.INTER_AREA))


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's; 0 where one of the two is the same everywhere."""
    a = one - one.mean()
    b = other - other.mean()
    length = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if length <= 1e-9:
        return 0.0
    return float((a * b).sum()) / length


def check_scenes(samples: Sequence[SceneSample]) -> SceneCheck:
    """Which videos do not belong to the majority, by shape first, then by steadiness, view and
    exposure.

    Where fewer than FEWEST_VIDEOS videos are there, or no majority agrees, nothing is said.
    """
    if len(samples) == 1:
        return SceneCheck((), samples[0].background)
    if len(samples) < FEWEST_VIDEOS:
        return SceneCheck((), shared_view(samples))
    misfits = {misfit.name: misfit for misfit in misfits_of_shape(samples)}
    rest = [sample for sample in samples if sample.name not in misfits]
    group = majority_view(rest)
    if group is None:
        return SceneCheck(tuple(misfits.values()), None)
    for sample in rest:
        others = [other for other in group if other is not sample]
        reason = strange_in(sample, others, sample in group)
        if reason:
            misfits[sample.name] = Misfit(sample.name, reason)
    return SceneCheck(tuple(misfits.values()), group[0].background)


def refuse_shapes(samples: Sequence[SceneSample]) -> None:
    """Raise BadInput, naming videos and their pixels, where pictures differ in shape and none is
    that of most.
    """
    first = samples[0]
    for sample in samples[1:]:
        if abs(sample.aspect / first.aspect - 1) > SHAPE and not misfits_of_shape(samples):
            (h, w), (other_h, other_w) = first.shape, sample.shape
            raise BadInput(
                f"videos differ in shape: {first.name} is {w} × {h} pixels "
                f"and {sample.name} {other_w} × {other_h}; "
                "give those of one camera"
            )


def misfits_of_shape(samples: Sequence[SceneSample]) -> list[Misfit]:
    """Videos whose picture is of another shape than that of most."""
    best: list[SceneSample] = []
    for sample in samples:
        alike = [one for one in samples if abs(one.aspect / sample.aspect - 1) <= SHAPE]
        if len(alike) > len(best):
            best = alike
    if len(best) < MAJORITY * len(samples):
        return []
    height, width = best[0].shape
    found = []
    for sample in samples:
        if sample not in best:
            h, w = sample.shape
            reason = f"its picture is {w} × {h} pixels, that of most others {width} × {height}"
            found.append(Misfit(sample.name, reason))
    return found


def majority_view(samples: Sequence[SceneSample]) -> list[SceneSample] | None:
    """The videos that share the view of one of them, if they are a majority; that one comes first."""
    if len(samples) < 2:
        return None
    alike = agreement_of_all(samples) >= VIEW  # (V, V)
    centre = int(alike.sum(1).argmax())
    if alike[centre].sum() < max(2, MAJORITY * len(samples)):
        return None
    group = [samples[centre]]
    for k, sample in enumerate(samples):
        if alike[centre, k] and k != centre:
            group.append(sample)
    return group


def agreement_of_all(samples: Sequence[SceneSample]) -> Floats:
    """(V, V) `view_agreement` of each two videos; pictures are brought to the size of the first."""
    first = samples[0].background
    rows = []
    for sample in samples:
        background = brought_to(first, sample.background)
        row = squares_of(edges_of(background)).ravel().astype(np.float64)
        row -= row.mean()
        length = float(np.sqrt((row**2).sum()))
        if length > 1e-9:
            row /= length
        rows.append(row)
    table = np.stack(rows)
    return np.asarray(table @ table.T)


def blank_picture(sample: SceneSample) -> str:
    """That a video shows nothing, in words; nothing if it shows something."""
    if sample.exposure < DARK:
        return "the picture is black"
    if sample.exposure > BRIGHT:
        return "the picture is white"
    return ""


def strange_in(sample: SceneSample, others: Sequence[SceneSample], same_view: bool) -> str:
    """Why a video does not belong to those of one view; nothing if it does."""
    blank = blank_picture(sample)
    if blank:
        return blank
    shake = float(np.median([other.shake for other in others]))
    if sample.shake > max(SHAKE, RESTLESS * shake):
        return (
            f"the camera moves (by {sample.shake:.1%} of the picture's width, "
            f"in the others by {shake:.1%})"
        )
    if not same_view:
        return "it shows another view than most others"
    differences = np.array([sample.exposure - other.exposure for other in others])
    if np.abs(differences).min() > EXPOSURE:  # like none of them: a night among nights is no misfit
        usual = float(np.median(differences))
        word = "darker"
        if usual > 0:
            word = "brighter"
        return f"the picture is {abs(usual):.0f} grey levels {word} than in most others"
    return ""


def shared_view(samples: Sequence[SceneSample]) -> Bytes | None:
    """The background of two videos that show one view."""
    if len(samples) < 2 or majority_view(samples) is None:
        return None
    return samples[0].background


def view_change(view: Bytes, sample: SceneSample) -> str | None:
    """How a video's view differs from the one that was learned, as the rest of a sentence; None
    where it does not.
    """
    ratio = aspect_of(sample.background) / aspect_of(view)
    if abs(ratio - 1) > SHAPE:
        return "the picture has another shape"
    blank = blank_picture(sample)
    if blank:
        return blank
    background = brought_to(view, sample.background)
    x, y = shift_between(edges_of(view), edges_of(background))
    distance = float(np.hypot(x, y)) / view.shape[1]
    if distance > MOVED and aligned_agreement(view, background, x, y) >= VIEW:
        return f"the camera points elsewhere (by {distance:.0%} of the picture's width)"
    if view_agreement(view, background) < VIEW:
        return "it shows another view"
    return None


def aspect_of(picture: Bytes) -> float:
    """Width over height."""
    height, width = picture.shape
    return float(width) / float(height)


def aligned_agreement(view: Bytes, other: Bytes, x: float, y: float) -> float:
    """Correlation of the edges of two pictures, the second moved back by (x, y) pixels, where they
    overlap.
    """
    h, w = view.shape
    dx, dy = round(x), round(y)
    if abs(dx) >= w // 2 or abs(dy) >= h // 2:
        return 0.0
    up, down = max(0, -dy), max(0, dy)  # the second picture lies so many pixels off
    left, right = max(0, -dx), max(0, dx)
    ours = edges_of(view)[up : h - down, left : w - right]
    theirs = edges_of(other)[down : h - up, right : w - left]
    return correlation(squares_of(ours), squares_of(theirs))


def check_videos(videos: Sequence[Video], one_shape: bool = False) -> SceneCheck:
    """Look at videos and hold them against each other.

    Nothing is said of videos with classes, which are of many scenes, nor of one that cannot be
    read. With `one_shape` raises BadInput where their pictures differ in shape and no shape is that
    of most.
    """
    if any(video.label is not None for video in videos):
        return SceneCheck((), None)
    samples = []
    for video in videos:
        try:
            samples.append(sample_scene(video))
        except BadVideo:
            continue
    if not samples:
        return SceneCheck((), None)
    if one_shape:
        refuse_shapes(samples)
    return check_scenes(samples)


def change_of_view(view: Bytes | None, video: Video) -> str | None:
    """One line where a video does not show the view that was learned; None where it does or nothing
    is known.
    """
    if view is None:
        return None
    if video.ignored is not None:
        view = filled_in(view, video.ignored)
    try:
        change = view_change(view, sample_scene(video))
    except BadVideo:
        return None
    if change is None:
        return None
    return f"the view has changed since this was learned: {change}"
