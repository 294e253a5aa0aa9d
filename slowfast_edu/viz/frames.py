"""Frames beside each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.config import ClipConfig
from slowfast_edu.data.figures import Task
from slowfast_edu.sampling import fast_indices
from slowfast_edu.viz.style import new_figure


def mosaic(frames: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Frames side by side, white between them: (T, H, W, 3) -> one picture (H', W', 3).

    Rows have ``columns`` frames; the last is filled up with white.

    >>> mosaic(np.zeros((5, 8, 8, 3), dtype=np.uint8), columns=3).shape
    (20, 30, 3)
    """
    rows = -(-len(frames) // columns)
    count, height, width, _ = frames.shape
    tall, wide = height + gap, width + gap
    tiles = np.full((rows * columns, tall, wide, 3), 255, dtype=np.uint8)
    tiles[:count, :height, :width] = frames
    tiles = tiles.reshape(rows, columns, tall, wide, 3)
    return tiles.swapaxes(1, 2).reshape(rows * tall, columns * wide, 3)


def strips(rows: dict[str, np.ndarray], labels: Sequence[object] = ()) -> Figure:
    """Rows of frames side by side, each with its name.

    Args:
        rows: {name: uint8 (T, H, W, 3)}, all of one shape.
        labels: written under the columns, one a frame; such as raw-frame numbers.

    Returns:
        The figure.
    """
    shape = next(iter(rows.values())).shape
    figure = new_figure(12, 0.5 + len(rows) * 11 * shape[1] / shape[0] / shape[2])
    axis = figure.subplots()
    joined = np.concatenate([mosaic(frames, len(frames)) for frames in rows.values()])
    axis.imshow(joined)
    height, width = len(joined) / len(rows), joined.shape[1] / shape[0]
    axis.set_yticks((np.arange(len(rows)) + 0.5) * height, list(rows))
    axis.set_xticks((np.arange(len(labels)) + 0.5) * width, list(map(str, labels)))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def task_strips(
    task: Task, clip: ClipConfig, columns: int = 12, seed: int = 0, size: int = 96
) -> Figure:
    """One clip of each case of a rendered task, all from one generator.

    So rows differ in what the task controls, and in nothing else.

    Args:
        task: such as ``Spin()``.
        clip: whose first Fast frames are shown.
        columns: how many.
        seed: another one shows other clothes and places.
        size: of a frame in pixels.

    Returns:
        The figure.

    Raises:
        ValueError: a clip with which the task would not be what it says.
    """
    task.check(clip)
    times = fast_indices(clip)[:columns]
    rows = {}
    for case, name in enumerate(task.case_names):
        scene = task.render(case, np.random.default_rng(seed), times, size)
        rows[name] = scene.frames
    return strips(rows, times)
