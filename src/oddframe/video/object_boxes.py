"""Boxes from elsewhere: an ONNX object detector run by OpenCV, or a file of detections.

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
from oddframe.video.boxes import shared_and_union

# pixels: the square that FastestDet was trained on, where a model does not say another
INPUT_SIDE = 352
MAX_OVERLAP = 0.45  # intersection over union above which only the more confident box stays
FORMATS = (".pkl", ".pickle", ".npz")
# what numpy's own pickles of arrays name, in numpy 1 and 2; nothing else is ever called
ALLOWED_NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}


class OnnxDetector:
    """An object detector in ONNX: FastestDet's grid of cells, or rows of boxes as YOLO gives them.

    Raises BadInput for what OpenCV cannot read.
    """

    def __init__(self, model: Bytes, min_confidence: float = 0.3, side: int = INPUT_SIDE) -> None:
        self.model = np.ascontiguousarray(model)
        self.min_confidence, self.side = min_confidence, side
        self.local = threading.local()  # a network holds buffers that threads must not share
        self.network()

    def __reduce__(self) -> Any:
        return OnnxDetector, (self.model, self.min_confidence, self.side)

    def __call__(self, picture: Bytes) -> Floats:
        """(n, 5) of a picture (H, W, C), RGB or grey; without doubles, most confident first."""
        H, W, C = picture.shape
        colour = cv2.COLOR_RGB2BGR
        if C == 1:
            colour = cv2.COLOR_GRAY2BGR
        bgr = cv2.cvtColor(np.ascontiguousarray(picture), colour)
        square = cv2.resize(bgr, (self.side, self.side))
        network = self.network()
        try:
            network.setInput(cv2.dnn.blobFromImage(square, 1 / 255))
            boxes = decode_boxes(np.asarray(network.forward(), np.float32), self.side)
        except cv2.error as error:
            raise BadInput(
                f"the detector does not take pictures of {self.side}×{self.side}: "
                f"{first_line(error)}"
            ) from error
        sure = boxes[boxes[:, 4] >= self.min_confidence]
        kept = sure[non_maximum_suppression(sure)]
        pixels = np.array([W, H, W, H, 1], np.float32)
        return np.asarray(kept * pixels)

    def network(self) -> Any:
        """This thread's own network."""
        if not hasattr(self.local, "network"):
            try:
                self.local.network = cv2.dnn.readNetFromONNX(self.model)
            except cv2.error as error:
                raise BadInput(
                    f"the detector is no ONNX model that OpenCV can run: {first_line(error)}"
                ) from error
        return self.local.network


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


def decode_boxes(out: Floats, side: int) -> Floats:
    """(n, 5) boxes as fractions of the picture, of a network's output for `side` × `side` pixels.

    A grid (1, 5 + classes, h, w) is FastestDet's: objectness, tanh offset, sigmoid size, class
    probabilities. Rows (1, n, 5 + classes) are YOLOv5's: middle and size in pixels, objectness,
    classes; (1, 4 + classes, n) YOLOv8's. Raises BadInput for another shape.
    """
    if out.ndim == 4 and out.shape[1] > 5:
        cells = out[0]
        h, w = out.shape[2:]
        rows, columns = np.arange(h)[:, None], np.arange(w)
        x = (columns + np.tanh(cells[1])) / w
        y = (rows + np.tanh(cells[2])) / h
        width, height = sigmoid(cells[3]), sigmoid(cells[4])
        best_class = cells[5:].max(0)
        confidence = cells[0] ** 0.6 * best_class**0.4  # the authors' weighting
    elif out.ndim == 3 and out.shape[2] > 5 and out.shape[1] > out.shape[2]:
        rows = out[0]
        x, y, width, height = rows[:, :4].T / side
        confidence = rows[:, 4] * rows[:, 5:].max(1)
    elif out.ndim == 3 and out.shape[1] > 4:
        rows = out[0].T
        x, y, width, height = rows[:, :4].T / side
        confidence = rows[:, 4:].max(1)
    else:
        raise BadInput(
            f"the detector gives an array of shape {out.shape}; known are FastestDet's grid and "
            "YOLO's rows of boxes"
        )
    columns_of_boxes = [
        x - width / 2,
        y - height / 2,
        x + width / 2,
        y + height / 2,
        confidence,
    ]
    return np.stack([column.ravel() for column in columns_of_boxes], axis=1)


