"""Boxes from elsewhere: an ONNX detector run by OpenCV, or a file that somebody else's detector wrote.

n boxes, rows of x1 y1 x2 y2 and a confidence, in pixels of the picture.
"""

import pickle
import re
import threading
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oddframe.errors import BadInput
from oddframe.types import Bytes, Floats, Ints

SIDE = 352  # pixels: the square that FastestDet was trained on, where a model does not say another
SAME = 0.45  # intersection over union from which on two boxes of a detector are one
FORMATS = (".pkl", ".pickle", ".npz")
WORDS = {  # what numpy's own pickles of arrays name, in numpy 1 and 2; nothing else is ever called
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class OnnxBoxes:
    """An object detector in ONNX: FastestDet's grid of cells, or rows of boxes as the YOLO family gives them.

    Raises BadInput for what OpenCV cannot read.
    """

    def __init__(self, model: Bytes, least: float = 0.3, side: int = SIDE) -> None:
        self.model, self.least, self.side = np.ascontiguousarray(model), least, side
        self.mine = threading.local()  # a network holds buffers that threads must not share
        self._net()

    def __reduce__(self) -> Any:
        return OnnxBoxes, (self.model, self.least, self.side)

    def __call__(self, picture: Bytes) -> Floats:
        """(n, 5) of a picture (H, W, C), RGB or grey; without doubles, surest first."""
        H, W = picture.shape[:2]
        colour = cv2.COLOR_GRAY2BGR if picture.shape[2] == 1 else cv2.COLOR_RGB2BGR
        square = cv2.resize(
            cv2.cvtColor(np.ascontiguousarray(picture), colour), (self.side, self.side)
        )
        net = self._net()
        try:
            net.setInput(cv2.dnn.blobFromImage(square, 1 / 255))
            boxes = boxes_of(np.asarray(net.forward(), np.float32), self.side)
        except cv2.error as error:
            raise BadInput(
                f"the detector does not take pictures of {self.side}×{self.side}: {_first(error)}"
            ) from error
        boxes = boxes[boxes[:, 4] >= self.least]
        boxes = boxes[without_doubles(boxes)]
        return np.asarray(boxes * np.array([W, H, W, H, 1], np.float32))

    def _net(self) -> Any:
        """This thread's own network."""
        if not hasattr(self.mine, "net"):
            try:
                self.mine.net = cv2.dnn.readNetFromONNX(self.model)
            except cv2.error as error:
                raise BadInput(
                    f"the detector is no ONNX model that OpenCV can run: {_first(error)}"
                ) from error
        return self.mine.net


def read_model(path: str | Path) -> Bytes:
    """The bytes of an ONNX file. Raises BadInput."""
    path = Path(path).expanduser()
    try:
        model = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise BadInput(f"cannot read the detector {path}: {error.strerror or error}") from error
    if not len(model):
        raise BadInput(f"the detector {path} is an empty file; it should be an ONNX model")
    return model


def boxes_of(out: Floats, side: int) -> Floats:
    """(n, 5) boxes as fractions of the picture, from what a detector's network gives for a square of `side` pixels.

    A grid (1, 5 + classes, h, w) is FastestDet's: objectness, tanh offset, sigmoid size, class probabilities.
    Rows (1, n, 5 + classes) are YOLOv5's: middle and size in pixels, objectness, classes; (1, 4 + classes, n) YOLOv8's.
    """
    if out.ndim == 4 and out.shape[1] > 5:
        found, (h, w) = out[0], out.shape[2:]
        sure = found[0] ** 0.6 * found[5:].max(0) ** 0.4  # the authors' weighting
        across = (np.arange(w) + np.tanh(found[1])) / w
        down = (np.arange(h)[:, None] + np.tanh(found[2])) / h
        wide, high = 1 / (1 + np.exp(-found[3])), 1 / (1 + np.exp(-found[4]))
        middle = [part.ravel() for part in (across, down, wide, high, sure)]
    elif out.ndim == 3 and out.shape[2] > 5 and out.shape[1] > out.shape[2]:
        rows = out[0]
        middle = [*(rows[:, :4].T / side), rows[:, 4] * rows[:, 5:].max(1)]
    elif out.ndim == 3 and out.shape[1] > 4:
        rows = out[0].T
        middle = [*(rows[:, :4].T / side), rows[:, 4:].max(1)]
    else:
        raise BadInput(
            f"the detector gives an array of shape {out.shape}; known are FastestDet's grid and YOLO's rows of boxes"
        )
    x, y, wide, high, sure = middle
    return np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2, sure], axis=1)


