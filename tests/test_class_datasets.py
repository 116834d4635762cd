"""Clips in classes: divided without near-duplicates on both sides, written as published, and read again."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from films import film
from oddframe.cli.main import main
from oddframe.datasets.class_folders import ClassFolders
from oddframe.datasets.classes import TABLE_COLUMNS
from oddframe.datasets.splits import SPLIT_NAMES, Clip, read_sources, split_clips
from oddframe.datasets.surv_fight import SurvFight
from oddframe.datasets.ucf_sports import UcfSports
from oddframe.errors import BadInput
from oddframe.preparation.split_clips import Dividing, divide_into
from oddframe.types import ClipSpec, Video
from oddframe.video.augment_film import variation
from oddframe.video.reader import facts_of, read


def some(label: str, sources: dict[str, int]) -> list[Clip]:
    return [
        Clip(Path(label, f"{source}_{k}.avi"), label, source)
        for source, count in sources.items()
        for k in range(count)
    ]


# Dividing.


@pytest.mark.parametrize("seed", range(4))
def test_no_source_stands_on_both_sides(seed: int) -> None:
    clips = some("walk", {f"w{k}": 1 + k % 4 for k in range(12)}) + some(
        "run", {f"r{k}": 2 for k in range(6)}
    )
    clips += some("fight", {"w1": 3, "w2": 2, "x": 4, "y": 1})
    divided = split_clips(clips, ["fight"], seed=seed)
    assert sorted(clip.path for part in divided.values() for clip in part) == sorted(
        clip.path for clip in clips
    )
    learned = {clip.source for part in ("train", "val") for clip in divided[part]}
    judged = {clip.source for part in ("test", "anomaly") for clip in divided[part]}
    assert not learned & judged
    assert {clip.label for clip in divided["anomaly"]} <= {"fight"}
    assert all(clip.source in learned for clip in divided["left out"])
    assert {"x", "y"} <= {clip.source for clip in divided["anomaly"]}
    for label in ("walk", "run"):
        assert [clip for clip in divided["train"] if clip.label == label]
    assert split_clips(clips, ["fight"], seed=seed) == divided


def test_shares_are_half_a_tenth_and_the_rest() -> None:
    clips = some("walk", {f"w{k}": 1 for k in range(100)}) + some("fall", {"x": 7})
    divided = split_clips(clips, ["fall"])
    assert [len(divided[part]) for part in SPLIT_NAMES] == [50, 10, 40, 7]
    assert split_clips(clips, ["fall"], seed=1) != divided
    whole = split_clips(some("walk", {"one": 10, "two": 10}), [], by="clip")
    assert [len(whole[part]) for part in SPLIT_NAMES] == [10, 2, 8, 0]


def test_a_class_with_one_clip_is_learned_from() -> None:
    divided = split_clips(some("walk", {"a": 1}) + some("run", {"b": 1, "c": 1}), [])
    assert "walk" in {clip.label for clip in divided["train"]}


def test_what_cannot_be_divided_is_said() -> None:
    with pytest.raises(BadInput, match="no class is called 'fights'; did you mean 'fight'"):
        split_clips(some("walk", {"a": 2}) + some("fight", {"b": 2}), ["fights"])
    with pytest.raises(BadInput, match="all of walk are anomalous"):
        split_clips(some("walk", {"a": 2}), ["walk"])


def test_the_lists_of_films_are_understood(shared: Path) -> None:
    text = (
        "https://a/1\nfi001: 0.1 - 0.2\nnofi001: 1.0 - 2.0\n"
        "https://a/2\nfi002: 3 - 4\n\nnofi062 - nofi064 : CamNet\n"
    )
    assert read_sources(text) == {
        "fi001": "https://a/1",
        "nofi001": "https://a/1",
        "fi002": "https://a/2",
        **{f"nofi0{k}": "CamNet" for k in (62, 63, 64)},
    }
    clips = SurvFight().clips(shared / "surv_fight")
    assert len(clips) == 300
    parts = SurvFight().class_videos(shared / "surv_fight")
    assert [len(parts[part]) for part in SPLIT_NAMES] == [75, 15, 60, 73]


def test_val_is_for_choosing_and_neither_learned_nor_judged(tmp_path: Path) -> None:
    for name in ("train/run/a", "val/run/b", "test/run/c", "anomaly/fall/d"):
        (tmp_path / name).parent.mkdir(parents=True)
        film(tmp_path / f"{name}.mp4", 4)
    split = ClassFolders().read_split(tmp_path)
    assert [video.name for video in split.val] == ["val-run-b"]
    assert [video.name for video in split.train] == ["train-run-a"]
    assert [video.name for video in split.test] == ["test-run-c", "anomaly-fall-d"]


# Writing.


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two normal classes and an anomalous one; one clip is too short, one is no film."""
    root = tmp_path_factory.mktemp("raw")
    for label in ("run", "walk", "fall"):
        (root / label).mkdir()
        for k in range(4 if label == "walk" else 2):
            film(root / label / f"{label}{k}.avi", 12, codec="mpeg4", fps=10, start=10 * k)
    film(root / "walk" / "short.avi", 9, codec="mpeg4", fps=10)
    (root / "walk" / "broken.avi").write_bytes(b"no film")
    return root


