"""How the page is told of each KPI: label, unit, how days make a period, whether more is better.

Belongs here: a KPI's definition in the form that the page reads. Does not: what stands in a
definition, which the YAML of dbt's models says (schemas/kpi_definitions.py).
"""

from collections.abc import Sequence

from kpi_platform.schemas.kpi_definitions import LISTS, Definition, shown_in


def describe_kpis(
    definitions: Sequence[Definition], tables: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Every KPI by name with what the page shows of it: those of `tables` first, in that order."""
    rank = {table: number for number, table in enumerate(tables)}
    ordered = sorted(definitions, key=lambda each: rank.get(each.table, len(rank)))
    return {each.kpi: _described(each) for each in ordered}


def _described(each: Definition) -> dict[str, str]:
    return {
        "label": each.label,
        "short": each.short,
        "unit": each.shown_unit,
        "unit_text": each.unit,
        "aggregate": each.period,
        "weight": each.weight,
        "better": each.better,
        "sentence": each.sentence,
        "formula": each.formula,
        "grain": each.grain,
        "source": each.source,
        "definition_version": each.definition_version,
        "owner": each.owner,
        "approved": f"{each.approved_since} by {each.approved_by}",
    }


def kpi_lists(
    definitions: Sequence[Definition], tables: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Per table, and in it per list of the page, the KPIs that the list shows, in their order."""
    return {
        table: {name: [each.kpi for each in shown_in(definitions, name, table)] for name in LISTS}
        for table in tables
    }