def sigmoid(values: Floats) -> Floats:
    """1 / (1 + e^−x)."""
    return np.asarray(1 / (1 + np.exp(-values)))


def non_maximum_suppression(boxes: Floats, max_overlap: float = MAX_OVERLAP) -> Ints:
    """Which of (n, 5) boxes stay, most confident first: of those that overlap only the first."""
    confidence = boxes[:, 4]
    order = np.argsort(-confidence, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        shared, union = shared_and_union(boxes[[best]], boxes[rest])
        order = rest[shared[0] <= max_overlap * union[0]]
    return np.array(kept, np.int64)


class BoxFile:
    """Boxes of many videos, as a detector wrote them once: a pickle, an npz, or a folder of them.

    A pickle, as Wang et al. (ECCV 2022) publish theirs, is a dict of video name → list, an entry a
    frame, of (n, ≥ 4) arrays. An npz has an array (R, ≥ 5) a video, rows of frame x1 y1 x2 y2 and
    perhaps a confidence. No code in a file is run. Videos are found by name, or by number in a file
    whose name says train or test: `01` in `ped2_train_detect_result_yolov3.pkl` is Train001.
    """

    def __init__(self, path: str | Path, min_confidence: float = 0.0) -> None:
        self.path, self.min_confidence = Path(path).expanduser(), min_confidence
        self.videos: dict[str, Mapping[int, Floats]] = {}
        self.lengths: dict[str, int | None] = {}
        if not self.path.exists():
            raise BadInput(f"there is no file or folder of boxes {self.path}")
        files = [self.path]
        if self.path.is_dir():
            files = sorted(path for path in self.path.iterdir() if path.suffix in FORMATS)
        if not files:
            raise BadInput(f"{self.path} holds no file of boxes ({' '.join(FORMATS)})")
        for file in files:
            self.add(file)

    def boxes(self, video: str, frame: int) -> Floats:
        """(n, 5) of one frame of a video. Raises BadInput where the file says nothing of it."""
        name = self.name_of(video)
        length = self.lengths[name]
        if length is not None and frame >= length:
            raise BadInput(
                f"{self.path} has boxes for {length} frames of {video}, but it has a frame {frame}"
            )
        found = self.videos[name].get(frame, np.zeros((0, 5), np.float32))
        return found[found[:, 4] >= self.min_confidence]

    def check_length(self, video: str, frames: int) -> None:
        """Raise BadInput when the file's boxes are of a video of that name with other frames.

        `frames` are those of the whole video, whatever part of it is used.
        """
        name = self.name_of(video)
        length = self.lengths[name]
        last = max(self.videos[name], default=-1)
        if (length is not None and length != frames) or last >= frames:
            described = f"frame {last}" if length is None else f"{length} frames"
            raise BadInput(
                f"{self.path} has boxes for {described} of {video}, which has {frames} frames: of "
                "another video?"
            )

    def name_of(self, video: str) -> str:
        """What the file calls a video. Raises BadInput."""
        for wanted in (video, numbered_name(video)):
            if wanted in self.videos:
                return wanted
        known = ", ".join(list(self.lengths)[:6])
        raise BadInput(f"{self.path} has no boxes of {video}; it has those of {known} …")

    def add(self, file: Path) -> None:
        """Take the boxes of one more file. Raises BadInput."""
        videos, lengths = read_boxes(file)
        phase = ""
        for word in ("train", "test"):
            if word in file.name.lower():
                phase = word
                break
        for video, frames in videos.items():
            name = video
            if phase and video.isdecimal():
                name = f"{phase} {int(video)}"
            if name in self.videos:
                raise BadInput(f"{self.path} has boxes of {video} twice; keep one of the files")
            self.videos[name], self.lengths[name] = frames, lengths[video]


@lru_cache(maxsize=4)
def open_box_file(path: str, min_confidence: float) -> BoxFile:
    """A BoxFile, read once."""
    return BoxFile(path, min_confidence)


def numbered_name(video: str) -> str:
    """A video's name in a file of numbered videos.

    >>> numbered_name("Train001")
    'train 1'
    """
    found = re.fullmatch(r"(train|test)\D*0*(\d+)", video.lower())
    if found is None:
        return video
    phase, number = found.groups()
    return f"{phase} {int(number)}"


def read_boxes(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    """The boxes (n, 5) by video and frame, and the videos' lengths where known. Raises BadInput."""
    read = read_npz if file.suffix == ".npz" else read_pickle
    try:
        return read(file)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"cannot read the boxes in {file}: {error.strerror or error}") from error
    except Exception as error:  # whatever damage leads to
        raise BadInput(f"{file} is damaged or no file of boxes: {first_line(error)}") from error


def read_pickle(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    """The boxes and lengths in a published pickle."""
    with file.open("rb") as stream:
        content = ArrayUnpickler(stream, file).load()
    is_dict = isinstance(content, dict)
    if not is_dict or not all(isinstance(frames, list | tuple) for frames in content.values()):
        raise BadInput(
            f"{file} should hold a dict of video name → a list with one array (n, 5) a frame"
        )
    videos: dict[str, dict[int, Floats]] = {}
    lengths: dict[str, int | None] = {}
    for video, frames in content.items():
        boxes: dict[int, Floats] = {}
        for number, rows in enumerate(frames):
            if len(rows):
                boxes[number] = checked_boxes(file, video, number, rows)
        videos[str(video)], lengths[str(video)] = boxes, len(frames)
    return videos, lengths


def read_npz(file: Path) -> tuple[dict[str, dict[int, Floats]], dict[str, int | None]]:
    """The boxes in an npz, which does not say how long the videos are."""
    if not zipfile.is_zipfile(file):
        raise BadInput(
            f"{file} is no npz file; write one with numpy.savez, an array (R, 5) a video"
        )
    videos: dict[str, dict[int, Floats]] = {}
    with np.load(file, allow_pickle=False) as arrays:
        for video in arrays.files:
            rows = np.asarray(arrays[video], np.float32)
            if rows.ndim != 2 or rows.shape[1] < 5:
                raise BadInput(
                    f"{file}: {video} should be rows of frame x1 y1 x2 y2, got shape {rows.shape}"
                )
            numbers = rows[:, 0].astype(int)
            boxes: dict[int, Floats] = {}
            for number in np.unique(numbers).tolist():
                boxes[number] = checked_boxes(file, video, number, rows[numbers == number, 1:])
            videos[video] = boxes
    return videos, dict.fromkeys(videos)


def checked_boxes(file: Path, video: Any, frame: int, rows: Any) -> Floats:
    """(n, 5) float32 of what a file has for a frame. Raises BadInput for what are no boxes."""
    try:
        boxes = np.asarray(rows, np.float32)
    except (TypeError, ValueError):
        boxes = np.zeros(0, np.float32)
    place = f"{file}: {video}, frame {frame}"
    if boxes.ndim != 2 or boxes.shape[1] < 4 or not np.isfinite(boxes).all():
        raise BadInput(f"{place}: boxes are rows of x1 y1 x2 y2, got shape {boxes.shape}")
    if (boxes[:, 2:4] < boxes[:, :2]).any():
        raise BadInput(f"{place}: a box ends before it begins; boxes are x1 y1 x2 y2")
    confidence = np.ones((len(boxes), 1), np.float32)
    if boxes.shape[1] > 4:
        confidence = boxes[:, 4:5]
    return np.concatenate([boxes[:, :4], confidence], axis=1)


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, texts and numpy arrays.

    Any other name in the file stops it, before what it names is called.
    """

    def __init__(self, stream: Any, file: Path) -> None:
        super().__init__(stream)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for. Raises BadInput for all but numpy's arrays."""
        if (module, name) not in ALLOWED_NAMES:
            raise BadInput(
                f"{self.file} holds code ({module}.{name}), which is not run; a file of boxes "
                "holds only numpy arrays"
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def first_line(error: Exception) -> str:
    """What an error says, in one short line."""
    return " ".join(str(error).split())[:160]


def scale_boxes(boxes: Floats, given: Sequence[int], shape: Sequence[int]) -> Floats:
    """Boxes in pixels of pictures of (height, width) `given`, in pixels of those of `shape`."""
    across = shape[1] / given[1]
    down = shape[0] / given[0]
    scaled = np.array(boxes, np.float32)
    scaled[:, 0:4:2] *= across
    scaled[:, 1:4:2] *= down
    return scaled
