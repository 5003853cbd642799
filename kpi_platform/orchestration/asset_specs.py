"""How a table becomes a Dagster asset: key, description, columns, kinds, owners, partitions.

Belongs here: what the catalogue shows of every lake table. Does not: how a table is made.
"""

import dagster as dg

from kpi_platform.engine.table_order import MADE_OF
from kpi_platform.orchestration.partitions import HOURLY
from kpi_platform.schemas.column_words import words_of_column, words_of_type
from kpi_platform.schemas.tables import TABLES

OWNERS = ["team:data-engineering"]


def hourly_spec(table: str, group: str, version: str) -> dg.AssetSpec:
    """The spec of a lake table that is replaced hour by hour."""
    contract = TABLES[table]
    keys = set(contract.keys)
    columns = [
        dg.TableColumn(
            name,
            words_of_type(dtype),
            words_of_column(table, name),
            constraints=dg.TableColumnConstraints(
                nullable=contract.schema.columns()[name].nullable, unique=keys == {name}
            ),
        )
        for name, dtype in contract.polars_schema.items()
    ]
    return dg.AssetSpec(
        table,
        deps=list(MADE_OF[table]),
        description=(contract.schema.__doc__ or "").strip(),
        group_name=group,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        partitions_def=HOURLY,
        code_version=version,
        metadata={
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/table_name": table,
            "key": ", ".join(contract.keys),
        },
    )
