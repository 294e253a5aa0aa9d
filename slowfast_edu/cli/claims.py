"""``slowfast-edu claims``: train the ledger's small runs and print what they show."""

import argparse
from importlib.resources import files
from pathlib import Path

SEEDS = 3
# One seed of what shows the mechanisms, and of the comparison that the paper begins with.
QUICK_CLAIMS = 4


def add_claims(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "claims",
        help="train small models to see which of the paper's claims show",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        action="store_true",
        help="one seed of the first claims; changes no kept figure (the default)",
    )
    size.add_argument(
        "--full",
        action="store_true",
        help=f"{SEEDS} seeds of everything, and keep the table (1 to 2 hours on two cores)",
    )
    size.add_argument(
        "--shipped",
        action="store_true",
        help="measure the trained slowfast_tiny anew on all styles, and keep that table",
    )
    parser.add_argument(
        "--only", metavar="TASK", help="spin, hue, binding, actions or crowd"
    )
    parser.add_argument(
        "--folder",
        default="claims_runs",
        help="where single runs are kept; the same command goes on (default: %(default)s)",
    )
    parser.add_argument("--processes", type=int, help="at once (default: one a core)")
    parser.set_defaults(run=run_claims)


def _asked(arguments: argparse.Namespace) -> list:
    """The runs that the claims asked for take."""
    from slowfast_edu.checks import check_choice
    from slowfast_edu.claims import CLAIMS, RUNS

    claims = CLAIMS if arguments.full else CLAIMS[:QUICK_CLAIMS]
    wanted = {(claim.task, model) for claim in claims for model in claim.models}
    if arguments.only is not None:
        check_choice("--only", arguments.only, sorted({task for task, _ in RUNS}))
        wanted = {name for name in wanted if name[0] == arguments.only}
    return [run for name, run in RUNS.items() if name in wanted]


def run_claims(arguments: argparse.Namespace) -> None:
    """Train what is missing, print the table, and with ``--full`` keep it."""
    import json

    results = Path(str(files("slowfast_edu.results")))
    if arguments.shipped:
        _measure_shipped(results)
        return
    from slowfast_edu.claims.ledger import as_csv, as_text, ledger_rows
    from slowfast_edu.claims.running import run_all
    from slowfast_edu.files import write_whole

    command = "slowfast-edu claims " + ("--full" if arguments.full else "--quick")
    seeds = range(SEEDS if arguments.full else 1)
    folder = Path(arguments.folder)
    records = run_all(_asked(arguments), seeds, folder, arguments.processes)
    rows = ledger_rows(records, command)
    print(as_text(rows))
    if not arguments.full or arguments.only:
        print("not kept: that takes --full, without --only")
        return
    lines = "".join(json.dumps(record) + "\n" for record in records)
    write_whole(results / "claims_runs.jsonl", lines.encode())
    write_whole(results / "claims.csv", as_csv(rows).encode())
    print(f"kept in {results / 'claims.csv'}, single runs beside it")


def _measure_shipped(results: Path) -> None:
    from slowfast_edu.claims.shipped import TABLE, shipped_table
    from slowfast_edu.files import write_whole

    table = shipped_table()
    print(table, end="")
    write_whole(results / TABLE, table.encode())
