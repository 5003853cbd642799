"""What a benchmark holds two platforms against is itself right: a loop over a few events agrees."""

from datetime import timedelta

import polars as pl

from bench.sighted_hours import LATE_BY, corrected, daily, events_of, histories, with_a_late_one


def test_histories_and_days_are_those_of_a_loop() -> None:
    hours = [with_a_late_one(events_of(5)), corrected(events_of(6)), events_of(23), events_of(24)]
    events = pl.concat(hours)
    assert events["event_at"].min() == hours[0]["ingest_hour"][0] - LATE_BY + timedelta(
        milliseconds=1
    )
    newest: dict[str, str] = {}
    changes, players = [], set()
    for event in sorted(events.iter_rows(named=True), key=lambda row: row["event_at"]):
        player, version, at = event["player_id"], event["version"], event["event_at"]
        if newest.get(player) != version:
            changes.append((player, version, at))
        newest[player] = version
        players.add((at.date(), player))
    assert sorted(histories(events).rows()) == sorted(changes)
    days = sorted({day for day, _ in players})
    assert daily(events).rows() == [(day, sum(d == day for d, _ in players)) for day in days]
