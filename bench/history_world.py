"""A population of players as the rows of every table that the version history reads or writes.

Belongs here: who was seen when, computed from a player's number. Does not: files.

Every player has six sightings, `gap_hours` apart, each in a session of its own, and with them five
intervals: a version is released once a gap, and everybody but the last sighting finds a new one.
Of `recent` players the last sighting lies in the last `recent_hours` before the hour to be
measured; those of all others are spread evenly over the `dormant_hours` before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa

from kpi_platform.history.timeline import user_version_intervals
from kpi_platform.schemas.tables import TABLES

# On a Wednesday at noon: who was seen within three days was seen in two calendar weeks.
HOUR = datetime(2026, 3, 11, 12, tzinfo=UTC)
SIGHTINGS = 6
INTERVALS = 5
SESSION_SECONDS = 1_200
_SEEN_AFTER = pl.duration(seconds=5)
_SCATTER = 7_368_787
_SESSION_HASH, _EVENT_HASH = 11_400_714_819_323_198_485, 14_029_467_366_897_019_727
_INGEST = {
    "p_ingest_date_utc": pl.col("at").dt.date(),
    "p_ingest_hour_utc": pl.col("at").dt.hour().cast(pl.Int32),
}


@dataclass(frozen=True)
class Population:
    """How many players there are, and how their sightings lie in time (hours before `HOUR`)."""

    players: int
    recent: int
    recent_hours: int = 168
    dormant_hours: int = 9_600
    gap_hours: int = 336
    active_hours: int = 72
    returning_hours: tuple[int, int] = (60 * 24, 67 * 24)

    @property
    def hours(self) -> int:
        """How many ingest hours there are."""
        return self.dormant_hours + (SIGHTINGS - 1) * self.gap_hours

    def first(self, hours_ago: int) -> int:
        """The first player whose last sighting lies so many hours back, or more; players are
        numbered by that."""
        ago = min(max(hours_ago, 1), self.dormant_hours + 1)
        if ago <= self.recent_hours + 1:
            return _ceiling((ago - 1) * self.recent, self.recent_hours)
        dormant, hours = self.players - self.recent, self.dormant_hours - self.recent_hours
        return self.recent + _ceiling((ago - 1 - self.recent_hours) * dormant, hours)

    def last_ago(self) -> pl.Expr:
        """Hours between a player's (`i`) last sighting and `HOUR`."""
        dormant, hours = self.players - self.recent, self.dormant_hours - self.recent_hours
        late = self.recent_hours + (pl.col("i") - self.recent) * hours // dormant
        return 1 + pl.when(pl.col("i") < self.recent).then(
            pl.col("i") * self.recent_hours // self.recent
        ).otherwise(late)

    def ago(self, k: int) -> pl.Expr:
        """Hours between a player's sighting `k` and `HOUR`."""
        return self.last_ago() + (SIGHTINGS - 1 - k) * self.gap_hours

    def began(self, k: int) -> pl.Expr:
        """When the session of a player's sighting `k` began."""
        return _at(self.ago(k))

    def version(self, ago: pl.Expr) -> pl.Expr:
        """The newest version so many hours back."""
        return pl.concat_str(pl.lit("1."), (self.hours - ago) // self.gap_hours)

    def who(self, numbers: pl.Series) -> pl.DataFrame:
        """Players with their id, service and device."""
        i = pl.col("i")
        # Neighbours in time are no neighbours by name. Players beyond the population are new.
        number = pl.when(i < self.players).then(i * _SCATTER % self.players).otherwise(i)
        return (
            pl.DataFrame({"i": numbers})
            .with_columns(n=number)
            .with_columns(
                player_id=pl.concat_str(pl.lit("P"), pl.col("n").cast(pl.String).str.zfill(9)),
                service_name=_one_of(["Client", "Handheld"], "n"),
                device=_one_of(["Deck", "PC", "Phone"], "n"),
            )
        )

    def seen(self, from_ago: int, to_ago: int) -> pl.DataFrame:
        """The sightings from `from_ago` hours back to before `to_ago`: columns of `sessions_of`."""
        found = []
        for k in range(SIGHTINGS):
            shift = (SIGHTINGS - 1 - k) * self.gap_hours
            numbers = _range(self.first(to_ago + 1 - shift), self.first(from_ago + 1 - shift))
            version = self.version(self.ago(min(k, INTERVALS - 1)))
            found.append(
                self.who(numbers).with_columns(k=pl.lit(k), at=self.began(k), version=version)
            )
        return pl.concat(found)

    def active(self, count: int, *, is_wide: bool = False) -> pl.DataFrame:
        """Who is seen in `HOUR`: 93 % were within `active_hours`, 5 % return, 2 % are new.

        Those return who were last seen in `returning_hours`, or (`is_wide`) at any time before.
        A fifth of the regulars and everybody who returns or is new has the newest version.
        """
        near, far = self.returning_hours
        far = self.dormant_hours if is_wide else far
        back, new = count // 20, count // 50
        regular = count - back - new
        regulars = _spread(0, self.first(self.active_hours + 1), regular)
        returning = _spread(self.first(near + 1), self.first(far + 1), back)
        numbers = pl.concat([regulars, returning, _range(self.players, self.players + new)])
        updates = (pl.col("i") >= self.first(self.active_hours + 1)) | (pl.col("i") % 5 == 0)
        known = self.version(self.ago(INTERVALS - 1))
        return self.who(numbers).with_columns(
            k=pl.lit(SIGHTINGS),
            at=_at(pl.lit(0)),
            version=pl.when(updates).then(self.version(pl.lit(0))).otherwise(known),
        )

    def history(self, week: date) -> pl.DataFrame:
        """The rows of `user_version_history` of this week, sorted by player."""
        first = datetime(week.year, week.month, week.day, tzinfo=UTC)
        numbers = self._last_seen_between(first, first + timedelta(days=7))
        # Sorted before they are wide.
        who = self.who(numbers).sort("player_id")
        runs = [who.select(self._interval(k)).to_series() for k in range(INTERVALS)]
        return (
            who.with_columns(_lists(runs).alias("timeline"))
            .select(
                "player_id",
                current_version=self.version(self.ago(INTERVALS - 1)),
                current_device="device",
                current_service="service_name",
                first_seen_at=self.began(0) + _SEEN_AFTER,
                last_seen_at=self.began(SIGHTINGS - 1) + _SEEN_AFTER,
                version_count=pl.lit(INTERVALS, pl.Int64),
                timeline="timeline",
            )
            .with_columns(p_last_seen_date=pl.col("last_seen_at").dt.date())
        )

    def intervals(self, month: date) -> pl.DataFrame:
        """The rows of `user_version_intervals` of this `p_month`, sorted by player: those that
        end in it, as each does with the next one's first sighting, or begin in it and are open."""
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        following = (first + timedelta(days=32)).replace(day=1)
        found = []
        for k in range(INTERVALS):
            bound = min(k + 1, INTERVALS - 1)
            shift = timedelta(hours=(SIGHTINGS - 1 - bound) * self.gap_hours)
            numbers = self._last_seen_between(first + shift, following + shift)
            found.append(self.who(numbers).select("player_id", run=self._interval(k)))
        return user_version_intervals(pl.concat(found).unnest("run")).sort(
            "player_id", "valid_from"
        )

    def weeks(self) -> list[date]:
        """The weeks in which anybody was last seen."""
        days = (HOUR.date() - timedelta(days=n) for n in range(self.dormant_hours // 24 + 8))
        return sorted({day - timedelta(days=day.weekday()) for day in days})

    def months(self) -> list[date]:
        """The months in which anybody was seen."""
        days = (HOUR.date() - timedelta(days=n) for n in range(self.hours // 24 + 2))
        return sorted({day.replace(day=1) for day in days})

    def _interval(self, k: int) -> pl.Expr:
        last = k == INTERVALS - 1
        after = self.began(k + 1) + _SEEN_AFTER
        return pl.struct(
            "service_name",
            "device",
            version=self.version(self.ago(k)),
            valid_from=self.began(k) + _SEEN_AFTER,
            valid_to=pl.lit(None, pl.Datetime("us", "UTC")) if last else after,
            last_seen_at=after if last else self.began(k) + _SEEN_AFTER,
            sightings=pl.lit(2 if last else 1, pl.Int64),
        )

    def _last_seen_between(self, start: datetime, end: datetime) -> pl.Series:
        """Players by their last sighting; both times are whole hours."""
        return _range(self.first(_hours_ago(end) + 1), self.first(_hours_ago(start) + 1))


def session_rows(seen: pl.DataFrame) -> pl.DataFrame:
    """The rows of `sessions` of these sightings, each in a session of its own."""
    return _table(
        seen,
        "sessions",
        **_session(),
        started_at=pl.col("at"),
        ended_at=_ended(),
        ended_normally=pl.lit(value=True),
        duration_seconds=pl.lit(float(SESSION_SECONDS)),
        country=pl.lit("unknown"),
        p_started_date_utc=pl.col("at").dt.date(),
        **_counts(),
    )


def part_rows(seen: pl.DataFrame) -> pl.DataFrame:
    """The rows of `session_parts` of these sightings."""
    return _table(
        seen,
        "session_parts",
        **_session(),
        first_at=pl.col("at"),
        last_at=_ended(),
        ended_normally=pl.lit(value=True),
        session_end_seconds=pl.lit(None, pl.Float64),
        country=pl.lit(None, pl.String),
        **_counts(),
        **_INGEST,
    )


def sighting_rows(seen: pl.DataFrame) -> pl.DataFrame:
    """The rows of `sightings`."""
    return _table(
        seen,
        "sightings",
        **_session(),
        event_id=_event_id(1),
        event_at=pl.col("at") + _SEEN_AFTER,
        transaction_id=pl.lit(2),
        player_id=pl.lit(None, pl.String),
        **_INGEST,
    )


def event_rows(seen: pl.DataFrame) -> pl.DataFrame:
    """The rows of `cleaned_events`: of each session a start, a sighting and an end."""
    start = pl.concat_str(pl.lit('{"PlayerId":"'), "player_id", pl.lit('","Platform":"pc"}'))
    return pl.concat(
        _table(
            seen,
            "cleaned_events",
            **_session(),
            event_id=_event_id(number),
            studio=pl.lit("studio"),
            game=pl.lit("game"),
            transaction_id=pl.lit(number + 1),
            event_name=pl.lit(name),
            event_at=at,
            attributes=attributes,
            **_INGEST,
        )
        for number, name, at, attributes in (
            (0, "SessionStart", pl.col("at"), start),
            (1, "SoftwareVersion", pl.col("at") + _SEEN_AFTER, _version_body()),
            (2, "SessionEnd", _ended(), pl.lit("{}")),
        )
    )


def _table(seen: pl.DataFrame, table: str, **columns: pl.Expr) -> pl.DataFrame:
    schema = TABLES[table].polars_schema
    return seen.with_columns(**columns).select(
        pl.col(name).cast(dtype) for name, dtype in schema.items()
    )


def _session() -> dict[str, pl.Expr]:
    session_id = _hash(_SESSION_HASH, 0)
    return {"source": pl.lit("game"), "platform": pl.lit("pc"), "session_id": session_id}


def _counts() -> dict[str, pl.Expr]:
    others = ("crash", "issue", "purchase", "feature_used", "notification")
    return {"event_count": pl.lit(3), **{f"{name}_count": pl.lit(0) for name in others}}


def _version_body() -> pl.Expr:
    return pl.concat_str(
        pl.lit('{"Version":"'), "version", pl.lit('","Device":"'), "device", pl.lit('"}')
    )


def _event_id(number: int) -> pl.Expr:
    return _hash(_EVENT_HASH, number)


def _hash(factor: int, number: int) -> pl.Expr:
    """A text that looks like a random one, the same in every version of the libraries."""
    own = ((pl.col("i") * (SIGHTINGS + 1) + pl.col("k")) * 4 + number).cast(pl.UInt64)
    return (own * pl.lit(factor, pl.UInt64)).cast(pl.String).str.zfill(20)


def _ended() -> pl.Expr:
    return pl.col("at") + pl.duration(seconds=SESSION_SECONDS)


def _at(ago: pl.Expr) -> pl.Expr:
    seconds = pl.col("n") * 37 % (3_600 - SESSION_SECONDS)
    return pl.lit(HOUR).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds=seconds - ago * 3_600)


def _lists(columns: Sequence[pl.Series]) -> pl.Series:
    """One list per row, of the row's values; put together without looking at each."""
    count, rows = len(columns), len(columns[0])
    each = pl.int_range(rows, eager=True)
    order = pl.concat([each * count + n for n in range(count)]).arg_sort()
    values = pl.concat(columns).gather(order).to_arrow()
    offsets = pl.int_range(0, rows * count + 1, count, eager=True).to_arrow()
    return pl.Series(pa.LargeListArray.from_arrays(offsets, values))


def _one_of(names: Sequence[str], number: str) -> pl.Expr:
    which = pl.col(number) % len(names)
    chosen = pl.lit(names[0])
    for position, name in enumerate(names[1:], start=1):
        chosen = pl.when(which == position).then(pl.lit(name)).otherwise(chosen)
    return chosen


def _range(start: int, end: int) -> pl.Series:
    return pl.int_range(start, max(start, end), eager=True).alias("i")


def _spread(start: int, end: int, count: int) -> pl.Series:
    """`count` different numbers, evenly from start to before end."""
    if count > end - start:
        raise ValueError(f"{count} of {end - start} players cannot be active: make more of them")
    return (_range(0, count) * (end - start) // count + start).alias("i")


def _hours_ago(at: datetime) -> int:
    return int((HOUR - at).total_seconds()) // 3_600


def _ceiling(a: int, b: int) -> int:
    return -(-a // b)
