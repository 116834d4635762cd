"""Every data set is read from a miniature built from its own TREE, with the junk that real copies contain."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from films import film
from miniature import FRAMES, ODD, build, marks, masks
from oddframe.cli.render import lines_of
from oddframe.datasets.avenue import Avenue
from oddframe.datasets.base import DataSet, Split, data_set, open_data
from oddframe.datasets.classes import ClassData
from oddframe.datasets.folder import Folder
from oddframe.datasets.inventory import take_inventory
from oddframe.datasets.shanghaitech import ShanghaiTech
from oddframe.datasets.tree import LayoutComparison, TreeEntry, compare_layout, layouts, nearest
from oddframe.datasets.ucsd import Ped1, Ped2, read_ranges
from oddframe.errors import BadInput, BadTruth
from oddframe.registry import members
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import read
from oddframe.workflows.prepare import datasets, prepare

PROBED = ("ucf101", "hmdb51", "labelled")  # classes and no anomalies
FAMILY = sorted(members("datasets"))
LAYOUTS = [
    (name, index)
    for name in FAMILY
    for index in range(len(layouts(members("datasets")[name].TREE)))
]
DOCS = Path(__file__).parents[1] / "docs" / "datasets" / "index.md"
SMALL = ClipSpec(size=(16, 16), colour="grey")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """The miniature of a layout of a data set, built once: do not write to it."""
    built: dict[tuple[str, int], Path] = {}

    def give(name: str, layout: int = 0) -> Path:
        if (name, layout) not in built:
            built[name, layout] = build(data_set(name), tmp_path_factory.mktemp(name), layout)
        return built[name, layout]

    return give


@pytest.fixture
def copied(original: Callable[[str, int], Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a miniature, to be spoilt."""
    return lambda name, layout=0: Path(
        shutil.copytree(original(name, layout), tmp_path / "copy" / name)
    )


def truth_of(video: Video, frames: int = FRAMES) -> Truth:
    assert video.truth is not None
    return video.truth(frames)


# ── what every data set promises ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FAMILY)
def test_says_what_it_is(name: str) -> None:
    data = data_set(name)
    assert data.name == name
    assert data.TREE.strip()
    assert data.origin
    assert 20 < len(data.summary()) < 120
    assert data.TREE.strip() in DOCS.read_text(), "docs/datasets/index.md shows another tree"


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_reads_the_tree_that_it_documents(
    name: str, layout: int, original: Callable[[str, int], Path]
) -> None:
    data, root = data_set(name), original(name, layout)
    split = data.read_split(root)
    assert split.train
    assert split.test or not any(
        "test" in name for entry in layouts(data.TREE)[layout] for name in _below(entry)
    )
    for video in [*split.train, *split.test]:
        assert len(list(read(video, SMALL))) == FRAMES
    if name in PROBED:
        assert all(video.label and video.truth is None for video in (*split.train, *split.test))
        return
    for video in split.test:
        if isinstance(data, ClassData):  # a film is one class, whole
            assert truth_of(video).frame.tolist() == [video.label in data.anomalous] * FRAMES
            continue
        assert truth_of(video).frame.tolist() == marks().astype(bool).tolist()
        assert pickle.loads(pickle.dumps(video)).truth(FRAMES).frame.sum() == 2, (
            "videos go to worker processes"
        )
        with pytest.raises(BadTruth, match=rf"{FRAMES}|{FRAMES - 3}"):
            video.truth(FRAMES - 3)
    assert not data.missing(root)


@pytest.mark.parametrize("name", FAMILY)
def test_names_are_unique_and_no_junk_is_a_video(
    name: str, original: Callable[[str, int], Path]
) -> None:
    split = data_set(name).read_split(original(name, 0))
    for videos in (split.train, split.test):
        names = [video.name for video in videos]
        assert len(set(names)) == len(names)
        assert not any("._" in name or "Thumbs" in name or name.endswith("_gt") for name in names)


@pytest.mark.parametrize("name", FAMILY)
def test_an_empty_folder_is_answered_with_the_tree(name: str, tmp_path: Path) -> None:
    data = data_set(name)
    (tmp_path / ".DS_Store").write_bytes(b"junk")
    with pytest.raises(BadInput) as told:
        data.read_split(tmp_path)
    assert data.TREE.strip() in str(told.value)
    with pytest.raises(BadInput, match="no such"):
        data.read_split(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name in FAMILY if data_set(name).counts])
