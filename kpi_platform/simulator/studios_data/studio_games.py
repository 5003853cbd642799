"""The games whose studios keep their data in warehouses: what is played there, event by event.

Belongs here: the true events and when each row was last written. Does not: how a studio writes
them down (`studio_tables.py`), and what is true in the end (`studio_truth.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

HOUR_MS = 3_600_000
# Played before the world's first hour: what a studio's tables hold when they are first read.
HISTORY_HOURS = 36
_MOST_PLAYERS = 400
# Since when the oldest of its players have played.
_OLDEST_HOURS = 240
_SESSIONS_PER_PLAYER_HOUR = 0.012


@dataclass(frozen=True)
class StudioGame:
    """A game of a studio's warehouse. `writes` names the studio's way of writing rows down."""

    studio: str
    key: str
    name: str
    source: str
    schema: str
    writes: str
    devices: tuple[str, ...]
    platform: str
    currency: str
    prices_minor: tuple[int, ...]
    version: str
    is_local: bool = False


GAMES = (
    StudioGame(
        "northlight",
        "emberfall",
        "Emberfall",
        "emberfall-db",
        "Emberfall",
        "camel",
        ("PlayStation 5", "PlayStation 4"),
        "playstation",
        "USD",
        (99, 299, 999),
        "7.{n}",
    ),
    StudioGame(
        "kumo",
        "pocket-shrine",
        "Pocket Shrine",
        "pocket-shrine-db",
        "pocket_shrine",
        "snake",
        ("Pixel 8", "Galaxy S23"),
        "android",
        "JPY",
        (120, 480, 1200),
        "2.{n}.1",
        is_local=True,
    ),
    StudioGame(
        "redbarn",
        "circuit-run",
        "Circuit Run",
        "circuit-run-db",
        "live ops",
        "wide",
        ("Switch", "Switch 2"),
        "switch",
        "EUR",
        (299, 599),
        "1.0{n}",
    ),
)


@dataclass(frozen=True)
class StudioEvent:
    """An event as it happened. Times are Unix milliseconds; `written_ms` is the last change of its
    row. `flaw`: what is wrong with the row, `gone`: the studio has taken it back."""

    number: int
    kind: str
    at_ms: int
    written_ms: int
    player: int
    session: str
    version: str = ""
    device: str = ""
    seconds: int = 0
    amount_minor: int = 0
    is_refund: bool = False
    gone: bool = False
    flaw: str = ""


def make_events(
    game: StudioGame, seed: int, start_ms: int, hours: int, players: int
) -> list[StudioEvent]:
    """All events of a game from `HISTORY_HOURS` before the world's start until its end."""
    chance = Random(f"{seed} {game.key}")  # noqa: S311 - a simulation, not a secret
    crowd = max(3, min(players, _MOST_PLAYERS) // 3)
    joined = [chance.randrange(-_OLDEST_HOURS, hours) for _ in range(crowd)]
    joined[0] = -_OLDEST_HOURS
    events: list[StudioEvent] = []
    for hour in range(-HISTORY_HOURS, hours):
        expected = crowd * _SESSIONS_PER_PLAYER_HOUR
        count = int(expected) + (chance.random() < expected % 1)
        for _ in range(count):
            at_ms = start_ms + hour * HOUR_MS + chance.randrange(HOUR_MS)
            player = _player(chance, joined, hour)
            events += _session(game, chance, at_ms, hour, player, len(events))
    return events


def _player(chance: Random, joined: Sequence[int], hour: int) -> int:
    """Who plays: newcomers come back as `sessions` lets them, with an interest that falls."""
    while True:
        player = chance.randrange(len(joined))
        age_days = (hour - joined[player]) / 24
        if age_days >= 0 and chance.random() < 1 / (1 + 3 * age_days) ** 0.5:
            return player


def _session(
    game: StudioGame, chance: Random, at_ms: int, hour: int, player: int, first: int
) -> Iterator[StudioEvent]:
    """A session: signed in, a version told, now and then something bought, and an end."""
    session = f"{game.key}-{first}-{chance.randrange(1 << 32):08x}"
    device = game.devices[player % len(game.devices)]
    version = game.version.format(n=max(0, (hour + HISTORY_HOURS + player % 7) // 60))
    length_ms = chance.randrange(3, 90) * 60_000
    is_ended = chance.random() < 0.9
    events: list[tuple[str, int, dict[str, object]]] = [
        ("SessionStart", 0, {}),
        ("SoftwareVersion", 1_500, {"version": version, "device": device}),
    ]
    if chance.random() < 0.06:
        price = chance.choice(game.prices_minor)
        bought: dict[str, object] = {
            "amount_minor": price,
            "is_refund": chance.random() < 0.08,
            "gone": chance.random() < 0.06,
            "flaw": "amount" if chance.random() < 0.04 else "",
        }
        events.append(("Purchase", length_ms // 2, bought))
    if is_ended:
        events.append(("SessionEnd", length_ms, {"seconds": length_ms // 1000}))
    for place, (kind, after_ms, more) in enumerate(events):
        happened = at_ms + after_ms
        late = chance.randrange(1, 40_000)
        if kind == "Purchase" and chance.random() < 0.2:
            # Confirmed by the shop hours later: the row is written again.
            late = chance.randrange(HOUR_MS, 6 * HOUR_MS)
        flaw = "time" if kind == "SessionStart" and chance.random() < 0.01 else ""
        values = {"flaw": flaw, **more}
        yield StudioEvent(
            first + place,
            kind,
            happened,
            happened + late,
            player,
            session,
            **values,  # type: ignore[arg-type]
        )
