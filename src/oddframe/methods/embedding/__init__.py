"""Frozen space-time encoders with a head on top."""

from oddframe.methods.embedding.detector import Embedding

__all__ = ["Embedding"]
