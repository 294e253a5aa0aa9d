"""``slowfast-edu progress``: which exercises are done."""

import argparse


def add_progress(commands) -> None:
    """Add the command to those of ``slowfast-edu``."""
    parser = commands.add_parser(
        "progress", help="which exercises of the course you have passed, and the next one"
    )
    parser.set_defaults(run=_progress)


def _progress(arguments: argparse.Namespace) -> None:
    from slowfast_edu.exercises import EXERCISES, progress_folder, read_progress
    from slowfast_edu.exercises.board import progress_table

    print(progress_table(EXERCISES, read_progress()))
    print(f"kept in {progress_folder()}, on this machine only")
