"""The command ``slowfast-edu``."""

import argparse
import sys
from collections.abc import Sequence


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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        The exit status: 0, or 1 after an error, which is one line on stderr.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (OSError, ValueError) as error:
        print(f"slowfast-edu {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"slowfast-edu {arguments.command}: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
