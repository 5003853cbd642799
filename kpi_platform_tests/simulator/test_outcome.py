"""The truth's own definitions, on worlds small enough to check by hand."""

import polars as pl

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.files.schedule import make_schedule
from kpi_platform.simulator.outcome import Outcome, work_out
from kpi_platform.simulator.people.events import CODE
from kpi_platform.simulator.truth import Truth

HOUR = 3_600_000
REGISTRY = pl.DataFrame(
    {
        "stretch": [1, 2, 3, 4],
        "source": ["starfen"] * 4,
        "service": ["S"] * 4,
        "session_id": ["A", "A", "B", ""],
    },
    schema_overrides={"stretch": pl.UInt64},
)
COLUMNS = {
    "uid": pl.UInt64,
    "is_blank": pl.Boolean,
    "stretch": pl.UInt64,
    "kind": pl.UInt8,
    "event_ms": pl.Int64,
    "transaction_id": pl.Int64,
    "player_told": pl.String,
    "version_told": pl.String,
    "device_told": pl.String,
    "seconds_told": pl.String,
    "amount_minor": pl.Int64,
}
Told = tuple[int, str, int, int, str | None, str | None, str | None]


def _outcome(*told: Told) -> Outcome:
    """Events as (stretch, kind, ms, transaction id, player, version, device)."""
    rows = [
        (uid, stretch == 4, stretch, CODE[kind], at, number, player, version, device, None, None)
        for uid, (stretch, kind, at, number, player, version, device) in enumerate(told)
    ]
    truth = Truth(make_schedule(Draws(1), 1))
    truth.spread.append(pl.DataFrame(rows, schema=COLUMNS, orient="row"))
    truth.finish()
    return work_out(truth, REGISTRY)


def test_more_than_a_day_of_silence_parts_sessions() -> None:
    start: Told = (1, "SessionStart", 0, 0, "P", None, None)
    near = _outcome(start, (2, "FeatureUsed", 24 * HOUR, 1, None, None, None))
    far = _outcome(start, (2, "FeatureUsed", 24 * HOUR + 1, 1, None, None, None))
    assert near.sessions["player_id"].to_list() == ["P"]
    assert far.sessions["player_id"].to_list() == ["P", None]


def test_the_first_sign_in_names_the_player_of_all_events() -> None:
    outcome = _outcome(
        (3, "SoftwareVersion", 0, 0, None, "1.0", None),
        (3, "SessionStart", 5, 2, "Z", None, None),
        (3, "SessionStart", 5, 1, "Q", None, None),
    )
    assert outcome.intervals["player_id"].to_list() == ["Q"]
    assert outcome.intervals["device"].to_list() == ["unknown"]


def test_of_one_instant_only_the_last_makes_a_run() -> None:
    outcome = _outcome(
        (3, "SessionStart", 0, 0, "P", None, None),
        (3, "SoftwareVersion", 7, 2, None, "1.10", "Mac"),
        (3, "SoftwareVersion", 7, 1, None, "1.9", "Mac"),
        (3, "SoftwareVersion", 9, 3, None, "1.9", ""),
        (3, "DeviceInfo", 10, 4, None, None, "Mac"),
    )
    assert outcome.intervals["version"].to_list() == ["1.10", "1.9"]
    assert outcome.players["version_count"].to_list() == [2]
    assert outcome.players["current_version"].to_list() == ["1.9"]


def test_an_event_without_session_stands_alone() -> None:
    outcome = _outcome(
        (4, "SoftwareVersion", 0, 0, "P", "1.0", "Mac"),
        (4, "SoftwareVersion", 1, 1, None, "2.0", "Mac"),
    )
    assert outcome.sessions.height == 0
    assert outcome.intervals["version"].to_list() == ["1.0"]
    assert outcome.daily.filter(pl.col("game") == "starfen")["dau"].to_list() == [1]


def test_installs_and_notifications_make_nobody_active() -> None:
    outcome = _outcome(
        (3, "Install", 0, 0, "P", None, None), (3, "Notification", 1, 1, None, None, None)
    )
    assert outcome.daily["dau"].to_list() == [0, 0, 0]
    assert outcome.daily["sessions"].to_list() == [1, 1, 1]
