"""A widget: how long P-like averages, how coarsely M-like sees, and what each keeps."""

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.checks import check_count, check_frames, check_kernel
from slowfast_edu.config import LUMA
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.frames import mosaic
from slowfast_edu.viz.style import PATHWAY_COLORS, new_figure

WINDOWS, BLURS = (1, 2, 4, 8, 16, 32), (1, 3, 5, 9, 15)
SHOWN = np.arange(WINDOWS[-1] - 1, 64, 3)  # each has the longest window behind it
CONTRAST = 3  # a change of one third of the grey scale is drawn white or black
RATE = 30  # frames a second
FLICKER = 0.25  # cycles a frame at which M-like is shown stripes


def averaged(frames: np.ndarray, window: int) -> np.ndarray:
    """P-like: colour and every pixel, averaged over the last ``window`` frames.

    Args:
        frames: (T, H, W, C).
        window: frames; before the first one the video stood still.

    Returns:
        (T, H, W, C), float.

    >>> averaged(np.array([0.0, 4.0, 4.0]).reshape(3, 1, 1, 1), 2).ravel().tolist()
    [0.0, 2.0, 4.0]
    """
    check_count("window", window, 1)
    before = np.repeat(frames[:1], window, axis=0)
    long = np.concatenate([before, frames])
    sums = long.cumsum(axis=0, dtype=np.float32)  # exact for bytes
    return (sums[window:] - sums[:-window]) / window


def coarse_change(frames: np.ndarray, blur: int) -> np.ndarray:
    """M-like: luma, blurred over ``blur`` x ``blur`` pixels, minus that of a frame before.

    Args:
        frames: (T, H, W, 3).
        blur: pixels, odd; beyond the border everything is black, as in a convolution.

    Returns:
        (T, H, W), float; the first frame is 0.
    """
    check_kernel("blur", blur)
    grey = frames @ np.array(LUMA)
    for axis in (1, 2):
        widths = [(0, 0)] * 3
        widths[axis] = (blur // 2 + 1, blur // 2)
        sums = np.pad(grey, widths).cumsum(axis=axis)
        ends = np.arange(blur, sums.shape[axis])
        grey = (sums.take(ends, axis) - sums.take(ends - blur, axis)) / blur
    return np.diff(grey, axis=0, prepend=grey[:1])


def kept_by_average(cycles: np.ndarray, points: int) -> np.ndarray:
    """What an average over ``points`` neighbours leaves of a wave, 1 if all of it.

    Args:
        cycles: of the wave, per frame or per pixel, 0 to 0.5.
        points: frames or pixels that are averaged.

    >>> kept_by_average([0, 1 / 16, 1 / 32], 16).round(2).tolist()
    [1.0, 0.0, 0.64]
    """
    turn = np.pi * np.maximum(cycles, 1e-9)  # at 0 the limit, 1
    return np.abs(np.sin(points * turn) / (points * np.sin(turn)))


def eye_cells_figure(frames: np.ndarray, window: int = 16, blur: int = 9) -> Figure:
    """A video, what P-like and M-like keep of it, and of flicker and stripes.

    Args:
        frames: uint8 (64, H, W, 3), at 30 a second.
        window: frames that P-like averages.
        blur: pixels that M-like averages, each way; odd.

    Returns:
        The figure: three strips, and below what is kept in time and in space.

    Raises:
        ValueError: another number of frames, an even blur.
    """
    check_frames(frames)
    if len(frames) != 64:
        raise ValueError(f"frames has {len(frames)} frames, must have 64")
    slow = averaged(frames, window)[SHOWN].round().astype(np.uint8)
    change = 127.5 + CONTRAST * coarse_change(frames, blur)[SHOWN]
    quick = np.repeat(change.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=3)
    names = (
        "video",
        f"P-like\n{window} frame{'s' * (window > 1)}",
        f"M-like\n{blur} x {blur} pixels",
    )
    figure = new_figure(10, 4.8)
    parts = figure.subplot_mosaic([["film"] * 2, ["time", "space"]], height_ratios=[3.2, 2])
    rows = (frames[SHOWN], slow, quick)
    strips = np.concatenate([mosaic(row, len(row)) for row in rows])
    film = parts["film"]
    film.imshow(strips)
    film.set_yticks((np.arange(3) + 0.5) * len(strips) / 3, names)
    film.set_xticks((np.arange(len(SHOWN)) + 0.5) * strips.shape[1] / len(SHOWN), SHOWN)
    film.tick_params(length=0)
    film.spines[:].set_visible(False)
    _draw_kept(parts["time"], parts["space"], window, blur)
    return figure


def _draw_kept(time, space, window: int, blur: int) -> None:
    """How much of flicker, and of stripes, each of the two lets through."""
    cycles = np.linspace(0, 0.5, 201)
    p_like = {"color": PATHWAY_COLORS["slow"], "label": "P-like"}
    m_like = {"color": PATHWAY_COLORS["fast"], "linestyle": "--", "label": "M-like"}
    time.plot(RATE * cycles, kept_by_average(cycles, window), **p_like)
    time.plot(RATE * cycles, 2 * np.sin(np.pi * cycles), **m_like)
    space.plot(cycles, np.ones_like(cycles), **p_like)
    changing = 2 * np.sin(np.pi * FLICKER)
    space.plot(cycles, changing * kept_by_average(cycles, blur), **m_like)
    time.set(xlabel="flicker (cycles a second)", ylabel="share kept")
    space.set(xlabel="stripes (cycles a pixel)", xticks=[0, 0.1, 0.2, 0.3, 0.4, 0.5])
    time.set_xticks([0, 5, 10, 15])
    time.legend(frameon=False, loc="upper left")
    for axis in (time, space):
        axis.set(ylim=(-0.1, 2.1), yticks=[0, 1, 2])
        axis.spines[["top", "right"]].set_visible(False)


def _sentence(window: int, blur: int) -> str:
    """The picture in words, for who cannot see it, and what it would take to pass on."""
    slow = (
        f"averages {window} frames: detail stays, flicker of {RATE / window:.1f} cycles a "
        f"second is lost. One frame in {window} is {1 / window:.1%} of the video's numbers"
    )
    quick = (
        f"blurs {blur} x {blur} pixels: flicker stays, stripes of {blur} pixels are lost. "
        f"One number a square and frame is {1 / (3 * blur**2):.1%}"
    )
    if window == 1:
        slow = "averages nothing: it is the video, with 100% of its numbers"
    if blur == 1:
        quick = (
            f"blurs nothing: it is all change of luma, {1 / 3:.1%} of the video's numbers"
        )
    return f"P-like {slow}. M-like {quick}."


def eye_cells_explorer(frames: np.ndarray) -> Dialled:
    """Dials for P-like's window and M-like's blur over ``eye_cells_figure``.

    What they trade is what they would have to pass on: P-like changes slowly, so that one
    frame a window says most of it; M-like is coarse, so that one number a square does.

    Args, Raises: see ``eye_cells_figure``.
    """
    dials = {
        "window": widgets.SelectionSlider(
            options=WINDOWS, value=16, description="P-like averages frames"
        ),
        "blur": widgets.SelectionSlider(
            options=BLURS, value=9, description="M-like blurs pixels"
        ),
    }

    def draw(window: int, blur: int) -> tuple[Figure, str]:
        return eye_cells_figure(frames, window, blur), _sentence(window, blur)

    told = "dials for P-like's frames and M-like's pixels, and a picture that follows"
    return dialled(dials, draw, told)
