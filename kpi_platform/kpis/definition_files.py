"""The KPI definitions, read from dbt's metrics, as the seeds and the page that repeat them.

Belongs here: what `make definitions` writes, as text. Does not: what a KPI means, which
dbt/models/definitions says and nobody else.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpi_platform.storage.kpi_database.dbt_manifest import PROJECT_DIR, read_manifest

DEFINITIONS = PROJECT_DIR / "seeds" / "kpi_definitions.csv"
REQUIREMENTS = PROJECT_DIR / "seeds" / "kpi_requirements.csv"
PAGE = PROJECT_DIR.parent / "docs" / "kpis.md"
_COLUMNS = (
    *("kpi", "definition_version", "unit", "label", "sentence", "formula", "grain"),
    *("numerator", "denominator", "source"),
)
_HEAD = """# The KPIs

Every KPI with its definition, generated from `dbt/models/definitions` by `make definitions`: change
it there. The seed `kpi_definitions` holds the same for SQL, and the version of a definition stands
beside every value of `kpi_values`. Whether a game tells what a KPI needs, `kpi_coverage` answers.

Every KPI is there per studio, game and platform, with totals per game, per studio and for the
whole portfolio, each computed as if only its own events existed. Periods are UTC. A quotient is
null where there is nothing to divide by, and what looks ahead is null until its day is over.
"""


@dataclass(frozen=True)
class Definition:
    """What a KPI means, the columns (`table.column`) that hold it, and what it needs."""

    kpi: str
    definition_version: str
    unit: str
    label: str
    sentence: str
    formula: str
    grain: str
    numerator: str
    denominator: str
    source: str
    requires: tuple[str, ...]
    columns: tuple[str, ...]


def read_definitions(manifest: Mapping[str, Any]) -> list[Definition]:
    """The definitions in dbt's manifest, by name. Raises KeyError if one lacks a part."""
    metrics = sorted(manifest["metrics"].values(), key=lambda metric: str(metric["name"]))
    return [_definition(metric) for metric in metrics]


def _definition(metric: Mapping[str, Any]) -> Definition:
    meta = metric["config"]["meta"]
    return Definition(
        kpi=metric["name"],
        definition_version=str(meta["version"]),
        unit=meta["unit"],
        label=metric["label"],
        sentence=metric["description"],
        formula=meta["formula"],
        grain=meta["grain"],
        numerator=meta["numerator"],
        denominator=meta.get("denominator", ""),
        source=", ".join(meta["source"]),
        requires=tuple(meta["requires"]),
        columns=tuple(meta["columns"]),
    )


def definitions_csv(definitions: Sequence[Definition]) -> str:
    """The seed `kpi_definitions`: a row per KPI."""
    return _csv(_COLUMNS, [[getattr(each, name) for name in _COLUMNS] for each in definitions])


def requirements_csv(definitions: Sequence[Definition]) -> str:
    """The seed `kpi_requirements`: a row per KPI and thing it needs to be told."""
    rows = [[each.kpi, needed] for each in definitions for needed in each.requires]
    return _csv(("kpi", "requires"), rows)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def page(definitions: Sequence[Definition]) -> str:
    """The page of definitions as Markdown, by the table that a KPI is found in first."""
    tables = dict.fromkeys(each.columns[0].split(".")[0] for each in definitions)
    parts = [_HEAD]
    for table in sorted(tables):
        mine = [each for each in definitions if each.columns[0].split(".")[0] == table]
        parts.append(f"## {table}\n\n" + "\n".join(_entry(each) for each in mine))
    return "\n".join(parts)


def _entry(each: Definition) -> str:
    parts = each.numerator + (f" / {each.denominator}" if each.denominator else "")
    lines = [
        f"### {each.label}",
        "",
        f"`{each.kpi}`, in {each.unit}: {each.sentence}",
        "",
        f"- formula: {each.formula}",
        f"- made of: {parts}",
        f"- grain: {each.grain}",
        f"- found in: {', '.join(f'`{column}`' for column in each.columns)}",
        f"- source: {each.source}; needs {', '.join(each.requires)}",
        f"- version of the definition: {each.definition_version}",
        "",
    ]
    return "\n".join(lines)


def files() -> dict[Path, str]:
    """Every generated file with the text that it should have."""
    definitions = read_definitions(read_manifest())
    return {
        DEFINITIONS: definitions_csv(definitions),
        REQUIREMENTS: requirements_csv(definitions),
        PAGE: page(definitions),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
