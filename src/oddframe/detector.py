"""The contract. `fit` is given videos and cuts them as it likes. `score` is given clips, already
cut, and gives the same clip the same score, whatever else is in the batch and wherever the clip
came from.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from numpy.typing import NDArray

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.run import Run
from oddframe.types import Clips, ClipSpec, Scores, Video

if TYPE_CHECKING:
    from torch import nn


class Detector(ABC):
    """A method. Options are keyword-only arguments of `__init__`; what is learned is arrays and
    plain values.

    Methods with a network inherit from `training.network_detector.NetworkDetector`, which is a
    torch module too.
    """

    name: ClassVar[str]
    # the attributes, numpy arrays, that are learned, and what each must be
    learned: ClassVar[Mapping[str, ArraySpec]] = {}
    options: dict[
        str, Any
    ]  # the arguments of __init__ with defaults filled in, dataclasses as dictionaries

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        # a saved detector must not change when a default does
        given = {name: value for name, value in bound.arguments.items() if name != "self"}
        self.__dict__["options"] = {name: _plain(value) for name, value in given.items()}
        return self

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """A detector with `options` as another's `options` say them: plain values, and dictionaries
        for dataclasses.
        """
        hints = get_type_hints(cls.__init__)
        given = {name: _meant(value, hints.get(name)) for name, value in options.items()}
        for name, value in given.items():
            if name in hints and not is_of_type(value, hints[name]):
                raise ValueError(f"{name} is of another type, got {str(value)[:60]!r}")
        return cls(**given)

    @classmethod
    def option_names(cls) -> list[str]:
        """What the arguments of `__init__` are called."""
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    @property
    @abstractmethod
    def spec(self) -> ClipSpec:
        """How clips for `score` are to be cut. May depend on what was learned."""

    @property
    def half_life(self) -> float:
        """Seconds after which a score counts half in the causal running mean of a stream; 0 is no
        smoothing.
        """
        return 0.0

    @property
    def quick_to_fit(self) -> bool:
        """Whether calibration fits the method anew for every video left out, or once on a share of
        the videos.
        """
        return False

    @abstractmethod
    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """Learn from normal videos. Anything learned before is forgotten."""

    def fit_part(self, videos: Sequence[Video], run: Run) -> None:
        """Fit again, on parts of the videos that it was just fitted on; what it chose about how to
        look at them may hold on.
        """
        self.fit(videos, run)

    @abstractmethod
    def score(self, clips: Clips) -> Scores:
        """One score a clip, higher is stranger; with a map where the method can say where."""

    def state(self) -> dict[str, NDArray[Any]]:
        """What was learned, as arrays by name."""
        return {name: getattr(self, name) for name in self.learned}

    def metadata(self) -> dict[str, Any]:
        """What was learned besides arrays, as JSON can hold it."""
        return {}

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Take back what `state` and `metadata` gave. Raises ValueError, one line, for what does
        not fit.
        """
        del metadata
        check_arrays(arrays, self.learned)
        for name, array in arrays.items():
            setattr(self, name, array)

    @classmethod
    def refuse_size(cls, options: Mapping[str, Any], most: int) -> None:
        """Raise ValueError where a detector of these options has more than `most` numbers.

        Asked before one is made: options of somebody else could ask for all memory.
        """
        del options, most

    def core(self) -> nn.Module | None:
        """The network, for export and drawing; None for a method that has none."""
        return None

    def to_device(self, device: str) -> Self:
        """The same detector, its network, if it has one, on a torch device."""
        del device
        return self

    def fresh(self) -> Self:
        """An unfitted detector with the same options."""
        return self.of(self.options)


@runtime_checkable
class FastFolds(Protocol):
    """A method that can leave videos out without fitting anew for each fold."""

    def score_folds(
        self, videos: Sequence[Video], folds: Sequence[int], run: Run
    ) -> Iterator[Scores]:
        """Unsmoothed scores of each video by a detector fitted on the videos of the other folds.

        They are what fitting a fresh detector for each fold would give (a contract test compares
        them).
        """


@runtime_checkable
class Extendable(Protocol):
    """A method that can keep what it needs of a video, so that a later fit does without it."""

    def keep(
        self,
        videos: Sequence[Video],
        segments: Sequence[Video],
        run: Run,
        earlier: Detector | None,
    ) -> None:
        """See to it that what `fit` needs of each video lies beside its `kept`; there it is used.

        A video of which it lies there is not read. `segments` are the parts of these videos that
        `fit` will be given. With `earlier`, a fitted detector of the same options, what it learned
        about how to look at the scene holds on. Fitting then gives what it would have given on all
        videos at once, looked at in this way. Raises BadRun for what is kept and damaged.
        """


def is_of_type(value: Any, hint: Any) -> bool:  # noqa: PLR0911  one for each kind of annotation
    """Whether an option is what its annotation says. Types that options do not have are taken as
    they are.

    >>> is_of_type(3, float), is_of_type(True, int), is_of_type((1, "2"), tuple[int, int])
    (True, False, False)
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_of_type(value, parts[0])
    if origin in (Union, UnionType):
        return any(is_of_type(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(is_of_type(one, parts[0]) for one in value)
        same_length = len(value) == len(parts)
        return same_length and all(map(is_of_type, value, parts))
    if hint in (int, float):
        numbers = (int, float) if hint is float else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    if isinstance(hint, type):
        return isinstance(value, hint)
    return True


def _plain(value: Any) -> Any:
    """An option as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value


def _meant(value: Any, hint: Any) -> Any:
    """An option as the method takes it: JSON knows neither dataclasses, also within each other, nor
    tuples.
    """
    if isinstance(value, dict) and isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{name: _meant(item, hints.get(name)) for name, item in value.items()})
    return tuple(value) if isinstance(value, list) and "tuple" in str(hint) else value
