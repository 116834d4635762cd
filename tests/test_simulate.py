"""The same seed gives the same film, and labels, masks and boxes say the same of every frame."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from oddframe.cli.render import lines_of
from oddframe.datasets.annotations import read_truth
from oddframe.errors import BadInput
from oddframe.synthetic import place
from oddframe.synthetic.simulate import KINDS, Seen, Shot, film, simulate, truth_of
from oddframe.types import Bytes, ClipSpec, Truth, Video
from oddframe.video.reader import read
from oddframe.video.writer import video_writer
from oddframe.workflows.simulate import simulate as verb

SIZE = (96, 144)


def shoot(
    *kinds: str, seed: int = 0, number: int = 0, frames: int = 48, fps: float = 4
) -> tuple[Bytes, list[Seen]]:
    pictures, seen = zip(*film(Shot(seed, number, frames, fps, SIZE, kinds)), strict=True)
    return np.stack(pictures), list(seen)


def test_the_same_seed_gives_the_same_pixels_and_another_does_not() -> None:
    first, odd = shoot("cyclist", frames=12)
    place.build.cache_clear()
    second, again = shoot("cyclist", frames=12)
    assert (first == second).all()
    assert (truth_of(odd).mask == truth_of(again).mask).all()
    for other in (shoot("cyclist", frames=12, seed=1)[0], shoot("cyclist", frames=12, number=1)[0]):
        assert np.abs(first.astype(int) - other).mean() > 2


def test_the_same_pixels_give_the_same_file(tmp_path: Path) -> None:
    film_of_all = [picture for picture, _ in film(Shot(0, 0, 12, 4, (64, 64), KINDS))]
    made = set()
    for _ in range(20):  # an encoder that is not repeatable does not show it every time
        with video_writer(tmp_path / "a.mp4", 4, (64, 64)) as video:
            for picture in film_of_all:
                video.write(picture)
        made.add((tmp_path / "a.mp4").read_bytes())
    assert len(made) == 1


def test_a_longer_film_of_the_same_place_shows_the_same_place() -> None:
    plates = [np.median(shoot(number=number, frames=20, fps=1)[0], axis=0) for number in (0, 1)]
    plates = [plate / plate.mean() for plate in plates]  # the light may differ
    assert np.abs(plates[0] - plates[1]).mean() < 0.06


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_appears_and_its_labels_masks_and_boxes_agree(kind: str) -> None:
    pictures, seen = shoot(kind, seed=2)
    height, width = SIZE
    there = [part for part in seen if part.kind]
    assert {part.kind for part in there} == {kind}
    assert 4 <= len(there) < len(seen)  # a second at least, and some normal time
    assert not seen[0].kind
    for part in seen:
        assert part.mask.shape == SIZE
        assert part.mask.any() == bool(part.kind) == bool(part.boxes)
        boxed = np.zeros(SIZE, bool)
        for x1, y1, x2, y2 in part.boxes.values():
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1
            rows, columns = (
                (round(y1 * height), round(y2 * height)),
                (round(x1 * width), round(x2 * width)),
            )
            assert part.mask[slice(*rows), slice(*columns)].any()
            boxed[slice(*rows), slice(*columns)] = True
        assert not (part.mask & ~boxed).any()
    plate = np.median(pictures, axis=0)
    unlike = np.abs(pictures - plate).mean(-1)
    masks = np.stack([part.mask for part in seen])
    if kind not in ("loiterer", "abandoned-object"):  # those become part of the median
        assert unlike[masks].mean() > 3 * unlike[~masks].mean()


def test_tracks_follow_one_thing() -> None:
    _, seen = shoot("runner", fps=10, frames=100)
    boxes = [part.boxes for part in seen if part.boxes]
    assert len({track for at in boxes for track in at}) == 1
    middles = [next((x1 + x2) / 2 for x1, _, x2, _ in at.values()) for at in boxes]
    steps = [b - a for a, b in pairwise(middles)]
    assert all(step > 0 for step in steps) or all(step < 0 for step in steps)


def test_a_scatter_is_many_and_a_fall_is_labelled_from_the_fall_on() -> None:
    _, seen = shoot("scatter", seed=1, fps=10, frames=120)
    assert max(len(part.boxes) for part in seen) >= 4
    pictures, seen = shoot("fall", seed=1, fps=10, frames=120)
    shapes = [(y2 - y1) / (x2 - x1) for part in seen for x1, y1, x2, y2 in part.boxes.values()]
    assert shapes[0] > shapes[len(shapes) // 2]  # upright when it begins, lying in the middle
    assert len(pictures) == len(seen)


def test_a_normal_film_holds_nothing_odd_but_people() -> None:
    pictures, seen = shoot(frames=60)
    assert not truth_of(seen).frame.any()
    assert not any(part.kind or part.boxes for part in seen)
    assert (np.abs(pictures - np.median(pictures, axis=0)).mean(-1) > 25).any(
        axis=(1, 2)
    ).mean() > 0.8  # somebody is about


def test_how_much_moves_changes_on_a_normal_day() -> None:
    moved = []
    for number in range(3):
        pictures, _ = shoot(number=number, frames=120, fps=4)
        moved.append(np.abs(np.diff(pictures.astype(int), axis=0)).mean(axis=(1, 2, 3)))
    low, high = np.percentile(np.concatenate(moved), (5, 95))
    assert high > 1.3 * low


@pytest.mark.parametrize("size", [(64, 64), (65, 131), (200, 64), (64, 300), (720, 1280)])
def test_any_size(size: tuple[int, int]) -> None:
    seen = list(film(Shot(0, 0, 3, 1, size, ("car",))))
    assert all(picture.shape == (*size, 3) and picture.dtype == np.uint8 for picture, _ in seen)
    assert all(part.mask.shape == size for _, part in seen)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    simulate(
        folder,
        train=2,
        test=3,
        seconds=12,
        fps=5,
        size=(64, 96),
        kinds=("car", "fall", "runner"),
        seed=3,
    )
    return folder


def frames_of(path: Path) -> int:
    return sum(1 for _ in read(Video(path.stem, path), ClipSpec(size=None)))


def test_the_folder_is_a_data_set(street: Path) -> None:
    scene = json.loads((street / "scene.json").read_text())
    assert scene["videos"] == {"train": 2, "test": 3}
    assert scene["frames"] == {"train": 120, "test": 180}
    assert (scene["seed"], scene["complete"]) == (3, True)
    assert [path.name for path in sorted((street / "train").iterdir())] == [
        "train01.mp4",
        "train02.mp4",
    ]
    normal, kinds = 0, {}
    for name, asked in scene["test_videos"].items():
        path = street / "test" / f"{name}.mp4"
        truth = read_truth(street / "truth", name, 60)
        assert isinstance(truth, Truth)
        assert truth.mask is not None
        assert truth.tracks is not None
        assert truth.kind is not None
        assert frames_of(path) == len(truth.frame) == 60
        mask = np.asarray(truth.mask)
        assert mask.shape == (60, 64, 96)
        assert (mask.any(axis=(1, 2)) == truth.frame).all()
        assert sorted(set(truth.tracks[:, 0].astype(int))) == np.flatnonzero(truth.frame).tolist()
        assert set(truth.kind[truth.frame].tolist()) == set(asked)
        assert not truth.frame.all()
        normal += not truth.frame.any()
        for kind in truth.kind[truth.frame].tolist():
            kinds[kind] = kinds.get(kind, 0) + 1
    assert normal == 1
    assert kinds == scene["odd_frames"]
    assert set(kinds) == {"car", "fall", "runner"}


def test_films_differ_from_each_other(street: Path) -> None:
    from oddframe.video.reader import content_hash

    paths = [*(street / "train").iterdir(), *(street / "test").iterdir()]
    assert len({content_hash(path) for path in paths}) == len(paths) == 5


def test_an_earlier_simulation_is_filmed_over(tmp_path: Path) -> None:
    simulate(tmp_path, train=2, test=2, seconds=1, fps=4, size=(64, 64), kinds=("car",))
    (tmp_path / "truth" / "notes.md").write_text("mine")
    simulate(tmp_path, train=1, test=1, seconds=1, fps=4, size=(64, 64), kinds=("car",), seed=1)
    found = sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    )
    truth = [f"truth/test01{ending}" for ending in (".csv", ".masks.npz", ".tracks.csv")]
    assert found == ["scene.json", "test/test01.mp4", "train/train01.mp4", "truth/notes.md", *truth]


def test_a_simulation_that_was_broken_off_can_be_filmed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oddframe.synthetic import simulate as module

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    options = {"train": 1, "test": 1, "seconds": 1, "fps": 4, "size": (64, 64)}
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_truth", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path, **options)  # type: ignore[arg-type]
    assert not json.loads((tmp_path / "scene.json").read_text())["complete"]
    assert simulate(tmp_path, **options)["complete"]  # type: ignore[arg-type]


def test_more_to_learn_from_leaves_the_test_as_it_was(tmp_path: Path) -> None:
    for train in (0, 2):
        simulate(tmp_path / str(train), train=train, test=1, seconds=1, fps=4, size=(64, 64))
    first, second = (
        (tmp_path / train / "test" / "test01.mp4").read_bytes() for train in ("0", "2")
    )
    assert first == second


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"no scene\.json"):
        simulate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(BadInput, match="is a file"):
        simulate(tmp_path / "thesis.txt")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"train": -1}, "train = -1"),
        ({"train": 0, "test": 0}, "at least one video"),
        ({"seed": -1}, "seed"),
        ({"seconds": 0}, "got 0"),
        ({"seconds": float("nan")}, "got nan"),
        ({"fps": 0.5}, "got 0.5"),
        ({"fps": float("inf")}, "got inf"),
        ({"size": (32, 96)}, r"got \[32, 96\]"),
        ({"size": (96, 100000)}, "100000"),
        ({"kinds": ()}, "name at least one"),
        ({"kinds": ("cra",)}, "did you mean 'car'"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        simulate(tmp_path / "new", **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_masks_of_large_films_are_coarser_and_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oddframe.synthetic import simulate as module

    monkeypatch.setattr(module, "MASK_BYTES", 20 * 16 * 16)
    simulate(tmp_path, train=0, test=1, seconds=5, fps=4, size=(64, 64), kinds=("car",))
    truth = read_truth(tmp_path / "truth", "test01", 20)
    assert truth is not None
    assert truth.mask is not None
    mask = np.asarray(truth.mask)
    assert mask.shape == (20, 16, 16)
    assert (mask.any(axis=(1, 2)) == truth.frame).all()
    assert truth.frame.any()


def test_the_verb_says_what_was_filmed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = verb(
        tmp_path,
        train=1,
        test=1,
        seconds=2,
        fps=5,
        width=96,
        height=64,
        kinds="car, runner",
    )
    assert capsys.readouterr() == ("", "")
    assert json.loads(scene.to_json()) == json.loads((tmp_path / "scene.json").read_text())
    assert scene.to_dict()["kinds"] == ["car", "runner"]
    every = verb(tmp_path, train=1, test=1, seconds=2, fps=5, width=96, height=64, kinds="all")
    said = "\n".join(lines_of("simulate", every))
    assert "1 normal and 1 test videos" in said
    assert all(kind in said for kind in KINDS)