HOW = Dividing(anomalous=("fall",), target=6)


@pytest.fixture(scope="module")
def prepared(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    divide_into(ClassFolders(), raw, out, HOW)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_are_as_published(prepared: Path) -> None:
    for part in SPLIT_NAMES:
        with (prepared / f"{part}.csv").open() as file:
            assert (
                file.readline().strip()
                == ",".join(TABLE_COLUMNS)
                == "CLASS,LABEL,PATH,NUM_FRAMES,NUM_SEC,FPS"
            )
        for row in rows(prepared / f"{part}.csv"):
            assert row["PATH"].startswith(f"{part}/{row['CLASS']}/")
            facts = facts_of(Video("a", prepared / row["PATH"]))
            assert (row["NUM_FRAMES"], row["NUM_SEC"], row["FPS"]) == ("12", "1.200", "10")
            assert facts.codec == "h264"
    assert {row["LABEL"] for row in rows(prepared / "anomaly.csv")} == {"42"}
    labels = {
        (row["CLASS"], row["LABEL"])
        for part in SPLIT_NAMES[:3]
        for row in rows(prepared / f"{part}.csv")
    }
    assert len(labels) == 2
    assert {label for _, label in labels} == {"0", "1"}


def test_train_is_brought_to_the_target_and_nothing_else_is(prepared: Path) -> None:
    count = {part: len(rows(prepared / f"{part}.csv")) for part in SPLIT_NAMES}
    assert count["anomaly"] == 2
    train = [row["CLASS"] for row in rows(prepared / "train.csv")]
    assert {label: train.count(label) for label in set(train)} == {"run": 6, "walk": 6}
    assert all(
        row["PATH"].endswith("_0.mp4")
        for part in SPLIT_NAMES[1:]
        for row in rows(prepared / f"{part}.csv")
    )


def test_what_was_left_out_is_told(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = divide_into(ClassFolders(), raw, tmp_path / "out", replace(HOW, target=0))
    assert len(told.left_out) == 2
    assert any("walk/short.avi: lasts 0.9 s, under 1" in line for line in told.left_out)
    assert any("broken.avi" in line for line in told.left_out)
    assert (
        main(["prepare", "class-folders", str(raw), str(tmp_path / "two"), "--anomalous", "[fall]"])
        == 0
    )
    out = capsys.readouterr().out
    assert "anomaly   2 clips: fall 2" in out
    assert "left out" in out


def test_what_was_begun_is_gone_on_with_and_another_division_refused(
    raw: Path, prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    divide_into(ClassFolders(), raw, out, HOW)
    films = sorted(out.rglob("*.mp4"))
    assert [path.read_bytes() for path in films] == [
        path.read_bytes() for path in sorted(prepared.rglob("*.mp4"))
    ]
    films[0].unlink()
    kept = {path: path.stat().st_mtime_ns for path in films[1:]}
    divide_into(ClassFolders(), raw, out, HOW)
    assert films[0].is_file()
    assert {path: path.stat().st_mtime_ns for path in films[1:]} == kept
    with pytest.raises(BadInput, match="divided in another way"):
        divide_into(ClassFolders(), raw, out, replace(HOW, seed=1))
    (tmp_path / "other" / "train").mkdir(parents=True)
    with pytest.raises(BadInput, match="holds other films"):
        divide_into(ClassFolders(), raw, tmp_path / "other", HOW)


def test_it_is_read_as_it_was_divided_by_tables_or_by_folders(
    prepared: Path, tmp_path: Path
) -> None:
    by_tables = ClassFolders().class_videos(prepared)
    folders = tmp_path / "folders"
    folders.mkdir()
    for part in SPLIT_NAMES:
        if (prepared / part).is_dir():
            (folders / part).symlink_to(prepared / part)
    by_folders = ClassFolders().class_videos(folders)
    for part in SPLIT_NAMES:
        one, other = ({(v.name, v.label) for v in parts[part]} for parts in (by_tables, by_folders))
        assert one == other
    split = ClassFolders().read_split(prepared)
    truths = {video.label: video.truth(12) for video in split.test if video.truth}
    assert truths["fall"].frame.all()
    assert not truths["walk"].frame.any()
    assert set(truths["fall"].kind) == {"fall"}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(
            lambda text: text.replace("PATH", "FILE"),
            "lacks the column PATH; its first line has",
            id="col",
        ),
        pytest.param(
            lambda text: text.replace("_0.mp4", "_9.mp4"), "there is no such file", id="file"
        ),
        pytest.param(lambda text: text.splitlines()[0] + "\n", "names no clip", id="empty"),
        pytest.param(
            lambda _: "",
            "lacks the column CLASS and PATH; its first line has nothing",
            id="nothing",
        ),
    ],
)
def test_damaged_tables_are_refused(
    prepared: Path, tmp_path: Path, spoil: Callable[[str], str], why: str
) -> None:
    (tmp_path / "train").symlink_to(prepared / "train")
    (tmp_path / "train.csv").write_text(spoil((prepared / "train.csv").read_text()))
    with pytest.raises(BadInput, match=why) as caught:
        ClassFolders().class_videos(tmp_path)
    assert "\n" not in str(caught.value)


def test_views_are_one_class_and_shots_stay_together(tmp_path: Path) -> None:
    for label, name in (
        ("Golf-Swing-Back", "3283-8_700721"),
        ("Golf-Swing-Front", "RF1-13207_70023"),
        ("Kicking-Side", "2538-5_70133"),
        ("Kicking-Front", "2538-5_70200"),
        ("Walk-Front", "2538-8_70111"),
    ):
        (tmp_path / "ucf action" / label / "001").mkdir(parents=True, exist_ok=True)
        film(tmp_path / "ucf action" / label / "001" / f"{name}.avi", 3, codec="mpeg4")
    clips = UcfSports().clips(tmp_path)
    assert sorted((clip.label, clip.source) for clip in clips) == [
        ("Golf-Swing", "3283-8"),
        ("Golf-Swing", "RF1-13207"),
        ("Kicking", "2538-5"),
        ("Kicking", "2538-5"),
        ("Walk-Front", "2538-8"),
    ]


def test_ucf_sports_is_prepared_as_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw folders to tables: views grouped, folders flattened, avi made mp4, classes held out, train multiplied."""
    raw, out = tmp_path / "ucf action", tmp_path / "out"
    for label, count in (
        ("Golf-Swing-Back", 2),
        ("Golf-Swing-Side", 2),
        ("Run-Side", 3),
        ("Lifting", 1),
        ("Walk-Front", 1),
    ):
        for k in range(count):
            (raw / label / f"{k + 1:03d}").mkdir(parents=True)
            film(
                raw / label / f"{k + 1:03d}" / f"{label}{k}_70.avi",
                12,
                codec="mpeg4",
                fps=10,
                start=5 * k,
            )
    assert (
        main(
            [
                "prepare",
                "ucf-sports",
                str(tmp_path),
                str(out),
                "--target",
                "4",
                "--anomalous",
                "[Walk-Front,Lifting]",
            ]
        )
        == 0
    )
    assert "anomaly   2 clips" in capsys.readouterr().out
    table = {part: rows(out / f"{part}.csv") for part in SPLIT_NAMES}
    assert {row["CLASS"] for part in SPLIT_NAMES[:3] for row in table[part]} == {
        "Golf-Swing",
        "Run-Side",
    }
    assert {row["CLASS"] for row in table["anomaly"]} == {"Lifting", "Walk-Front"}
    assert [row["CLASS"] for row in table["train"]].count("Golf-Swing") == 4
    assert all(
        row["PATH"].endswith(".mp4") and row["PATH"].count("/") == 2
        for part in SPLIT_NAMES
        for row in table[part]
    )
    assert len(ClassFolders().read_split(out).train) == len(table["train"])


def test_only_clips_in_classes_are_divided(tmp_path: Path) -> None:
    from oddframe.workflows.prepare import prepare

    with pytest.raises(BadInput, match="ped2 is no data set of clips in classes"):
        prepare("ped2", tmp_path, tmp_path / "out")
    with pytest.raises(BadInput, match="seed is from 0 to"):
        prepare("class-folders", tmp_path, tmp_path / "out", seed=-1)
    with pytest.raises(BadInput, match="target is from 0 to"):
        prepare("class-folders", tmp_path, tmp_path / "out", target=-1)
    (tmp_path / "walk").mkdir()
    film(tmp_path / "walk" / "a.avi", 3, codec="mpeg4")
    with pytest.raises(
        BadInput, match=r"none of 1 clips can be used; the first: walk/a.avi: lasts 0\.1 s"
    ):
        divide_into(ClassFolders(), tmp_path, tmp_path / "out", Dividing())


# Varying.


def test_every_frame_of_a_film_is_varied_alike() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    changed = 0
    for seed in range(12):
        vary = variation(np.random.default_rng(seed), (48, 64))
        one = vary(frame)
        np.testing.assert_array_equal(one, vary(frame))
        np.testing.assert_array_equal(one, variation(np.random.default_rng(seed), (48, 64))(frame))
        assert one.shape == frame.shape
        assert one.dtype == np.uint8
        changed += not np.array_equal(one, frame)
    assert changed == 12


def test_copies_differ_from_each_other_and_stay_recognisable(prepared: Path) -> None:
    names = [row["PATH"] for row in rows(prepared / "train.csv") if row["CLASS"] == "run"]
    spec = ClipSpec(size=(24, 32))
    films = [
        np.stack([f.pixels for f in read(Video("a", prepared / name), spec)]).astype(float)
        for name in names
    ]
    assert all(np.abs(films[0] - other).mean() > 1 for other in films[1:])
    assert all(np.abs(films[0] - other).mean() < 90 for other in films[1:])
