"""Spatio-temporal jigsaw puzzles: of cubes around things, and of whole frames."""

from oddframe.methods.jigsaw.frame_level import JigsawFrames
from oddframe.methods.jigsaw.object_level import Jigsaw, JigsawPublished

__all__ = ["Jigsaw", "JigsawFrames", "JigsawPublished"]
