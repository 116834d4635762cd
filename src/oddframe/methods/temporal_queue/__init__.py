"""Temporal-queue contrastive learning."""

from oddframe.methods.temporal_queue.detector import TemporalQueue

__all__ = ["TemporalQueue"]
