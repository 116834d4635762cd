"""The real UCSD Ped2 in both layouts, and the real labels of the others: the published counts, to the frame."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from oddframe.cli.main import main
from oddframe.datasets.avenue import Avenue
from oddframe.datasets.base import Counts, open_data
from oddframe.datasets.inventory import take_inventory
from oddframe.datasets.shanghaitech import ShanghaiTech
from oddframe.datasets.ucsd import Ped1, Ped2, clip_truth, read_ranges
from oddframe.errors import BadInput
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import read
from oddframe.workflows.prepare import prepare

AS_IS = ClipSpec(size=None, colour="grey")
FEW = {
    "Train": (1,),
    "Test": (1, 8),
}  # clips laid out as the authors ship them; Test008 is odd from end to end


@pytest.fixture(scope="module")
def official(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some clips as .tif frames and .bmp masks, with all of UCSDped2.m and what macOS leaves behind."""
    packed, top = shared / "ucsd/UCSDped2", tmp_path_factory.mktemp("official")
    base = top / "UCSD_Anomaly_Dataset.v1p2/UCSDped2"
    for part, numbers in FEW.items():
        for number in numbers:
            film = packed / part / f"{part}{number:03d}.mp4"
            folder = base / part / film.stem
            folder.mkdir(parents=True)
            with av.open(str(film)) as container:
                for index, frame in enumerate(container.decode(video=0), start=1):
                    cv2.imwrite(str(folder / f"{index:03d}.tif"), frame.to_ndarray(format="gray"))
            for junk in (folder / ".DS_Store", folder / "._001.tif"):
                junk.write_bytes(b"\0\5\26\7")
    with np.load(packed / "Test/pixel_masks.npz") as masks:
        for number in FEW["Test"]:
            folder = base / f"Test/Test{number:03d}_gt"
            folder.mkdir()
            for index, mask in enumerate(masks[folder.name], start=1):
                cv2.imwrite(str(folder / f"{index:03d}.bmp"), (mask > 0).astype(np.uint8) * 255)
    (base / "Test/UCSDped2.m").write_bytes((packed / "Test/UCSDped2.m").read_bytes())
    return top


def told(video: Video, frames: int) -> Truth:
    assert video.truth is not None
    return video.truth(frames)


def test_both_layouts_are_the_same_data(shared: Path, official: Path) -> None:
    films, pictures = Ped2().read_split(shared / "ucsd"), Ped2().read_split(official)
    by_name = {video.name: video for video in [*films.train, *films.test]}
    assert [video.name for video in pictures.train] == ["Train001"]
    assert [video.name for video in pictures.test] == ["Test001", "Test008"]
    for video in [*pictures.train, *pictures.test]:
        frames = 0
        for a, b in zip(read(video, AS_IS), read(by_name[video.name], AS_IS), strict=True):
            assert a.pixels.shape == (240, 360, 1)
            assert np.array_equal(a.pixels, b.pixels)
            assert (
                (a.index, a.seconds)
                == (b.index, pytest.approx(b.seconds))
                == (frames, pytest.approx(frames / 10))
            )
            frames += 1
        if video in pictures.test:
            one, other = told(video, frames), told(by_name[video.name], frames)
            assert np.array_equal(one.frame, other.frame)
            assert one.mask is not None
            assert other.mask is not None
            assert np.array_equal(one.mask, other.mask)
            assert not one.note


def test_ped2_is_all_there(shared: Path) -> None:
    for root in (shared / "ucsd", shared / "ucsd/UCSDped2"):
        stock = take_inventory(Ped2(), root)
        assert stock.found == Counts(16, 2_550, 12, 2_010, 1_648) == Ped2.counts
        assert (stock.labelled, stock.masked) == (12, 12)
        assert (stock.missing, stock.damaged) == ((), ())
        assert stock.notes == (), "masks and ranges agree in every frame"
        assert stock.one_sided == ("Test008", "Test009", "Test010", "Test011")


def test_ped2s_labels_are_the_communitys(shared: Path) -> None:
    _, split = open_data("ped2", shared / "ucsd")
    labels = np.load(shared / "frame_labels/ped2.npz")
    for video in split.test:
        known = labels[video.name[-2:]]
        assert np.array_equal(told(video, len(known)).frame, known > 0)


def test_what_the_official_layout_lacks_is_said(
    official: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = prepare("ped2", official).to_dict()
    assert answer["usable"]
    assert [line.removeprefix("UCSDped2/") for line in answer["missing"]] == [
        "Train/Train002/ … Train016/",
        "Test/Test002/ … Test007/",
        "Test/Test009/ … Test012/",
        "Test/Test002_gt/ … Test007_gt/",
        "Test/Test009_gt/ … Test012_gt/",
    ]
    assert main(["prepare", "ped2", str(official)]) == 0
    assert "test frames: 360 here, 2,010 published" in capsys.readouterr().out


def test_ped1s_ground_truth(shared: Path) -> None:
    test = shared / "ucsd/UCSDped1/Test"
    assert len(read_ranges(test / "UCSDped1.m")) == 36
    truths = {
        f"Test{number:03d}": clip_truth(test, f"Test{number:03d}", 36, None, 200)
        for number in range(1, 37)
    }
    assert Ped1.counts is not None
    assert (
        sum(int(truth.frame.sum()) for truth in truths.values())
        == Ped1.counts.anomalous_frames
        == 4_045
    )
    assert sum(len(truth.frame) for truth in truths.values()) == Ped1.counts.test_frames == 7_200
    masked = [name for name, truth in truths.items() if truth.mask is not None]
    assert [int(name[-2:]) for name in masked] == [3, 4, 14, 18, 19, 21, 22, 23, 24, 32]
    assert {truth.mask.shape for truth in truths.values() if truth.mask is not None} == {
        (200, 158, 238)
    }


def test_ground_truth_without_video_is_no_data_set(shared: Path) -> None:
    with pytest.raises(BadInput, match="there is no video in"):
        Ped1().read_split(shared / "ucsd")
    with pytest.raises(BadInput, match=r"UCSDped1\.m belongs to another"):
        Ped2().read_split(shared / "ucsd/UCSDped1")


@pytest.mark.parametrize(
    ("data", "file"), [(Avenue, "avenue"), (ShanghaiTech, "shanghaitech"), (Ped2, "ped2")]
)
def test_the_published_counts_are_those_of_the_labels_in_use(
    data: type[Avenue | ShanghaiTech | Ped2], file: str, shared: Path
) -> None:
    with np.load(shared / f"frame_labels/{file}.npz") as labels:
        clips = [labels[name] for name in labels.files]
    assert data.counts is not None
    assert len(clips) == data.counts.test_videos
    assert sum(map(len, clips)) == data.counts.test_frames
    assert sum(int((clip > 0).sum()) for clip in clips) == data.counts.anomalous_frames
