"""What dbt is told to build: everything anew, or what an update of this very project needs.

Belongs here: dbt's arguments. Does not: running it (dbt_run.py), and what its macros make of them.
"""

from collections.abc import Sequence
from pathlib import Path

BUILD = ("build", "--exclude-resource-type", "unit_test")
# What all that reads events reads: made anew in every run, and gone with it.
EVENTS = "attributed_events"
# Views and seeds are as this very project made them: an update leaves them alone, not their tests.
_UPDATED = ("config.materialized:incremental", "config.materialized:table", "resource_type:test")


def changed_extent(
    state: Path, changed: Sequence[str], done: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The same for what a changed project builds anew: what differs from the manifest in the folder
    `state`, by dbt's own judgement and by ours (`changed`), with all that depends on it, but for
    what is `done`."""
    chosen = ["--select", EVENTS, "state:modified+", *(f"{name}+" for name in changed)]
    left = ["--exclude", *done] if done else []
    return ["--full-refresh", *chosen, *left, "--state", str(state)], {}


def extent(*, full_refresh: bool) -> tuple[list[str], dict[str, str]]:
    """How much is built: dbt's arguments, and variables of its environment.

    Without `full_refresh` it is an update, right only where this very project built everything
    before. A variable tells the macros so (dbt/macros/materializations.sql).
    """
    if full_refresh:
        return ["--full-refresh"], {}
    return ["--select", *_UPDATED], {"KPI_PROJECT_IS_BUILT": "true"}
