"""Settings for all tests."""

import os

import torch
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core already
    torch.set_num_threads(1)

# The same examples on each run and no time limit an example: a slow machine is no bug.
settings.register_profile("course", deadline=None, derandomize=True, database=None)
settings.load_profile("course")
