"""What people write down about a video is read, or answered with the file, the line and both counts."""

import re
import zipfile
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddframe.datasets.annotations import read_truth, truth_files, truth_names, write_truth
from oddframe.datasets.masks import read_masks
from oddframe.errors import BadTruth
from oddframe.types import Truth

SIX = [False, False, True, True, False, False]


def seconds() -> np.ndarray:
    """Six frames, ten a second."""
    return np.arange(6) / 10


def drawn() -> np.ndarray:
    mask = np.zeros((6, 4, 8), bool)
    mask[2:4, 1:3, 2:5] = True
    return mask


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.txt", "0\n0\n1\n1\n0\n0\n", id="a number a line"),
        pytest.param("a.txt", "0 0 1 1 0 0", id="one line"),
        pytest.param("a.txt", "\ufeff0 0 1.0 1 0 0", id="byte order mark"),
        pytest.param("a.csv", "start,end\n2,4\n", id="frames"),
        pytest.param(
            "a.csv", "start,end\r\n2,3\r\n3,4\r\n\r\n", id="touching stretches, windows, blank line"
        ),
        pytest.param("a.csv", "\ufeffStart;End;Kind\n2;4;car\n", id="spreadsheet"),
        pytest.param(
            "a.csv", 'kind, start, end\n"car, red", 2, 4\n', id="other order, quotes, spaces"
        ),
        pytest.param("a.csv", "start_seconds,end_seconds\n0.2,0.4\n", id="seconds"),
        pytest.param(
            "a.csv", "start_seconds,end_seconds\n0.15,0.31\n", id="seconds between frames"
        ),
        pytest.param(
            "a.tracks.csv",
            "frame,track,x1,y1,x2,y2\n2,1,0,0,1,1\n3,1,0,0,.5,1\n",
            id="tracks alone",
        ),
    ],
)
def test_text_is_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    truth = read_truth(tmp_path, "a", 6, seconds)
    assert truth is not None
    assert truth.frame.tolist() == SIX


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 6)])
def test_arrays_are_read(dtype: type, shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(SIX, dtype).reshape(shape))
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.frame.tolist() == SIX
    assert truth.mask is None


def test_an_array_of_masks_says_where(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", drawn().astype(np.uint8) * 255)
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.frame.tolist() == SIX
    assert truth.mask is not None
    assert (truth.mask == drawn()).all()


@pytest.mark.parametrize("folder", ["a", "a_gt"])
@pytest.mark.parametrize(
    ("ending", "one"),
    [
        pytest.param(".bmp", np.uint8(255), id="bmp"),
        pytest.param(".png", np.uint8(1), id="png of 0 and 1"),
        pytest.param(".png", np.uint16(1), id="png of 16 bits"),
        pytest.param(".tif", np.uint8(255), id="tif"),
        pytest.param(".png", np.array([0, 0, 9], np.uint8), id="colour"),
        pytest.param(".png", np.array([0, 0, 9, 255], np.uint8), id="colour with alpha"),
    ],
)
def test_pictures_of_masks_are_read(
    folder: str, ending: str, one: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir()
    for number, mask in enumerate(drawn(), 6):  # 6 to 11: in natural order 9 comes before 10
        picture = np.zeros((*mask.shape, *np.shape(one)), one.dtype)
        if one.shape == (4,):
            picture[..., 3] = 255  # opaque everywhere: that is not a mark
        picture[mask] = one
        cv2.imwrite(str(tmp_path / folder / f"{number}{ending}"), picture)
    (tmp_path / folder / "Thumbs.db").write_bytes(b"junk")
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.mask is not None
    assert (truth.mask == drawn()).all()
    assert truth.frame.tolist() == SIX


def test_labels_count_where_masks_say_otherwise(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.masks.npz", masks=drawn())
    (tmp_path / "a.txt").write_text("1 1 1 1 1 1")
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.frame.all()
    assert truth.mask is not None


def test_labels_and_masks_without_a_frame_in_common_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.masks.npz", masks=drawn())
    (tmp_path / "a.txt").write_text("1 1 0 0 0 0")
    with pytest.raises(BadTruth, match="0 are so by both"):
        read_truth(tmp_path, "a", 6)
    (tmp_path / "a.txt").write_text("0 1 1 0 0 0")
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.note == "frame labels and masks disagree in 2 frames; the labels count"


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64, ">i2"])
def test_masks_are_read_frame_by_frame(fortran: bool, dtype: str, tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (70, 31, 47)).astype(dtype)
    stored = np.asfortranarray(masks) if fortran else masks
    np.savez_compressed(tmp_path / "a.masks.npz", masks=stored)
    np.save(tmp_path / "b.npy", stored)
    for name in "ab":
        truth = read_truth(tmp_path, name, 70)
        assert truth is not None
        assert truth.mask is not None
        assert truth.mask.shape == masks.shape
        for _ in range(2):  # as often as asked for
            assert all((one == two).all() for one, two in zip(truth.mask, masks > 0, strict=True))


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ((60, 80), "no mask of this video"),  # 4 times as high as the video, and a bit
        ((8, 4), "another shape"),  # height and width exchanged
    ],
)
def test_masks_of_another_size_are_refused_by_their_header(
    size: tuple[int, int], why: str, tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "a.masks.npz", masks=np.zeros((6, *size), np.uint8))
    (tmp_path / "b_gt").mkdir()
    cv2.imwrite(str(tmp_path / "b_gt/0.png"), np.zeros(size, np.uint8))
    for name in "ab":
        with pytest.raises(BadTruth, match=why):
            read_truth(tmp_path, name, 6, size=lambda: (4, 8))
    np.savez_compressed(tmp_path / "a.masks.npz", masks=np.zeros((6, 16, 32), np.uint8))
    assert read_truth(tmp_path, "a", 6, size=lambda: (4, 8)) is not None


