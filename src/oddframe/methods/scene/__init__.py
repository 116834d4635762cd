"""Scene: how things move, how large they are and where they stand, each remembered by itself."""

from oddframe.methods.scene.detector import Scene

__all__ = ["Scene"]
