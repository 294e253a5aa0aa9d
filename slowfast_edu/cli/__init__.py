"""The command ``slowfast-edu``."""

import argparse
import sys
from collections.abc import Sequence

from slowfast_edu.cli.claims import add_claims
from slowfast_edu.cli.features import add_features
from slowfast_edu.cli.instructor import add_instructor
from slowfast_edu.cli.predict import add_predict
from slowfast_edu.cli.progress import add_progress
from slowfast_edu.cli.train import add_train


def _flops(arguments: argparse.Namespace) -> None:
    """Print cost and size of all presets beside what others report."""
    from slowfast_edu.analysis.table import cost_table

    print(cost_table(with_fvcore=arguments.fvcore))


def _fetch_weights(arguments: argparse.Namespace) -> None:
    """Download published weights and say where they are."""
    from slowfast_edu.checkpoints import fetch_weights

    where = {"folder": arguments.folder}
    if arguments.base_url:
        where["base_url"] = arguments.base_url
    path = fetch_weights(arguments.name, **where)
    print(path)


def _inspect(arguments: argparse.Namespace) -> int:
    """Say what a data set holds; 1 if some of its files cannot be used."""
    from slowfast_edu.checks import check_choice
    from slowfast_edu.config import PRESETS
    from slowfast_edu.data.formats import detect_format, read_annotations
    from slowfast_edu.data.survey import describe, survey

    check_choice("preset", arguments.preset, PRESETS)
    kind = arguments.format or detect_format(arguments.dataset)
    annotations = read_annotations(
        arguments.dataset, kind, arguments.root, arguments.first_second
    )
    print(f"format: {kind}")
    found = survey(annotations, arguments.fps, arguments.decode, progress=True)
    print(describe(found, PRESETS[arguments.preset].clip, arguments.preset))
    if found.unread:
        raise KeyboardInterrupt
    return 1 if found.problems else 0


def _add_inspect(commands) -> None:
    parser = commands.add_parser(
        "inspect", help="what a data set of videos holds, and which files are broken"
    )
    parser.add_argument(
        "dataset", metavar="DATASET", help="a folder with a folder a class, or a list"
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="folders, kinetics, pyslowfast, ucf101, labels or ava (default: by the "
        "first line)",
    )
    parser.add_argument("--root", help="where the videos are (default: beside the list)")
    parser.add_argument(
        "--first-second",
        type=float,
        default=0,
        metavar="SECONDS",
        help="of AVA's movies at which the files begin (900 where they were cut)",
    )
    parser.add_argument(
        "--preset",
        default="slowfast_8x8_r50",
        help="count the videos shorter than its raw clip (default: %(default)s)",
    )
    parser.add_argument(
        "--fps", type=float, help="count frames at this rate (default: each file's own)"
    )
    parser.add_argument(
        "--decode",
        action="store_true",
        help="decode every frame, to find damage inside files too",
    )
    parser.set_defaults(run=_inspect)


def _bench(arguments: argparse.Namespace) -> None:
    """Print how fast clips are rendered or trained on here."""
    from slowfast_edu import bench

    if arguments.what == "data":
        print(bench.rendering_table(list(bench.rendering_rates())))
    else:
        print(bench.training_table(bench.training_rate()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slowfast-edu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    flops = commands.add_parser(
        "flops", help="cost of every preset beside the reported figures"
    )
    flops.add_argument(
        "--fvcore",
        action="store_true",
        help="also run every model under fvcore (about a minute)",
    )
    flops.set_defaults(run=_flops)

    fetch = commands.add_parser(
        "fetch-weights", help="download PyTorchVideo's published Kinetics-400 weights"
    )
    fetch.add_argument(
        "name",
        metavar="NAME",
        help="a preset, such as slowfast_8x8_r50; a wrong one lists all",
    )
    fetch.add_argument("--folder", help="where to keep them (default: torch.hub's folder)")
    fetch.add_argument("--base-url", help="a mirror to ask in place of the publisher")
    fetch.set_defaults(run=_fetch_weights)

    _add_inspect(commands)
    add_train(commands)
    add_claims(commands)
    add_predict(commands)
    add_features(commands)
    add_progress(commands)
    add_instructor(commands)

    bench = commands.add_parser("bench", help="how fast things are on this machine")
    bench.add_argument(
        "what",
        choices=["data", "train"],
        help="data: rendering; train: steps of slowfast_tiny",
    )
    bench.set_defaults(run=_bench)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        The exit status: 0, or 1 after an error, which is one line on stderr, and where
        ``inspect`` found problems.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"slowfast-edu {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"slowfast-edu {arguments.command}: stopped", file=sys.stderr)
        return 130