def test_the_miniature_has_as_many_videos_as_published(
    name: str, original: Callable[[str, int], Path]
) -> None:
    data = data_set(name)
    split, counts = data.read_split(original(name, 0)), data.counts
    assert counts is not None
    if name != "shanghaitech":  # whose names are no series
        assert (len(split.train), len(split.test)) == (counts.train_videos, counts.test_videos)


@pytest.mark.parametrize("name", FAMILY)
def test_prepare_counts_what_is_there(
    name: str, original: Callable[[str, int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = original(name, 0)
    split = data_set(name).read_split(root)
    result = prepare(name, root)
    answer = result.to_dict()
    lines = "\n".join(lines_of("prepare", result))
    assert answer["usable"]
    assert answer["found"]["train_frames"] == FRAMES * len([*split.train, *split.val])
    assert answer["found"]["test_frames"] == FRAMES * len(split.test)
    truths = [truth_of(video) for video in split.test if video.truth is not None]
    odd = sum(int(truth.frame.sum()) for truth in truths)
    assert answer["found"]["anomalous_frames"] == odd
    assert odd or name == "class-folders" or name in PROBED
    assert answer["labelled"] == len(truths)
    learned = len(split.train) + len(split.val)
    assert f"{learned} videos, {FRAMES * learned:,} frames" in lines
    assert len(lines.splitlines()) <= 25, "one screen"
    next_step = lines.splitlines()[-1]
    if name in PROBED:
        assert "fit tclr" in next_step
        assert "oddframe probe RUN" in next_step
    elif isinstance(data_set(name), ClassData):
        assert "fit embedding" in next_step
    else:
        assert "oddframe fit " in next_step
    assert ("do not compare" in lines) == (data_set(name).counts is not None)
    assert capsys.readouterr() == ("", "")
    assert json.loads(result.to_json()) == answer


def _below(entry: TreeEntry) -> list[str]:
    return [*entry.names, *(name for below in entry.inside for name in _below(below))]


# ── DATA on the command line ──────────────────────────────────────────────────────────────────────────────────────


def test_data_is_a_name_with_a_root_or_a_path(
    original: Callable[[str, int], Path], tmp_path: Path
) -> None:
    name, split = open_data("ped2", original("ped2", 0))
    assert (name, len(split.test)) == ("ped2", 12)
    name, split = open_data(str(original("folder", 0)))
    assert (name, len(split.train)) == ("ROOT", 2)
    name, split = open_data(str(film(tmp_path / "yard.mp4", 3)))
    assert (name, [video.name for video in split.train], split.test) == ("yard", ["yard"], [])


@pytest.mark.parametrize(
    ("data", "root", "said"),
    [
        pytest.param("pde2", None, "did you mean 'ped2'", id="misspelt"),
        pytest.param("pde2", ".", "did you mean 'ped2'", id="misspelt, with a root"),
        pytest.param("ped2", None, "--root", id="no root"),
        pytest.param("my/videos", None, "no such file or folder: my/videos", id="no such path"),
        pytest.param(".", ".", "--root goes with the name", id="a path with a root"),
        pytest.param("ped2", "nowhere", "no such folder: nowhere", id="no such root"),
    ],
)
def test_what_is_neither_is_answered(data: str, root: str | None, said: str) -> None:
    with pytest.raises(BadInput) as told:
        open_data(data, None if root is None else Path(root))
    assert said in str(told.value)


def test_datasets_lists_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    found = datasets()
    assert sorted(found.lines) == FAMILY
    assert len(lines_of("datasets", found)) == len(FAMILY)
    assert sorted(json.loads(found.to_json())) == FAMILY
    assert capsys.readouterr() == ("", "")


# ── prepare ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_prepare_says_what_is_missing_and_where_to_get_it(
    copied: Callable[..., Path],
) -> None:
    root = copied("avenue")
    (root / "Avenue Dataset/testing_videos/07.avi").unlink()
    shutil.rmtree(root / "ground_truth_demo")
    answer = prepare("avenue", root)
    missing = ["Avenue Dataset/testing_videos/07.avi", "ground_truth_demo/"]
    assert answer.to_dict()["missing"] == missing
    lines = "\n".join(lines_of("prepare", answer))
    assert Avenue.origin in lines
    assert "test videos: 20 here, 21 published" in lines
    assert "cannot be evaluated" in lines or "not evaluated" in lines


def test_missing_is_told_of_the_layout_that_is_nearest(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    for number in (2, 3, 4, 7, 9):
        shutil.rmtree(root / f"UCSDped2/Train/Train{number:03d}")
    folder = "UCSDped2/Train"
    assert Ped2().missing(root) == (
        f"{folder}/Train002/ … Train004/",
        f"{folder}/Train007/",
        f"{folder}/Train009/",
    )


def test_prepare_raises_for_damage_after_telling(
    copied: Callable[..., Path],
) -> None:
    root = copied("ped2", 1)
    (root / "UCSDped2/Train/Train003.mp4").write_bytes(b"")
    (root / "UCSDped2/Test/UCSDped2.m").write_text("TestVideoFile{end+1}.gt_frame = [1:99];")
    result = prepare("ped2", root)
    problem = result.problem()
    assert isinstance(problem, BadInput)
    assert re.search(r"Train003\.mp4 .*and 12 more", str(problem))
    assert "Train003.mp4" in "\n".join(lines_of("prepare", result))


def test_prepare_counts_again_by_decoding_where_a_container_lies(tmp_path: Path) -> None:
    """MPEG-4 in AVI may hold packets that give no picture: labels are held against what is decoded."""
    import av

    plain, padded = film(tmp_path / "plain.avi", FRAMES, codec="mpeg4"), tmp_path / "test" / "a.avi"
    padded.parent.mkdir()
    with av.open(str(plain)) as given, av.open(str(padded), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        last = 0
        for packet in given.demux(video=0):
            if packet.size:
                last = packet.dts
                packet.stream = stream
                out.mux(packet)
        nothing = av.Packet(
            b"\x00\x00\x01\xb6\x50\x01\xff"
        )  # a picture that says of itself that it is not coded
        nothing.stream, nothing.pts, nothing.dts, nothing.time_base = (
            stream,
            last + 1,
            last + 1,
            stream.time_base,
        )
        out.mux(nothing)
    decoded = len(list(read(Video("a", padded), SMALL)))
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "a.txt").write_text("1 " * decoded)
    stock = take_inventory(Folder(), tmp_path)
    assert stock.usable
    assert stock.found.test_frames == stock.found.anomalous_frames == decoded


# ── somebody's own videos ─────────────────────────────────────────────────────────────────────────────────────────


def test_names_stay_apart_when_files_share_theirs(tmp_path: Path) -> None:
    for name in (
        "test/a.mp4",
        "test/a.avi",
        "test/sub/a.mp4",
        "test/sub/b.mp4",
        "test/sub-a.mp4",
        "train/x.mkv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        film(tmp_path / name, 2, codec="mpeg4")
    (tmp_path / "truth/sub").mkdir(parents=True)
    (tmp_path / "truth/b.txt").write_text("0 1")
    (tmp_path / "truth/sub/a.txt").write_text("1 1")
    (tmp_path / "truth/a.avi.txt").write_text("1 0")
    test = {
        str(video.source.relative_to(tmp_path / "test")): video
        for video in Folder().read_split(tmp_path).test
    }
    names = {source: video.name for source, video in test.items()}
    assert names["sub/b.mp4"] == "b"
    assert len(set(names.values())) == 5
    assert not any("/" in name for name in names.values()), (
        "a name is also the name of a file in a report"
    )
    assert {
        source: truth_of(video, 2).frame.tolist() for source, video in test.items() if video.truth
    } == {
        "sub/b.mp4": [False, True],
        "sub/a.mp4": [True, True],
        "a.avi": [True, False],
    }


def test_a_folder_of_classes_labels_its_videos(tmp_path: Path) -> None:
    for name in ("train/walk/1.mp4", "train/run/2.mp4", "train/3.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        film(tmp_path / name, 2)
    labels = {video.name: video.label for video in Folder().read_split(tmp_path).train}
    assert labels == {"walk-1": "walk", "run-2": "run", "3": None}


def test_folders_of_pictures_and_films_live_side_by_side(tmp_path: Path) -> None:
    film(tmp_path / "b.mp4", 2)
    (tmp_path / "poster.jpg").write_bytes(b"not a frame: it lies beside a film")
    (tmp_path / "a").mkdir()
    for k in (9, 10, 11):
        cv2.imwrite(str(tmp_path / f"a/img_{k}.png"), np.full((8, 8), k, np.uint8))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    split = Folder().read_split(tmp_path)
    assert [video.name for video in split.train] == ["a", "b"]
    assert [int(frame.pixels[0, 0, 0]) for frame in read(split.train[0], SMALL)] == [9, 10, 11]
    assert [video.source for video in Folder().read_split(tmp_path / "a").train] == [tmp_path / "a"]


@pytest.mark.parametrize(
    "spelling", [("train", "test", "labels"), ("Training", "Testing", "Truth")]
)
def test_folders_may_be_called_either_way(spelling: tuple[str, str, str], tmp_path: Path) -> None:
    train, test, truth = (tmp_path / name for name in spelling)
    for folder in (train, test, truth):
        folder.mkdir()
    film(train / "a.mp4", 2), film(test / "b.mp4", 2)
    (truth / "b.npy").write_bytes(b"")
    np.save(truth / "b.npy", [0, 1])
    assert truth_of(Folder().read_split(tmp_path).test[0], 2).frame.tolist() == [False, True]


def test_text_files_are_told_what_a_video_is(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "sub/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no video")
    with pytest.raises(BadInput, match=r"2 × \.txt.*1 × \.md.*\.mp4.*\.tif"):
        Folder().read_split(tmp_path)
    with pytest.raises(BadInput, match=r"a\.txt is not a video.*\.mp4"):
        Folder().read_split(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        pytest.param("frday.csv", "did you mean 'friday'", id="misspelt"),
        pytest.param("sunday.npy", "belongs to no test video", id="no such video"),
        pytest.param("friday.txt", "its truth twice", id="beside friday.csv"),
    ],
)
def test_truth_that_belongs_nowhere_is_an_error(
    label: str, said: str, copied: Callable[..., Path]
) -> None:
    root = copied("folder")
    (root / "truth" / label).write_text("start,end\n1,2\n")
    with pytest.raises(BadTruth, match=said):
        truth_of({video.name: video for video in Folder().read_split(root).test}["friday"])


def test_a_readme_among_labels_is_no_label(copied: Callable[..., Path]) -> None:
    root = copied("folder")
    (root / "truth/README.txt").write_text("labelled by hand")
    assert len(Folder().read_split(root).test) == 2


def test_truth_without_test_videos_is_an_error(copied: Callable[..., Path]) -> None:
    root = copied("folder", 1)
    (root / "labels").mkdir()
    with pytest.raises(BadInput, match="which is not there"):
        Folder().read_split(root)


def put_films(root: Path, *names: str) -> None:
    """A tiny film for each name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        film(root / name, 2)


def names_of(videos: list[Video]) -> list[str]:
    return [video.name for video in videos]


@pytest.mark.parametrize(
    ("normal", "anomalous"),
    [("normal", "abnormal"), ("Good", "Bad"), ("good", "anomaly"), ("ok", "cam_2/Anomalies")],
)
def test_what_is_called_abnormal_is_not_learned(
    normal: str, anomalous: str, tmp_path: Path
) -> None:
    put_films(tmp_path, f"{normal}/a.mp4", f"{normal}/b.mp4", f"{anomalous}/c.mp4")
    split = Folder().read_split(tmp_path)
    assert names_of(split.train) == ["a", "b"]
    assert names_of(split.test) == ["c"]
    assert f"{anomalous}/c.mp4" in split.notes[0]


def test_what_is_only_abnormal_is_asked_about(tmp_path: Path) -> None:
    put_films(tmp_path, "abnormal/0.mp4", "train/abnormal/1.mp4")
    with pytest.raises(BadInput, match=r"anomalous by its name, such as train/abnormal/1\.mp4"):
        Folder().read_split(tmp_path)
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(BadInput, match=r"put ordinary video into .*train"):
        Folder().read_split(tmp_path)


def test_a_film_called_abnormal_is_not_learned_either(tmp_path: Path) -> None:
    put_films(tmp_path, "normal_01.mp4", "abnormal_01.mp4", "odd-street.mp4")
    split = Folder().read_split(tmp_path)
    assert names_of(split.train) == ["normal_01", "odd-street"]
    assert names_of(split.test) == ["abnormal_01"]


def test_folders_in_the_manner_of_mvtec(tmp_path: Path) -> None:
    put_films(tmp_path, "train/good/a.mp4", "test/good/b.mp4", "test/crack/c.mp4")
    (tmp_path / "ground_truth/crack/c_mask").mkdir(parents=True)
    for k in range(2):
        mask = np.full((48, 64), 255 * k, np.uint8)
        cv2.imwrite(str(tmp_path / f"ground_truth/crack/c_mask/{k}.png"), mask)
    split = Folder().read_split(tmp_path)
    assert names_of(split.train) == ["a"]
    truths = {video.name: truth_of(video, 2).frame.tolist() for video in split.test}
    assert truths == {"b": [False, False], "c": [False, True]}


# ── UCSD ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("above", [".", "..", "UCSDped2"])
def test_ucsd_forgives_the_level_of_its_root(above: str, tmp_path: Path) -> None:
    base = tmp_path / "UCSD_Anomaly_Dataset.v1p2"
    base.mkdir()
    build(Ped2(), base)
    assert len(Ped2().read_split(base / above).test) == 12
    with pytest.raises(BadInput, match="does not hold ped1"):
        Ped1().read_split(base / above)


def test_ranges_are_parsed_as_matlab_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "UCSDped1.m"
    path.write_text(
        "TestVideoFile = {};\r\nTestVideoFile{end+1}.gt_frame = [60:152];\r\n"
        "TestVideoFile{end+1}.gt_frame = [5:90, 140:200];\nTestVideoFile{end+1}.gt_frame=[ 1 : 3 7 ];\n"
        "TestVideoFile{end+1}.gt_frame = [];\n"
    )
    assert read_ranges(path) == [[(60, 152)], [(5, 90), (140, 200)], [(1, 3), (7, 7)], []]
    path.write_text("gt_frame = [a:b];")
    with pytest.raises(BadTruth, match=r"\[a:b\]"):
        read_ranges(path)
    path.write_text("nothing")
    with pytest.raises(BadTruth, match="no line like"):
        read_ranges(path)


def test_comments_are_no_ranges_and_an_index_counts(tmp_path: Path) -> None:
    path = tmp_path / "UCSDped2.m"
    path.write_text(
        "TestVideoFile = {};\n% TestVideoFile{end+1}.gt_frame = [1:10];  first draft\n"
        "%{\nTestVideoFile{end+1}.gt_frame = [2:10];\n%}\n"
        "TestVideoFile{2}.gt_frame = [95:180]; % not [90:180]\n"
        "TestVideoFile{1}.gt_frame = [61:90, ... TestVideoFile{3}.gt_frame = [1];\n 100];\n"
    )
    assert read_ranges(path) == [[(61, 90), (100, 100)], [(95, 180)]]
    path.write_text("TestVideoFile{2}.gt_frame = [95:180];")
    with pytest.raises(BadTruth, match=r"ranges of the clips \[2\]: some are missing"):
        read_ranges(path)


def test_a_line_too_many_or_too_few_moves_no_labels(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    path = root / "UCSDped2/Test/UCSDped2.m"
    lines = path.read_text()
    path.write_text(lines + "TestVideoFile{end+1}.gt_frame = [1:2];\n")
    with pytest.raises(BadTruth, match="ranges of 13 clips, but there are 12 here and 12 pub"):
        truth_of(Ped2().read_split(root).test[0])
    path.write_text(lines.rsplit("Test", 1)[0])
    with pytest.raises(BadTruth, match="ranges of 11 clips"):
        truth_of(Ped2().read_split(root).test[0])
    path.write_text("% " + lines.replace("\nTest", "\n% a draft\nTest", 3))
    assert truth_of(Ped2().read_split(root).test[11]).frame.sum() == 2


def test_labels_of_another_clip_are_refused_by_its_masks(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    path = root / "UCSDped2/Test/UCSDped2.m"
    path.write_text(path.read_text().replace("[3:4]", "[1:2]", 1))
    with pytest.raises(BadTruth, match="0 are so by both"):
        truth_of(Ped2().read_split(root).test[0])


def test_the_shared_layout_takes_truth_from_other_files_too(copied: Callable[..., Path]) -> None:
    root = copied("ped2", 2)
    base = root / "ped2"
    for above in (root, base):
        assert len(Ped2().read_split(above).test) == 12
    (base / "ped2.mat").unlink()
    assert Ped2().read_split(root).test[0].truth is None
    np.save(root / "frame_labels_ped2.npy", np.tile(marks(), 12)[None])
    assert truth_of(Ped2().read_split(base).test[11]).frame.sum() == 2
    np.save(root / "frame_labels_ped2.npy", np.tile(marks(), 11))
    with pytest.raises(BadTruth, match="66 labels for 72 frames"):
        truth_of(Ped2().read_split(root).test[11])
    (base / "testing/test_frame_mask").mkdir()
    np.save(base / "testing/test_frame_mask/01.npy", np.ones(FRAMES))
    assert truth_of(Ped2().read_split(root).test[0]).frame.all()


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ([[1], [7]], "up to frame 7, but 6 frames"),
        ([[0], [3]], "counted from 1"),
        ([[4], [2]], "4 to 2"),
        ([[1.5], [2]], "whole numbers"),
        ([[1, 2, 3]], "a row of starts and a row of ends"),
    ],
)
def test_ranges_outside_the_video_are_refused(
    cell: list[list[float]], why: str, copied: Callable[..., Path]
) -> None:
    from scipy.io import savemat

    root = copied("avenue", 1)
    entries = np.empty((1, 21), object)
    entries[0, :] = [np.array(cell)] * 21
    savemat(root / "avenue/avenue.mat", {"gt": entries})
    with pytest.raises(BadTruth, match=why):
        truth_of(Avenue().read_split(root).test[0])
    savemat(root / "avenue/avenue.mat", {"gt": entries[:, 1:]})
    with pytest.raises(BadTruth, match="ranges of 20 videos, but there are 21"):
        truth_of(Avenue().read_split(root).test[0])


def test_a_label_file_that_unpacks_to_more_than_its_video_is_refused(
    copied: Callable[..., Path],
) -> None:
    from scipy.io import savemat

    root = copied("avenue")
    path = root / "ground_truth_demo/testing_label_mask/1_label.mat"
    cell = np.empty((1, FRAMES), object)
    cell[0, :] = [np.zeros((2000, 3000), np.uint8)] * FRAMES
    savemat(path, {"volLabel": cell}, do_compression=True)
    assert path.stat().st_size < 1 << 18
    with pytest.raises(BadTruth, match="unpacks to more than"):
        truth_of(Avenue().read_split(root).test[0])


def test_ped1_has_masks_of_some_clips_only(original: Callable[[str, int], Path]) -> None:
    videos = {video.name: video for video in Ped1().read_split(original("ped1", 0)).test}
    assert truth_of(videos["Test003"]).mask is not None
    assert truth_of(videos["Test004"]).mask is None
    assert {video.fps for video in videos.values()} == {10.0}


def test_ped1s_unreadable_picture_costs_no_frame(copied: Callable[..., Path]) -> None:
    root = copied("ped1")
    (root / "UCSDped1/Test/Test017/003.tif").write_bytes(b"damaged")
    lost: list[str] = []
    video = Ped1().read_split(root).test[16]
    assert len(list(read(video, SMALL, lost))) == FRAMES
    assert "003.tif" in lost[0]


def test_masks_are_held_against_the_ranges(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    path = root / "UCSDped2/Test/UCSDped2.m"
    path.write_text(path.read_text().replace("[3:4]", "[2:4]", 1))
    truth = truth_of(Ped2().read_split(root).test[0])
    assert truth.frame.sum() == 3, "the labels count"
    assert "disagree in 1 frames" in truth.note
    assert "disagree in 1 frames" in prepare("ped2", root).to_dict()["notes"][0]


def test_without_ranges_the_masks_speak(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    (root / "UCSDped2/Test/UCSDped2.m").unlink()
    assert truth_of(Ped2().read_split(root).test[0]).frame.sum() == 2
    shutil.rmtree(root / "UCSDped2/Test/Test001_gt")
    assert Ped2().read_split(root).test[0].truth is None
    assert "UCSDped2/Test/UCSDped2.m" in Ped2().missing(root)


def test_damaged_packed_masks_are_one_line(copied: Callable[..., Path]) -> None:
    root = copied("ped2", 1)
    packed = root / "UCSDped2/Test/pixel_masks.npz"
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(BadTruth, match=r"pixel_masks\.npz"):
        truth_of(Ped2().read_split(root).test[0])


def test_a_clip_without_frames_is_not_passed_over(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    for path in (root / "UCSDped2/Train/Train002").glob("*.tif"):
        path.unlink()
    with pytest.raises(BadInput, match="Train002 holds no frame"):
        Ped2().read_split(root)


def test_a_clip_in_both_layouts_is_not_read_twice(copied: Callable[..., Path]) -> None:
    root = copied("ped2")
    film(root / "UCSDped2/Train/Train002.mp4", 2)
    with pytest.raises(BadInput, match="Train002 is there twice"):
        Ped2().read_split(root)


# ── Avenue ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("videos", "labels", "root"),
    [
        pytest.param("Avenue Dataset", "ground_truth_demo", ".", id="side by side"),
        pytest.param("Avenue Dataset", "ground_truth_demo", "Avenue Dataset", id="beside the root"),
        pytest.param(
            "Avenue_Dataset", "Avenue_Dataset/ground_truth_demo", ".", id="inside, underscore"
        ),
        pytest.param("avenue", "avenue/labels", "avenue/labels/..", id="only testing_label_mask"),
    ],
)
def test_avenues_masks_are_beside_or_inside(
    videos: str, labels: str, root: str, copied: Callable[..., Path], tmp_path: Path
) -> None:
    given = copied("avenue")
    shutil.move(given / "Avenue Dataset", tmp_path / videos)
    if labels.endswith("labels"):
        shutil.move(
            given / "ground_truth_demo/testing_label_mask", tmp_path / "avenue/testing_label_mask"
        )
    else:
        shutil.move(given / "ground_truth_demo", tmp_path / labels)
    (tmp_path / "avenue/labels").mkdir(parents=True, exist_ok=True)
    test = Avenue().read_split(tmp_path / root).test
    assert len(test) == 21
    assert all(video.truth is not None and video.fps == 25.0 for video in test)


@pytest.mark.parametrize(
    ("frames", "odd"), [(FRAMES - 2, 2), (FRAMES - 1, 2), (FRAMES + 1, 2), (FRAMES + 2, 2)]
)
def test_avenues_labels_are_mended_by_a_frame_or_two(
    frames: int, odd: int, original: Callable[[str, int], Path]
) -> None:
    truth = truth_of(Avenue().read_split(original("avenue", 0)).test[7], frames)
    assert (len(truth.frame), truth.frame.sum()) == (frames, odd)
    assert truth.mask is not None
    assert len(truth.mask) == frames
    assert f"8_label.mat has {FRAMES} masks for {frames} frames" in truth.note


def test_avenues_labels_are_mended_no_further(original: Callable[[str, int], Path]) -> None:
    with pytest.raises(BadTruth, match=rf"8_label.mat has {FRAMES} masks, but {FRAMES + 3} frames"):
        truth_of(Avenue().read_split(original("avenue", 0)).test[7], FRAMES + 3)


@pytest.mark.parametrize("broken", ["not matlab", "other variable", "sizes differ"])
def test_a_broken_label_file_is_one_line(broken: str, copied: Callable[..., Path]) -> None:
    from scipy.io import savemat

    root = copied("avenue")
    path = root / "ground_truth_demo/testing_label_mask/1_label.mat"
    cell = np.empty((1, 2), object)
    cell[0, :] = [np.zeros((2, 3)), np.zeros((3, 2))]
    if broken == "not matlab":
        path.write_bytes(b"nothing of the sort")
    else:
        savemat(path, {"other" if broken == "other variable" else "volLabel": cell})
    with pytest.raises(BadTruth, match=r"1_label\.mat"):
        truth_of(Avenue().read_split(root).test[0])


# ── ShanghaiTech ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_shanghaitechs_label_is_the_scene(original: Callable[[str, int], Path]) -> None:
    split = ShanghaiTech().read_split(original("shanghaitech", 0))
    assert {video.label for video in [*split.train, *split.test]} == {"01"}
    assert {video.fps for video in [*split.train, *split.test]} == {24.0}


@pytest.mark.parametrize(
    ("given", "name"), [("test_frame_mask", "frame_masks"), ("test_pixel_mask", "pixel_masks")]
)
def test_shanghaitechs_masks_have_other_names_too(
    given: str, name: str, copied: Callable[..., Path]
) -> None:
    root = copied("shanghaitech")
    testing = root / "shanghaitech/testing"
    (testing / given).rename(testing / name)
    video = ShanghaiTech().read_split(testing.parent).test[0]
    assert truth_of(video).mask is not None
    assert not ShanghaiTech().missing(root)


def test_shanghaitechs_videos_are_read_where_no_frames_are(copied: Callable[..., Path]) -> None:
    root = copied("shanghaitech")
    testing = root / "shanghaitech/testing"
    shutil.rmtree(testing / "frames")
    (testing / "frames").mkdir()
    (testing / "videos").mkdir()
    film(testing / "videos/01_0014.avi", FRAMES, codec="mpeg4")
    assert truth_of(ShanghaiTech().read_split(root).test[0]).frame.sum() == 2


def test_shanghaitechs_pixel_masks_are_held_against_its_frame_masks(
    copied: Callable[..., Path],
) -> None:
    root = copied("shanghaitech")
    testing = root / "shanghaitech/testing"
    np.save(testing / "test_frame_mask/01_0014.npy", np.ones(FRAMES))
    assert "disagree in 4 frames" in truth_of(ShanghaiTech().read_split(root).test[0]).note
    np.save(testing / "test_pixel_mask/01_0014.npy", masks()[:-1])
    with pytest.raises(BadTruth, match="5 masks, but 6 frames"):
        truth_of(ShanghaiTech().read_split(root).test[0])


# ── the simulated plaza ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_plaza_tells_its_kinds(original: Callable[[str, int], Path]) -> None:
    truth = truth_of(data_set("simulated").read_split(original("simulated", 0)).test[0])
    assert truth.kind is not None
    assert truth.kind[slice(*ODD)].tolist() == ["runner", "runner"]
    assert truth.tracks is not None
    assert truth.mask is not None


def test_the_plaza_is_held_against_its_scene(copied: Callable[..., Path]) -> None:
    root = copied("simulated")
    (root / "scene.json").write_text(json.dumps({"frames": {"train": 2 * FRAMES, "test": 99}}))
    result = prepare("simulated", root)
    assert result.to_dict()["notes"] == [f"test frames: {2 * FRAMES} here, 99 filmed"]
    assert f"runner {2 * (ODD[1] - ODD[0])}" in "\n".join(lines_of("prepare", result))
    (root / "scene.json").write_text("[")
    with pytest.raises(BadInput, match="film again"):
        prepare("simulated", root)


def test_the_example_in_the_documentation_is_a_data_set(tmp_path: Path) -> None:
    from functools import partial

    from oddframe.datasets.annotations import read_truth

    example = DOCS.read_text().split("```python\n")[1].split("```")[0]
    names = {"DataSet": DataSet, "Split": Split, "Video": Video, "Path": Path}
    exec(example, names | {"partial": partial, "read_truth": read_truth}, made := {})
    data = made["Pier"]()
    split = data.read_split(build(data, tmp_path) / "pier")
    assert truth_of(split.test[0]).frame.tolist() == marks().astype(bool).tolist()
    assert data.missing(tmp_path / "pier") == ()


# ── TREE ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tree_says_what_is_expected(tmp_path: Path) -> None:
    tree = """
top/
  a_8.txt … a_10.txt              three
  either/ or or_else/
    x.npy …
  maybe.txt                       optional: may be absent
or the other way round
pot/
"""
    (layout, other) = layouts(tree)
    assert layout[0].inside[0].names == ("a_8.txt", "a_9.txt", "a_10.txt")
    assert other[0].names == ("pot",)
    (tmp_path / "or-else").mkdir()
    (tmp_path / "a_9.txt").touch()
    there = {"top": tmp_path}
    lacking = ("top/a_8.txt", "top/a_10.txt", "top/or-else/x.npy …")
    assert compare_layout(layout, there) == LayoutComparison(lacking, absent=3, found=3)
    (tmp_path / "a_9.txt").unlink()
    lacking = ("top/a_8.txt … a_10.txt", "top/or-else/x.npy …")
    assert compare_layout(layout, there) == LayoutComparison(lacking, absent=4, found=2)
    assert compare_layout(layout, {}) == LayoutComparison(("top/",), absent=1, found=0)
    assert nearest(tmp_path, "OR ELSE") == tmp_path / "or-else"


def test_a_data_set_needs_no_more_than_a_name_and_two_answers(tmp_path: Path) -> None:
    class Mine(DataSet):
        """Mine."""

        TREE = "ROOT/\n  a.mp4 …\n"
        origin = "my desk"

        def find(self, root: Path) -> dict[str, Path]:
            return {"ROOT": root}

        def read_split(self, root: Path) -> Split:
            return Split([Video("a", root / "a.mp4")], [])

    film(tmp_path / "a.mp4", 3)
    stock = take_inventory(Mine(), tmp_path)
    assert stock.usable
    assert (stock.found.train_frames, stock.missing) == (3, ())
