"""The slow, obvious reference of the KPI tables: every row computed from its own events alone.

Belongs here: plain Python over lists of events, readable beside the definitions. Does not: any
code of the engine, and anything clever.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from statistics import median

from kpi_platform_tests.kpis.reference.reference_completeness import Arrivals, Known
from kpi_platform_tests.reference import (
    Event,
    Row,
    distinct,
    duration_seconds,
    first_attribute,
    session_groups,
    session_player,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# As in dbt/seeds/exchange_rates.csv; the first and second half of a currency's dated rates.
RATES = {"USD": (1.0, 1.0), "EUR": (1.08, 1.17), "JPY": (0.0066, 0.0064)}
NEW_RATES_FROM = date(2026, 1, 1)
LIMIT_USD = 100_000
Grain = tuple[str, str, str]


@dataclass(frozen=True)
class KnownSource:
    """A source as configured."""

    studio: str
    game: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Attributed:
    """A distinct event with what its session says of it."""

    event: Event
    player: str | None
    session_started_at: datetime | None
    platform: str
    device: str
    usd: float | None = None

    @property
    def is_activity(self) -> bool:
        """Whether it makes its player active."""
        is_sign = self.event.name not in {"Install", "Notification"} and not is_refund(self.event)
        return is_sign and self.player is not None


@dataclass(frozen=True)
class Session:
    """A session's figures."""

    source: str
    player: str | None
    platform: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    has_crash: bool

    def lasts_in(self, minute: datetime) -> bool:
        """Whether the minute is between that of the first and that of the last event."""
        return self.started_at < minute + MINUTE and minute <= self.ended_at


