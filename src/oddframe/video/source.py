"""A video file or a folder of pictures, opened once and remembered: facts, time stamps, key frames,
content.

`open_source` scans a source once for as long as it does not change on disk; whoever asks again is
answered from memory. T frames, H × W pixels.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.types import ClipSpec, Floats, Ints
from oddframe.video.damage import DamageReport
from oddframe.video.decoder import USUAL_FPS, StampClock, VideoFile
from oddframe.video.pictures import PICTURE_ENDINGS, pictures_of, read_picture
from oddframe.video.scaling import FLOAT_PIXELS, Scaler, shown_size

MOST_REORDERED = 64  # frames between a picture's place in decoding and in showing
TRIAL_PICTURES = 8  # pictures decoded to see whether a container's stamps are to be believed
MOST_REMEMBERED = 5_000_000  # frames, over all sources, of which the stamps are kept in memory
BLOCK = 1 << 20  # bytes read at once of a file that is hashed
BLOCKS = 64  # of a file that are hashed: a larger one is sampled
TRIAL_SPEC = ClipSpec(size=(16, 16), colour="grey")

State = tuple[tuple[int, int, int], ...]  # (time of change, bytes, inode) of each file of a source


@dataclass(frozen=True)
class Facts:
    """What a source says of itself; sizes as it is shown: turned, and with square pixels."""

    width: int
    height: int
    fps: float
    frames: int | None  # None where the header does not say
    seconds: float | None
    codec: str  # "pictures" for a folder of them
    pixels: str  # FFmpeg's name of how the first picture is stored, such as yuv420p


@dataclass(frozen=True)
class SeekTable:
    """How to get to each frame of a file: frames in the order in which they are shown."""

    pts: Ints  # (T,) ascending
    place: Ints  # (T,) position in decoding order
    keys: Ints  # (keys,) indices of the frames at which decoding can begin
    seeks: Ints  # (keys,) where to seek for them: decoding stamps where known

    def find(self, pts: int | None) -> int | None:
        """The index of the frame with this stamp; None where there is none."""
        if pts is None:
            return None
        index = int(np.searchsorted(self.pts, pts))
        if index < len(self.pts) and self.pts[index] == pts:
            return index
        return None

    def key_before(self, index: int) -> int:
        """Which key frame decoding has to begin at to reach a frame; -1 where none comes before it."""
        return int(np.searchsorted(self.keys, index, "right")) - 1


@dataclass(frozen=True)
class Source:
    """An opened source, of which only what it says is kept: nothing stays open."""

    path: Path
    facts: Facts
    seconds: Floats  # (T,) since the first frame, ascending
    pictures: tuple[Path, ...] = ()  # of a folder, in order
    seek_table: SeekTable | None = None  # None where frames can only be counted, from the start

    @property
    def shown(self) -> tuple[int, int]:
        """Height and width at which the first picture is shown."""
        return self.facts.height, self.facts.width


class SourceMemory:
    """Sources by their paths, until they change on disk or too many frames are remembered. Safe in
    threads.
    """

    def __init__(self) -> None:
        self.known: OrderedDict[Path, tuple[State, Source]] = OrderedDict()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to: another thread may have held a lock."""
        self.known.clear()
        self.opening: dict[Path, threading.Lock] = {}
        self.lock = threading.Lock()

    def find(self, path: Path, state: State) -> Source | None:
        """What is remembered of a path in this state."""
        with self.lock:
            nothing: tuple[State, Source | None] = ((), None)
            state_known, source = self.known.get(path, nothing)
            if source is None or state_known != state:
                return None
            self.known.move_to_end(path)
            return source

    def open(self, path: Path) -> Source:
        """The source, scanned unless it is remembered; of several threads one scans."""
        state = state_of(path)
        source = self.find(path, state)
        if source is not None:
            return source
        with self.lock:
            opening = self.opening.setdefault(path, threading.Lock())
        with opening:
            source = self.find(path, state)
            if source is None:
                source = scan(path)
            with self.lock:
                self.known[path] = (state, source)
                while len(self.known) > 1 and self.frames_known() > MOST_REMEMBERED:
                    self.known.popitem(last=False)
        with self.lock:
            self.opening.pop(path, None)
        return source

    def frames_known(self) -> int:
        """Frames, over all sources, whose stamps are in memory."""
        return sum(len(source.seconds) for _, source in self.known.values())


