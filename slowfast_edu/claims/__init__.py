"""Which of the paper's claims a laptop can see: small trainings, their seeds, a table.

Read ``runs`` (what is trained), ``ledger`` (which claim takes which runs, and the table
that is kept), ``running`` (training them all, a file a run).
"""

from slowfast_edu.claims.ledger import CLAIMS, Claim, kept_runs, ledger_rows, read_ledger
from slowfast_edu.claims.runs import RUNS, Data, KeyframeRun, Run

__all__ = [
    "CLAIMS",
    "RUNS",
    "Claim",
    "Data",
    "KeyframeRun",
    "Run",
    "kept_runs",
    "ledger_rows",
    "read_ledger",
]
