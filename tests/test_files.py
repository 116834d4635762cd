"""Files are whole or not there, and are listed as a person would."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from oddframe.errors import BadInput
from oddframe.files import aside, listing, natural, together, write_json


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.npz"
    with aside(path) as part:
        assert part.suffix == ".npz"
        assert part.parent == path.parent
        np.savez(part, a=np.arange(3))
        assert not path.exists()
    assert [each.name for each in path.parent.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")]
)
def test_what_was_there_stays_when_it_does_not(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with (  # noqa: PT012
        pytest.raises(BadInput if isinstance(error, OSError) else type(error)) as raised,
        aside(path) as part,
    ):
        part.write_text("half of it")
        raise error
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    if isinstance(error, OSError):
        assert str(raised.value) == f"cannot write {path}: No space left"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"), aside(tmp_path / "file" / "a.txt"):
        pytest.fail("nothing can be written there")


def test_files_that_belong_together_change_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("before")
    with pytest.raises(RuntimeError), together(tmp_path, "a", "b") as new:  # noqa: PT012
        (new / "a").write_text("after")
        raise RuntimeError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "before",
        "b": "before",
    }
    with together(tmp_path, "a", "b") as new:
        for name in ("a", "b"):
            (new / name).write_text("after")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "after",
        "b": "after",
    }


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1, 2]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2]}
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2]}
    assert len(list(tmp_path.iterdir())) == 1


def test_listed_as_a_person_would(tmp_path: Path) -> None:
    for name in (
        "img_10.png",
        "img_9.png",
        "IMG_1.png",
        ".DS_Store",
        "._img_9.png",
        "Thumbs.db",
        "desktop.ini",
        "b",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "__MACOSX").mkdir()
    assert [path.name for path in listing(tmp_path)] == [
        "b",
        "IMG_1.png",
        "img_9.png",
        "img_10.png",
    ]
    assert sorted(["2", "10", "a1", "a", "1b"], key=natural) == ["1b", "2", "10", "a", "a1"]
