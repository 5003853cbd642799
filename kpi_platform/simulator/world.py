"""The studios, their games, releases and sources: what is the same for every seed.

Belongs here: the fixed cast of the world and its sources file. Does not: players, chance, time
zones of players, anything drawn.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

PC, PLAYSTATION, XBOX, SWITCH, IOS, ANDROID = (
    "pc",
    "playstation",
    "xbox",
    "switch",
    "ios",
    "android",
)


@dataclass(frozen=True)
class Route:
    """Where the telemetry of some platforms of a game goes."""

    source: str
    service: str
    platforms: tuple[str, ...]


@dataclass(frozen=True)
class Game:
    """A game, its feeds and its rhythm of releases.

    `version` is a format of the release number, `first_release_hour` the hour after the start of
    the world at which the first release of the window comes out, `weight` its popularity.
    """

    key: str
    name: str
    routes: tuple[Route, ...]
    version: str
    first_number: int
    first_release_hour: int
    cadence_days: int
    weight: int
    id_attribute: str = "PlayerId"
    since: str | None = None


@dataclass(frozen=True)
class Studio:
    """A studio; `player_ids` says whether its ids are global or its own (`local`)."""

    key: str
    name: str
    player_ids: str
    games: tuple[Game, ...]


STUDIOS = (
    Studio(
        "northlight",
        "Northlight Studio",
        "global",
        (
            Game(
                "ironvale",
                "Ironvale",
                (
                    Route("ironvale", "IronvaleClient", (PC, PC, PC)),
                    Route("ironvale-console", "IronvaleClient", (PLAYSTATION, XBOX)),
                ),
                "1.{n}",
                6,
                7,
                24,
                30,
                since="2025-01-01T00:00:00Z",
            ),
            Game(
                "starfen",
                "Starfen",
                (Route("starfen", "StarfenApp", (PC, SWITCH)),),
                "2025.{n}.0",
                1,
                15,
                21,
                12,
            ),
        ),
    ),
    Studio(
        "kumo",
        "Kumo Works",
        "local",
        (
            Game(
                "mochi-dash",
                "Mochi Dash",
                (
                    Route("mochi-dash", "MochiDashIos", (IOS, IOS)),
                    Route("mochi-dash", "MochiDashAndroid", (ANDROID, ANDROID, ANDROID)),
                ),
                "4.2{n}.03",
                0,
                5,
                14,
                26,
                "UserId",
            ),
            Game(
                "paper-ninja",
                "Paper Ninja",
                (Route("paper-ninja", "PaperNinja", (SWITCH, SWITCH, IOS)),),
                "0.9{n}b",
                1,
                30,
                28,
                10,
                "UserId",
            ),
        ),
    ),
    Studio(
        "redbarn",
        "Red Barn Interactive",
        "global",
        (
            Game(
                "harvest-lane",
                "Harvest Lane",
                (Route("harvest-lane", "ClientApp", (PC, PC, SWITCH)),),
                "1.{n}.1",
                7,
                11,
                18,
                16,
                "AccountId",
            ),
            Game(
                "torque-city",
                "Torque City",
                (Route("torque-city", "TorqueClient", (PC, PLAYSTATION, XBOX)),),
                "3.{n}",
                8,
                20,
                35,
                18,
            ),
        ),
    ),
)

# A folder that arrives although nobody put it into the sources file.
UNLISTED = Game(
    "skunkworks",
    "skunkworks",
    (Route("skunkworks", "SkunkworksDev", (PC,)),),
    "0.{n}",
    1,
    12,
    9,
    3,
)
UNLISTED_STUDIO = "unassigned"
GAMES = (*(game for studio in STUDIOS for game in studio.games), UNLISTED)


@dataclass(frozen=True)
class Release:
    """A version of a game, and when it came out."""

    game: str
    number: int
    version: str
    released_at: datetime


def releases_of(game: Game, start: datetime, end: datetime) -> list[Release]:
    """Return the releases of `game`, in order: four before `start`, then all before `end`."""
    first = start + timedelta(hours=game.first_release_hour)
    releases: list[Release] = []
    while True:
        number = len(releases)
        at = first + timedelta(days=game.cadence_days * (number - 4))
        if number >= 4 and at >= end:
            return releases
        version = game.version.format(n=game.first_number + number)
        releases.append(Release(game.key, number, version, at))


def studio_of(game: str) -> str:
    """Return the key of the studio of `game`, as the platform will name it."""
    for studio in STUDIOS:
        if any(game == other.key for other in studio.games):
            return studio.key
    return UNLISTED_STUDIO


def local_studios() -> frozenset[str]:
    """Return the studios whose player ids are their own."""
    return frozenset(studio.key for studio in STUDIOS if studio.player_ids == "local")


def source_index(source: str) -> int:
    """Return the place of `source` in `all_sources`, which batches carry in place of its name."""
    return [name for name, _, _ in all_sources()].index(source)


@cache
def all_sources() -> list[tuple[str, str, str]]:
    """Return every (source, game, studio), the unlisted one included, in a fixed order."""
    sources: dict[str, tuple[str, str, str]] = {}
    for game in GAMES:
        for route in game.routes:
            sources[route.source] = (route.source, game.key, studio_of(game.key))
    return list(sources.values())
