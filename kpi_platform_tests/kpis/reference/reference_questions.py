"""The slow, obvious reference of the question tables: each row from the events it is about.

Belongs here: plain Python over lists of events, readable beside the definitions (semantics of the
twelve questions, docs/decisions). Does not: any code of the engine, and anything clever.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from statistics import fmean, linear_regression, median
from typing import Any

from kpi_platform_tests.kpis.reference.reference_kpis import (
    Attributed,
    Grain,
    World,
    dates,
    label,
    naive,
    named,
)
from kpi_platform_tests.kpis.reference.reference_statistics import (
    byar,
    chi_square_p,
    fisher,
    mean_bounds,
    newcombe,
    pearson,
    t975,
    welch,
    wilson,
)
from kpi_platform_tests.kpis.reference.reference_versions import order_of
from kpi_platform_tests.reference import (
    Row,
    duration_seconds,
    reference_intervals,
    session_groups,
    session_player,
)

DAY = timedelta(days=1)
ENOUGH, CHEAP, CROWD = 30, 0.01, 10
Key = tuple[str, str]


@dataclass
class PlayerDay:
    """What a player did on a service on a UTC date, and the version of that day."""

    day: date
    service: str
    player: str
    version: str = "unknown"
    device: str = "unknown"
    active: bool = False
    sessions: int = 0
    playtime: float = 0
    revenue: float = 0
    features: int = 0
    issues: int = 0


class Questions:
    """Every question table of a world, as lists of rows."""

    def __init__(self, world: World, by_release_day: Collection[str] = ()) -> None:
        self.world = world
        self.by_release_day = by_release_day
        self.today = (world.now - timedelta(microseconds=1)).date()
        self.last_full = world.now.date() - DAY
        events = [event for found in world.hours.values() for event in found]
        self.intervals = reference_intervals(events)
        self.sightings = world.sightings()
        self.days = self._player_days(session_groups(events))
        self.released = self._released()

    # Players, days and versions

    def _player_days(self, sessions: Sequence[list]) -> dict[tuple[date, str, str], PlayerDay]:
        days: dict[tuple[date, str, str], PlayerDay] = {}

        def at(day: date, service: str, player: str) -> PlayerDay:
            return days.setdefault((day, service, player), PlayerDay(day, service, player))

        for a in self.world.attributed:
            if a.player is None:
                continue
            found = at(a.event.at.date(), a.event.service, a.player)
            found.active |= a.is_activity
            found.revenue += a.usd or 0
            found.features += a.event.name == "FeatureUsed"
            found.issues += a.event.name in {"Crash", "Issue"}
        for group in sessions:
            player = session_player(group)
            if player is not None:
                found = at(group[0].at.date(), group[0].service, player)
                found.sessions += 1
                found.playtime += duration_seconds(group)
        for found in days.values():
            found.version, found.device = self._version_of(found.day, found.service, found.player)
        return days

    def _version_of(self, day: date, service: str, player: str) -> tuple[str, str]:
        seen = [
            (a.event.at, a.device, a.event.txn, a.event.session, version_of(a))
            for a in self.sightings
            if (a.event.service, a.player, a.event.at.date()) == (service, player, day)
        ]
        if seen:
            return max(seen)[-1], max(seen)[1]
        in_effect = [
            (i["valid_from"], i["device"], i["version"])
            for i in self.intervals
            if (i["service_name"], i["player_id"]) == (service, player)
            and i["valid_from"].date() <= day
            and (i["valid_to"] is None or i["valid_to"].date() >= day)
        ]
        return max(in_effect)[:0:-1] if in_effect else ("unknown", "unknown")  # type: ignore[return-value]

    def _released(self) -> dict[Key, date]:
        """The release day of every version of a service that has one."""
        found: dict[Key, date] = {}
        for service, version in self.versions():
            active = [
                d
                for d in self.days.values()
                if d.active and d.service == service and d.day <= self.last_full
            ]
            usual = median(Counter(d.day for d in active).values()) if active else 0
            mine = Counter(d.day for d in active if d.version == version)
            crowded = [day for day, n in mine.items() if n >= CROWD or n >= usual / 10]
            if crowded:
                found[service, version] = min(crowded)
        return found

    @cache  # noqa: B019 (as long as the test)
    def versions(self) -> list[Key]:
        """Service and version of everything ever sighted."""
        return sorted({(a.event.service, version_of(a)) for a in self.sightings})

    @cache  # noqa: B019 (as long as the test)
    def first_seen(self, service: str, version: str) -> datetime:
        """The first sighting of a version."""
        return min(a.event.at for a in self._sightings_of(service, version))

    def _sightings_of(self, service: str, version: str) -> list[Attributed]:
        return [a for a in self.sightings if (a.event.service, version_of(a)) == (service, version)]

    @cache  # noqa: B019 (as long as the test)
    def place(self, service: str, version: str) -> Any:
        """What decides a version's place in its service's order."""
        if service not in self.by_release_day:
            return order_of(version)
        first = self.first_seen(service, version)
        day = self.release(service, version)
        return naive(first) if day is None else datetime.combine(day, time()), first, version

    @cache  # noqa: B019 (as long as the test)
    def releases(self, service: str) -> list[str]:
        """The released versions of a service, in its order; of two spellings of one the greater."""
        names: dict[int, str] = {}
        places: list[Any] = []
        for name in sorted(name for where, name in self.released if where == service):
            place = self.place(service, name)
            if place not in places:
                places.append(place)
            names[places.index(place)] = name
        return sorted(names.values(), key=lambda name: self.place(service, name))

    @cache  # noqa: B019 (as long as the test)
    def number(self, service: str, version: str) -> int | None:
        """A version's place among those released, from 1; None for one that is not."""
        if (service, version) not in self.released:
            return None
        places = [self.place(service, name) for name in self.releases(service)]
        return places.index(self.place(service, version)) + 1

    def release(self, service: str, version: str) -> date | None:
        """A version's release day."""
        return self.released.get((service, version))

    @cache  # noqa: B019 (as long as the test)
    def previous(self, service: str, version: str) -> str | None:
        """The greatest released version below it."""
        if (service, version) not in self.versions():
            return None
        mine = self.place(service, version)
        below = [name for name in self.releases(service) if self.place(service, name) < mine]
        return below[-1] if below else None

    def is_newest(self, service: str, version: str) -> bool:
        """Whether it is the greatest released version."""
        return self.number(service, version) == len(self.releases(service))

    def state(self, service: str, version: str) -> str:
        """Whether it is released, and if not, which side of the newest it is on."""
        if (service, version) in self.released:
            return "released"
        releases = self.releases(service)
        is_old = releases and not (self.place(service, version) > self.place(service, releases[-1]))
        return "straggler" if is_old else "tester"

    def active_versions(self) -> list[Key]:
        """Service and version of every version seen in the 28 days before now."""
        now = self.world.now
        return sorted(
            {
                (a.event.service, version_of(a))
                for a in self.sightings
                if now - 28 * DAY <= a.event.at < now
            }
        )

    def recent(self, days: int = 28, back: int = 0) -> list[PlayerDay]:
        """The player days of the last UTC dates, up to today or some days before."""
        last = self.today - back * DAY
        return [d for d in self.days.values() if last - days * DAY < d.day <= last]

    def latest(self) -> list[PlayerDay]:
        """Each player's latest active day of the last 28 days, per service."""
        found: dict[Key, PlayerDay] = {}
        for d in sorted(self.recent(), key=lambda d: d.day):
            if d.active:
                found[d.service, d.player] = d
        return list(found.values())

    def first_days(self) -> dict[tuple[str, str, str], datetime]:
        """First time on a version, per service, player and version."""
        found: dict[tuple[str, str, str], datetime] = {}
        for i in self.intervals:
            key = (i["service_name"], i["player_id"], i["version"])
            found[key] = min(found.get(key, i["valid_from"]), i["valid_from"])
        return found

    @cache  # noqa: B019 (as long as the test)
    def newest_on(self, service: str, device: str) -> str | None:
        """The newest version ever sighted on a device, or on `all`; released, if any there is."""
        seen = {
            version_of(a)
            for a in self.sightings
            if a.event.service == service and device in {"all", label(a.device)}
        }
        released = {name for name in seen if (service, name) in self.released}
        return max(released or seen, key=lambda v: (self.place(service, v), v), default=None)

    def gets_nothing_newer(self, service: str, version: str, device: str) -> bool:
        """Whether a device's newest version is this one, or an older one."""
        newest = self.newest_on(service, device)
        if newest is None or (service, version) not in self.versions():
            return False
        return bool(self.place(service, newest) <= self.place(service, version))

    def is_active(self, service: str, player: str, day: date) -> bool:
        """Whether a player was active on a service on a date."""
        found = self.days.get((day, service, player))
        return found is not None and found.active

    def share(self, name: str, k: float | None, n: float) -> Row:
        """A share with its bounds."""
        low, high = wilson(k, n) if k is not None else (None, None)
        return {
            name: k / n if n and k is not None else None,
            f"{name}_low": low,
            f"{name}_high": high,
        }

    # The tables

    def version_adoption(self) -> list[Row]:
        """The table `version_adoption`."""
        active = [d for d in self.days.values() if d.active]
        totals = Counter((d.day, d.service) for d in active)
        return [
            {"date": day, "service_name": service, "version": version, "players": n}
            | self.share("share_of_players", n, totals[day, service])
            for (day, service, version), n in Counter(
                (d.day, d.service, d.version) for d in active
            ).items()
        ]

    def version_distribution(self) -> list[Row]:
        """The table `version_distribution`."""
        latest = self.latest()
        totals = Counter(d.service for d in latest)
        counts = Counter(
            (d.service, d.version, device) for d in latest for device in (label(d.device), "all")
        )
        return [
            {"service_name": service, "version": version, "device": device, "players": n}
            | self.share("share_of_players", n, totals[service])
            | {
                "newest_version_on_device": self.newest_on(service, device),
                "is_newest_on_device": self.is_newest_there(service, version, device),
            }
            for (service, version, device), n in counts.items()
        ]

    def is_newest_there(self, service: str, version: str, device: str) -> bool:
        """Whether it is a device's newest version, however spelled."""
        newest = self.newest_on(service, device)
        if newest is None or (service, version) not in self.versions():
            return False
        return bool(self.place(service, newest) == self.place(service, version))

    def version_shutdown_impact(self) -> list[Row]:
        """The table `version_shutdown_impact`."""
        return [self._shutdown(service, version) for service, version in self.active_versions()]

    def _shutdown(self, service: str, version: str) -> Row:
        everyone = [d for d in self.recent() if d.service == service]
        mine = [d for d in everyone if d.version == version]
        latest = [d for d in self.latest() if d.service == service]
        remaining = [d for d in latest if d.version == version]
        models = Counter(d.device for d in latest)
        told = [d for d in remaining if d.device != "unknown" and models[d.device] >= CROWD]
        stuck = [d for d in told if self.gets_nothing_newer(service, version, label(d.device))]
        still_there = {d.player for d in remaining}
        theirs = [d for d in everyone if d.player in still_there]
        stake = round(sum(d.revenue for d in theirs), 6)
        days = [sum(d.active for d in found) for found in (mine, everyone)]
        revenue = [round(sum(d.revenue for d in found), 6) for found in (mine, everyone)]
        playtime = [sum(d.playtime for d in found) for found in (mine, everyone)]
        sessions = [sum(d.sessions for d in found) for found in (mine, everyone)]
        is_newest = self.is_newest(service, version)
        share_of_revenue = quotient(revenue[0], revenue[1]) if revenue[1] > 0 else None
        left = self.share("share_of_players_remaining", len(remaining), len(latest))
        paid = [sum(d.revenue for d in everyone if d.player == p) for p in sorted(still_there)]
        least_paid = (mean_bounds(paid)[0] or 0) * len(paid)
        verdict = None
        if len(latest) >= ENOUGH:
            costs = left["share_of_players_remaining_low"] > CHEAP or (
                len(paid) >= CROWD and revenue[1] > 0 and least_paid / revenue[1] > CHEAP
            )
            verdict = "costly" if costs else "cheap"
            verdict = "strands_players" if stuck else verdict
            verdict = verdict if remaining else "unused"
            verdict = "not_released" if self.state(service, version) == "tester" else verdict
            verdict = "newest" if is_newest else verdict

        def actives(days: int, back: int = 0) -> int:
            found = self.recent(days, back)
            return len({d.player for d in found if d.active and d in mine})

        return {
            "service_name": service,
            "version": version,
            "release_date": self.release(service, version),
            "release_number": self.number(service, version),
            "is_newest": is_newest,
            "players": actives(28),
            "share_of_players": quotient(actives(28), len(latest)),
            "players_remaining": len(remaining),
            **left,
            "players_without_upgrade": len(stuck),
            "players_device_unclear": len(remaining) - len(told),
            "release_state": self.state(service, version),
            "share_without_upgrade": quotient(len(stuck), len(remaining)),
            "share_of_dau": quotient(*days),
            "sessions": sessions[0],
            "share_of_sessions": quotient(*sessions),
            "playtime_seconds": playtime[0],
            "share_of_playtime": quotient(*playtime),
            "revenue_usd": revenue[0],
            "share_of_revenue": share_of_revenue,
            "remaining_share_of_dau": quotient(sum(d.active for d in theirs), days[1]),
            "remaining_revenue_usd": stake,
            "remaining_share_of_revenue": quotient(stake, revenue[1]) if revenue[1] > 0 else None,
            "players_last_7_days": actives(7),
            "players_previous_7_days": actives(7, 7),
            "verdict": verdict,
        }

    def upgrade_notifications(self) -> list[Row]:
        """The table `upgrade_notifications`."""
        sent = [
            a
            for a in self.world.attributed
            if a.event.name == "Notification" and a.event.attribute("Kind") == "VersionUpgrade"
        ]
        keys = sorted({(a.event.service, target_of(a)) for a in sent})
        return [
            self._notified(key, [a for a in sent if (a.event.service, target_of(a)) == key])
            for key in keys
        ]

    def _notified(self, key: Key, sent: list[Attributed]) -> Row:
        service, target = key
        players = sorted({a.player for a in sent if a.player})
        goal = self._goal(service, target)
        already, measured, hours = 0, 0, []
        for player in players if goal is not None else ():
            tracks = [self._told_on(a, sent, goal) for a in sent if a.player == player]
            waiting = [(first, reached) for first, reached in tracks if reached != first]
            if not waiting:
                already += 1
            elif min(first for first, _ in waiting) + 7 * DAY <= self.world.now:
                measured += 1
                took = [reached - first for first, reached in waiting if reached is not None]
                if took and min(took) <= 7 * DAY:
                    hours.append(min(took).total_seconds() / 3600)
        row: Row = {"service_name": service, "target_version": target}
        for status in ("sent", "shown", "accepted", "dismissed"):
            found = [a for a in sent if a.event.attribute("Status") == status]
            row |= {status: len(found), f"players_{status}": len(some_players(found))}
        return (
            row
            | {
                "players_notified": len(players),
                "is_known_target": goal is not None,
                "players_already_there": already if goal is not None else None,
                "players_measured": measured,
                "players_upgraded_7d": len(hours) if goal is not None else None,
                "hours_to_upgrade_median": median(hours) if hours else None,
                "has_enough_data": measured >= ENOUGH,
            }
            | self.share("upgrade_rate_7d", len(hours) if measured else None, measured)
        )

    def _goal(self, service: str, target: str) -> Any:
        """The place of the target among the versions of the service, however it is spelled."""
        names = [name for where, name in self.versions() if where == service]
        alike = [
            name
            for name in names
            if name == target
            or (service not in self.by_release_day and order_of(name) == order_of(target))
        ]
        return self.place(service, alike[0]) if alike else None

    def _told_on(
        self, told: Attributed, sent: list[Attributed], goal: Any
    ) -> tuple[datetime, datetime | None]:
        """When a player was first told on the device of a notification, and when the goal was
        reached there: the same instant if it was before."""
        alike = [a for a in sent if (a.player, a.device) == (told.player, told.device)]
        first = min(a.event.at for a in alike)
        theirs = [
            i
            for i in self.intervals
            if (i["service_name"], i["player_id"]) == (told.event.service, told.player)
            and told.device in {i["device"], "unknown"}
            and self.place(told.event.service, i["version"]) >= goal
        ]
        if any(
            i["valid_from"] <= first and (i["valid_to"] is None or first < i["valid_to"])
            for i in theirs
        ):
            return first, first
        return first, min(
            (i["valid_from"] for i in theirs if i["valid_from"] > first), default=None
        )

    def _told(self, *names: str) -> list[tuple[PlayerDay, str, str, str | None]]:
        """Day, event name, subject and severity of the last 28 days' features, crashes, issues."""
        found = []
        for a in self.world.attributed:
            day = self.days.get((a.event.at.date(), a.event.service, a.player or ""))
            if a.event.name in names and day is not None and day in self._recent_days():
                what = a.event.attribute("Feature" if a.event.name == "FeatureUsed" else "Code")
                found.append((day, a.event.name, what or "unknown", a.event.attribute("Severity")))
        return found

    @cache  # noqa: B019 (as long as the test)
    def _recent_days(self) -> list[PlayerDay]:
        return self.recent()

    def users(self, service: str, version: str | None) -> int:
        """Distinct players active on a version in the last 28 days."""
        mine = [d for d in self._recent_days() if (d.service, d.version) == (service, version)]
        return len({d.player for d in mine if d.active})

    def starts(self, service: str, version: str | None) -> int:
        """Sessions started on a version in the last 28 days."""
        mine = [d for d in self._recent_days() if (d.service, d.version) == (service, version)]
        return sum(d.sessions for d in mine)

    def exposure(self, service: str, version: str | None) -> dict[str, int]:
        """Active days of the last 28 on a version, by player."""
        mine = [d for d in self._recent_days() if (d.service, d.version) == (service, version)]
        return dict(Counter(d.player for d in mine if d.active))

    def day_share(self, service: str, version: str | None, days: set[Key]) -> tuple[float, float]:
        """The share of a version's player days that are among these (player, date), and of how
        many independent days it is worth."""
        exposure = self.exposure(service, version)
        hits = Counter(player for player, _ in days)
        total = sum(exposure.values())
        if not total:
            return 0.0, 0.0
        share = sum(min(n, exposure[p]) for p, n in hits.items()) / total
        if share in (0, 1) or len(exposure) < 2:
            return share, float(len(exposure))
        spread = sum((min(hits[p], n) - share * n) ** 2 for p, n in exposure.items())
        variance = spread * len(exposure) / (len(exposure) - 1) / total**2
        if variance <= 1e-12:
            return share, float(total)
        return share, max(1.0, min(float(total), share * (1 - share) / variance))

    def is_present(self, service: str, version: str | None) -> bool:
        """Whether any player day of the last 28 days is on the version."""
        return any((d.service, d.version) == (service, version) for d in self._recent_days())

    def first_version_with(self, service: str, has: Callable[[Attributed], bool]) -> int | None:
        """The first version, by number, of those sighted on a day on which they had it."""
        numbers = []
        for a in self.world.attributed:
            if a.event.service == service and a.player is not None and has(a):
                day = a.event.at.date()
                seen = any(
                    (s.event.service, s.player, s.event.at.date()) == (service, a.player, day)
                    for s in self.sightings
                )
                found = self.days[day, service, a.player]
                number = self.number(service, found.version) if seen else None
                numbers += [] if number is None else [number]
        return min(numbers, default=None)

    def feature_use_by_version(self) -> list[Row]:
        """The table `feature_use_by_version`."""
        told = self._told("FeatureUsed")
        rows = []
        for service, version, feature in sorted({(d.service, d.version, f) for d, _, f, _ in told}):

            def having(version: str | None, service: str = service, feature: str = feature) -> list:
                return [
                    d.player
                    for d, _, f, _ in told
                    if (d.service, d.version, f) == (service, version, feature)
                ]

            def days_of(version: str | None, service: str = service, feature: str = feature) -> set:
                return {
                    (d.player, d.day)
                    for d, _, f, _ in told
                    if (d.service, d.version, f) == (service, version, feature)
                }

            uses = having(version)
            users = self.users(service, version)
            now = self.day_share(service, version, days_of(version))
            previous = self.previous(service, version)
            k = len(set(having(previous)))
            n = self.users(service, previous) if self.is_present(service, previous) else 0
            before = self.day_share(service, previous, days_of(previous))
            change = newcombe(now[0] * now[1], now[1], before[0] * before[1], before[1])
            first = self.first_version_with(
                service,
                lambda a, feature=feature: (
                    a.event.name == "FeatureUsed"
                    and (a.event.attribute("Feature") or "unknown") == feature
                ),
            )
            number = self.number(service, version)
            rows.append(
                {
                    "service_name": service,
                    "version": version,
                    "feature": feature,
                    "uses": len(uses),
                    "players": len(set(uses)),
                    "version_players": users,
                    "uses_per_player": len(uses) / len(set(uses)),
                    "days": len(days_of(version)),
                    "version_days": sum(self.exposure(service, version).values()),
                    "previous_share_of_days": before[0] if before[1] else None,
                    "is_new": number is not None and number > 1 and first == number,
                    "previous_version": previous,
                    "previous_share_of_players": quotient(k, n),
                    "share_change": change[0],
                    "share_change_low": change[1],
                    "share_change_high": change[2],
                    "has_enough_data": users >= ENOUGH,
                }
                | self.share("share_of_players", len(set(uses)), users)
                | self.share("share_of_days", now[0] * now[1], now[1])
            )
        return rows

    def issues_by_version(self) -> list[Row]:
        """The table `issues_by_version`."""
        told = [(d, name, label(code), s) for d, name, code, s in self._told("Crash", "Issue")]
        told += [(d, name, "all", severity) for d, name, _, severity in told]
        rows = []
        for service, version, kind, code in sorted(
            {(d.service, d.version, name, code) for d, name, code, _ in told}
        ):

            def having(version: str | None, key: tuple = (service, kind, code)) -> list:
                return [
                    (d.player, severity)
                    for d, name, code, severity in told
                    if (d.service, name, code) == key and d.version == version
                ]

            def days_of(version: str | None, key: tuple = (service, kind, code)) -> set:
                return {
                    (d.player, d.day)
                    for d, name, code, _ in told
                    if (d.service, name, code) == key and d.version == version
                }

            mine = having(version)
            players = {player for player, _ in mine}
            now = self.day_share(service, version, days_of(version))
            severities = Counter(severity for _, severity in mine if severity)
            sessions, users = self.starts(service, version), self.users(service, version)
            previous = self.previous(service, version)
            low, high = byar(len(mine), sessions)
            first = self.first_version_with(
                service,
                lambda a, kind=kind, code=code: (
                    a.event.name == kind
                    and code in {"all", label(a.event.attribute("Code") or "unknown")}
                ),
            )
            number = self.number(service, version)
            rows.append(
                {
                    "service_name": service,
                    "version": version,
                    "kind": kind,
                    "code": code,
                    "severity": min(severities, key=lambda s: (-severities[s], s), default=None),
                    "issues": len(mine),
                    "players": len(players),
                    "version_players": users,
                    "version_sessions": sessions,
                    "days": len(days_of(version)),
                    "version_days": sum(self.exposure(service, version).values()),
                    "per_1000_sessions": quotient(1000 * len(mine), sessions),
                    "per_1000_sessions_low": low,
                    "per_1000_sessions_high": high,
                    "previous_version": previous,
                    "previous_per_1000_sessions": quotient(
                        1000 * len(having(previous)), self.starts(service, previous)
                    ),
                    "is_new": number is not None and number > 1 and first == number,
                    "has_enough_data": users >= ENOUGH,
                }
                | self.share("share_of_players", len(players), users)
                | self.share("share_of_days", now[0] * now[1], now[1])
            )
        return rows

    # Cohorts

    def _cohort(self, service: str, starts: dict[str, date]) -> Row:
        """Retention and revenue of players from their day 0 on."""
        row: Row = {}
        for n in (1, 7):
            over = [p for p, day in starts.items() if day + n * DAY <= self.last_full]
            kept = sum(self.is_active(service, p, starts[p] + n * DAY) for p in over)
            row |= {f"players_d{n}": len(over), f"retained_d{n}": kept if over else None}
            row |= self.share(f"retention_d{n}", kept if over else None, len(over))
        return row

    def _through(self, service: str, starts: dict[str, date], n: int) -> list[float]:
        """USD through day n of each player whose day n is over."""
        over = {p: day for p, day in starts.items() if day + n * DAY <= self.last_full}
        return self._revenues(service, over, n)

    def _revenues(self, service: str, starts: dict[str, date], n: int = 10_000) -> list[float]:
        """USD of each player since day 0, through day n."""
        return [
            round(
                sum(
                    d.revenue
                    for d in self.days.values()
                    if (d.service, d.player) == (service, player) and 0 <= (d.day - day).days <= n
                ),
                6,
            )
            for player, day in starts.items()
        ]

    def _money(self, values: list[float]) -> Row:
        low, high = mean_bounds(values)
        return {
            "payers": sum(value > 0 for value in values),
            "revenue_usd": sum(values),
            "revenue_per_player_usd": fmean(values) if values else None,
            "revenue_per_player_usd_low": low,
            "revenue_per_player_usd_high": high,
        }

    def ab_test_results(self) -> list[Row]:
        """The table `ab_test_results`."""
        told: dict[tuple[str, str, str], list[tuple[str, datetime]]] = {}
        for a in sorted(
            self.world.attributed,
            key=lambda a: (a.event.at, a.event.txn, a.event.attribute("Variant") or "unknown"),
        ):
            if a.event.name == "ExperimentAssigned" and a.player:
                key = (a.event.service, a.event.attribute("Experiment") or "unknown", a.player)
                variant = a.event.attribute("Variant") or "unknown"
                told.setdefault(key, []).append((variant, a.event.at))
        arms: dict[Key, dict[str, dict[str, date]]] = {}
        mixed: Counter[tuple[str, str, str]] = Counter()
        began: dict[tuple[str, str, str], date] = {}
        for (service, experiment, player), seen in told.items():
            variant, at = seen[0]
            arm = arms.setdefault((service, experiment), {}).setdefault(variant, {})
            key = (service, experiment, variant)
            began[key] = min(began.get(key, at.date()), at.date())
            if {name for name, _ in seen} == {variant}:
                arm[player] = at.date()
            else:
                mixed[key] += 1
        rows = []
        for (service, experiment), variants in arms.items():
            names = ["control", "baseline", "a"]
            control = min(
                variants,
                key=lambda v: (names.index(v.lower()) if v.lower() in names else 3, v),
            )
            base = self._cohort(service, variants[control])
            money = {n: self._through(service, variants[control], n) for n in (7, 30)}
            sizes = [len(starts) for starts in variants.values()]
            p_even = even_p(sizes)
            last = max(
                at
                for key, seen in told.items()
                if key[:2] == (service, experiment)
                for _, at in seen
            )
            first_day = min(day for key, day in began.items() if key[:2] == (service, experiment))
            looks = max(1, (self.last_full - first_day).days + 1)
            for variant, starts in variants.items():
                row = self._cohort(service, starts)
                values = self._revenues(service, starts)
                is_control = variant == control
                row |= self._against(row, base, None if is_control else "yes")
                if not is_control and p_even is not None and p_even < 0.001:
                    row["verdict"] = "uneven arms"
                for n in (7, 30):
                    through = self._through(service, starts, n)
                    row |= mean_row(f"revenue_d{n}_per_player_usd", through)
                    compared = (None, None, None) if is_control else welch(through, money[n])
                    row |= bounded(f"revenue_d{n}_difference_usd", compared)
                row["players_d30"] = len(self._through(service, starts, 30))
                row |= bounded(
                    "revenue_difference_usd",
                    [row[f"revenue_d7_difference_usd{end}"] for end in ("", "_low", "_high")],
                )
                rows.append(
                    row
                    | self._money(values)
                    | {
                        "service_name": service,
                        "experiment": experiment,
                        "variant": variant,
                        "is_control": is_control,
                        "is_active": last >= self.world.now - 28 * DAY,
                        "first_assigned_date": began[service, experiment, variant],
                        "last_assigned_at": naive(last),
                        "players_two_variants": mixed[service, experiment, variant],
                        "sample_ratio_p": p_even,
                        "days_to_look": looks,
                        "error_if_looked_daily": error_of(looks),
                        "players": len(starts),
                    }
                )
        return rows

    def _against(self, row: Row, base: Row, compare: str | None) -> Row:
        found: Row = {"verdict": None}
        for n in (1, 7):
            counts = [row[f"retained_d{n}"], row[f"players_d{n}"]]
            counts += [base[f"retained_d{n}"], base[f"players_d{n}"]]
            difference = newcombe(*counts) if compare and None not in counts else (None,) * 3
            found |= bounded(f"retention_d{n}_difference", difference)
            if compare and min(counts[1], counts[3]) >= ENOUGH:
                _, low, high = difference
                better = "better" if low > 0 else "no clear difference"
                found["verdict"] = "worse" if high < 0 else better
        return found

    def install_sources(self) -> list[Row]:
        """The table `install_sources`."""
        installs = sorted(
            (a for a in self.world.attributed if a.event.name == "Install"),
            key=lambda a: (a.event.at, a.event.txn, source_of(a)),
        )
        first: dict[Key, tuple[str, date]] = {}
        for a in installs:
            if a.player:
                first.setdefault((a.event.service, a.player), (source_of(a), a.event.at.date()))
        rows = []
        for service, source in sorted({(a.event.service, source_of(a)) for a in installs}):
            mine = [a for a in installs if (a.event.service, source_of(a)) == (service, source)]
            starts = {
                player: day
                for (where, player), (which, day) in first.items()
                if (where, which) == (service, source)
            }
            now = self.world.now
            cohort = self._cohort(service, starts)
            cohort = {k: v for k, v in cohort.items() if not k.startswith("retained")}
            everyone = sum(where == service for where, _ in first)
            rows.append(
                {
                    "service_name": service,
                    "install_source": source,
                    "installs": len(mine),
                    "installs_last_28_days": sum(now - 28 * DAY <= a.event.at < now for a in mine),
                    "players": len(starts),
                    "has_enough_data": len(starts) >= ENOUGH,
                }
                | self.share("share_of_players", len(starts), everyone)
                | cohort
                | {"players_d30": len(self._through(service, starts, 30))}
                | mean_row("revenue_d7_per_player_usd", self._through(service, starts, 7))
                | mean_row("revenue_d30_per_player_usd", self._through(service, starts, 30))
                | self._money(self._revenues(service, starts))
            )
        return rows

    def version_engagement(self) -> list[Row]:
        """The table `version_engagement`."""
        return [self._engagement(service, version) for service, version in self.active_versions()]

    def _engagement(self, service: str, version: str) -> Row:
        mine = [d for d in self.recent() if (d.service, d.version) == (service, version)]
        active = [d for d in mine if d.active]
        players = {d.player for d in active}
        means = [
            fmean([d.playtime for d in active if d.player == player]) for player in sorted(players)
        ]
        sessions, playtime = sum(d.sessions for d in mine), sum(d.playtime for d in mine)
        revenue = sum(d.revenue for d in mine)
        low, high = mean_bounds(means)
        starts = {
            player: at.date()
            for (where, player, name), at in self.first_days().items()
            if (where, name) == (service, version)
            and self.last_full - 35 * DAY < at.date() <= self.last_full
        }
        cohort = self._cohort(service, starts)
        return (
            {
                "service_name": service,
                "version": version,
                "release_date": self.release(service, version),
                "release_number": self.number(service, version),
                "release_state": self.state(service, version),
                "previous_version": self.previous(service, version),
                "is_newest": self.is_newest(service, version),
                "players": len(players),
                "active_player_days": len(active),
                "sessions": sessions,
                "active_days_per_player": quotient(len(active), len(players)),
                "sessions_per_player_day": quotient(sessions, len(active)),
                "session_length_mean_seconds": quotient(playtime, sessions),
                "playtime_per_player_day_seconds": fmean(means) if means else None,
                "playtime_per_player_day_seconds_low": low,
                "playtime_per_player_day_seconds_high": high,
                "revenue_usd": revenue,
                "arpdau_usd": quotient(revenue, len(active)),
                "has_enough_data": len(players) >= ENOUGH,
            }
            | {k: v for k, v in cohort.items() if not k.startswith("retained")}
            | self._churn(service, version)
            | self._adopters(service, version)
        )

    def _churn(self, service: str, version: str) -> Row:
        whole: dict[str, PlayerDay] = {}
        for d in sorted(self.days.values(), key=lambda d: d.day):
            inside = self.last_full - 56 * DAY < d.day <= self.last_full - 28 * DAY
            if d.active and inside and d.service == service:
                whole[d.player] = d
        last = {player: d.day for player, d in whole.items() if d.version == version}
        gone = sum(
            not any(
                self.is_active(service, player, later) for later in dates(day + DAY, day + 28 * DAY)
            )
            for player, day in last.items()
        )
        churn = self.share("churn_28", gone if last else None, len(last))
        return {"players_churn_28": len(last)} | churn

    def _adopters(self, service: str, version: str) -> Row:
        release = self.release(service, version)
        first = self.first_days()
        sides: dict[bool, list[float]] = {True: [], False: []}
        if release is not None and release + 6 * DAY <= self.last_full:
            before = [
                d
                for d in self.days.values()
                if d.service == service and d.active and release - 28 * DAY <= d.day < release
            ]
            for player in sorted({d.player for d in before}):
                moved = first.get((service, player, version))
                side = moved is not None and moved.date() <= release + 6 * DAY
                sides[side].append(fmean([d.playtime for d in before if d.player == player]))
        differ = None
        if min(len(values) for values in sides.values()) >= ENOUGH:
            _, low, high = welch(sides[True], sides[False])
            differ = low is not None and high is not None and (low > 0 or high < 0)
        return {
            "adopters": len(sides[True]),
            "adopters_prior_playtime_seconds": fmean(sides[True]) if sides[True] else None,
            "others_prior_playtime_seconds": fmean(sides[False]) if sides[False] else None,
            "adopters_differ": differ,
        }

    def version_focus(self) -> list[Row]:
        """The table `version_focus`."""
        told = self._told("FeatureUsed", "Crash", "Issue")
        having: dict[tuple[str, str, str, str], set[str]] = {}
        days: dict[tuple[str, str, str, str], set] = {}
        for d, event, name, _ in told:
            kind = "feature" if event == "FeatureUsed" else event.lower()
            having.setdefault((d.service, d.version, kind, name), set()).add(d.player)
            days.setdefault((d.service, d.version, kind, name), set()).add((d.player, d.day))
        rows = []
        for service, version in self.active_versions():
            if not self.is_present(service, version):
                continue
            previous = self.previous(service, version)
            has_previous = self.is_present(service, previous)
            names = {
                key[2:] for key in having if key[:2] in {(service, version), (service, previous)}
            }
            for kind, name in names:
                k = len(having.get((service, version, kind, name), ()))
                k2 = len(having.get((service, previous or "", kind, name), ()))
                n, n2 = self.users(service, version), self.users(service, previous)
                now = self.day_share(
                    service, version, days.get((service, version, kind, name), set())
                )
                before = self.day_share(
                    service, previous, days.get((service, previous or "", kind, name), set())
                )
                change = newcombe(now[0] * now[1], now[1], before[0] * before[1], before[1])
                change = change if has_previous else (None, None, None)
                if kind == "feature" and change[0] is not None:
                    change = (-change[0], -change[2], -change[1])  # type: ignore[operator]
                direction = None
                if has_previous and min(n, n2) >= ENOUGH:
                    better = "better" if change[2] < 0 else "unclear"  # type: ignore[operator]
                    direction = "worse" if change[1] > 0 else better  # type: ignore[operator]
                rows.append(
                    {
                        "service_name": service,
                        "version": version,
                        "is_newest": self.is_newest(service, version),
                        "kind": kind,
                        "name": name,
                        "players_affected": k,
                        "version_players": n,
                        "share_of_players": quotient(k, n),
                        "previous_version": previous,
                        "previous_share_of_players": quotient(k2, n2) if has_previous else None,
                        "share_of_days": now[0] if now[1] else None,
                        "previous_share_of_days": before[0] if before[1] else None,
                        "direction": direction,
                    }
                    | bounded("concern", change)
                )
        places = [self._places(row, rows) for row in rows]
        return [row | place for row, place in zip(rows, places, strict=True)]

    def _places(self, row: Row, rows: list[Row]) -> Row:
        """Where a row stands among those of its version and, but for `priority`, of its kind."""
        version = ("service_name", "version")
        beside = [r for r in rows if all(r[name] == row[name] for name in version)]
        alike = [r for r in beside if r["kind"] == row["kind"]]
        told = [r for r in alike if r["concern"] is not None]

        def by_players(r: Row) -> tuple[object, ...]:
            return -r["players_affected"], r["name"]

        def by_change(r: Row) -> tuple[object, ...]:
            return -r["concern"], -r["players_affected"], r["name"]

        def by_urgency(r: Row) -> tuple[object, ...]:
            is_feature, is_worse = r["kind"] == "feature", r["direction"] == "worse"
            worry = -r["concern"] if r["concern"] is not None else 9
            tier = 0 if is_worse else 2 if is_feature else 1
            fell = worry if is_feature and not is_worse else 9
            return tier, fell, -r["players_affected"], worry, r["kind"], r["name"]

        return {
            "rank_by_players": sorted(alike, key=by_players).index(row) + 1,
            "rank_by_change": sorted(told, key=by_change).index(row) + 1 if row in told else None,
            "priority": sorted(beside, key=by_urgency).index(row) + 1,
        }

    def release_cadence(self) -> list[Row]:
        """The table `release_cadence`."""
        return [self._release(service, version) for service, version in self.versions()]

    def _release(self, service: str, version: str) -> Row:
        in_time = sorted(
            (day, name) for (where, name), day in self.released.items() if where == service
        )
        days = [day for day, _ in in_time]
        gaps = [(b - a).days for a, b in pairwise(days)]
        release = self.release(service, version)
        place = in_time.index((release, version)) if release is not None else None
        active = [d for d in self.days.values() if d.active and d.service == service]
        totals = Counter(d.day for d in active)
        mine = Counter(d.day for d in active if d.version == version)
        shares = {day: n / totals[day] for day, n in mine.items() if totals[day] >= CROWD}
        peak = min(shares, key=lambda day: (-shares[day], day), default=None)
        halves = [d for d, s in shares.items() if s >= 0.5 and release is not None and d >= release]
        half = min(halves, default=None)
        first = self.first_days()
        hours = None
        if half is not None:
            came = sorted(
                first[service, d.player, version]
                for d in active
                if d.day == half and d.version == version
            )
            needed = -(-totals[half] // 2)
            later = [
                a.event.at
                for a in self._sightings_of(service, version)
                if release is not None and a.event.at.date() >= release
            ]
            start = min(
                later, default=datetime.combine(release or half, time(), self.world.now.tzinfo)
            )
            hours = max(0.0, (came[needed - 1] - start).total_seconds() / 3600)
        seen = self._sightings_of(service, version)
        trend = self._trend(days, min((d.day for d in active), default=date.max))
        return {
            "service_name": service,
            "version": version,
            "release_date": release,
            "release_number": self.number(service, version),
            "release_state": self.state(service, version),
            "previous_version": self.previous(service, version),
            "is_newest": self.is_newest(service, version),
            "first_seen_at": naive(min(a.event.at for a in seen)),
            "last_seen_at": naive(max(a.event.at for a in seen)),
            "players": len({p for s, p, v in first if (s, v) == (service, version)}),
            "days_since_previous_release": gaps[place - 1] if place else None,
            "days_until_next_release": gaps[place]
            if place is not None and place < len(gaps)
            else None,
            "peak_share_of_players": shares[peak] if peak else None,
            "peak_date": peak,
            "half_adoption_date": half,
            "hours_to_half_adoption": hours,
            **trend,
            "service_releases": len(days),
            "service_days_between_releases_mean": fmean(gaps) if gaps else None,
            "service_days_between_releases_median": median(gaps) if gaps else None,
        }

    def _trend(self, days: list[date], first: date) -> Row:
        """Whether the times between releases become shorter."""
        gaps = [(b - a).days for a, b in pairwise(days) if a > first]
        row: Row = {"service_gaps": len(gaps), "service_cadence": "cannot tell"}
        if len(gaps) < 5:
            return row | bounded("service_gap_trend_days", (None, None, None))
        places = [float(place) for place in range(1, len(gaps) + 1)]
        slope, start = linear_regression(places, gaps)
        rest = sum((gap - start - slope * x) ** 2 for x, gap in zip(places, gaps, strict=True))
        spread = sum((x - fmean(places)) ** 2 for x in places)
        half = t975(len(gaps) - 2) * (rest / (len(gaps) - 2) / spread) ** 0.5
        if slope + half < 0:
            row["service_cadence"] = "more often"
        elif slope - half > 0:
            row["service_cadence"] = "less often"
        return row | bounded("service_gap_trend_days", (slope, slope - half, slope + half))

    def version_behaviour(self) -> list[Row]:
        """The table `version_behaviour`."""
        measures: dict[str, Callable[[list[PlayerDay]], float | None]] = {
            "session_length_seconds": lambda days: quotient(
                sum(d.playtime for d in days), sum(d.sessions for d in days)
            ),
            "sessions_per_day": lambda days: sum(d.sessions for d in days) / len(days),
            "playtime_per_day_seconds": lambda days: sum(d.playtime for d in days) / len(days),
            "active_days": len,
            "features_per_day": lambda days: sum(d.features for d in days) / len(days),
            "issues_per_day": lambda days: sum(d.issues for d in days) / len(days),
            "revenue_per_day_usd": lambda days: sum(d.revenue for d in days) / len(days),
        }
        rows = []
        for service, version in self.active_versions():
            for measure, of in measures.items():
                values = self._behaviour(service, version, of)
                previous = self.previous(service, version)
                is_exposure = measure == "active_days"
                before = [] if is_exposure else self._behaviour(service, previous, of)
                difference = welch(values, before)
                xs, ys, ts = self._pairs(service, of)
                r = pearson(xs, ys) if len(xs) >= ENOUGH and not is_exposure else None
                rest = None if r is None else partial(r, pearson(xs, ts), pearson(ys, ts))
                raw, same_day = fisher(r, len(xs)), fisher(rest, len(xs) - 1)
                low, high = mean_bounds(values)
                rows.append(
                    {
                        "service_name": service,
                        "version": version,
                        "release_date": self.release(service, version),
                        "release_number": self.number(service, version),
                        "measure": measure,
                        "players": len(values),
                        "mean": fmean(values) if values else None,
                        "mean_low": low,
                        "mean_high": high,
                        "median": median(values) if values else None,
                        "previous_version": previous,
                        "correlation": r,
                        "correlation_low": raw[0],
                        "correlation_high": raw[1],
                        "same_day_correlation": rest,
                        "same_day_correlation_low": same_day[0],
                        "same_day_correlation_high": same_day[1],
                        "only_follows_time": not is_real(same_day) if is_real(raw) else None,
                        "correlation_players": len(xs),
                        "adopters_differ": self._adopters(service, version)["adopters_differ"],
                        "has_enough_data": len(values) >= ENOUGH,
                    }
                    | bounded("difference", difference)
                )
        return rows

    def _by_player(self, service: str, version: str | None) -> dict[str, list[PlayerDay]]:
        found: dict[str, list[PlayerDay]] = {}
        for d in self.recent():
            if d.active and (d.service, d.version) == (service, version):
                found.setdefault(d.player, []).append(d)
        return found

    def _behaviour(
        self, service: str, version: str | None, of: Callable[[list[PlayerDay]], float | None]
    ) -> list[float]:
        values = [of(days) for days in self._by_player(service, version).values()]
        return [round(value, 6) for value in values if value is not None]

    def _pairs(
        self, service: str, of: Callable[[list[PlayerDay]], float | None]
    ) -> tuple[list[float], list[float], list[float]]:
        """Release number, measure and middle of the days of each player on the latest version that
        they were sighted on, if it is released."""
        last: dict[str, PlayerDay] = {}
        for d in sorted(self.recent(), key=lambda d: d.day):
            if d.active and d.service == service:
                last[d.player] = d
        xs: list[float] = []
        ys: list[float] = []
        ts: list[float] = []
        for player, d in last.items():
            days = self._by_player(service, d.version)[player]
            value, number = of(days), self.number(service, d.version)
            if value is not None and number is not None:
                xs.append(float(number))
                ys.append(round(value, 6))
                ts.append(round(fmean((d.day - self.today).days for d in days), 6))
        return xs, ys, ts

    def kpi_coverage(self, requirements: Sequence[Key]) -> list[Row]:
        """The table `kpi_coverage`, of (KPI, what it requires)."""
        told: dict[tuple[Grain, str], date] = {}
        for a in self.world.attributed:
            names = [a.event.name] + ["player"] * a.is_activity
            names += ["session"] * (a.session_started_at is not None)
            for key in [(grain, name) for grain in self.world.grains_of(a) for name in names]:
                told[key] = min(told.get(key, a.event.at.date()), a.event.at.date())
        sources = {*self.world.sources, *(a.event.source for a in self.world.attributed)}
        known = [self.world.known(name) for name in sources]
        grains = {grain for grain, _ in told}
        grains |= {(label(source.studio), label(source.game), "all") for source in known}
        grains |= {(label(source.studio), "all", "all") for source in known}
        rows = []
        for kpi in {kpi for kpi, _ in requirements}:
            needs = sorted(need for name, need in requirements if name == kpi)
            of_feed = any(need == "stream" or need.startswith("console") for need in needs)
            for grain in grains:
                if of_feed and grain[2] != "all":
                    continue
                dates_ = [told.get((grain, need)) for need in needs]
                missing = [n for n, day in zip(needs, dates_, strict=True) if day is None]
                rows.append(
                    {
                        "kpi": kpi,
                        **named(grain),
                        "is_available": not missing,
                        "requires": ", ".join(needs),
                        "missing": ", ".join(missing) or None,
                        "available_since": None if missing else max(d for d in dates_ if d),
                    }
                )
        return rows

    def dim_service(self) -> list[Row]:
        """The table `dim_service`."""
        found: dict[tuple[str, str, str], list[date]] = {}
        for a in self.world.attributed:
            known = self.world.known(a.event.source)
            key = (a.event.service, label(known.studio), label(known.game))
            found.setdefault(key, []).append(a.event.at.date())
        return [
            {
                "service_name": service,
                "studio": studio,
                "game": game,
                "first_date": min(days),
                "last_date": max(days),
            }
            for (service, studio, game), days in found.items()
        ]


def version_of(sighting: Attributed) -> str:
    """The version that a sighting tells."""
    return sighting.event.version() or ""


def target_of(notification: Attributed) -> str:
    """The version that a notification asks for."""
    return notification.event.version("TargetVersion") or "unknown"


def source_of(install: Attributed) -> str:
    """Where an install says it comes from."""
    return install.event.attribute("Source") or "unknown"


def some_players(events: Iterable[Attributed]) -> set[str]:
    """The known players of events."""
    return {a.player for a in events if a.player}


def partial(r: float, r_xt: float | None, r_yt: float | None) -> float:
    """The correlation of two that is left with a third taken out; 0 where it says all of one."""
    x, y = r_xt or 0, r_yt or 0
    if max(abs(x), abs(y)) > 0.9999:
        return 0.0
    return (r - x * y) / ((1 - x * x) * (1 - y * y)) ** 0.5


def is_real(bounds: Sequence[float | None]) -> bool:
    """Whether an interval leaves out 0."""
    low, high = bounds
    return low is not None and high is not None and (low > 0 or high < 0)


def mean_row(name: str, values: list[float]) -> Row:
    """A mean and its bounds as columns."""
    return bounded(name, (fmean(values) if values else None, *mean_bounds(values)))


def even_p(sizes: list[int]) -> float | None:
    """How likely arms of the same chance are as uneven as these."""
    if len(sizes) < 2:
        return None
    expected = sum(sizes) / len(sizes)
    if not expected:
        return 1.0
    return chi_square_p(sum((n - expected) ** 2 / expected for n in sizes), len(sizes) - 1)


def error_of(looks: int) -> float:
    """The error at 5 % of so many looks, as published; between two numbers that of the lesser."""
    known = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193, 15: 0.224, 20: 0.248}
    known |= {50: 0.32, 100: 0.374, 200: 0.42, 1000: 0.53}
    return known[max(number for number in known if number <= looks)]


def bounded(name: str, values: Sequence[float | None]) -> Row:
    """A difference and its bounds as columns."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def quotient(part: float, whole: float) -> float | None:
    """part / whole; None where there is nothing to divide by."""
    return part / whole if whole else None
