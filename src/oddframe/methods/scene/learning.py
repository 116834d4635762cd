"""How Scene learns: a sample of cells to remember, and the memories' answers to normal frames that
they had not seen, from which it follows how rare an answer is and which memories are heard.

V videos; h × w cells; a sample of S cells; 3 memories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from oddframe.methods.scene.cells import Cells, join
from oddframe.methods.scene.evidence import Curve, learn_curve, say_of
from oddframe.methods.scene.memories import (
    LEAST_EXCESS,
    MEMORIES,
    Memory,
    Tallies,
    points_of,
    rarity_of_standing,
    tally,
    usual_speed,
    with_fault,
)
from oddframe.methods.scene.remembered import Described, VideoCells, recall
from oddframe.run import Run
from oddframe.types import Floats, Ints

SAMPLE = 60_000  # cells, over all videos, from which those remembered are drawn
HELD_OUT_FRAMES = 1000  # over all videos, that memories are asked about before they know them
FAULTY_FRAMES = 200  # of these, into which faults are put
GROUPS = 8  # into which recordings are dealt, to leave one out


@dataclass(frozen=True)
class Learned:
    """What was learned of a scene."""

    memory: Memory
    origin: Ints  # (B, 3) training video, frame, cell of what is remembered
    curves: list[Curve]  # one a memory
    say: Floats  # (3,) how well each memory tells faults from normal frames


@dataclass(frozen=True)
class Digest:
    """What is held in memory of one video."""

    sample: Cells  # cells of any frames
    origin: Ints  # (S, 3) video, frame, cell
    tallies: Tallies
    frames: list[Cells]  # whole frames, none of them empty
    recording: str  # that the video was cut from


def learn_memories(
    described: Sequence[Described],
    recordings: Sequence[str],
    run: Run,
    *,
    shape: tuple[int, int],
    bank: int,
    neighbours: int,
    longest: float,
) -> Learned:
    """Learn from described videos of one scene, each cut out of one of the recordings, in one pass
    over what was described of them.
    """
    random = run.random(1)
    digests = digest_all(described, recordings, run, shape, longest, random)
    answers: list[Floats] = []
    faulty: list[Floats] = []
    for held_out, others in leave_one_group_out(digests):
        memory, _ = remember(others, shape, bank, neighbours, longest, random)
        frames = [frame for one in held_out for frame in one.frames]
        answers += [highest(memory, frame) for frame in frames]
        every = max(1, round(HELD_OUT_FRAMES / FAULTY_FRAMES))
        for frame in frames[::every]:
            faulty.append(answers_to_faults(memory, frame, random))
    memory, origin = remember(digests, shape, bank, neighbours, longest, random)
    normal = np.array(answers)  # (N, 3)
    faults = np.array(faulty)
    curves = []
    say = []
    for k in range(len(MEMORIES)):
        curves.append(learn_curve(normal[:, k], LEAST_EXCESS[k]))
        say.append(say_of(normal[:, k], faults[:, k]))
    return Learned(memory, origin, curves, np.array(say))


def digest_all(
    described: Sequence[Described],
    recordings: Sequence[str],
    run: Run,
    shape: tuple[int, int],
    longest: float,
    random: np.random.Generator,
) -> list[Digest]:
    """A digest of each video that has things in it; a single one is cut in two, so that one half
    can be asked about what the other knows.
    """
    total_cells = sum(one.cells for one in described)
    total_frames = sum(one.frames for one in described)
    digests = []
    for k, (one, cells) in enumerate(zip(described, recall(run, described), strict=True)):
        parts = [cells]
        if len(described) == 1:
            middle = one.frames // 2
            parts = [cells.between(0, middle), cells.between(middle, one.frames)]
        for part in parts:
            wanted = round(SAMPLE * len(part.cell) / total_cells)
            frames = round(HELD_OUT_FRAMES * len(part.frame) / total_frames)
            if len(part.cell):
                found = digest(part, k, recordings[k], shape, longest, (wanted, frames), random)
                digests.append(found)
    return digests


def leave_one_group_out(digests: Sequence[Digest]) -> Iterator[tuple[list[Digest], list[Digest]]]:
    """Some digests, and those of all others; what was cut from one recording stays together.

    A single recording is left out part by part; a single digest is held against itself, for what it
    says of itself is better than nothing.
    """
    names = list(dict.fromkeys(one.recording for one in digests))
    places = [names.index(one.recording) for one in digests]
    if len(names) == 1:
        places = list(range(len(digests)))
    count = max(places) + 1
    groups = [place * min(GROUPS, count) // count for place in places]
    for group in range(max(groups) + 1):
        held_out: list[Digest] = []
        others: list[Digest] = []
        for one, own in zip(digests, groups, strict=True):
            side = held_out if own == group else others
            side.append(one)
        yield held_out, others or held_out


def digest(
    cells: VideoCells,
    video: int,
    recording: str,
    shape: tuple[int, int],
    longest: float,
    wanted: tuple[int, int],
    random: np.random.Generator,
) -> Digest:
    """A digest of one video, with about so many cells and frames."""
    size = min(len(cells.cell), max(1, wanted[0]))
    drawn = np.sort(random.choice(len(cells.cell), size, replace=False))
    frame = cells.frame[np.searchsorted(cells.first, drawn, side="right") - 1]
    origin = np.column_stack([np.full(size, video), frame, cells.cell[drawn]])
    everything = cells.cells_at(np.arange(len(cells.cell)))
    busy = np.flatnonzero(np.diff(cells.first))  # frames that things are in
    at = np.linspace(0, len(busy) - 1, min(len(busy), max(1, wanted[1]))).astype(int)
    frames = [cells.at(m) for m in busy[at].tolist()]
    tallies = tally(everything, shape, longest)
    return Digest(cells.cells_at(drawn), origin, tallies, frames, recording)


def remember(
    digests: Sequence[Digest],
    shape: tuple[int, int],
    bank: int,
    neighbours: int,
    longest: float,
    random: np.random.Generator,
) -> tuple[Memory, Ints]:
    """Memories of these videos, and where each remembered cell (B, 3) comes from."""
    tallies = Tallies.nothing(shape[0])
    for one in digests:
        tallies = tallies + one.tallies
    speed = usual_speed(tallies)
    points = points_of(join([one.sample for one in digests]), speed, shape[1])
    origin = np.concatenate([one.origin for one in digests])
    kept = np.sort(random.choice(len(points), min(bank, len(points)), replace=False))
    standing = rarity_of_standing(tallies)
    memory = Memory(points[kept], speed, standing, shape, neighbours=neighbours, longest=longest)
    return memory, origin[kept].astype(np.int64)


def highest(memory: Memory, frame: Cells) -> Floats:
    """(3,) the highest answer of each memory to a frame."""
    return np.asarray(memory.maps(frame).max((1, 2)))


def answers_to_faults(memory: Memory, frame: Cells, random: np.random.Generator) -> Floats:
    """(3,) the highest answer of each memory to the frame with a fault that it should find."""
    found = []
    for k, name in enumerate(MEMORIES):
        changed = with_fault(frame, name, memory.shape, memory.longest, random)
        found.append(highest(memory, changed)[k])
    return np.array(found)
