"""A film of one clip on its way through both pathways, as an animated GIF."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor, nn

from slowfast_edu.checks import check_frames, check_model, check_output
from slowfast_edu.data.transforms import normalize
from slowfast_edu.models.inputs import split_pathways
from slowfast_edu.models.slowfast import LAYERS
from slowfast_edu.sampling import fast_indices, slow_positions
from slowfast_edu.viz.film_page import BAR, BAR_LENGTH, EDGE, NUMBER, Film, FilmPage
from slowfast_edu.viz.style import GREY

# Seconds that a picture stands; none changes more than three times in one.
OPENING, ENTERING, WORKING, ENDING = 2.0, 0.35, 0.9, 3.0
HEAT = "viridis"
NOTE = (
    "Numbers are raw frames. A map is the mean over channels; colours go from the least of "
    "a row and pathway (dark) to the largest (yellow)."
)
LIKELIEST = 5  # classes that get a bar
GIF_COLORS = 255  # of 256: the last one is to say that a pixel stays as it is


class _Run(NamedTuple):
    """What a clip becomes: maps (frames, H, W), means over channels.

    Attributes:
        maps: {"slow.conv1": ..., "lateral.pool1": what the lateral hands over, ...}.
        channels: as many as each has.
        probabilities: of the classes.
    """

    maps: dict[str, np.ndarray]
    channels: dict[str, int]
    probabilities: list[float]


@torch.no_grad()
def _run(model: nn.Module, clip: Tensor) -> _Run:
    """The forward pass layer by layer, in eval mode, keeping what comes out of each."""
    maps, channels = {}, {}

    def keep(name: str, features: Tensor) -> None:
        maps[name] = features[0].mean(dim=0).cpu().numpy()
        channels[name] = features.shape[1]

    slow, fast = split_pathways(clip, model.config)
    was_training = model.training
    model.eval()
    for layer in LAYERS:
        slow, fast = getattr(model.slow, layer)(slow), getattr(model.fast, layer)(fast)
        keep(f"slow.{layer}", slow)
        keep(f"fast.{layer}", fast)
        if layer in model.lateral:
            keep(f"lateral.{layer}", model.lateral[layer].to_slow_frames(fast))
            slow = model.lateral[layer](slow, fast)
    scores = model.head(slow, fast)[0]
    model.train(was_training)
    return _Run(maps, channels, scores.softmax(dim=0).tolist())


def _heat(maps: np.ndarray) -> np.ndarray:
    """(frames, H, W) -> uint8 colours, from the least value of all to the largest."""
    least, most = maps.min(), maps.max()
    scaled = (maps - least) / ((most - least) or 1)
    return (255 * colormaps[HEAT](scaled)[..., :3]).round().astype(np.uint8)


def _open(page: FilmPage, numbers: dict[str, list[int]], run: _Run) -> None:
    """Headings, names of stages with the size of their maps, and empty places."""
    for row, stage in enumerate(("data", *LAYERS)):
        _, y = page.place("slow", row, 0)
        page.text(EDGE, y, stage, weight="bold")
        if row:
            height, width = run.maps[f"slow.{stage}"].shape[1:]
            page.text(EDGE, y + 15, f"{height}x{width}", size=11)
    for pathway, frames in numbers.items():
        page.heading(pathway, f"{pathway.capitalize()}: {len(frames)} frames", len(frames))
        for column, number in enumerate(frames):
            x, y = page.place(pathway, 0, column)
            if column % -(-NUMBER // page.pitch) == 0:
                page.text(x + page.tile / 2, y - 4, str(number), size=11, anchor="ms")
            for row in range(1 + len(LAYERS)):
                page.empty(pathway, row, column)
    if "lateral.pool1" in run.maps:
        page.heading("lateral", "Lateral", len(numbers["slow"]))
    page.text(EDGE, page.image.height - 22, NOTE)


def _enter(page: FilmPage, frames: np.ndarray, positions: list[int]) -> None:
    """One frame after the other, into Fast, and some of them into Slow as well."""
    for number, frame in enumerate(frames):
        page.paste("fast", 0, number, frame)
        if number in positions:
            page.paste("slow", 0, positions.index(number), frame)
        page.shoot(ENTERING)


def _work(page: FilmPage, run: _Run, sums: bool) -> None:
    """Layer after layer: first both pathways, then what the lateral hands over."""
    for row, layer in enumerate(LAYERS, start=1):
        slow, fast = (run.channels[f"{pathway}.{layer}"] for pathway in ("slow", "fast"))
        page.caption(f"{layer} in each pathway: {slow} channels in Slow, {fast} in Fast.")
        for pathway in ("slow", "fast"):
            for column, picture in enumerate(_heat(run.maps[f"{pathway}.{layer}"])):
                page.paste(pathway, row, column, picture)
        page.shoot(WORKING)
        lateral = f"lateral.{layer}"
        if lateral not in run.maps:
            continue
        maps, added = run.maps[lateral], run.channels[lateral]
        joined = "added to" if sums else "put beside"
        page.caption(
            f"Lateral after {layer}: Fast's {len(run.maps[f'fast.{layer}'])} frames become "
            f"{len(maps)}, their {added} channels are {joined} Slow's {slow}."
        )
        for column, picture in enumerate(_heat(maps)):
            page.paste("lateral", row, column, picture)
        page.arrow("fast", row)
        page.arrow("lateral", row)
        page.shoot(WORKING)


def _end(page: FilmPage, run: _Run, classes: Sequence[str]) -> None:
    """The likeliest classes as bars."""
    slow, fast = (run.channels[f"{pathway}.{LAYERS[-1]}"] for pathway in ("slow", "fast"))
    order = np.argsort(-np.array(run.probabilities), kind="stable")[:LIKELIEST]
    page.caption(
        f"Averages over time and space, {slow} + {fast} = {slow + fast} numbers, decide: "
        f"{classes[order[0]]}."
    )
    _, top = page.place("slow", 1 + len(LAYERS), 0)
    left = page.left["slow"] + 130
    for place, number in enumerate(order):
        y = top + 8 + place * (BAR + 5)
        share = run.probabilities[number]
        page.text(left - 8, y + 1, classes[number], size=13, anchor="ra")
        end = left + round(BAR_LENGTH * share)
        page.draw.rectangle((left, y, end, y + BAR - 1), fill=GREY)
        page.text(end + 8, y + 1, f"{share:.1%}", size=13)
    page.shoot(ENDING)


def _checked(model: nn.Module, frames: np.ndarray) -> None:
    check_model(model)
    check_frames(frames)
    clip = model.config.clip
    pathways = getattr(model.config, "pathways", "backbone")
    sees = getattr(model.config, "fast_input", "rgb")
    if (pathways, sees) != ("slowfast", "rgb"):
        raise ValueError(
            f"pathways={pathways!r} and fast_input={sees!r}: a film shows both pathways, "
            "'slowfast', on frames in colour, 'rgb'"
        )
    if len(frames) != clip.fast_frames:
        raise ValueError(
            f"{len(frames)} frames, must be alpha * T = {clip.fast_frames}, what Fast "
            "sees: read_clip(path, model.config.clip)"
        )


def film(model: nn.Module, frames: np.ndarray, classes: Sequence[str]) -> Film:
    """Show one clip pass through: frames, each stage's maps, laterals, probabilities.

    A map is the mean over a stage's channels (Slow's own), one for each frame. Its
    colours go from the least value (dark) to the largest (yellow) of its stage and
    pathway, so frames can be compared, but not stages. In the model all frames of a
    stage are computed at once.

    Args:
        model: with both pathways, trained; on any device, left as it was.
        frames: uint8 (alpha * T, H, W, 3): what Fast sees, at the model's size.
        classes: names of the model's scores.

    Raises:
        TypeError: not a model of this library.
        ValueError: one pathway only; frames or names that are not as many as needed.
    """
    _checked(model, frames)
    clip = model.config.clip
    run = _run(model, normalize(frames).to(next(model.parameters()).device))
    if len(classes) != len(run.probabilities):
        raise ValueError(
            f"{len(classes)} classes for {len(run.probabilities)} scores; give a name each"
        )
    positions = slow_positions(len(frames), clip.alpha, clip.frame_rule).tolist()
    fast = fast_indices(clip).tolist()
    numbers = {"slow": [fast[i] for i in positions], "fast": fast}
    page = FilmPage(clip.T, clip.fast_frames, "lateral.pool1" in run.maps)
    _open(page, numbers, run)
    page.caption(
        "One clip on its way through SlowFast: Slow on the left, Fast on the right."
    )
    page.shoot(OPENING)
    page.caption(
        f"Out of {clip.raw_frames} raw frames Fast gets {clip.fast_frames}, and Slow "
        f"{clip.T} of those."
    )
    _enter(page, frames, positions)
    _work(page, run, sums=model.config.fusion == "ttoc_sum")
    _end(page, run, classes)
    return page.film


def save_film(film: Film, path: str | os.PathLike) -> None:
    """Write an animated GIF that plays once and then stands on its last picture.

    All pictures share the last one's colours, so what has not changed costs nothing.

    Args:
        film: of ``film``.
        path: ends in .gif; a file that is there is replaced.

    Raises:
        ValueError: another ending.
        FileNotFoundError: there is no such folder.
    """
    path = check_output("path", path, ".gif")
    palette = film.pictures[-1].quantize(GIF_COLORS, Image.Quantize.MAXCOVERAGE)
    plain = Image.Dither.NONE
    first, *others = (p.quantize(palette=palette, dither=plain) for p in film.pictures)
    milliseconds = [round(1000 * seconds) for seconds in film.seconds]
    first.save(path, save_all=True, append_images=others, duration=milliseconds)