@dataclass
class World:
    """What the hours contain and which sources are known, with the rows that follow."""

    hours: Mapping[datetime, list[Event]]
    sources: Mapping[str, KnownSource]

    def __post_init__(self) -> None:
        events = [event for found in self.hours.values() for event in found]
        groups = session_groups(events)
        in_session = {event.event_id: group for group in groups for event in group}
        once = distinct(events)
        self.attributed = [
            replace(attribute(e, in_session.get(e.event_id)), usd=usd(e, rate_day(e, once)))
            for e in once
        ]
        self.sessions = [
            Session(
                group[0].source,
                session_player(group),
                first_attribute(group, "Platform"),
                group[0].at,
                group[-1].at,
                duration_seconds(group),
                any(event.name == "Crash" for event in group),
            )
            for group in groups
        ]
        self.now = max(self.hours) + HOUR
        self.arrivals = Arrivals(
            min(self.hours),
            set(self.hours),
            {
                source: Known(
                    label(known.studio),
                    label(known.game),
                    known.since,
                    known.until,
                    is_named=source in self.sources,
                    data={hour for hour, found in self.hours.items() if has(found, source)},
                )
                for source in sorted({*self.sources, *(event.source for event in events)})
                for known in [self.known(source)]
            },
        )

    def known(self, source: str) -> KnownSource:
        """The source as configured, else unassigned."""
        return self.sources.get(source, KnownSource("unassigned", source))

    def grains(self) -> list[Grain]:
        """Every grain in which anything happened, totals included."""
        return sorted({g for a in self.attributed for g in self.grains_of(a)})

    def grains_of(self, item: Attributed | Session) -> list[Grain]:
        """The row of its game and platform, and the totals it counts in."""
        source = item.source if isinstance(item, Session) else item.event.source
        known = self.known(source)
        platform = label(item.platform)
        studio, game = label(known.studio), label(known.game)
        return [
            (studio, game, platform),
            (studio, game, "all"),
            (studio, "all", "all"),
            ("all", "all", "all"),
        ]

    def is_complete(self, grain: Grain, start: datetime, end: datetime) -> bool:
        """Whether the period is over and every ingest hour of it has arrived for all sources."""
        studio, game = (None if part == "all" else part for part in grain[:2])
        return self.arrivals.is_complete(studio, game, start, end)

    def kpi_hourly(self) -> list[Row]:
        """The table `kpi_hourly`."""
        rows = []
        for grain in self.grains():
            events = [a for a in self.attributed if grain in self.grains_of(a)]
            sessions = [s for s in self.sessions if grain in self.grains_of(s)]
            hours = {hour_of(a.event.at) for a in events} | running_hours(sessions)
            for hour in sorted(hours):
                now = [a for a in events if hour_of(a.event.at) == hour]
                started = [s for s in sessions if hour_of(s.started_at) == hour]
                rows.append(
                    {
                        "hour": naive(hour),
                        **named(grain),
                        "active_players": len(players(now)),
                        "sessions": len(started),
                        "playtime_seconds": sum(s.seconds for s in started),
                        "revenue_usd": sum(a.usd or 0 for a in now),
                        "peak_concurrent_players": max(concurrent(sessions, hour)),
                        "average_concurrent_players": sum(concurrent(sessions, hour)) / 60,
                        "is_complete": self.is_complete(grain, hour, hour + HOUR),
                    }
                )
        return rows

    def kpi_daily(self) -> list[Row]:
        """The table `kpi_daily`."""
        today = (self.now - timedelta(microseconds=1)).date()
        rows = []
        for grain in self.grains():
            events = [a for a in self.attributed if grain in self.grains_of(a)]
            sessions = [s for s in self.sessions if grain in self.grains_of(s)]
            for day in dates(min(a.event.at.date() for a in events), today):
                rows.append(self._day(grain, day, events, sessions))
        return rows

    def _day(
        self, grain: Grain, day: date, events: list[Attributed], sessions: list[Session]
    ) -> Row:
        def active(first: date) -> set[str]:
            return players(a for a in events if first <= a.event.at.date() <= day)

        today = [a for a in events if a.event.at.date() == day]
        started = [s for s in sessions if s.started_at.date() == day]
        dau, mau = active(day), active(day - 29 * DAY)
        new = dau - players(a for a in events if a.event.at.date() < day)
        seconds = sum(s.seconds for s in started)
        revenue = sum(a.usd or 0 for a in today)
        known = known_figures(today, started)
        payers = paying(today)
        first_payers = {p for p in bought(today) if p not in bought(events, before=day)}
        resurrected = dau - new - active_between(events, day - 27 * DAY, day - DAY)
        churned = dau - active_between(events, day + DAY, day + 28 * DAY)
        cohort = {n: self._cohort(grain, day, n, events) for n in (7, 30)}
        start = datetime.combine(day, time(), self.now.tzinfo)
        return {
            "date": day,
            **named(grain),
            "dau": len(dau),
            "wau": len(active(day - 6 * DAY)),
            "mau": len(mau),
            "stickiness": ratio(len(dau), len(mau)),
            "new_players": len(new),
            "returning_players": len(dau - new),
            "resurrected_players": len(resurrected),
            "churned_players_28": len(churned) if self.is_over(day + 28 * DAY) else None,
            "churn_28": ratio(len(churned), len(dau)) if self.is_over(day + 28 * DAY) else None,
            "sessions": len(started),
            "unattributed_sessions": len(started) - known["sessions"],
            "sessions_per_active_player": ratio(known["sessions"], len(dau)),
            "playtime_seconds": seconds,
            "unattributed_playtime_seconds": seconds - known["seconds"],
            "playtime_per_active_player_seconds": ratio(known["seconds"], len(dau)),
            "session_length_mean_seconds": ratio(seconds, len(started)),
            "session_length_median_seconds": median(s.seconds for s in started)
            if started
            else None,
            "revenue_usd": revenue,
            "unattributed_revenue_usd": revenue - known["revenue"],
            "payers": len(payers),
            "first_payers": len(first_payers),
            "arpdau_usd": ratio(known["revenue"], len(dau)),
            "arppu_usd": ratio(known["revenue"], len(payers)),
            "conversion_first_purchase_daily": ratio(len(first_payers), len(dau)),
            "conversion_period": ratio(len(payers), len(dau)),
            **{f"conversion_cohort_d{n}": cohort[n]["conversion_cohort"] for n in cohort},
            **{f"ltv_d{n}_usd": cohort[n]["ltv_usd"] for n in cohort},
            "crash_free_sessions": ratio(sum(not s.has_crash for s in started), len(started)),
            "crash_free_players": ratio(len(dau - crashed(today)), len(dau)),
            "is_complete": self.is_complete(grain, start, start + DAY),
            "is_wau_complete": self.is_complete(grain, start - 6 * DAY, start + DAY),
            "is_mau_complete": self.is_complete(grain, start - 29 * DAY, start + DAY),
            "is_churn_complete": self.is_complete(grain, start, start + 29 * DAY),
        }

    def is_over(self, day: date) -> bool:
        """Whether the day has ended."""
        return datetime.combine(day + DAY, time(), self.now.tzinfo) <= self.now

    def kpi_monthly(self) -> list[Row]:
        """The table `kpi_monthly`."""
        rows = []
        last = (self.now - timedelta(microseconds=1)).date()
        for grain in self.grains():
            events = [a for a in self.attributed if grain in self.grains_of(a)]
            sessions = [s for s in self.sessions if grain in self.grains_of(s)]
            first = min(a.event.at.date() for a in events)
            for month in sorted({day.replace(day=1) for day in dates(first, last)}):
                end = (month + 31 * DAY).replace(day=1)
                now = [a for a in events if month <= a.event.at.date() < end]
                started = [s for s in sessions if month <= s.started_at.date() < end]
                before = players(a for a in events if a.event.at.date() < month)
                seconds = sum(s.seconds for s in started)
                revenue = sum(a.usd or 0 for a in now)
                known = known_figures(now, started)
                active = players(now)
                bounds = [datetime.combine(d, time(), self.now.tzinfo) for d in (month, end)]
                rows.append(
                    {
                        "month": month,
                        **named(grain),
                        "mau_calendar": len(active),
                        "new_players": len(active - before),
                        "sessions": len(started),
                        "playtime_seconds": seconds,
                        "session_length_mean_seconds": ratio(seconds, len(started)),
                        "unattributed_sessions": len(started) - known["sessions"],
                        "unattributed_playtime_seconds": seconds - known["seconds"],
                        "sessions_per_active_player": ratio(known["sessions"], len(active)),
                        "playtime_per_active_player_seconds": ratio(known["seconds"], len(active)),
                        "revenue_usd": revenue,
                        "unattributed_revenue_usd": revenue - known["revenue"],
                        "payers": len(paying(now)),
                        "arpmau_usd": ratio(known["revenue"], len(active)),
                        "arppu_usd": ratio(known["revenue"], len(paying(now))),
                        "conversion_period": ratio(len(paying(now)), len(active)),
                        "is_complete": self.is_complete(grain, *bounds),
                    }
                )
        return rows

    def kpi_retention(self) -> list[Row]:
        """The table `kpi_retention`."""
        return [
            {"cohort_date": day, "day_n": n, **named(grain), **self._cohort(grain, day, n, events)}
            for grain in self.grains()
            if (events := [a for a in self.attributed if grain in self.grains_of(a)])
            for day in sorted({a.event.at.date() for a in events})
            if new_on(events, day)
            for n in (1, 7, 30)
        ]

    def _cohort(self, grain: Grain, day: date, n: int, events: list[Attributed]) -> Row:
        new, last = new_on(events, day), day + n * DAY
        theirs = [a for a in events if a.player in new]
        paid = [a for a in theirs if day <= a.event.at.date() <= last]
        revenue = sum(a.usd or 0 for a in paid)
        counts = {
            "retained_classic": len(active_between(theirs, last, last)),
            "retained_rolling": len(active_between(theirs, last, date.max)),
            "payers": len(paying(paid)),
        }
        measures = {
            **counts,
            "retention_classic": ratio(counts["retained_classic"], len(new)),
            "retention_rolling": ratio(counts["retained_rolling"], len(new)),
            "conversion_cohort": ratio(counts["payers"], len(new)),
            "revenue_usd": revenue,
            "ltv_usd": ratio(revenue, len(new)),
        }
        bounds = [datetime.combine(d, time(), self.now.tzinfo) for d in (day, last + DAY)]
        return {
            "cohort_size": len(new),
            **(measures if self.is_over(last) else dict.fromkeys(measures)),
            "is_complete": self.is_complete(grain, *bounds),
        }

    def fact_version(self) -> list[Row]:
        """The table `fact_version`."""
        counts: dict[tuple[str, str, str, str, date], int] = {}
        for a in self.sightings():
            version = a.event.version() or ""
            key = (a.player or "", a.event.service, a.device, version, a.event.at.date())
            counts[key] = counts.get(key, 0) + 1
        names = ("player_id", "service_name", "device", "version", "date")
        return [dict(zip(names, key, strict=True)) | {"sightings": n} for key, n in counts.items()]

    def sightings(self) -> list[Attributed]:
        """The events that tell a player's version."""
        return [
            a
            for a in self.attributed
            if a.event.name == "SoftwareVersion" and a.event.version() and a.player
        ]

    def active_versions(self) -> list[Row]:
        """The table `active_versions`, its counts."""
        recent = [a for a in self.sightings() if self.now - 28 * DAY <= a.event.at < self.now]
        keys = {(a.event.service, a.event.version() or "") for a in recent}
        rows = []
        for service, version in keys:
            of_service = [a for a in recent if a.event.service == service]
            found = [a for a in of_service if a.event.version() == version]
            players = len({a.player for a in found})
            rows.append(
                {
                    "service_name": service,
                    "version": version,
                    "players": players,
                    "share_of_players": players / len({a.player for a in of_service}),
                    "devices": len({a.device for a in found}),
                    "sessions": len(
                        {
                            (a.event.source, a.event.session, a.session_started_at)
                            for a in found
                            if a.session_started_at is not None
                        }
                    ),
                    "sightings": len(found),
                }
            )
        return rows

    def attributed_events(self) -> list[Row]:
        """The table `attributed_events`, the columns of attribution."""
        return [
            {
                "event_id": a.event.event_id,
                "player_id": a.player,
                "session_started_at": naive(a.session_started_at),
                "platform": a.platform,
                "device": a.device,
            }
            for a in self.attributed
        ]