memory = SourceMemory()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=memory.forget)


def open_source(path: Path) -> Source:
    """What is to be known of a video file or a folder of pictures. Raises BadVideo where nothing
    can be read.
    """
    return memory.open(path)


def state_of(path: Path) -> State:
    """What changes when a source does, as far as the disk can say. Raises BadVideo for a path that
    is not there.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise BadVideo(f"no such file or folder: {path}") from error
    return ((about.st_mtime_ns, about.st_size, about.st_ino),)


def content_state(path: Path) -> State:
    """The same, of every picture of a folder. Raises BadVideo."""
    if not path.is_dir():
        return state_of(path)
    states = state_of(path)
    for picture in list_pictures(path):
        states += state_of(picture) if picture.is_file() else ((0, 0, 0),)
    return states


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder. Raises BadVideo where it cannot be looked into."""
    try:
        return pictures_of(folder)
    except OSError as error:
        raise BadVideo(f"cannot look into {folder}: {error.strerror or error}") from error


def scan(path: Path) -> Source:
    """A video file or a folder of pictures. Raises BadVideo where nothing can be read."""
    if path.is_dir():
        return scan_folder(path)
    return scan_file(path)


def scan_folder(folder: Path) -> Source:
    """A folder of pictures, of which the first that can be read is decoded."""
    paths = list_pictures(folder)
    if not paths:
        endings = " ".join(sorted(PICTURE_ENDINGS))
        raise BadVideo(f"{folder} is a folder without pictures ({endings})")
    damage = DamageReport(folder.name)
    first = read_picture(paths, 0, damage)
    if first is None:
        raise unreadable(folder, damage)
    height, width = shown_size(first)
    count = len(paths)
    seconds = np.arange(count) / USUAL_FPS
    name = first.format.name
    facts = Facts(width, height, USUAL_FPS, count, count / USUAL_FPS, "pictures", name)
    return Source(folder, facts, seconds, tuple(paths))


def scan_file(path: Path) -> Source:
    """A file, all of whose packets are read; decoded as a whole only where its stamps cannot be
    trusted.
    """
    with VideoFile(path) as film:
        packets: list[Packet] = []
        noted = note_packets(film, packets)
        head = list(islice(film.pictures(noted), TRIAL_PICTURES))
        for _ in noted:  # the rest, which is not decoded
            pass
        table = seek_table(packets, head)
        if table is not None:
            facts = facts_of_file(film, head[0])
            clock = StampClock(film.fps)
            stamps = table.pts.astype(float) * film.tick
            seconds = np.array(list(map(clock, stamps.tolist())))
            return Source(path, facts, seconds, seek_table=table)
    return scan_by_decoding(path)


def scan_by_decoding(path: Path) -> Source:
    """A file whose frames are found by decoding the whole."""
    seconds = []
    facts = None
    with VideoFile(path, threads=0) as film:
        for second, picture in film.timed(StampClock(film.fps)):
            if facts is None:
                facts = facts_of_file(film, picture)
            seconds.append(second)
        if facts is None:
            raise unreadable(path, film.damage)
    return Source(path, facts, np.array(seconds))


def facts_of_file(film: VideoFile, first: VideoFrame) -> Facts:
    """The facts of an opened file. Raises BadVideo where its pictures are of a kind that cannot be
    scaled.
    """
    height, width = shown_size(first, film.pixel_aspect)
    name = first.format.name
    if name not in FLOAT_PIXELS:
        try:
            Scaler(TRIAL_SPEC, (height, width))(first)
        except BadVideo as error:
            raise BadVideo(f"{film.path}: {error}") from error
    codec = film.codec.codec.canonical_name
    return Facts(width, height, film.fps, film.frames, film.seconds, codec, name)


