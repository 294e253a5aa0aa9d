"""What a data set of videos holds, and which of its files cannot be used, and why."""

import sys
from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from tqdm import tqdm

from slowfast_edu.config import ClipConfig
from slowfast_edu.data.annotations import Annotations
from slowfast_edu.data.ava import KeyframeAnnotations
from slowfast_edu.data.batches import Problem
from slowfast_edu.data.video import Video, VideoError, VideoInfo


class Survey(NamedTuple):
    """What was found.

    Attributes:
        annotations: the data set.
        infos: of every video that could be read, under its name.
        problems: of every other one.
        unread: how many were left when somebody pressed Ctrl-C; 0 if nobody did.
    """

    annotations: Annotations | KeyframeAnnotations
    infos: dict[str, VideoInfo]
    problems: list[Problem]
    unread: int


def survey(
    annotations: Annotations | KeyframeAnnotations,
    frames_per_second: float | None = None,
    decode: bool = False,
    progress: bool = False,
) -> Survey:
    """Open every video once; a broken one becomes a problem, never an exception.

    Args:
        annotations: of any reader.
        frames_per_second: count frames at this rate; None takes each file's own.
        decode: also decode every frame, which finds damage that headers do not tell.
        progress: show a bar on stderr.
    """
    names = _names(annotations)
    infos, problems, opened = {}, [], 0
    try:
        for name in tqdm(names, unit="video", file=sys.stderr, disable=not progress):
            path = annotations.root / name
            try:
                video = Video(path, frames_per_second)
                if decode:
                    video.check_frames()
                infos[name] = video.info
            except VideoError as error:
                problems.append(Problem(name, str(error)))
            opened += 1
    except KeyboardInterrupt:
        pass  # the caller tells by ``unread``, and has what was found so far
    problems += _late_keyframes(annotations, infos)
    return Survey(annotations, infos, problems, len(names) - opened)


def describe(found: Survey, clip: ClipConfig, clip_name: str) -> str:
    """A survey as text: classes, lengths, rates, sizes, short videos, problems.

    Args:
        found: of ``survey``.
        clip: whose raw frames a video should have.
        clip_name: what the text calls it, such as a preset.
    """
    infos = list(found.infos.values())
    lines = [*_class_table(found.annotations), ""]
    if infos:
        rates = Counter(f"{info.frames_per_second:.5g} fps" for info in infos)
        sizes = Counter(f"{info.width}x{info.height}" for info in infos)
        short = sum(info.frames < clip.raw_frames for info in infos)
        lines += [
            f"frames: {_spread([info.frames for info in infos])}",
            f"seconds: {_spread([info.seconds for info in infos])}",
            f"rates: {_listed(rates)}",
            f"sizes: {_listed(sizes)}",
            f"shorter than the {clip.raw_frames} raw frames of {clip_name}: "
            f"{short} of {len(infos)}",
        ]
    if found.unread:
        lines.append(f"not opened, for it was stopped: {found.unread} videos")
    lines.append(f"problems: {len(found.problems)}")
    lines += [f"  {problem.message}" for problem in found.problems]
    return "\n".join(lines)


def _names(annotations: Annotations | KeyframeAnnotations) -> list[str]:
    """Every video once, in order."""
    if isinstance(annotations, KeyframeAnnotations):
        return list(dict.fromkeys(k.name for k in annotations.keyframes))
    return [video.name for video in annotations.videos]


def _counts(annotations: Annotations | KeyframeAnnotations) -> Counter:
    """How often each label occurs: videos, or people at keyframes."""
    if isinstance(annotations, KeyframeAnnotations):
        people = (person for k in annotations.keyframes for person in k.people)
        return Counter(label for person in people for label in person.labels)
    if annotations.several_labels:
        return Counter(label for video in annotations.videos for label in video.label)
    return Counter(video.label for video in annotations.videos)


def _late_keyframes(annotations, infos: dict[str, VideoInfo]) -> list[Problem]:
    if not isinstance(annotations, KeyframeAnnotations):
        return []
    late = {}
    for keyframe in annotations.keyframes:
        info = infos.get(keyframe.name)
        if info and keyframe.seconds >= info.seconds:
            late.setdefault(keyframe.name, []).append(keyframe.seconds)
    return [
        Problem(
            name,
            f"{annotations.root / name}: {len(seconds)} keyframes are after the end at "
            f"{infos[name].seconds:g} s, the first at {min(seconds):g} s; see first_second",
        )
        for name, seconds in late.items()
    ]


def _class_table(annotations: Annotations | KeyframeAnnotations) -> list[str]:
    counts = _counts(annotations)
    keyframes = isinstance(annotations, KeyframeAnnotations)
    what = "people" if keyframes else "videos"
    width = max(len("class"), *map(len, annotations.classes))
    head = f"{annotations.root}: {len(_names(annotations))} videos, "
    if keyframes:
        head += f"{len(annotations.keyframes)} keyframes, "
    rows = [
        f"{name:<{width}}  {counts[label]:>7,}"
        for label, name in enumerate(annotations.classes)
    ]
    title = f"{'class':<{width}}  {what:>7}"
    return [f"{head}{len(annotations.classes)} classes", "", title, *rows]


def _spread(values: Iterable[float]) -> str:
    values = sorted(values)
    least, most = values[0], values[-1]
    return f"least {least:.6g}, median {median(values):.6g}, most {most:.6g}"


def _listed(counts: Counter) -> str:
    return ", ".join(f"{value} ({count})" for value, count in counts.most_common())
