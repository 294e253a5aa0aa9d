"""Weights in and out: PyTorchVideo, PySlowFast and Caffe2 checkpoints, and our own.

Read ``reading`` (a file that nobody vouches for), ``key_maps`` (what others call the
parts), ``loading`` (into a model), ``about`` and ``whole`` (a model with all that a user
must know of it, in one file); ``download`` fetches what is published.
"""

from slowfast_edu.checkpoints.about import About, about_of, as_metadata
from slowfast_edu.checkpoints.download import fetch_weights
from slowfast_edu.checkpoints.loading import LoadReport, load_checkpoint
from slowfast_edu.checkpoints.reading import CheckpointError, read_checkpoint
from slowfast_edu.checkpoints.whole import load_model, save_checkpoint

__all__ = [
    "About",
    "CheckpointError",
    "LoadReport",
    "about_of",
    "as_metadata",
    "fetch_weights",
    "load_checkpoint",
    "load_model",
    "read_checkpoint",
    "save_checkpoint",
]
