"""What a check says of one hour, and the contract checks that need nothing but the contract.

Belongs here: pure evaluation of frames against their contract. Does not: reading the frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from kpi_platform.schemas.tables import TABLES


@dataclass(frozen=True)
class CheckSpec:
    """A check that is evaluated for every hour: reads as the truth when green.

    A check that is not a warning blocks: downstream leaves the hour out until it passes.
    """

    name: str
    table: str
    description: str
    is_warning: bool = False


@dataclass(frozen=True)
class HourCheck:
    """The evaluation of a check for one hour, with the figures that explain it."""

    spec: CheckSpec
    hour: datetime
    passed: bool
    figures: Mapping[str, int | float | str] = field(default_factory=dict)


def contract_spec(table: str) -> CheckSpec:
    """The check that a table's columns, types and keys are as its contract says."""
    return CheckSpec(
        f"{table}_keeps_its_contract",
        table,
        "Columns, types, nullability and keys are those of the table's contract.",
    )


def contract_violations(table: str, rows: pl.DataFrame) -> dict[str, int]:
    """Rows that break each rule of the table's contract; empty if none does."""
    contract = TABLES[table]
    if dict(rows.schema) != dict(contract.polars_schema):
        return {f"columns are {dict(rows.schema)}": rows.height}
    _, failures = contract.schema.filter(rows)
    return dict(failures.counts())


def contract_checks(table: str, parts: Mapping[datetime, pl.DataFrame]) -> Sequence[HourCheck]:
    """The contract check of every hour, given the hour's rows."""
    spec = contract_spec(table)
    checks = []
    for hour, rows in parts.items():
        violations = contract_violations(table, rows)
        checks.append(HourCheck(spec, hour, not violations, {"rows": rows.height, **violations}))
    return checks
