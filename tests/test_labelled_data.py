"""Data sets of classes: official lists are read as they are, and what one source gave is never divided."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from films import film
from oddframe.datasets.base import open_data
from oddframe.datasets.hmdb51 import Hmdb51
from oddframe.datasets.labelled import Labelled
from oddframe.datasets.splits import hold_out_groups, read_groups
from oddframe.datasets.ucf101 import Ucf101, read_classes, read_column, refuse_split_groups
from oddframe.errors import BadInput
from oddframe.types import Video


@pytest.fixture
def lists(shared: Path, tmp_path: Path) -> Path:
    """The official lists of UCF101."""
    with tarfile.open(shared / "splits" / "ucfTrainTestlist.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "ucf101"


@pytest.mark.parametrize(
    ("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)]
)
def test_the_official_lists_divide_no_group(lists: Path, split: int, train: int, test: int) -> None:
    assert len(read_classes(lists)) == 101
    sides = []
    for side in ("train", "test"):
        named = read_column(lists, f"{side}list{split:02d}.txt")
        sides.append(
            [Video(Path(line).stem, Path(line), label=line.split("/")[0]) for line in named]
        )
    assert [len(side) for side in sides] == [train, test]
    assert {video.label for side in sides for video in side} == read_classes(lists)
    refuse_split_groups(*sides)
    with pytest.raises(BadInput, match="is in the train list and in the test list"):
        refuse_split_groups(sides[0], [*sides[1], sides[0][0]])


def ucf(folder: Path, train: str, test: str, classes: str = "1 A\n2 B\n") -> Path:
    for name in ("A/v_A_g01_c01", "A/v_A_g02_c01", "B/v_b_g01_c01", "B/v_b_g02_c01"):
        (folder / "UCF-101" / name).parent.mkdir(parents=True, exist_ok=True)
        film(folder / "UCF-101" / f"{name}.avi", 4, codec="mpeg4")
    (folder / "ucfTrainTestlist").mkdir()
    for name, text in (("trainlist01", train), ("testlist01", test), ("classInd", classes)):
        (folder / "ucfTrainTestlist" / f"{name}.txt").write_text(text)
    return folder


def test_ucf101_is_read_by_its_lists(tmp_path: Path) -> None:
    root = ucf(
        tmp_path,
        "A/v_A_g01_c01.avi 1\r\nB/v_B_g01_c01.avi 2\r\nB/v_B_g03_c01.avi 2\r\n",  # B's files are spelt v_b on disk
        "A/v_A_g02_c01.avi\r\nB/v_B_g02_c01.avi\r\n",
    )
    split = Ucf101().read_split(root)
    assert [(video.name, video.label) for video in split.train] == [
        ("v_A_g01_c01", "A"),
        ("v_b_g01_c01", "B"),
    ]
    assert [video.label for video in split.test] == ["A", "B"]
    assert split.notes == ("1 of 3 train clips of ucf101 are absent (B/v_B_g03_c01.avi)",)
    with pytest.raises(BadInput, match="has no trainlist02"):
        open_data("ucf101", root, split=2)
    with pytest.raises(BadInput, match="has the official splits 1, 2, 3; got 4"):
        open_data("ucf101", root, split=4)
    with pytest.raises(BadInput, match="simulated has no official splits"):
        open_data("simulated", root, split=2)


@pytest.mark.parametrize(
    ("train", "test", "classes", "why"),
    [
        (
            "A/v_A_g01_c01.avi 1\n",
            "A/v_A_g01_c01.avi\n",
            "1 A\n",
            "group g01 of A is in the train list and in the test",
        ),
        (
            "A/v_A_g01_c01.avi 1\n",
            "B/v_b_g01_c01.avi\n",
            "1 A\n",
            "has no class B, which testlist names",
        ),
        ("A/v_A_g01_c01.avi 1\n", "", "1\n", "the line '1', which says too little"),
    ],
)
def test_lists_that_do_not_match_are_one_line(
    tmp_path: Path, train: str, test: str, classes: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as told:
        Ucf101().read_split(ucf(tmp_path, train, test, classes))
    assert "\n" not in str(told.value)


def test_hmdb51s_names_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "hmdb51" / "wave").mkdir(parents=True)
    (tmp_path / "splits").mkdir()
    names = ["a b#(c);&[d].avi", "second.avi", "unused.avi"]
    for name in names:
        film(tmp_path / "hmdb51" / "wave" / name, 4, codec="mpeg4")
    (tmp_path / "splits" / "wave_test_split1.txt").write_text(
        "".join(f"{name} {number} \n" for name, number in zip(names, (1, 2, 0), strict=True))
    )
    split = Hmdb51().read_split(tmp_path)
    assert [video.source.name for video in split.train] == names[:1]
    assert [video.source.name for video in split.test] == names[1:2]
    (tmp_path / "splits" / "wave_test_split1.txt").write_text("second.avi 7\n")
    with pytest.raises(BadInput, match="it ends with 0, 1 for train or 2 for test"):
        Hmdb51().read_split(tmp_path)


def test_a_third_of_each_class_is_held_out_and_no_group_divided() -> None:
    videos = [Video(f"{c}{k}", Path(f"{c}{k}.mp4"), label=c) for c in "ab" for k in range(30)]
    groups = {
        video.name: f"source{int(video.name[1:]) // 3}" for video in videos
    }  # three of each class
    split = hold_out_groups(videos, groups)
    assert hold_out_groups(list(reversed(videos)), groups).test == list(reversed(split.test)), (
        "whatever the order"
    )
    for label in "ab":
        assert 7 <= sum(video.label == label for video in split.test) <= 10
    assert not {groups[video.name] for video in split.train} & {
        groups[video.name] for video in split.test
    }


def test_groups_are_told_by_a_file_or_by_names(tmp_path: Path) -> None:
    videos = [
        Video(name, tmp_path / "a" / f"{name}.mp4", label="a")
        for name in ("v_g01_c01", "v_g01_c02", "v_g02_c01")
    ]
    assert list(read_groups(videos, tmp_path).values()) == ["a/v_g01", "a/v_g01", "a/v_g02"]
    (tmp_path / "groups.csv").write_text("v_g01_c01.mp4,x\nv_g02_c01.mp4,x\n")
    assert list(read_groups(videos, tmp_path).values()) == ["x", "a/v_g01", "x"]
    (tmp_path / "groups.csv").write_text("other,x\n")
    with pytest.raises(BadInput, match="names none of the videos"):
        read_groups(videos, tmp_path)


def test_real_clips_of_one_film_stay_together(shared: Path) -> None:
    root = shared / "surv_fight"
    split = Labelled().read_split(root)
    groups = read_groups([*split.train, *split.test], root)
    assert len(split.train) + len(split.test) == 300
    assert len(set(groups.values())) == 46, "44 films and two collections"
    assert not {groups[video.name] for video in split.train} & {
        groups[video.name] for video in split.test
    }
    for label in ("fight", "noFight"):
        assert 40 <= sum(video.label == label for video in split.test) <= 50


def test_classes_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    for name in ("train/a/one", "test/b/two"):
        (tmp_path / name).parent.mkdir(parents=True)
        film(tmp_path / f"{name}.mp4", 4)
    with pytest.raises(BadInput, match=r"has the class b, which .*train has not; there are a"):
        open_data("labelled", tmp_path)
    film(tmp_path / "train" / "astray.mp4", 4)
    (tmp_path / "test" / "b").rename(tmp_path / "test" / "a")
    with pytest.raises(BadInput, match=r"astray.mp4 is in no folder of a class"):
        open_data("labelled", tmp_path)


def test_data_sets_of_classes_cannot_be_evaluated_on(
    fitted: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    for name in ("train/a/one", "test/a/two"):
        (tmp_path / name).parent.mkdir(parents=True)
        film(tmp_path / f"{name}.mp4", 4)
    assert "no test video with ground truth" in refused(
        2, "evaluate", fitted, "labelled", "--root", tmp_path
    )