def attribute(event: Event, session: list[Event] | None) -> Attributed:
    """The event with its session's player, platform and device, or its own outside sessions."""
    own_device = event.attribute("Device") if event.name == "SoftwareVersion" else None
    if session is None:
        platform = event.attribute("Platform") or "unknown"
        return Attributed(event, event.player(), None, platform, own_device or "unknown")
    return Attributed(
        event,
        session_player(session),
        session[0].at,
        first_attribute(session, "Platform"),
        own_device or first_attribute(session, "Device"),
    )


def amount_of(event: Event) -> float | None:
    """The amount of a purchase in its currency; None if it is no number."""
    amount = (event.attribute("Amount") or "").strip()
    is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", amount, re.ASCII)
    if event.name != "Purchase" or not is_number:
        return None
    return float(amount) if math.isfinite(float(amount)) else None


def is_refund(event: Event) -> bool:
    """Whether a purchase takes another one back."""
    named = event.version("RefundOf") is not None
    return event.name == "Purchase" and (named or (amount_of(event) or 0) < 0)


def rate_day(event: Event, events: Iterable[Event]) -> date:
    """The day whose rates hold: of a refund that names its purchase, the purchase's."""
    named = event.version("RefundOf") if event.name == "Purchase" else None
    if named is None:
        return event.at.date()
    bought = [
        e.at
        for e in events
        if e.name == "Purchase"
        and e.version("RefundOf") is None
        and (e.source, e.version("PurchaseId")) == (event.source, named)
        and event.at - 366 * DAY <= e.at <= event.at
    ]
    return min(bought, default=event.at).date()


