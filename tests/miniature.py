"""A data set's TREE as tiny real files: films of six frames, with the third and fourth odd in every kind of truth."""

import json
import re
from pathlib import Path

import cv2
import numpy as np

from films import film, numbered
from oddframe.datasets.base import DataSet
from oddframe.datasets.tree import TreeEntry, layouts
from oddframe.video.reader import PICTURE_ENDINGS, VIDEO_ENDINGS

FRAMES, ODD, SIZE = 6, (2, 4), (48, 64)


def build(data: DataSet, folder: Path, layout: int = 0) -> Path:
    """Build a layout of the TREE, with junk in every folder. Gives the root to read."""
    top = layouts(data.TREE)[layout]
    _fill(folder, top)
    for inside in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for junk in (".DS_Store", "._001.tif", "._01.avi", "Thumbs.db", "desktop.ini"):
            (inside / junk).write_bytes(b"\0\5\26\7junk")
    (folder / "__MACOSX").mkdir(exist_ok=True)
    return folder / "ROOT" if top[0].names[0] == "ROOT" else folder


def marks() -> np.ndarray:
    """(FRAMES,) 1 where odd."""
    frame = np.zeros(FRAMES, np.uint8)
    frame[slice(*ODD)] = 1
    return frame


def masks() -> np.ndarray:
    """(FRAMES, h, w) 255 in a corner where odd."""
    mask = np.zeros((FRAMES, *SIZE), np.uint8)
    mask[slice(*ODD), :10, :20] = 255
    return mask


def _fill(folder: Path, entries: tuple[TreeEntry, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        for name in _names(entry):
            if entry.folder:
                _fill(folder / name, entry.inside)
            else:
                _write(folder / name)


def _names(entry: TreeEntry) -> list[str]:
    if not entry.more:
        return list(entry.names)
    count = FRAMES if entry.ending in PICTURE_ENDINGS else 2
    return [_after(entry.names[0], k) for k in range(count)]


def _after(name: str, k: int) -> str:
    """The k-th name after this one: 001.tif, 002.tif; monday.mp4, monday2.mp4."""
    stem, dot, ending = name.partition(".")
    match = re.search(r"(\d+)$", stem)
    if match is None:
        return f"{stem}{k + 1 if k else ''}{dot}{ending}"
    return f"{stem[: match.start()]}{int(match[1]) + k:0{len(match[1])}d}{dot}{ending}"


def _write(path: Path) -> None:
    ending = path.suffix
    if ending in PICTURE_ENDINGS:
        index = len([other for other in path.parent.iterdir() if other.suffix == ending])
        picture = (
            masks()[index]
            if path.parent.name.endswith("_gt")
            else numbered(index, *SIZE)[:, :, ::-1]
        )
        cv2.imwrite(str(path), picture)
    elif ending in VIDEO_ENDINGS:
        film(path, FRAMES, codec="mpeg4", size=SIZE)
    elif ending == ".mat":
        _write_cell(path)
    elif ending == ".m":
        clips = {
            other.stem for other in path.parent.iterdir() if re.fullmatch(r"Test\d+", other.stem)
        }
        line = f"TestVideoFile{{end+1}}.gt_frame = [{ODD[0] + 1}:{ODD[1]}];\n"
        path.write_text("TestVideoFile = {};\n" + line * len(clips))
    elif path.name == "pixel_masks.npz":
        clips = {
            other.stem for other in path.parent.iterdir() if re.fullmatch(r"Test\d+", other.stem)
        }
        np.savez(path, **{f"{clip}_gt": masks() for clip in clips})
    elif path.name.endswith(".masks.npz"):
        np.savez(path, masks=masks())
    elif ending == ".npy":
        np.save(path, masks() if "pixel" in path.parent.name else marks())
    elif path.name.endswith(".tracks.csv"):
        rows = [f"{frame},1,0.1,0.1,0.4,0.5" for frame in range(*ODD)]
        path.write_text("\n".join(["frame,track,x1,y1,x2,y2", *rows]))
    elif ending == ".csv":
        path.write_text(
            _drivers()
            if path.name == "LABEL.csv"
            else f"start,end,kind\n{ODD[0]},{ODD[1]},runner\n"
        )
    elif ending == ".txt":
        _list(path)
    elif ending == ".json":
        path.write_text(json.dumps({}))
    else:
        raise ValueError(f"a TREE may name no {path.name}: teach miniature.py to write one")


def _write_cell(path: Path) -> None:
    """A MATLAB cell: masks of one video, or ranges of all that were built beside it."""
    from scipy.io import savemat

    name, entries = "volLabel", list(masks())
    if not path.name.endswith("_label.mat"):
        videos = sum(1 for _ in (path.parent / "testing/frames").iterdir())
        name, entries = "gt", [np.array([[ODD[0] + 1], [ODD[1]]])] * videos
    cell = np.empty((1, len(entries)), object)
    cell[0, :] = entries
    savemat(path, {name: cell})


def _list(path: Path) -> None:
    """A list of a data set of classes, from the films that were built beside it."""
    if path.name == "videos.txt":
        films = sorted(
            other for other in path.parent.rglob("*.mp4") if not other.name.startswith(".")
        )
        path.write_text(
            "\n".join(
                f"https://example.org/{k}\n{one.stem}: 0.0 - 2.0" for k, one in enumerate(films)
            )
        )
        return
    folders = sorted(folder for folder in path.parent.parent.glob("*/*") if folder.is_dir())
    sides = [
        [film for film in sorted(folder.iterdir()) if film.suffix == ".avi"] for folder in folders
    ]
    if path.name == "classInd.txt":
        path.write_text("".join(f"{k} {folder.name}\r\n" for k, folder in enumerate(folders, 1)))
    elif path.name.startswith(
        ("trainlist", "testlist")
    ):  # the first class to train on, the second to test
        side = path.name.startswith("test")
        path.write_text(
            "".join(f"{one.parent.name}/{one.name} {side + 1}\r\n" for one in sides[side])
        )
    elif "_test_split" in path.name:
        for folder, (one, other) in zip(folders, sides, strict=True):
            name = re.sub(r"^.*(?=_test_split\d)", folder.name, path.name)
            (path.parent / name).write_text(f"{one.name} 1 \n{other.name} 2 \n")
    else:
        raise ValueError(f"a TREE may name no {path.name}: teach miniature.py to write one")


def _drivers() -> str:
    """The table of the driver data set, with blanks for what is as in the row above."""
    rows = ["val,rec,start,end,label"]
    for v, r in ((v, r) for v in range(1, 7) for r in range(1, 7)):
        rows.append(f"{f'val0{v}' if r == 1 else ''},rec{r},0,{ODD[0] - 1},N")
        rows += [f",,{ODD[0]},{ODD[1] - 1},A", f",,{ODD[1]},{FRAMES - 1},N"]
    return "\n".join(rows) + "\n"
