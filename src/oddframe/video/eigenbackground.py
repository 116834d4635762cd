"""A background that follows the light: a mean picture and the few ways in which the light changes
it (Oliver, Rosario and Pentland, "A Bayesian computer vision system for modeling human
interactions", PAMI 2000).

It is learned once and keeps no past, so that a frame's foreground depends on that frame alone. H × W
pixels, K ways of changing, M frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from oddframe.types import Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.background import median_picture, noise_of, scene_changed, softened
from oddframe.video.reader import indices_within, read_frames, times_of
from oddframe.video.scene_check import VIEW, edges_of, shift_between, view_agreement

SOFT = 5  # pixels over which frames are blurred before they are compared
CHUNK_SECONDS = 8.0  # of video of which one median is taken: people walk on within them
CHUNK_FRAMES = 20  # of a chunk that are looked at
MOST_CHUNKS = 40  # over all videos
WAYS = 2  # in which the light changes a picture, beside a gain
LEAST_CLIP = 12.0  # grey levels: what changes a median by more than light does is clipped
CLIP_SPREADS = 3.0  # the same in standard deviations
FITTED_STEP = 5  # pixels: every fifth, across and down, is used to find the light of a frame
ROUNDS = 4  # of reweighting
LEAST_SCALE = 1.5  # grey levels of misfit below which all pixels count fully
MIDDLE_GREY = 128.0  # the gain is in parts of this
LEAST_UNLIKE = 7.0  # grey levels by which a thing differs from its background
UNLIKE_NOISES = 4.0  # the same in standard deviations of the noise
NOISE_FRAMES = 200  # from which the noise is learned
# grey levels of noise that a standing camera may have: of one that moves, or a scene that changed for
# good, all is noise, and would be explained by it
MOST_NOISE = 10.0
MOST_SHIFT = 1.5  # pixels by which the picture of a standing camera is displaced
MOST_MISFIT = 30.0  # grey levels: what is further from the background counts as much
# of the misfit that is left when the background is moved too, from which on the camera has moved
BETTER_SHIFTED = 0.8


class SampledChunk(NamedTuple):
    """Frames of a few seconds of one video."""

    frames: list[Bytes]  # (H, W) each


@dataclass(frozen=True)
class EigenBackground:
    """A picture (H, W), what light does to it (K, H, W), and its noise (H, W), in grey levels."""

    picture: Floats
    variation: Floats
    noise: Floats

    def at(self, soft: Bytes) -> Floats:
        """(H, W) the background in the light of a frame (H, W), which was softened.

        Found by least squares over some of the pixels, reweighted so that things do not count.
        """
        step = FITTED_STEP
        picture = self.picture[::step, ::step].ravel()
        ways = self.variation[:, ::step, ::step].reshape(len(self.variation), -1)
        columns = np.column_stack([ways.T, picture / MIDDLE_GREY])
        wanted = soft[::step, ::step].ravel() - picture
        weight = np.ones(len(wanted), np.float32)
        small = 1e-3 * np.eye(columns.shape[1], dtype=np.float32)
        shares = np.zeros(columns.shape[1], np.float32)
        for _ in range(ROUNDS):
            weighted = columns * weight[:, None]
            shares = np.linalg.solve(weighted.T @ columns + small, weighted.T @ wanted)
            misfit = np.abs(wanted - columns @ shares)
            scale = max(LEAST_SCALE, 1.4826 * float(np.median(misfit)))
            weight = 1 / (1 + (misfit / (2 * scale)) ** 2)
        lit = self.picture * (1 + shares[-1] / MIDDLE_GREY)
        for share, way in zip(shares[:-1], self.variation, strict=True):
            lit = lit + share * way
        return np.asarray(lit, np.float32)

    @property
    def level(self) -> Floats:
        """(H, W) grey levels by which a pixel differs from its background when it is a thing's."""
        return np.asarray(np.maximum(LEAST_UNLIKE, UNLIKE_NOISES * self.noise))

    def explains(self, soft: Bytes) -> bool:
        """Whether a softened frame shows this scene, and not another view or a camera that moves."""
        return not scene_changed(np.abs(soft - self.at(soft)) > self.level)

    def foreground(self, soft: Bytes) -> Bytes:
        """(H, W) 1 where a softened frame is unlike the background, 0 elsewhere; 0 everywhere when
        the scene has changed as a whole.
        """
        unlike = np.abs(soft - self.at(soft)) > self.level
        if scene_changed(unlike):
            return np.zeros(unlike.shape, np.uint8)
        opened = cv2.morphologyEx(unlike.view(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


class LearnedBackground(NamedTuple):
    """A background, and how far it may be trusted."""

    background: EigenBackground
    explained: float  # share of the frames that it explains: little of them where the camera moves
    one_view: float  # share of the video that shows the same place: less where it changed for good


def learn_eigenbackground(videos: Sequence[Video], spec: ClipSpec) -> LearnedBackground:
    """The background of the videos of one camera, which are of one shape at the spec's size.

    Medians of a few seconds each show the place without what moves; what they have in common is
    the picture, and the directions in which they differ most are what light does.
    """
    medians: list[Floats] = []
    sample: list[Bytes] = []
    chunk_of: list[int] = []  # of each frame of the sample
    for chunk in sampled_chunks(videos, spec):
        soft = [softened(frame, SOFT) for frame in chunk.frames]
        chunk_of += [len(medians)] * len(soft)
        medians.append(median_picture(soft).astype(np.float32))
        sample += soft
    stack = np.stack(medians)  # (M, H, W)
    picture = median_picture(stack).astype(np.float32)
    variation = ways_of_changing(stack - picture)
    still = EigenBackground(picture, variation, np.zeros_like(picture))
    every = max(1, len(sample) // NOISE_FRAMES)
    chosen = range(0, len(sample), every)
    misfits = np.stack([sample[k] - still.at(sample[k]) for k in chosen])
    noise = noise_of(misfits, median_picture(misfits)).astype(np.float32)
    strict = EigenBackground(picture, variation, np.minimum(noise, MOST_NOISE))
    explained = []
    for k in chosen:
        # a camera that moves far leaves a picture too dim to be found in a frame; the frame a moment
        # before is not
        continues = k > 0 and chunk_of[k - 1] == chunk_of[k]
        moved = displaced(sample[k], picture)
        moved = moved or (continues and displaced(sample[k], sample[k - 1].astype(np.float32)))
        explained.append(not moved and strict.explains(sample[k]))
    return LearnedBackground(
        EigenBackground(picture, variation, noise),
        float(np.mean(explained)),
        share_of_main_view(medians),
    )


def share_of_main_view(medians: Sequence[Floats]) -> float:
    """The share of pictures (H, W) that show what most of them do, by their edges: what changes for
    good is taken for a change of light otherwise.
    """
    pictures = [median.astype(np.uint8) for median in medians]
    most = 0
    for one in pictures:
        alike = [view_agreement(one, other) >= VIEW for other in pictures]
        most = max(most, sum(alike))
    return most / len(pictures)


def displaced(frame: Bytes, background: Floats) -> bool:
    """Whether a frame (H, W) shows its background from elsewhere: moved by the shift between their
    edges, the background fits it clearly better.
    """
    x, y = shift_between(edges_of(background.astype(np.uint8)), edges_of(frame))
    H, W = frame.shape
    margin = int(np.ceil(max(abs(x), abs(y)))) + 1
    if np.hypot(x, y) <= MOST_SHIFT or 2 * margin >= min(H, W) // 2:
        return False
    there = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    inside = (slice(margin, H - margin), slice(margin, W - margin))
    moved = cv2.warpAffine(background, there, (W, H))
    misfits = []
    for there_or_moved in (background, moved):
        # so clipped, a thing that covers part of the frame does not outweigh the rest
        misfit = np.minimum(np.abs(frame - there_or_moved), MOST_MISFIT)
        misfits.append(float(misfit[inside].mean()))
    return misfits[1] < BETTER_SHIFTED * misfits[0]


def ways_of_changing(differences: Floats) -> Floats:
    """(K, H, W) the principal directions of differences (M, H, W), each of mean square 1.

    What differs by more than light does, such as somebody who stood through a whole chunk, is
    clipped, or the background would learn to contain it.
    """
    M, H, W = differences.shape
    spread = 1.4826 * np.median(np.abs(differences), axis=0)
    limit = np.maximum(LEAST_CLIP, CLIP_SPREADS * spread)
    clipped = np.clip(differences, -limit, limit).reshape(M, H * W)
    _, strengths, directions = np.linalg.svd(clipped, full_matrices=False)
    known = min(WAYS, int((strengths > 1e-3 * np.sqrt(H * W)).sum()))
    found = np.zeros((WAYS, H * W), np.float32)
    found[:known] = directions[:known] * np.sqrt(H * W)
    return found.reshape(WAYS, H, W)


def sampled_chunks(videos: Sequence[Video], spec: ClipSpec) -> Iterator[SampledChunk]:
    """Frames of some seconds each, spread evenly over all videos, each of which is opened once; of
    very many videos over some of them, for what is looked at is held in memory.
    """
    evenly = np.linspace(0, len(videos) - 1, min(MOST_CHUNKS, len(videos))).astype(int)
    videos = [videos[k] for k in evenly]
    spans = []
    for video in videos:
        spans.append(frames_within(video))
    seconds = sum(end - start for _, start, end in spans)
    length = max(CHUNK_SECONDS, seconds / MOST_CHUNKS)
    for video, (indices, start, end) in zip(videos, spans, strict=True):
        count = max(1, round((end - start) / length))
        chosen = chunk_indices(indices, times_of(video), count)
        wanted = sorted({index for chunk in chosen for index in chunk})
        frames = read_frames(video, spec, wanted)
        for chunk in chosen:
            readable = [frames[index][..., 0] for index in chunk if index in frames]
            if readable:
                yield SampledChunk(readable)


def frames_within(video: Video) -> tuple[Ints, float, float]:
    """The indices of a video's frames within its span, and the seconds of the first and last."""
    times = times_of(video)
    indices = indices_within(video, times)
    if not len(indices):
        return indices, 0.0, 0.0
    return indices, float(times[indices[0]]), float(times[indices[-1]])


def chunk_indices(indices: Ints, times: Floats, count: int) -> list[list[int]]:
    """For each of `count` stretches of CHUNK_SECONDS, evenly spread, the frames to look at."""
    chunks = []
    for part in np.array_split(indices, count):
        if not len(part):
            continue
        near = part[times[part] - times[part[0]] <= CHUNK_SECONDS]
        at = np.linspace(0, len(near) - 1, min(CHUNK_FRAMES, len(near))).astype(int)
        chunks.append(near[at].tolist())
    return chunks