def known_figures(events: Iterable[Attributed], sessions: Iterable[Session]) -> dict[str, float]:
    """Sessions, seconds and USD of known players."""
    theirs = [s for s in sessions if s.player is not None]
    return {
        "sessions": len(theirs),
        "seconds": sum(s.seconds for s in theirs),
        "revenue": sum(a.usd or 0 for a in events if a.player is not None),
    }


def usd(event: Event, day: date) -> float | None:
    """What a purchase brings in USD at the rates of the day; None if nothing that counts."""
    amount = amount_of(event)
    currency = (event.attribute("Currency") or "").strip().upper()
    if amount is None or currency not in RATES:
        return None
    dollars = amount * RATES[currency][day >= NEW_RATES_FROM]
    return dollars if math.isfinite(dollars) and abs(dollars) <= LIMIT_USD else None


def players(
    events: Iterable[Attributed],
    of: Callable[[Attributed], str | None] = lambda a: a.player if a.is_activity else None,
) -> set[str]:
    """The distinct active players."""
    return {player for a in events if (player := of(a)) is not None}


def active_between(events: Iterable[Attributed], first: date, last: date) -> set[str]:
    """The distinct active players from the first through the last date."""
    return players(a for a in events if first <= a.event.at.date() <= last)


def new_on(events: Iterable[Attributed], day: date) -> set[str]:
    """The players whose first active day is the date."""
    kept = list(events)
    return active_between(kept, day, day) - active_between(kept, date.min, day - DAY)


