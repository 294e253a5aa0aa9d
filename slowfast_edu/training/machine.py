"""What a figure was measured on."""

import platform

import torch


def machine() -> str:
    """The kind of CPU, and the versions that decide how fast it is and how it rounds."""
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, 1 thread"
    return f"{kind}; Python {platform.python_version()}, torch {torch.__version__}"