def test_masks_that_unpack_to_ten_gigabytes_are_refused_at_once(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.masks.npz", 150
    about = {"descr": "|u1", "fortran_order": False, "shape": (frames, 8000, 8000)}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("masks.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, about)
        file.write(bytes(1 << 20))  # what follows is not looked at
    with pytest.raises(BadTruth, match="8000×8000 pixels, its video 160×120"):
        read_truth(tmp_path, "a", frames, size=lambda: (120, 160))


def test_text_much_longer_than_its_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 " * 100_000)
    (tmp_path / "b.csv").write_text("start,end\n" + "0,1\n" * 600_000)
    for name in "ab":
        with pytest.raises(BadTruth, match="is too large"):
            read_truth(tmp_path, name, 6)


def test_kinds_of_two_things_at_once_are_joined(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start,end,kind\n0,3,runner\n2,5,car\n")
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.kind is not None
    assert truth.kind.tolist() == ["runner", "runner", "runner+car", "car", "car", ""]


def test_a_header_alone_says_that_all_is_normal(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start,end\n")
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert not truth.frame.any()
    assert len(truth.frame) == 6


def test_nothing_said_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "ab.csv").write_text("start,end\n")
    assert read_truth(tmp_path, "a", 6) is None
    assert read_truth(tmp_path / "nowhere", "a", 6) is None
    assert truth_files(tmp_path, "a") == []


def test_names_with_truth_are_found(tmp_path: Path) -> None:
    for name in (
        "a.csv",
        "a.tracks.csv",
        "b.masks.npz",
        "sub/c.npy",
        "d_gt/1.png",
        "e/1.png",
        "._f.csv",
        "g.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(truth_names(tmp_path)) == ["a", "b", "d", "e", "sub/c"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "0 1 0", ["a.txt", "3 labels", "6 frames"]),
        ("a.txt", "0 1 2 0 0 0", ["0 (normal) or 1 (anomalous)", "2"]),
        ("a.txt", "0 1 x", ["white space", "'x'"]),
        ("a.txt", "", ["0 labels", "6 frames"]),
        ("a.csv", "", ["empty", "header"]),
        ("a.csv", "0\n1\n", ["start,end[,kind]", "start_seconds"]),
        ("a.csv", "start,end\n2,7\n", ["line 2", "frame 7", "6 frames"]),
        ("a.csv", "start,end\n4,2\n", ["line 2", "4 to 2"]),
        ("a.csv", "start,end\n-1,2\n", ["line 2", "-1 to 2"]),
        ("a.csv", "start,end\n0,1\n1.5,2\n", ["line 3", "whole numbers", "start_seconds"]),
        ("a.csv", "start,end\n2\n", ["line 2", "end is not a number"]),
        ("a.csv", "start,end\nnan,2\n", ["line 2", "start is not a number"]),
        ("a.csv", "start_seconds,end_seconds\n7,8\n", ["line 2", "7 to 8 s", "0.50 s"]),
        ("a.csv", "start_seconds,end_seconds\n0,8\n", ["line 2", "0 to 8 s", "0.50 s"]),
        ("a.npy", "no array", ["a.npy", "numpy"]),
        ("a.masks.npz", "no archive", ["a.masks.npz", "numpy"]),
        ("a.tracks.csv", "frame,x1,y1,x2,y2\n", ["frame,track,x1,y1,x2,y2"]),
        (
            "a.tracks.csv",
            "frame,track,x1,y1,x2,y2\n6,1,0,0,1,1\n",
            ["line 2", "frame 6", "6 frames"],
        ),
        (
            "a.tracks.csv",
            "frame,track,x1,y1,x2,y2\n1,1,20,30,90,99\n",
            ["line 2", "fractions", "20,30,90,99"],
        ),
        ("a.tracks.csv", "frame,track,x1,y1,x2,y2\n1,1,.5,.5,.2,.9\n", ["line 2", "fractions"]),
        ("a.tracks.csv", "frame,track,x1,y1,x2,y2\n1.7,1,0,0,1,1\n", ["line 2", "1.7", "whole"]),
        ("a.csv", 'start,end,kind\n0,1,"car\n2,3,bus\n', ["line 2", "quote"]),
        ("a.csv", 'start,end,kind\n0,1,"car\n2,3,bus"\n4,5,car\n', ["line 2", "quote"]),
    ],
)
def test_what_does_not_fit_is_one_line(
    name: str, text: str, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadTruth) as told:
        read_truth(tmp_path, "a", 6, seconds)
    assert all(word in str(told.value) for word in [*said, name])
    assert "\n" not in str(told.value)


def test_masks_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.masks.npz", masks=drawn()[:5])
    with pytest.raises(BadTruth, match=r"a\.masks\.npz has 5 masks, but 6 frames"):
        read_truth(tmp_path, "a", 6)
    np.savez(tmp_path / "a.masks.npz", mask=drawn())
    with pytest.raises(BadTruth, match="no key 'masks'; there are mask"):
        read_truth(tmp_path, "a", 6)
    np.savez(tmp_path / "a.masks.npz", masks=drawn()[0])
    with pytest.raises(BadTruth, match="frames, height, width"):
        read_truth(tmp_path, "a", 6)
    np.save(tmp_path / "b.npy", np.zeros((6, 2)))
    with pytest.raises(BadTruth, match=r"\(6, 2\)"):
        read_truth(tmp_path, "b", 6)
    np.save(tmp_path / "c.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadTruth, match=r"c\.npy"):
        read_truth(tmp_path, "c", 6)


def test_damaged_or_unequal_pictures_of_masks_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "a_gt"
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((4, 8), np.uint8))
    with pytest.raises(BadTruth, match="a_gt has 6 masks, but 7 frames"):
        read_truth(tmp_path, "a", 7)
    cv2.imwrite(str(folder / "3.png"), np.zeros((4, 9), np.uint8))
    with pytest.raises(BadTruth, match=r"3\.png is 9×4 pixels, the masks before it 8×4"):
        list(read_masks(folder))
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(BadTruth, match=r"3\.png is not a picture"):
        list(read_masks(folder))


@pytest.mark.parametrize("twice", [("a.csv", "a.npy"), ("a.masks.npz", "a_gt/1.png")])
def test_truth_given_twice_is_not_chosen_from(twice: tuple[str, str], tmp_path: Path) -> None:
    for name in twice:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(BadTruth, match="twice"):
        read_truth(tmp_path, "a", 6)


def test_seconds_need_times(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start_seconds,end_seconds\n0.2,0.4\n")
    with pytest.raises(BadTruth, match="use frames"):
        read_truth(tmp_path, "a", 6)
    uneven = np.array([0, 0.1, 0.25, 0.3, 2.0, 2.1])
    truth = read_truth(tmp_path, "a", 6, lambda: uneven)
    assert truth is not None
    assert truth.frame.tolist() == SIX, "stretches are times, not counts of frames"


def test_boxes_are_cut_at_the_edge(tmp_path: Path) -> None:
    tracks = np.array(
        [[2, 7, -0.1, 0.2, 0.3, 1.4], [3, 7, 1.2, 0, 1.4, 1], [3, 8, 0.123456789, 0, 0.5, 1]]
    )
    write_truth(tmp_path, "a", Truth(np.array(SIX), tracks=tracks))
    truth = read_truth(tmp_path, "a", 6)
    assert truth is not None
    assert truth.tracks is not None
    assert truth.tracks.tolist() == [[2, 7, 0, 0.2, 0.3, 1], [3, 8, 0.123457, 0, 0.5, 1]]


@given(
    frame=st.lists(st.booleans(), max_size=40),
    words=st.lists(
        st.sampled_from(["car", "runner", "fell, twice", "car+runner"]), min_size=40, max_size=40
    ),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(
    frame: list[bool], words: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, random, T = tmp_path_factory.mktemp("truth"), np.random.default_rng(seed), len(frame)
    kind = np.array(
        [word if odd else "" for word, odd in zip(words[:T], frame, strict=True)], dtype="U16"
    )
    tracks = np.array([[f, 1, 0.1, 0.2, 0.3, 0.4] for f in range(T) if frame[f]]).reshape(-1, 6)
    mask = (random.random((T, 3, 5)) < 0.5) & np.array(frame, bool)[:, None, None]
    truth = Truth(np.array(frame, bool), mask, tracks, kind)
    write_truth(folder, "a", truth)
    again = read_truth(folder, "a", T)
    assert again is not None
    assert again.frame.tolist() == frame
    assert again.mask is not None
    assert again.tracks is not None
    assert again.kind is not None
    assert (again.mask == mask).all()
    assert (again.tracks == tracks).all()
    assert again.kind.tolist() == kind.tolist()


def test_the_examples_in_the_documentation_are_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "ground-truth.md").read_text()
    examples = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    odd = []
    for number, example in enumerate(examples):
        ending = ".tracks.csv" if example.startswith("frame,track") else ".csv"
        (tmp_path / f"{number}{ending}").write_text(example)
        truth = read_truth(tmp_path, str(number), 450, lambda: np.arange(450) / 25)
        assert truth is not None
        odd.append(int(truth.frame.sum()))
    assert odd == [61, 60 + 13, 80, 0, 2]


@given(
    data=st.data(),
    name=st.sampled_from(["a.npy", "a.txt", "a.csv", "a.masks.npz", "a.tracks.csv", "a_gt/1.png"]),
)
@settings(max_examples=300, deadline=None)
def test_damage_is_never_worse_than_bad_truth(
    data: st.DataObject, name: str, intact: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    given = bytearray((intact / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        given[data.draw(st.integers(0, len(given) - 1))] = data.draw(st.integers(0, 255))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(given[: data.draw(st.integers(0, len(given)))])
    with suppress(BadTruth):
        truth = read_truth(folder, "a", 6, seconds)
        assert truth is not None
        assert len(truth.frame) == 6


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good file of each sort."""
    folder = tmp_path_factory.mktemp("intact")
    tracks = np.array([[2, 1, 0.1, 0.1, 0.4, 0.5]])
    write_truth(
        folder, "a", Truth(np.array(SIX), drawn(), tracks, np.array(["", "", "car", "car", "", ""]))
    )
    np.save(folder / "a.npy", np.array(SIX))
    (folder / "a.txt").write_text("0 0 1 1 0 0")
    (folder / "a_gt").mkdir()
    cv2.imwrite(str(folder / "a_gt/1.png"), drawn()[2].astype(np.uint8))
    return folder