def paying(events: list[Attributed]) -> set[str]:
    """The players whose purchases are positive on balance."""
    return {p for p in players(events, lambda a: a.player) if net(events, p) > 0}


def bought(events: list[Attributed], before: date = date.max) -> set[str]:
    """The players with a purchase that brought revenue, before the date."""
    past = (a for a in events if a.event.at.date() < before)
    return players(past, lambda a: a.player if (a.usd or 0) > 0 else None)


def crashed(events: Iterable[Attributed]) -> set[str]:
    """The players with a crash."""
    return players(events, lambda a: a.player if a.event.name == "Crash" else None)


def running_hours(sessions: Iterable[Session]) -> set[datetime]:
    """The hours in which a player's session lasts."""
    return {
        hour_of(s.started_at) + number * HOUR
        for s in sessions
        if s.player is not None
        for number in range((hour_of(s.ended_at) - hour_of(s.started_at)) // HOUR + 1)
    }


def concurrent(sessions: list[Session], hour: datetime) -> list[int]:
    """The distinct players in a session, minute by minute of the hour."""
    near = [s for s in sessions if s.started_at < hour + HOUR and hour <= s.ended_at]
    return [
        len({s.player for s in near if s.lasts_in(hour + n * MINUTE)} - {None}) for n in range(60)
    ]


def net(events: Iterable[Attributed], player: str) -> float:
    """USD that a player's purchases bring, net of refunds."""
    return round(sum(a.usd or 0 for a in events if a.player == player), 6)


def label(text: str) -> str:
    """How a value from outside is shown, `all` being ours."""
    return f"{text} (reported)" if re.fullmatch(r"all( \(reported\))*", text) else text


def named(grain: Grain) -> Row:
    """The grain's columns."""
    return dict(zip(("studio", "game", "platform"), grain, strict=True))


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None where there is nothing to divide by."""
    return part / whole if whole else None


def has(events: list[Event], source: str) -> bool:
    """Whether any event is of the source."""
    return any(event.source == source for event in events)


def hour_of(at: datetime) -> datetime:
    """The start of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


def naive(at: datetime | None) -> datetime | None:
    """UTC without a zone, as the warehouse has it."""
    return None if at is None else at.replace(tzinfo=None)


def dates(first: date, last: date) -> Iterator[date]:
    """Every date from first to last."""
    while first <= last:
        yield first
        first += DAY
