"""What stands at the KPIs: `config.meta.kpis` of the dbt columns that hold them, read once for all.

Belongs here: reading the entries and saying what is wrong with one. Does not: what a KPI means,
which the YAML of dbt's models says and nobody else, and how a page, seed or report shows it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Unit = Literal["number", "share", "usd", "seconds", "hours", "ratio"]
BETTER = ("more", "less", "neither")
PERIODS = ("sum", "mean", "max", "last")
# The lists in which a page or report shows KPIs.
LISTS = ("cards", "charts", "compared", "report", "report_by_studio", "report_charts")
_TEXTS = (
    *("label", "sentence", "formula", "unit", "grain", "numerator", "source", "requires"),
    *("better", "period", "version", "owner", "approved"),
)
_MORE = ("name", "short", "denominator", "ratio", "weight", "shown_in")
_IN_VALUES = ("name", "day_n", "complete_by", "stays_provisional")


class KpiDefinitionError(ValueError):
    """An entry of `meta.kpis` cannot be used; the message names the column and what is wrong."""


@dataclass(frozen=True)
class Definition:
    """What a KPI means, who answers for it, which columns hold it, and how it is shown.

    `columns`: as `table.column`, first the one at which the definition stands. `better`: whether
    `more` or `less` of it is, or `neither`. `period`: how days make a period: `sum`, `mean` or
    `max` of days, or the `last` day's value; a quotient is a mean weighted by `weight`, its
    denominator. `shown_in`: its place in each list that has it (`LISTS`). `ratio`: the KPIs that
    it is the quotient of. `values`: its names in `kpi_values`. `complete_by`: the column of its
    table that says whether the value of a row is complete.
    """

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
    owner: str
    approved_by: str
    approved_since: str
    requires: tuple[str, ...]
    columns: tuple[str, ...]
    better: str
    period: str
    weight: str
    short: str
    shown_in: Mapping[str, int] = field(default_factory=dict)
    ratio: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    complete_by: str = "is_complete"

    @property
    def table(self) -> str:
        """The table at whose column the definition stands."""
        return self.columns[0].split(".")[0]

    @property
    def shown_unit(self) -> Unit:
        """How its values are written, which its unit in words decides."""
        for start, unit in _UNITS.items():
            if self.unit.startswith(start):
                return unit
        return "ratio" if " per " in self.unit else "number"


_UNITS: dict[str, Unit] = {"share": "share", "USD": "usd", "seconds": "seconds", "hours": "hours"}
Entry = tuple[str, Mapping[str, Any]]


def read_definitions(manifest: Mapping[str, Any]) -> list[Definition]:
    """The definitions in dbt's manifest, in the order of models and columns.

    Raises KpiDefinitionError if one cannot be used, is there twice, or is missing where a column
    names it.
    """
    by_kpi: dict[str, list[Entry]] = {}
    for column, entry in _entries(manifest):
        by_kpi.setdefault(str(entry.get("name", "")), []).append((column, entry))
    definitions = [_definition(kpi, entries) for kpi, entries in by_kpi.items()]
    names = [name for each in definitions for name in each.values]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise KpiDefinitionError(f"kpi_values would have two KPIs named {', '.join(twice)}")
    return definitions


def shown_in(definitions: Sequence[Definition], list_name: str, table: str) -> list[Definition]:
    """The KPIs of a table that a list has, in its order."""
    listed = [each for each in definitions if each.table == table and list_name in each.shown_in]
    return sorted(listed, key=lambda each: each.shown_in[list_name])


def _entries(manifest: Mapping[str, Any]) -> Iterator[Entry]:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    for model in sorted(models, key=lambda node: str(node["name"])):
        for name, column in model["columns"].items():
            for entry in column.get("config", {}).get("meta", {}).get("kpis", []):
                yield f"{model['name']}.{name}", entry


def _definition(kpi: str, entries: Sequence[Entry]) -> Definition:
    homes = [(column, entry) for column, entry in entries if "sentence" in entry]
    if not kpi or len(homes) != 1:
        places = ", ".join(column for column, _ in entries)
        raise KpiDefinitionError(f"{places}: KPI {kpi!r} is defined {len(homes)} times, not once")
    [(home, said)] = homes
    for column, entry in entries:
        if fault := _fault(entry, is_home=column == home):
            raise KpiDefinitionError(f"{column}: KPI {kpi!r} {fault}")
    return Definition(
        kpi=kpi,
        definition_version=str(said["version"]),
        **{name: str(said[name]) for name in _PLAIN},
        denominator=said.get("denominator", ""),
        source=", ".join(said["source"]),
        approved_by=said["approved"]["by"],
        approved_since=str(said["approved"]["since"]),
        requires=tuple(said["requires"]),
        columns=(home, *(column for column, _ in entries if column != home)),
        weight=said.get("weight", ""),
        short=said.get("short", said["label"]),
        shown_in=said.get("shown_in", {}),
        ratio=tuple(said.get("ratio", ())),
        values=tuple(entry["in_values"]["name"] for _, entry in entries if "in_values" in entry),
        complete_by=said.get("in_values", {}).get("complete_by", "is_complete"),
    )


_PLAIN = (
    *("unit", "label", "sentence", "formula", "grain", "numerator", "owner"),
    *("better", "period"),
)


def _fault(entry: Mapping[str, Any], *, is_home: bool) -> str:
    """What is wrong with an entry; nothing if it can be used."""
    readable = {"name", "in_values"} | ({*_TEXTS, *_MORE} if is_home else set())
    if unknown := sorted(set(entry) - readable):
        return f"has {', '.join(unknown)}, which nothing reads"
    in_values = entry.get("in_values", {"name": "none"})
    if "name" not in in_values or set(in_values) - set(_IN_VALUES):
        return f"has in_values without a name or with what nothing reads: {sorted(in_values)}"
    return _fault_of_home(entry) if is_home else ""


def _fault_of_home(entry: Mapping[str, Any]) -> str:
    if missing := [name for name in _TEXTS if not entry.get(name)]:
        return f"lacks {', '.join(missing)}"
    if entry["better"] not in BETTER or entry["period"] not in PERIODS:
        return f"has better {entry['better']!r} and period {entry['period']!r}"
    if unknown := sorted(set(entry.get("shown_in", {})) - set(LISTS)):
        return f"is shown in {', '.join(unknown)}, which is no list"
    return _fault_of_approval(entry["approved"])


def _fault_of_approval(approved: Mapping[str, Any]) -> str:
    try:
        date.fromisoformat(str(approved["since"]))
    except (KeyError, ValueError):
        return "does not say since which date (YYYY-MM-DD) it is approved"
    return "" if approved.get("by") else "does not say by whom it is approved"
