"""Spatio-temporal jigsaw puzzles."""

from oddframe.methods.jigsaw.detector import Jigsaw

__all__ = ["Jigsaw"]