def without_doubles(boxes: Floats, same: float = SAME) -> Ints:
    """Which of (n, 5) boxes stay, surest first, when of those that overlap only the surest does."""
    order, kept = np.argsort(-boxes[:, 4], kind="stable"), []
    low, high = boxes[:, :2], boxes[:, 2:4]
    area = (high - low).prod(1)
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        shared = (
            (np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])).clip(0).prod(1)
        )
        order = rest[shared <= same * (area[best] + area[rest] - shared)]
    return np.array(kept, np.int64)


class BoxFile:
    """Boxes of many videos, as a detector wrote them once: the published pickle, an npz, or a folder of either.

    A pickle is a dict of video name → list, an entry a frame, of (n, ≥ 4) arrays. An npz has an array (R, ≥ 5) a
    video, rows of frame x1 y1 x2 y2 and perhaps a confidence. Nothing in a file is run. Videos are found by name, or
    by number in a file whose name says train or test: `01` in `ped2_train_detect_result_yolov3.pkl` is Train001.
    """

    def __init__(self, path: str | Path, least: float = 0.0) -> None:
        self.path, self.least = Path(path).expanduser(), least
        self.videos: dict[str, Mapping[int, Floats]] = {}
        self.lengths: dict[str, int | None] = {}
        if not self.path.exists():
            raise BadInput(f"there is no file or folder of boxes {self.path}")
        files = (
            sorted(p for p in self.path.iterdir() if p.suffix in FORMATS)
            if self.path.is_dir()
            else [self.path]
        )
        if not files:
            raise BadInput(f"{self.path} holds no file of boxes ({' '.join(FORMATS)})")
        for file in files:
            self._take(file)

    def boxes(self, video: str, frame: int) -> Floats:
        """(n, 5) of one frame of a video. Raises BadInput where the file says nothing of it."""
        name = self._name(video)
        length = self.lengths[name]
        if length is not None and frame >= length:
            raise BadInput(
                f"{self.path} has boxes for {length} frames of {video}, but it has a frame {frame}"
            )
        found = self.videos[name].get(frame, np.zeros((0, 5), np.float32))
        return found[found[:, 4] >= self.least]

    def refuse_other(self, video: str, frames: int) -> None:
        """Raise BadInput when the file tells of another video of that name, of another length."""
        name = self._name(video)
        length = self.lengths[name]
        last = max(self.videos[name], default=-1)
        if (length is not None and length != frames) or last >= frames:
            told = f"{length} frames" if length is not None else f"frame {last}"
            raise BadInput(
                f"{self.path} has boxes for {told} of {video}, which has {frames} frames: of another video?"
            )

    def _name(self, video: str) -> str:
        for wanted in (video, _plain(video)):
            if wanted in self.videos:
                return wanted
        known = ", ".join(list(self.lengths)[:6])
        raise BadInput(f"{self.path} has no boxes of {video}; it tells of {known} …")

    def _take(self, file: Path) -> None:
        told, lengths = _read(file)
        phase = next((word for word in ("train", "test") if word in file.name.lower()), "")
        for video, frames in told.items():
            name = f"{phase} {int(video)}" if phase and video.isdecimal() else video
            if name in self.videos:
                raise BadInput(f"{self.path} has boxes of {video} twice; keep one of the files")
            self.videos[name], self.lengths[name] = frames, lengths[video]


