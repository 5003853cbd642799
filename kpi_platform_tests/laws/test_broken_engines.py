"""The machine is worth something: engines that are broken on purpose do not get past it.

Each engine is broken in one way that a reader of the code would hardly notice, and then meets
the case that was made for it. A case fails only if the engine is broken: it passes first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.cleaned.sessionization import session_reach, sessions, sessions_step
from kpi_platform.engine import checked_hours, hour_steps
from kpi_platform.engine.books.history_queue import waiting
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.hour_steps import HourReport, HourStep
from kpi_platform.history import checks, history_step, spans, timeline
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.laws.lake_world import Fault, Move, World
from kpi_platform_tests.reference import Event

DAY = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
EARLY, NEXT, LATE = (DAY + timedelta(hours=hours) for hours in (5, 6, 40))

Break = Callable[[pytest.MonkeyPatch], None]


def sighting(
    hour: datetime, at: float, version: str, session: str = "s1", txn: int = 0, device: str = "deck"
) -> Event:
    attributes = {"Version": version, "Device": device}
    return Event(session, DAY + timedelta(hours=at), "SoftwareVersion", hour, attributes, txn)


def sign_in(hour: datetime, at: float, player: str, session: str = "s1") -> Event:
    return Event(session, DAY + timedelta(hours=at), "SessionStart", hour, {"PlayerId": player})


def come(*hours: tuple[datetime, list[Event]]) -> Move:
    return Move(tuple(hour for hour, _ in hours), dict(hours))


TIES = [
    come(
        (EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0", txn=2)]),
        (NEXT, [sighting(NEXT, 2, "1.1", txn=1)]),
    )
]
A_SESSION_VANISHES = [come((EARLY, [sign_in(EARLY, 1, "p1")])), come((EARLY, []))]
A_SIGHTING_VANISHES = [
    come((EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0"), sighting(EARLY, 3, "1.1")])),
    come((EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 3, "1.1")])),
]
A_LATE_SIGN_IN = [
    come((EARLY, [sighting(EARLY, 2, "1.0")])),
    come((LATE, [sign_in(LATE, 3, "p1")])),
]
A_LATE_SIGN_IN_IN_A_RANGE = [
    come((EARLY, [sighting(EARLY, 2, "1.0")])),
    Move((EARLY, LATE), {LATE: [sign_in(LATE, 3, "p1")]}),
]
# The run of the late sign-in is killed after its session is changed; then the other hour is run.
A_KILLED_FOLD_MEETS_AN_UNCHANGED_HOUR = [
    come((EARLY, [sighting(EARLY, 2, "1.0")])),
    replace(come((LATE, [sign_in(LATE, 3, "p1")])), fault=Fault(7)),
    Move((EARLY,)),
]
A_LONG_PART_COVERS_A_SHORT_ONE = [
    come(
        (EARLY, [sighting(EARLY, at, "1.0") for at in (0, 20, 40)]),
        (NEXT, [sighting(NEXT, 1, "1.1")]),
        (LATE, [sighting(LATE, 41, "1.0")]),
    )
]
A_SESSION_GOES_ON_LATE = [
    come((EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0")])),
    come((LATE, [sighting(LATE, 20, "1.1")])),
]
A_KILLED_HOUR_IS_AS_BEFORE = [
    come((EARLY, [sign_in(EARLY, 1, "p1")])),
    replace(come((EARLY, [sign_in(EARLY, 1, "p2")])), fault=Fault(7)),
    come((EARLY, [sign_in(EARLY, 1, "p1")])),
]
A_KILLED_HOUR_IS_CORRECTED = [
    come((EARLY, [sign_in(EARLY, 1, "p1")])),
    # The eighth write is that of the sessions, after that of the parts.
    replace(come((EARLY, [sign_in(EARLY, 1, "p1", session="s2")])), fault=Fault(8)),
]
# Killed after its sessions were recorded, before its history; a neighbour's run folds meanwhile.
A_KILLED_HOUR_IS_AS_BEFORE_AFTER_ANOTHER = [
    come((EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0")])),
    replace(come((EARLY, [sign_in(EARLY, 1, "p2"), sighting(EARLY, 2, "1.0")])), fault=Fault(9)),
    come((LATE, [sign_in(LATE, 30, "p3", session="s3")])),
    come((EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0")])),
]
# Killed when its events were written, but not yet its parts; then a neighbour shares a session.
A_NEIGHBOUR_CHANGED_MEANWHILE = [
    come((EARLY, [sighting(EARLY, 1, "1.0"), sighting(EARLY, 3, "1.0")])),
    replace(
        come((EARLY, [sighting(EARLY, 2.5, "1.0"), sighting(EARLY, 5, "1.0")])), fault=Fault(4)
    ),
    come((NEXT, [sighting(NEXT, 2, "1.1"), sighting(NEXT, 4, "1.1")])),
]
# Nothing is left of the second hour's part of the session; then it comes back as it was.
A_SESSION_GOES_ON_AS_BEFORE = [
    come(
        (EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 1, "1.0")]),
        (NEXT, [sighting(NEXT, 2, "1.1")]),
    ),
    replace(come((NEXT, [])), fault=Fault(9)),
    come((LATE, [sign_in(LATE, 30, "p3", session="s3"), sighting(LATE, 30, "1.0", "s3")])),
    come((NEXT, [sighting(NEXT, 2, "1.1")])),
]
# What held a session together goes; its second half is another player's.
ONE_SESSION_BECOMES_TWO = [
    come(
        (EARLY, [sign_in(EARLY, 1, "p1"), sign_in(EARLY, 30, "p2"), sighting(EARLY, 30, "1.0")]),
        (NEXT, [sighting(NEXT, 15, "1.1")]),
    ),
    come((NEXT, [])),
]
A_LATE_SIGHTING = [
    come((LATE, [sign_in(LATE, 1, "p1"), sighting(LATE, 2, "1.0"), sighting(LATE, 4, "1.2")])),
    come((NEXT, [sighting(NEXT, 3, "1.1")])),
]
A_CHANGE_WITHIN_A_RUN = [
    come((EARLY, [sign_in(EARLY, 1, "p1"), *(sighting(EARLY, at, "1.0") for at in (2, 3, 4))])),
    come((NEXT, [sighting(NEXT, 3.5, "1.1")])),
]
WHAT_STOOD_BETWEEN_GOES = [
    come(
        (EARLY, [sign_in(EARLY, 1, "p1"), sighting(EARLY, 2, "1.0"), sighting(EARLY, 4, "1.0")]),
        (NEXT, [sighting(NEXT, 3, "1.1")]),
    ),
    come((NEXT, [])),
]
A_LATE_SIGN_IN_TO_A_LONG_SESSION = [
    come((EARLY, [sighting(EARLY, 2, "1.0"), sighting(EARLY, 3, "1.1")])),
    come((LATE, [sign_in(LATE, 4, "p1")])),
]


def flip_tie_order(patch: pytest.MonkeyPatch) -> None:
    def first_of_each_instant(numbered: pl.DataFrame) -> pl.DataFrame:
        order = ["_track", "event_at", "transaction_id", "session_id", "version"]
        return numbered.sort(order).unique(["_track", "event_at"], keep="first").sort(order)

    patch.setattr(timeline, "_last_of_each_instant", first_of_each_instant)


def forget_old_parts(patch: pytest.MonkeyPatch) -> None:
    def only_new(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        return spans([frames[-1]] if len(frames) == 2 else frames)

    spans = session_reach._spans
    patch.setattr(session_reach, "_spans", only_new)


def forget_old_sightings(patch: pytest.MonkeyPatch) -> None:
    def come_only(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        gone, come = difference(old, new)
        return gone.clear(), come

    difference = history_step._difference
    patch.setattr(history_step, "_difference", come_only)


def forget_sign_ins(patch: pytest.MonkeyPatch) -> None:
    real = sessions_step._players_touched
    patch.setattr(sessions_step, "_players_touched", lambda *change: real(*change).clear())


def chain_to_the_last_part_only(patch: pytest.MonkeyPatch) -> None:
    real = sessions.chain_parts

    def chained(parts: pl.DataFrame, silence: timedelta) -> pl.DataFrame:
        # What `chain_parts` would be without the greatest `last_at` so far.
        ordered = parts.sort(*sessions.SESSION, "first_at", "last_at")
        heard = pl.col("last_at").shift(1).over(sessions.SESSION)
        return real(parts, silence).with_columns(
            ordered.select(
                chain=(heard.is_null() | (pl.col("first_at") - heard > silence)).cum_sum()
            )
            .to_series()
            .cast(pl.Int64),
        )

    patch.setattr(sessions, "chain_parts", chained)


def look_no_further_than_the_change(patch: pytest.MonkeyPatch) -> None:
    real = session_reach.connected
    patch.setattr(
        sessions_step,
        "connected",
        lambda lake, change, silence: real(lake, change, timedelta(0)),
    )


def keep_fingerprints_while_working(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hour_steps, "forget_consumed", lambda lake, table, hours: None)


def leave_no_ghosts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_reach.PartsChange, "emptied", property(lambda change: change.new.clear()))


def let_the_queue_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions_step, "forget_consumed", lambda lake, table, hours: None)
    patch.setattr(history_step.HistoryStep, "fold_waiting", lambda step: None)


def check_unchanged_hours_first(patch: pytest.MonkeyPatch) -> None:
    def unchanged_first(
        lake: Lake, step: HourStep, hours: Sequence[datetime], limit: int
    ) -> Iterator[Sequence[HourReport]]:
        parts = work(lake, step, hours, limit)
        consumed = read_consumed(lake, step.table, hours)
        inputs = step.inputs(hours)
        same = [hour for hour in consumed if consumed[hour].input == inputs.get(hour)]
        yield [HourReport(hour, "unchanged") for hour in same]
        for part in parts:
            yield [report for report in part if report.hour not in same]

    work = checked_hours.work_through
    patch.setattr(checked_hours, "work_through", unchanged_first)
    patch.setattr(history_step.HistoryStep, "hours_stand_alone", True)
    check_players_who_wait(patch)


def leave_the_waiting_to_the_next_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history_step.HistoryStep, "fold_waiting", lambda step: None)
    check_players_who_wait(patch)


def check_players_who_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks, "waiting", lambda lake: waiting(lake).clear())


def take_every_sighting_for_the_latest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history_step, "not_later", lambda sightings, runs: sightings.clear())


def forget_what_is_settled(patch: pytest.MonkeyPatch) -> None:
    real = sessions_step.settled_sessions
    patch.setattr(sessions_step, "settled_sessions", lambda *asked: real(*asked).clear())


def forget_where_new_sessions_come_from(patch: pytest.MonkeyPatch) -> None:
    def of_those_before(
        old: pl.DataFrame, upserts: pl.DataFrame, deletes: pl.DataFrame, settled: pl.DataFrame
    ) -> pl.DataFrame:
        known = upserts.join(old, on=[*sessions.SESSION, "started_at"], how="semi")
        return real(old, known, deletes, settled)

    real = sessions_step._players_touched
    patch.setattr(sessions_step, "_players_touched", of_those_before)


def give_up_on_stale_parts(patch: pytest.MonkeyPatch) -> None:
    def gives_up(*arguments: object) -> None:
        raise ValueError("stale parts")

    patch.setattr(session_reach.PartsChange, "refreshed", gives_up)


def read_no_further_than_the_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history_step, "reach", lambda runs, changed: changed)


def leave_runs_as_they_meet(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spans, "_joined", lambda runs: runs.sort(*timeline.TRACK, "valid_from"))


def take_a_session_for_its_start(patch: pytest.MonkeyPatch) -> None:
    def at_the_start(*change: pl.DataFrame) -> pl.DataFrame:
        return real(*change).with_columns(changed_to="changed_from")

    real = sessions_step._players_touched
    patch.setattr(sessions_step, "_players_touched", at_the_start)


BROKEN: list[tuple[Break, list[Move]]] = [
    (flip_tie_order, TIES),
    (forget_old_parts, A_SESSION_VANISHES),
    (forget_old_sightings, A_SIGHTING_VANISHES),
    (forget_sign_ins, A_LATE_SIGN_IN),
    (check_unchanged_hours_first, A_LATE_SIGN_IN_IN_A_RANGE),
    (leave_the_waiting_to_the_next_change, A_KILLED_FOLD_MEETS_AN_UNCHANGED_HOUR),
    (chain_to_the_last_part_only, A_LONG_PART_COVERS_A_SHORT_ONE),
    (look_no_further_than_the_change, A_SESSION_GOES_ON_LATE),
    (keep_fingerprints_while_working, A_KILLED_HOUR_IS_AS_BEFORE),
    (leave_no_ghosts, A_KILLED_HOUR_IS_CORRECTED),
    (let_the_queue_wait, A_KILLED_HOUR_IS_AS_BEFORE_AFTER_ANOTHER),
    (take_every_sighting_for_the_latest, A_LATE_SIGHTING),
    (forget_what_is_settled, A_SESSION_GOES_ON_AS_BEFORE),
    (forget_where_new_sessions_come_from, ONE_SESSION_BECOMES_TWO),
    (give_up_on_stale_parts, A_NEIGHBOUR_CHANGED_MEANWHILE),
    (read_no_further_than_the_change, A_CHANGE_WITHIN_A_RUN),
    (leave_runs_as_they_meet, WHAT_STOOD_BETWEEN_GOES),
    (take_a_session_for_its_start, A_LATE_SIGN_IN_TO_A_LONG_SESSION),
]


def obeys(folder: Path, moves: Sequence[Move]) -> bool:
    """Whether the law holds after every move; an engine that stops with an error breaks it."""
    world = World(folder)
    try:
        for move in moves:
            world.make(move)
            world.check()
        world.finish()
        world.check()
    except (AssertionError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    ("break_engine", "moves"), BROKEN, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_broken_engine_is_caught(
    break_engine: Break, moves: list[Move], memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert obeys(memory_path / "whole", moves)
    break_engine(monkeypatch)
    assert not obeys(memory_path / "broken", moves)
