"""Naming is registering: a file dropped into an open family is a member, and nothing keeps a list."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import oddframe.methods
from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.registry import entries, member, members

NEW = """
from oddframe.methods.baselines import Constant

class Louder(Constant):
    name = "louder"

class NoMember(Constant):
    name = None
"""


@pytest.fixture
def dropped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "louder.py").write_text(NEW)
    monkeypatch.setattr(oddframe.methods, "__path__", [*oddframe.methods.__path__, str(tmp_path)])
    entries.cache_clear()
    yield
    entries.cache_clear()


def test_the_first_methods_are_members() -> None:
    assert {"constant", "flowgrid", "frame-difference"} <= set(members("methods"))
    assert list(members("methods")) == sorted(members("methods"))
    for name, method in members("methods").items():
        assert issubclass(method, Detector)
        assert method.name == name


@pytest.mark.usefixtures("dropped_in")
def test_a_file_dropped_in_is_a_member() -> None:
    assert member("methods", "louder", "method").__module__ == "oddframe.methods.louder"
    assert members("methods")["constant"].__module__ == "oddframe.methods.baselines", (
        "what it imports stays where it is"
    )
    assert None not in members("methods")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="no method is called 'flowgird'; did you mean 'flowgrid'"):
        member("methods", "flowgird", "method")
    with pytest.raises(BadInput, match="no data set is called 'zzz'; there are avenue"):
        member("datasets", "zzz", "data set")


@pytest.mark.parametrize("folder", ["methods", "datasets"])
def test_what_is_read_from_the_source_is_what_is_defined(folder: str) -> None:
    for name, entry in entries(folder).items():
        cls = member(folder, name, "member")
        assert cls.name == name
        assert cls.__module__ == entry.module
        paragraph = (inspect.getdoc(cls) or "").partition("\n\n")[0]
        assert entry.summary == " ".join(paragraph.split())
