"""Every command that the pages for newcomers from other code bases show is run, on tiny data of the same layout.

Options that make networks small and training short are added behind each command: the last one counts.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from films import Picture, film
from oddframe.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "coming-from").glob("*.md"))
BLOCK = re.compile(r"<!-- run: (\S+) (.*?) -->\n```sh\n(.*?)```", re.DOTALL)
FRAMES, ODD, SIZE = 48, (20, 40), (48, 64)

# behind a command that begins so
SMALLER = {
    "fit conv-lstm": "--size [16,24] --clip-length 2 --frame-step 2 --epochs 1 --batch 8",
    "fit c3d": "--size [16,16] --epochs 1 --batch 2",
    "fit jigsaw-frames": (
        "--network pieces --size 32 --base-width 4 --clip-length 3 --sub-clips 3 --epochs 1"
        " --batch 8 --epoch-cubes 16"
    ),
    "fit temporal-queue": (
        "--network basic --size 32 --segment 40 --queue 8 --offset 2 --epochs 1 --precision float32"
    ),
    "fit tclr": (
        "--network small --size 32 --clip-length 8 --max-video-frames 40 --projection 8 --epochs 1"
        " --batch 2 --precision float32"
    ),
    "fit embedding": (
        "--network image-resnet18 --weights random --clip-length 2 --clip-seconds 0.2 --size 32"
        " --layers [8,4] --epochs 2"
    ),
    "prepare ucf-sports": "--target 3",
}


def walk(seed: int, odd: bool = False) -> list[Picture]:
    """A bright thing that goes to and fro before a ground of noise; where it is odd, thrice as fast."""
    random = np.random.default_rng(seed)
    height, width = SIZE
    ground = np.random.default_rng(0).integers(60, 120, (height, width, 1), np.uint8).repeat(3, 2)
    pictures, at = [], float(random.integers(width))
    for k in range(FRAMES):
        at += 6 if odd and ODD[0] <= k < ODD[1] else 2
        picture = ground.copy()
        left = round(abs(at % (2 * (width - 10)) - (width - 10)))
        picture[16:40, left : left + 10] = 220
        picture[:8, :8] = 9 * seed % 250  # no two films are the same, or one would be a leak
        pictures.append(picture)
    return pictures


def put_pictures(folder: Path, names: str, pictures: list[Picture]) -> None:
    folder.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(folder / names.format(k)), picture)


def put_film(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    film(path, walk(seed), codec="mpeg4", fps=10)


def ped2() -> None:
    for k in range(3):
        put_pictures(Path(f"DATA/UCSDped2/Train/Train{k + 1:03}"), "{:03}.tif", walk(k))
    for k in range(2):
        put_pictures(Path(f"DATA/UCSDped2/Test/Test{k + 1:03}"), "{:03}.tif", walk(9 + k, odd=True))
    line = f"TestVideoFile{{end+1}}.gt_frame = [{ODD[0] + 1}:{ODD[1]}];\n"
    Path("DATA/UCSDped2/Test/UCSDped2.m").write_text("TestVideoFile = {};\n" + 2 * line)


def dad() -> None:
    for k in range(3):
        folder = Path(f"RAW/Tester1/normal_driving_{k + 1}/top_depth")
        put_pictures(folder, "img_{}.png", walk(k))
    for k in range(2):
        put_pictures(Path(f"RAW/val01/rec{k + 1}/top_depth"), "img_{}.png", walk(9 + k, odd=True))
    rows = ["val,rec,start,end,label"]
    for recording in ("val01,rec1", ",rec2"):
        rows.append(f"{recording},0,{ODD[0] - 1},N")
        rows.append(f",,{ODD[0]},{ODD[1] - 1},A")
        rows.append(f",,{ODD[1]},{FRAMES - 1},N")
    Path("RAW/LABEL.csv").write_text("\n".join(rows) + "\n")


def folder() -> None:
    for k in range(3):
        put_film(Path(f"VIDEOS/{k}.mp4"), k)
    put_film(Path("NEW.mp4"), 9)


def ucf101() -> None:
    lists = Path("DATA/ucfTrainTestlist")
    lists.mkdir(parents=True)
    classes = ("ApplyEyeMakeup", "Archery")
    lists.joinpath("classInd.txt").write_text(
        "".join(f"{k} {name}\n" for k, name in enumerate(classes, 1))
    )
    train, test = "", ""
    for number, name in enumerate(classes, 1):
        for group in range(1, 5):
            clip = f"{name}/v_{name}_g{group:02}_c01.avi"
            put_film(Path("DATA/UCF-101") / clip, 10 * number + group)
            if group < 3:
                test += f"{clip}\n"
            else:
                train += f"{clip} {number}\n"
    for split in ("01", "02", "03"):
        lists.joinpath(f"trainlist{split}.txt").write_text(train)
        lists.joinpath(f"testlist{split}.txt").write_text(test)


def ucf_sports() -> None:
    seed = 0
    for name in ("Diving-Side", "Kicking-Front", "Lifting", "SkateBoarding-Front", "Walk-Front"):
        for k in range(4):
            seed += 1
            put_film(Path(f"RAW/ucf action/{name}/{k + 1:03}/{k}-{seed}_70133.avi"), seed)


MAKE: dict[str, Callable[[], None]] = {
    "ped2": ped2,
    "dad": dad,
    "folder": folder,
    "ucf101": ucf101,
    "ucf-sports": ucf_sports,
}


@pytest.mark.filterwarnings("default")  # scikit-learn's, about so few clips
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCK.findall(page.read_text())
    assert blocks, f"{page.name} has no block that begins with <!-- run: DATASET METHODS -->"
    monkeypatch.chdir(tmp_path)
    for data, methods, text in blocks:
        MAKE[data]()
        commands = [line.strip() for line in text.splitlines() if line.strip()]
        for method in methods.split():
            assert any(f"fit {method} " in command for command in commands)
        for command in commands:
            words = shlex.split(command.replace("recipes/", f"{ROOT}/recipes/"))
            assert words[0] == "oddframe"
            begins = " ".join(words[1:3])
            code = main([*words[1:], *shlex.split(SMALLER.get(begins, ""))])
            err = capsys.readouterr().err
            assert code == 0, f"{command}\n{err}"
            assert "Traceback" not in err
