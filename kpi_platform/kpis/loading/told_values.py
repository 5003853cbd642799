"""What is read off events once, for every warehouse alike, while their copies are loaded.

Belongs here: the columns that a copy has beside the lake's. Does not: loading (load.py).
"""

from collections.abc import Collection, Sequence

import polars as pl

from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.players import player_id
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.schemas.texts.nobody import somebody
from kpi_platform.schemas.version_keys import sighted_version, version_sort_keys


def own_players(
    events: pl.DataFrame, player_id_attributes: Sequence[str], local_sources: Collection[str]
) -> pl.DataFrame:
    """Add `own_player_id`: the player an event names, where no session can say it, else null."""
    alone = events.filter(pl.col("session_id").str.strip_chars() == "")
    named = alone.select(
        "event_id", player_id(player_id_attributes, local_sources).alias("own_player_id")
    )
    return events.join(named, on="event_id", how="left", maintain_order="left")


def own_platforms(events: pl.DataFrame, platforms: PlatformNames) -> pl.DataFrame:
    """Add `own_platform`: the platform an event names, where no session can say it, else null."""
    alone = events.filter(pl.col("session_id").str.strip_chars() == "")
    named = alone.select("event_id", own_platform=platforms.shown(attribute("Platform")))
    return events.join(named, on="event_id", how="left", maintain_order="left")


def told_values(events: pl.DataFrame) -> pl.DataFrame:
    """Add what is read off the attributes once, for every warehouse alike: `version` (that of a
    sighting, or the target of a notification) with its `version_sort_key`, and `purchase_id` and
    `refund_of` of purchases; else null."""
    name = pl.col("event_name")
    relevant = events.filter(name.is_in(["SoftwareVersion", "Notification", "Purchase"]))
    is_target, is_purchase = name == "Notification", name == "Purchase"
    values = relevant.select(
        "event_id",
        version=pl.when(is_target)
        .then(sighted_version("TargetVersion"))
        .when(~is_purchase)
        .then(sighted_version()),
        purchase_id=pl.when(is_purchase).then(somebody(attribute("PurchaseId"))),
        refund_of=pl.when(is_purchase).then(somebody(attribute("RefundOf"))),
    )
    keyed = values.with_columns(version_sort_keys(values["version"]))
    return events.join(keyed, on="event_id", how="left", maintain_order="left")