def _plain(video: str) -> str:
    """`Train001` as `train 1`."""
    found = re.fullmatch(r"(train|test)\D*0*(\d+)", video.lower())
    return f"{found[1]} {int(found[2])}" if found else video


def _read(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    try:
        return _read_npz(file) if file.suffix == ".npz" else _read_pickle(file)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"cannot read the boxes in {file}: {error.strerror or error}") from error
    except Exception as error:  # whatever damage leads to
        raise BadInput(f"{file} is damaged or no file of boxes: {_first(error)}") from error


def _read_pickle(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    with file.open("rb") as stream:
        told = _OnlyArrays(stream, file).load()
    if not isinstance(told, dict) or not all(
        isinstance(frames, list | tuple) for frames in told.values()
    ):
        raise BadInput(
            f"{file} should hold a dict of video name → a list with one array (n, 5) a frame"
        )
    found = {
        str(video): {k: _rows(file, video, k, rows) for k, rows in enumerate(frames) if len(rows)}
        for video, frames in told.items()
    }
    return found, {str(video): len(frames) for video, frames in told.items()}


def _read_npz(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    if not zipfile.is_zipfile(file):
        raise BadInput(
            f"{file} is no npz file; write one with numpy.savez, an array (R, 5) a video"
        )
    found: dict[str, dict[int, Floats]] = {}
    with np.load(file, allow_pickle=False) as held:
        for video in held.files:
            rows = np.asarray(held[video], np.float32)
            if rows.ndim != 2 or rows.shape[1] < 5:
                raise BadInput(
                    f"{file}: {video} should be rows of frame x1 y1 x2 y2, got shape {rows.shape}"
                )
            numbers = rows[:, 0].astype(int)
            found[video] = {
                int(k): _rows(file, video, int(k), rows[numbers == k, 1:])
                for k in np.unique(numbers)
            }
    return found, dict.fromkeys(found)


def _rows(file: Path, video: Any, frame: int, rows: Any) -> Floats:
    """(n, 5) float32 of what a file says of a frame. Raises BadInput for what are no boxes."""
    try:
        boxes = np.asarray(rows, np.float32)
    except (TypeError, ValueError):
        boxes = np.zeros(0, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] < 4 or not np.isfinite(boxes).all():
        raise BadInput(
            f"{file}: {video}, frame {frame}: boxes are rows of x1 y1 x2 y2, got shape {boxes.shape}"
        )
    if (boxes[:, 2:4] < boxes[:, :2]).any():
        raise BadInput(
            f"{file}: {video}, frame {frame}: a box ends before it begins; boxes are x1 y1 x2 y2"
        )
    sure = boxes[:, 4:5] if boxes.shape[1] > 4 else np.ones((len(boxes), 1), np.float32)
    return np.concatenate([boxes[:, :4], sure], axis=1)


class _OnlyArrays(pickle.Unpickler):
    """Reads dicts, lists, numbers, texts and numpy arrays. Any other name in the file stops it, before it is called."""

    def __init__(self, stream: Any, file: Path) -> None:
        super().__init__(stream)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in WORDS:
            raise BadInput(
                f"{self.file} holds code ({module}.{name}), which is not run; a file of boxes holds only numpy arrays"
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


@lru_cache(maxsize=4)
def box_file(path: str, least: float) -> BoxFile:
    """The same, read once."""
    return BoxFile(path, least)


def sized(boxes: Floats, told: Sequence[int], shape: Sequence[int]) -> Floats:
    """Boxes in pixels of pictures of (height, width) `told`, in pixels of pictures of `shape`."""
    scaled = np.asarray(boxes, np.float32).copy()
    scaled[:, 0:4:2] *= shape[1] / told[1]
    scaled[:, 1:4:2] *= shape[0] / told[0]
    return scaled
