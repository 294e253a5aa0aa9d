"""``slowfast-edu features``: what a trained model sees in videos, as arrays."""

import argparse
import sys
from collections import Counter

from slowfast_edu.cli.asked import SHIPPED, add_asked, trained_model, video_paths


def add_features(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "features",
        help="pooled features of videos, of either pathway at any stage, as .npz",
        epilog="np.load(FILE) gives names (videos,) and under the name of each stage "
        f"(videos, clips, channels). {SHIPPED}",
    )
    add_asked(parser)
    add = parser.add_argument
    add(
        "--stages",
        nargs="+",
        default=["res5"],
        metavar="STAGE",
        help="slow.res5, fast.res4, ...; res5 means that of each pathway (the default)",
    )
    add("--clips", type=int, default=10, help="of each video (default: %(default)s)")
    add("--output", required=True, metavar="FILE", help="to be written; ends in .npz")
    parser.set_defaults(run=run_features)


def run_features(arguments: argparse.Namespace) -> int:
    """Write the features of all videos that can be read; 1 if some cannot."""
    from slowfast_edu.applications.features import (
        check_npz,
        save_features,
        video_features,
    )
    from slowfast_edu.checks import check_count
    from slowfast_edu.data.video import VideoError

    check_npz(arguments.output)
    check_count("--clips", arguments.clips)
    paths, broken = video_paths(arguments.videos, "features")
    if not paths:
        return 1
    count, found = Counter(paths), {}
    twice = ", ".join(str(path) for path in count if count[path] > 1)
    if twice:
        said = f"given more than once, and written once: {twice}"
        print(f"slowfast-edu features: {said}", file=sys.stderr)
    model = trained_model(arguments)
    for path in count:
        try:
            found[str(path)] = video_features(
                model,
                path,
                arguments.stages,
                clips=arguments.clips,
                frames_per_second=arguments.fps,
            )
        except VideoError as error:
            broken += 1
            print(f"slowfast-edu features: {error}", file=sys.stderr)
    save_features(arguments.output, found)
    print(f"{arguments.output}: {len(found)} videos x {arguments.clips} clips")
    for stage, rows in next(iter(found.values())).items():
        print(f"  {stage:<15}{rows.shape[1]:>5} channels")
    return 1 if broken else 0
