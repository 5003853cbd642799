"""Replays real weekly aggregates by version as telemetry, session by session.

Belongs here: turning the aggregates into landing files. Does not: the synthetic world, comparing
what the platform made of them.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

WEEK_SECONDS = 7 * 24 * 3600
_PLATFORMS = ("windows", "macos", "linux")


@dataclass(frozen=True)
class WeekOfVersion:
    """A row of the aggregates: a version's sessions, players and seconds in a week."""

    week_start: datetime
    version: str
    sessions: int
    players: int
    seconds: int
    seconds_crash: int
    seconds_by_platform: tuple[int, ...]


def read_weeks(csv_path: Path) -> list[WeekOfVersion]:
    """Return the rows of the CSV, in its order; lines that start with # are comments."""
    with csv_path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            WeekOfVersion(
                week_start=datetime.fromisoformat(row["week_start"]).replace(tzinfo=UTC),
                version=row["version"],
                sessions=int(row["sessions"]),
                players=int(row["players"]),
                seconds=int(row["seconds"]),
                seconds_crash=int(row["seconds_crash"]),
                seconds_by_platform=tuple(int(row[f"seconds_{name}"]) for name in _PLATFORMS),
            )
            for row in rows
        ]


def replay(
    csv_path: Path, out_landing: Path, source: str, weeks: slice | None, scale: float, seed: int
) -> int:
    """Write the weeks (chosen by `weeks` among the distinct ones) below `out_landing/source`.

    `scale` of the real sessions become a SessionStart and a SoftwareVersion line each, and a
    Crash line where the session ended so, spread evenly over the hours of their week; every hour
    has one TSV file. Returns the number of sessions. Raises ValueError if `scale` is not in
    (0, 1].
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale must be above 0 and at most 1: {scale}")
    rows = read_weeks(csv_path)
    chosen = set(sorted({row.week_start for row in rows})[weeks or slice(None)])
    files: dict[datetime, list[tuple[datetime, str]]] = defaultdict(list)
    sessions = 0
    for row in rows:
        if row.week_start in chosen:
            random = Random(f"{seed}:{row.week_start}:{row.version}")
            for number in range(round(row.sessions * scale)):
                sessions += 1
                for at, line in _session(random, row, number, scale):
                    files[at.replace(minute=0, second=0, microsecond=0)].append((at, line))
    for hour, lines in sorted(files.items()):
        folder = out_landing / source / hour.strftime("%Y/%m/%d/%H")
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{line}\n" for _, line in sorted(lines))
        (folder / "replay.tsv").write_text(text, encoding="utf-8")
    return sessions


def _session(
    random: Random, row: WeekOfVersion, number: int, scale: float
) -> list[tuple[datetime, str]]:
    """Return the lines of one session with their times, all in one hour of the week."""
    start = row.week_start + timedelta(seconds=random.randrange(WEEK_SECONDS // 3600) * 3600)
    start += timedelta(milliseconds=random.randrange(3_590_000))
    family = row.version.split("-")[0] if row.version[0].isalpha() else "stable"
    player = f"{family}-{number % max(1, round(row.players * scale))}"
    platform = random.choices(_PLATFORMS, row.seconds_by_platform)[0]
    session_id = f"{random.getrandbits(128):032X}"
    bodies = [
        f"{{ 'Name': 'SessionStart', 'PlayerId': '{player}', 'Platform': '{platform}'}}",
        f"{{ 'Name': 'SoftwareVersion', 'Version': {row.version}, 'Device': '{platform}'}}",
    ]
    if random.random() < row.seconds_crash / max(1, row.seconds):
        bodies.append("{ 'Name': 'Crash', 'Code': 'E1', 'Severity': 'high'}")
    lines = []
    for transaction_id, body in enumerate(bodies):
        at = start + timedelta(seconds=transaction_id)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"
        fields = ("Telemetry", stamp, "OpenTTD", session_id, str(transaction_id), body)
        lines.append((at, "\t".join(fields)))
    return lines