@dataclass(frozen=True)
class Packet:
    """What is kept of a packet: its stamps, and whether decoding can begin with it."""

    pts: int | None
    dts: int | None
    is_key: bool


def note_packets(film: VideoFile, into: list[Packet]) -> Iterator[Any]:
    """The packets of a film again; those that give a picture to be shown are noted."""
    hidden_frames = film.codec.name == "vp8"  # whose first byte says whether a frame is ever shown
    for packet in film.packets():
        hidden = hidden_frames and not bytes(packet)[0] & 0x10
        if not packet.is_discard and not hidden:
            into.append(Packet(packet.pts, packet.dts, packet.is_keyframe))
        yield packet


def seek_table(packets: list[Packet], head: list[VideoFrame]) -> SeekTable | None:
    """How to seek by the container's stamps; None where they cannot be what the decoder will give.

    `head` are the first pictures decoded: a stream cut out of another begins with packets of which
    nothing can be made.
    """
    if not head or head[0].pts is None:
        return None
    if any(packet.pts is None for packet in packets):
        return None
    begins = head[0].pts
    decoding = [packet.dts for packet in packets if packet.dts is not None]
    kept = [packet for packet in packets if packet.pts is not None and packet.pts >= begins]
    stamps = np.array([packet.pts for packet in kept], np.int64)
    place = np.argsort(stamps, kind="stable")
    pts = stamps[place]
    decoded = [picture.pts for picture in head]
    ascending = not (np.diff(pts) <= 0).any() and not (np.diff(decoding) < 0).any()
    if decoded != pts[:TRIAL_PICTURES].tolist() or not ascending:
        return None
    if np.abs(place - np.arange(len(place))).max() > MOST_REORDERED:
        return None
    keys = np.flatnonzero([kept[k].is_key for k in place])
    seeks = pts[keys]
    for at, key in enumerate(keys):
        dts = kept[place[key]].dts
        if dts is not None:
            seeks[at] = dts
    return SeekTable(pts, place, keys, seeks)


def unreadable(path: Path, damage: DamageReport | None) -> BadVideo:
    """The error for a source that gives no frame, with what is known of why."""
    text = f"no frame can be read from {path}"
    if damage:
        text += f" ({'; '.join(damage.lines())})"
    return BadVideo(text)


# ---- content

hashes: OrderedDict[Path, tuple[State, str]] = OrderedDict()
MOST_HASHES = 4096
NO_PICTURE = b"no file"


def content_hash(path: Path, *, again: bool = False) -> str:
    """A name for what a source holds, whatever it is called: 16 hex digits.

    Files up to 64 MiB are read whole; of a longer one its length and 64 blocks of 1 MiB spread
    evenly over it. It is remembered until the source changes on disk; `again` reads it in any case.
    Raises BadVideo.
    """
    state = content_state(path)
    state_known, known = hashes.get(path, ((), ""))
    if known and state_known == state and not again:
        return known
    digest = blake2b(digest_size=8)
    of_folder = path.is_dir()
    files = [path]
    if of_folder:
        files = list_pictures(path)
    for file in files:
        if of_folder and not file.is_file():
            digest.update(NO_PICTURE)  # a pipe, a device, a dead link: reading the folder names it
            continue
        try:
            hash_file(file, digest)
        except OSError as error:
            raise BadVideo(f"cannot read {file}: {error.strerror or error}") from error
    found = digest.hexdigest()
    hashes[path] = (state, found)
    while len(hashes) > MOST_HASHES:
        hashes.popitem(last=False)
    return found


def hash_file(path: Path, digest: Any) -> None:
    """Add a file's length and content to a digest. Raises BadVideo for a device or a pipe, which
    may never end.
    """
    if path.exists() and not path.is_file():
        raise BadVideo(f"{path} is not a regular file")
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        if size <= BLOCK * BLOCKS:
            digest.update(file.read())
            return
        for k in range(BLOCKS):
            file.seek((size - BLOCK) * k // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
