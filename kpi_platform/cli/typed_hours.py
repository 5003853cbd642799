"""Hours as people type them after `--from`, `--to` and `--start`.

Belongs here: reading one, and saying what is wrong with it. Does not: what is done with it.
"""

from datetime import UTC, datetime

import typer


def typed_hour(text: str) -> datetime:
    """A partition key as an hour (UTC). Raises typer.BadParameter for anything else."""
    # Settings take time to load, which `--help` does not need.
    from kpi_platform.settings import PARTITION_FORMAT

    try:
        hour = datetime.strptime(text, PARTITION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        hour = None
    if hour is None or hour.minute:
        raise typer.BadParameter(f"{text!r} is no full hour; write it as 2026-01-01-05:00")
    return hour


def typed_instant(text: str) -> datetime:
    """A time with its offset; without one it is UTC. Raises typer.BadParameter otherwise."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time; write it as 2026-01-02T03:04:05Z") from None
