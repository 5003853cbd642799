"""The sources file of the world: its studios, games, telemetry, warehouses and feeds.

Belongs here: writing it. Does not: the studios and games themselves.
"""

from collections.abc import Callable

import yaml

from kpi_platform.simulator.studios_data import feed_files
from kpi_platform.simulator.studios_data.studio_games import GAMES as STUDIO_GAMES
from kpi_platform.simulator.studios_data.studio_games import StudioGame
from kpi_platform.simulator.studios_data.studio_tables import MAPPINGS
from kpi_platform.simulator.world import STUDIOS, Game, Studio

WAREHOUSES = "warehouses"
Connection = Callable[[str], dict[str, object]]


def duckdb_file(studio: str) -> dict[str, object]:
    """A studio's warehouse as a DuckDB file beside the sources file."""
    return {"kind": "duckdb", "path": f"{WAREHOUSES}/{studio}.duckdb"}


def demo_sources_yaml(connection: Connection = duckdb_file) -> str:
    """Return the sources file of the world; it knows every landing folder but one."""
    studios = [_studio(studio, connection) for studio in STUDIOS]
    contents = {"is_simulated": True, "studios": studios}
    return yaml.safe_dump(contents, sort_keys=False, allow_unicode=True, width=100)


def _studio(studio: Studio, connection: Connection) -> dict[str, object]:
    return {
        "key": studio.key,
        "name": studio.name,
        "warehouse": connection(studio.key),
        "games": [
            *(_game(studio, game) for game in studio.games),
            *(_studio_game(game) for game in STUDIO_GAMES if game.studio == studio.key),
        ],
    }


def _game(studio: Studio, game: Game) -> dict[str, object]:
    telemetry = []
    for source in dict.fromkeys(route.source for route in game.routes):
        entry: dict[str, object] = {"key": source, "telemetry": source}
        entry["player_ids"] = studio.player_ids
        if game.since is not None:
            entry |= {"since": game.since, "until": None}
        telemetry.append(entry)
    return {"key": game.key, "name": game.name, "sources": [*telemetry, *_feeds(game.key)]}


def _feeds(game: str) -> list[dict[str, object]]:
    """Console accounts are the same for every studio: the feeds' player ids are global."""
    _, sources = feed_files.FEED_SOURCES.get(game, ("", ()))
    return [
        {
            "key": source,
            "feed": yaml.safe_load(
                feed_files.console_mapping(game)
                if source.startswith(feed_files.CONSOLE_FOLDER)
                else feed_files.stream_mapping(game)
            ),
        }
        for source in sources
    ]


def _studio_game(game: StudioGame) -> dict[str, object]:
    source: dict[str, object] = {"key": game.source, "schema": game.schema}
    source["player_ids"] = "local" if game.is_local else "global"
    source["tables"] = yaml.safe_load(MAPPINGS[game.writes])
    return {"key": game.key, "name": game.name, "sources": [source]}
