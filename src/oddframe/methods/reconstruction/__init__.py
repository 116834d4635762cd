"""Reconstruction autoencoders: learn to copy normal clips; what is copied badly is anomalous."""

from oddframe.methods.reconstruction.detector import C3D, ConvLSTM, ReconstructionOptions

__all__ = ["C3D", "ConvLSTM", "ReconstructionOptions"]
