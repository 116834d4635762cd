"""Files are whole or not there, and are listed as a person would."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from oddframe import files
from oddframe.errors import BadInput
from oddframe.files import (
    aside,
    files_written,
    finish_replacing,
    listing,
    natural,
    open_results,
    part_of,
    room,
    together,
    write_json,
)


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


@pytest.mark.parametrize("renames", [0, 1, 2, 3, 4])
def test_files_that_belong_together_survive_death_between_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Killed after any rename, what is read next is all of the old or all of the new."""
    names = ("a", "b", "c")
    for name in names:
        (tmp_path / name).write_text("before")
    replace, count = os.replace, [0]

    def killing(old: Path, new: Path) -> None:
        if count[0] == renames:
            raise KeyboardInterrupt
        count[0] += 1
        replace(old, new)

    monkeypatch.setattr(files.os, "replace", killing)
    if renames <= 3:  # one that decides and three that move
        with pytest.raises(KeyboardInterrupt), together(tmp_path, *names) as new:  # noqa: PT012
            for name in names:
                (new / name).write_text("after")
    else:
        with together(tmp_path, *names) as new:
            for name in names:
                (new / name).write_text("after")
    monkeypatch.undo()
    finish_replacing(tmp_path)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == dict.fromkeys(names, "after" if renames else "before")


def test_what_is_not_oddframes_is_never_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "film.overlay.mp4"
    mine.write_text("a film of mine")
    with open_results(tmp_path), pytest.raises(BadInput, match="was not written by oddframe"):  # noqa: SIM117
        with aside(mine):
            pytest.fail("it is refused before anything is written")
    with (
        pytest.raises(
            BadInput, match=r"film\.overlay\.mp4 is there and was not written by oddframe"
        ),
        open_results(tmp_path, "film.overlay.mp4"),
    ):
        pytest.fail("it is refused before any work is done")
    assert mine.read_text() == "a film of mine"


def test_what_oddframe_wrote_is_replaced_by_the_next(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with open_results(tmp_path):
            write_json(tmp_path / "a.json", text)
            with aside(tmp_path / "events" / "one\nline.jpg") as part:
                part.write_text(text)
    assert json.loads((tmp_path / "a.json").read_text()) == "second"
    assert files_written(tmp_path) == {"a.json", "events/one\nline.jpg"}
    assert [path.name for path in listing(tmp_path)] == ["a.json", "events"]


def test_one_program_at_a_time_writes_into_a_folder(tmp_path: Path) -> None:
    """By a thread: a folder that is held is refused at once, and free as soon as it is let go."""
    refused: list[str] = []

    def other() -> None:
        try:
            with open_results(tmp_path):
                refused.append("")
        except BadInput as error:
            refused.append(str(error))

    def run_other() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)

    with open_results(tmp_path), open_results(tmp_path):  # within one call it is the same hold
        run_other()
    run_other()
    assert "is in use by another oddframe" in refused[0]
    assert refused[1:] == [""]
    assert not (tmp_path / files.LOCK).exists()


def test_a_program_that_was_killed_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from oddframe.files import aside, open_results\n"
        "with open_results(Path(sys.argv[1])) as out, aside(out / 'film.overlay.mp4') as one, "
        "aside(out / 'events' / 'a.jpg') as other:\n"
        "    one.write_text('half'); other.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert len(list(tmp_path.rglob(".*.part.*"))) == 2, "it was killed in the middle"
    running = part_of(tmp_path / "of a program that runs.npz")
    running.write_text("half")
    with open_results(tmp_path):
        pass
    assert list(tmp_path.rglob(".*.part.*")) == [running]


def test_a_file_that_never_arrived_is_said_to_be_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match=r"cannot write .*a\.mp4: nothing arrived there"),
        aside(tmp_path / "a.mp4"),
    ):
        pass


def test_room_clears_away_what_was_abandoned(tmp_path: Path) -> None:
    dead = tmp_path / f".old.{files.host()}-999999999.part.npz"
    other = tmp_path / ".old.00000000-1.part.npz"
    for path in (dead, other):
        path.write_text("half")
    room(tmp_path)
    assert not dead.exists()
    assert other.exists(), "another machine may be writing it"


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
