"""oddframe learns what is normal from ordinary video and finds the frames, and the places in them, that are not."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["evaluate", "fit", "load", "score", "simulate"]

if TYPE_CHECKING:
    from oddframe.api import evaluate, fit, load, score, simulate


def __getattr__(name: str) -> Any:
    # `import oddframe` is quick: torch and the rest are loaded with the first verb that is asked for
    if name in __all__:
        from oddframe import api

        return getattr(api, name)
    raise AttributeError(f"module 'oddframe' has no attribute {name!r}")
