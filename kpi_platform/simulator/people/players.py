"""Who plays what on which device: the people of one seed.

Belongs here: players, the games they play and the devices they use. Does not: when they play.
"""

import polars as pl

from kpi_platform.simulator.calibration import figures
from kpi_platform.simulator.draws import Draws, lookup
from kpi_platform.simulator.world import (
    ANDROID,
    GAMES,
    IOS,
    PC,
    PLAYSTATION,
    SWITCH,
    XBOX,
    Game,
    local_studios,
    source_index,
    studio_of,
)

DAY_MS = 86_400_000
# Country, minutes east of UTC, currency; repeated by weight.
_COUNTRIES = (
    *(("US", -300, "USD"),) * 4,
    *(("US", -480, "USD"),) * 2,
    *(("DE", 60, "EUR"),) * 3,
    *(("FR", 60, "EUR"),) * 2,
    *(("GB", 0, "GBP"),) * 3,
    *(("JP", 540, "JPY"),) * 4,
    *(("BR", -180, "USD"),) * 2,
    *(("IN", 330, "USD"),) * 1,
)
_DEVICES = {
    PLAYSTATION: (("PlayStation 5", "PS5 OS"),) * 3 + (("PlayStation 4", "PS4 OS"),),
    XBOX: (("Xbox Series X", "Xbox OS"), ("Xbox Series S", "Xbox OS")),
    SWITCH: (("Switch", "Horizon"),) * 2 + (("Switch 2", "Horizon"),),
    IOS: (("iPhone 15", "iOS 18"), ("iPhone 13", "iOS 17"), ("iPad Air", "iPadOS 18")),
    ANDROID: (("Pixel 8", "Android 15"), ("Galaxy S23", "Android 14"), ("Moto G", "Android 12")),
}


def _pc_devices() -> tuple[tuple[str, str], ...]:
    shares = figures()
    return (
        *(("Windows PC", "Windows"),) * round(200 * shares["platform_share_windows"]),
        *(("Mac", "macOS"),) * round(200 * shares["platform_share_macos"]),
        *(("Linux PC", "Linux"),) * round(200 * shares["platform_share_linux"]),
    )


def make_players(draws: Draws, players: int, start_ms: int, hours: int) -> pl.DataFrame:
    """Return one row per player: pid, country, tz_minutes, currency, activity, joined_ms.

    `activity` is the chance of a first session on a day; `joined_ms` (Unix, ms) is null for
    those who played before the world's start. A few per cent join every day.
    """
    newcomers = min(0.5, 0.05 * hours / 24)
    place = draws.unit("country", "pid") * len(_COUNTRIES)
    joined = start_ms + (draws.unit("joined", "pid") * hours * 3_600_000).cast(pl.Int64)
    return (
        pl.DataFrame({"pid": pl.int_range(players, dtype=pl.UInt64, eager=True)})
        .with_columns(place=place.floor())
        .with_columns(
            country=lookup([entry[0] for entry in _COUNTRIES], pl.col("place")),
            tz_minutes=lookup([entry[1] for entry in _COUNTRIES], pl.col("place")),
            currency=lookup([entry[2] for entry in _COUNTRIES], pl.col("place")),
            activity=0.15 + 0.7 * draws.unit("activity", "pid"),
            joined_ms=pl.when(draws.chance("newcomer", newcomers, "pid")).then(joined),
        )
        .drop("place")
    )


def make_memberships(draws: Draws, people: pl.DataFrame) -> pl.DataFrame:
    """Return one row per player and game played (`m`, `game_index`): first, second, third game."""
    weighted = [index for index, game in enumerate(GAMES) for _ in range(game.weight)]
    choices = [
        people.with_columns(
            game_index=draws.pick(f"game {rank}", weighted, "pid"),
            plays=draws.chance(f"plays {rank}", share, "pid"),
            rank=pl.lit(rank),
        )
        for rank, share in enumerate((1.0, 0.3, 0.1))
    ]
    plays = pl.concat(choices).filter("plays").sort("pid", "rank")
    return (
        plays.unique(["pid", "game_index"], keep="first", maintain_order=True)
        .with_columns(m=pl.int_range(pl.len(), dtype=pl.UInt64))
        .with_columns(two_devices=draws.chance("two devices", 0.25, "m"))
        .drop("plays", "rank")
    )


def make_kits(draws: Draws, memberships: pl.DataFrame) -> pl.DataFrame:
    """Return one row per membership and device slot: kit, game columns, platform, device, os.

    `player_text` is the id as the game sends it: console-account ids, or numbers of the studio's
    own where its ids are local.
    """
    slots = [
        _kit_rows(draws, memberships, index, game, slot)
        for index, game in enumerate(GAMES)
        for slot in (0, 1)
    ]
    return pl.concat(slots).sort("kit")


def _kit_rows(
    draws: Draws, memberships: pl.DataFrame, index: int, game: Game, slot: int
) -> pl.DataFrame:
    options = [
        (platform, device, os, route.source, route.service)
        for route in game.routes
        for platform in route.platforms
        for device, os in _DEVICES.get(platform, _pc_devices())
        for _ in range(1 if platform == PC else 60)
    ]
    ids = pl.format("P{}", pl.col("pid").cast(pl.String).str.zfill(7))
    if studio_of(game.key) in local_studios():
        ids = (pl.col("pid") * 7 + 10_000).cast(pl.String)
    place = draws.unit(f"device {slot}", "pid") * len(options)
    columns = ("platform", "device", "os", "source", "service")
    tables = {
        name: lookup([option[at] for option in options], pl.col("place"))
        for at, name in enumerate(columns)
    }
    return (
        memberships.filter(pl.col("game_index") == index)
        .select("m", "pid", kit=pl.col("m") * 2 + slot, place=place.floor())
        .select("kit", player_text=ids, **tables)
        .with_columns(
            source_index=pl.col("source").replace_strict(
                {route.source: source_index(route.source) for route in game.routes},
                return_dtype=pl.Int64,
            ),
            game=pl.lit(game.key),
            id_attribute=pl.lit(game.id_attribute),
        )
    )
