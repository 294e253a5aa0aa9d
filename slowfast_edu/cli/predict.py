"""``slowfast-edu predict``: what happens in videos, and with ``--window`` when."""

import argparse
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from slowfast_edu.cli.asked import SHIPPED, add_asked, trained_model, video_paths

BAR = 20  # characters of a certain class


def add_predict(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "predict",
        help="what happens in videos, by a trained model; with --window also when",
        epilog=SHIPPED,
    )
    add_asked(parser)
    add = parser.add_argument
    add("--views", metavar="CLIPSxCROPS", help="of each video (default: 10x3)")
    add("--top", type=int, metavar="K", help="classes to print (default: 5)")
    add(
        "--window",
        type=float,
        metavar="SECONDS",
        help="slide over each video, and print when each action starts and ends",
    )
    add("--film", metavar="FOLDER", help="write a PNG of what Slow and Fast saw of each")
    add("--json", action="store_true", help="print a line of JSON for each video")
    parser.set_defaults(run=run_predict)


def run_predict(arguments: argparse.Namespace) -> int:
    """Predict video by video; 1 if one of them cannot be read."""
    from slowfast_edu.checks import check_count
    from slowfast_edu.cli.clips import views_of
    from slowfast_edu.data.video import VideoError

    whole = arguments.views, arguments.top
    if arguments.window is not None and whole != (None, None):
        raise ValueError(
            "--views and --top are for whole videos; leave them out with --window"
        )
    views, top = views_of(arguments.views or "10x3"), arguments.top
    top = 5 if top is None else top
    check_count("--top", top)
    paths, broken = video_paths(arguments.videos, "predict")
    if not paths:
        return 1
    films = _film_names(paths)
    model = trained_model(arguments)
    for number, path in enumerate(paths):
        try:
            if arguments.window is None:
                told, lines = _whole(model, path, views, top, arguments.fps)
            else:
                told, lines = _timeline(model, path, arguments.window, arguments.fps)
            if arguments.film:
                film = Path(arguments.film) / films[number]
                _film(model, path, film, arguments.fps)
                told["film"], lines = str(film), [*lines, f"  film: {film}"]
        except VideoError as error:
            broken += 1
            told, lines = {"video": str(path), "error": str(error)}, []
            if not arguments.json:
                print(f"slowfast-edu predict: {error}", file=sys.stderr)
        if arguments.json:
            print(json.dumps(told), flush=True)
        elif lines:
            blank = "\n" if number < len(paths) - 1 else ""
            print(f"{path}", *lines, sep="\n", end=f"\n{blank}", flush=True)
    return 1 if broken else 0


def _whole(model, path: Path, views: tuple[int, int], top: int, rate: float | None):
    """(what JSON says, lines of text) of a video's classes."""
    from slowfast_edu.applications.predict import predict_video

    clips, crops = views
    found = predict_video(model, path, clips=clips, crops=crops, frames_per_second=rate)
    names, chances = zip(*found.top(top), strict=True)
    told = {
        "video": str(path),
        "classes": names,
        "probabilities": chances,
        "seconds_reading": round(found.seconds_reading, 3),
        "seconds_computing": round(found.seconds_computing, 3),
        "memory_bytes": _number(found.memory_bytes),
    }
    width = max(map(len, names))
    lines = [
        f"  {name:<{width}}  {chance:>6.1%}  {'#' * round(BAR * chance)}".rstrip()
        for name, chance in zip(names, chances, strict=True)
    ]
    lines.append(
        f"  {clips} x {crops} views; reading {found.seconds_reading:.1f} s, computing "
        f"{found.seconds_computing:.1f} s, peak memory {_megabytes(found.memory_bytes)}"
    )
    return told, lines


def _timeline(model, path: Path, window: float, rate: float | None):
    """(what JSON says, lines of text) of when what happens."""
    from slowfast_edu.applications.predict import class_names
    from slowfast_edu.applications.windows import segments, slide
    from slowfast_edu.checkpoints import about_of
    from slowfast_edu.training.preview import peak_bytes

    if about_of(model).several_labels:
        raise ValueError(
            "--window names one action at a time; this model gives several labels a clip"
        )
    started = time.perf_counter()
    rest = {"frames_per_second": rate, "progress": sys.stderr.isatty()}
    windows = list(slide(model, path, window_seconds=window, **rest))
    found = segments(windows, class_names(model, len(windows[0].probabilities)))
    seconds = time.perf_counter() - started
    memory = peak_bytes(next(model.parameters()).device)
    told = {
        "video": str(path),
        "segments": [segment._asdict() for segment in found],
        "seconds": round(seconds, 3),
        "memory_bytes": _number(memory),
    }
    width = max(len("action"), *(len(segment.label) for segment in found))
    lines = [f"  {'start':>9}  {'end':>9}  {'action':<{width}}  confidence"]
    for label, start, end, confidence in found:
        times = f"{_clock(start):>9}  {_clock(end):>9}"
        lines.append(f"  {times}  {label:<{width}}  {confidence:>10.1%}")
    lines.append(
        f"  {_windows(len(windows), windows[0].end_seconds, window)}; {seconds:.1f} s in "
        f"all, peak memory {_megabytes(memory)}"
    )
    return told, lines


def _windows(count: int, length: float, asked: float) -> str:
    """How many windows of which length, and why they are shorter than asked.

    >>> _windows(5, 4.0, 4), _windows(1, 1.0, 4)
    ('5 windows of 4 s', '1 window of 1 s, for the video is shorter than 4 s')
    """
    said = f"{count} window{'s' * (count > 1)} of {length:.4g} s"
    if count > 1 or length > 0.999 * asked:
        return said
    return f"{said}, for the video is shorter than {asked:g} s"


def _film_names(paths: Sequence[Path]) -> list[str]:
    """A name of its own for each video's film; stems that occur twice are numbered.

    >>> _film_names([Path("a-1.mp4"), Path("a.mp4"), Path("d/a.mp4"), Path("b.mp4")])
    ['a-1.png', 'a-2.png', 'a-3.png', 'b.png']
    """
    count = Counter(path.stem.casefold() for path in paths)
    taken, names = set(count), []
    for path in paths:
        name = path.stem
        if count[name.casefold()] > 1:
            numbered = (f"{path.stem}-{number}" for number in itertools.count(1))
            name = next(name for name in numbered if name.casefold() not in taken)
            taken.add(name.casefold())
        names.append(f"{name}.png")
    return names


def _film(model, path: Path, film: Path, rate: float | None) -> None:
    """Write what the pathways see of the middle clip."""
    from slowfast_edu.applications.predict import middle_clip
    from slowfast_edu.files import write_whole
    from slowfast_edu.viz.filmstrip import filmstrip
    from slowfast_edu.viz.style import png

    clip, numbers, shown_at = middle_clip(model, path, frames_per_second=rate)
    figure = filmstrip(clip, model.config, numbers, shown_at, path.name)
    film.parent.mkdir(parents=True, exist_ok=True)
    write_whole(film, png(figure))


def _clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any: 1:02:03.4.

    >>> _clock(599.96), _clock(3723.4)
    ('10:00.0', '1:02:03.4')
    """
    tenths = round(10 * seconds)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def _megabytes(count: float) -> str:
    return "not known" if math.isnan(count) else f"{count / 1e6:,.0f} MB"


def _number(count: float) -> int | None:
    """JSON has no NaN."""
    return None if math.isnan(count) else int(count)
