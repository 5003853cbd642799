"""What one studio may read of the tables of a report: its own rows and nobody else's.

Belongs here: which rows are a studio's. Does not: what is said of them.
"""

from dataclasses import replace

import polars as pl

from kpi_platform.published.pages.dashboard import Inputs
from kpi_platform.schemas.sources_file.sources import Sources

# Incidents of no studio that keep every studio's figures from being true.
_OF_EVERYBODY = ("hour_failed", "data_not_fresh")


def own_inputs(inputs: Inputs, sources: Sources, studio: str) -> Inputs:
    """The inputs with nothing of other studios in them; tables of which nobody can tell whose rows
    they are, are left out."""
    found = sources.frame(inputs.ledger["source"].unique().to_list())
    own = found.filter(pl.col("studio") == studio)["source"]
    tables = {
        name: rows.filter(pl.col("studio") == studio)
        for name, rows in inputs.tables.items()
        if "studio" in rows.columns
    }
    focus, services = inputs.tables.get("version_focus"), inputs.tables.get("dim_service")
    if focus is not None and services is not None:
        others = services.filter(pl.col("studio") != studio)["service_name"]
        service_names = services.filter(pl.col("studio") == studio)["service_name"]
        tables["version_focus"] = focus.filter(
            pl.col("service_name").is_in(service_names.implode())
            & ~pl.col("service_name").is_in(others.implode())
        )
    whose, kind = pl.col("studios"), pl.col("kind")
    return replace(
        inputs,
        tables=tables,
        ledger=inputs.ledger.filter(pl.col("source").is_in(own.implode())),
        incidents=inputs.incidents.filter(
            (whose == studio) | ((whose == "all") & kind.is_in(_OF_EVERYBODY))
        ),
    )
