"""FlowGrid: optical flow on a grid against remembered normal windows."""

from oddframe.methods.flowgrid.detector import FlowGrid

__all__ = ["FlowGrid"]
