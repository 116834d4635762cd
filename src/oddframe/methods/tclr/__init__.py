"""Temporal contrastive learning (TCLR)."""

from oddframe.methods.tclr.detector import TCLR

__all__ = ["TCLR"]
