"""How each KPI is shown: label, unit, how days make a period, and whether more is better.

Belongs here: what a page or report must know of a KPI to show it. Does not: how it is computed,
which dbt's models say, nor the words of its definition where the project's definitions have them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Definition = Mapping[str, str]


@dataclass(frozen=True)
class Kpi:
    """A KPI on a page.

    `aggregate`: how days make a period: `sum`, `mean` or `max` of days, or the `last` day's value.
    A ratio is a mean weighted by `weight`, its denominator, which is the ratio of the sums.
    """

    label: str
    unit: Literal["number", "share", "usd", "seconds", "hours", "ratio"]
    aggregate: Literal["sum", "mean", "last", "max"] = "mean"
    weight: str = ""
    better: Literal["more", "less", "neither"] = "more"
    short: str = ""


KPIS: dict[str, Kpi] = {
    "dau": Kpi("Daily active players", "number", short="DAU"),
    "wau": Kpi("Weekly active players", "number", "last", short="WAU"),
    "mau": Kpi("Monthly active players", "number", "last", short="MAU"),
    "stickiness": Kpi("Stickiness", "share", weight="mau", short="Stickiness"),
    "new_players": Kpi("New players", "number", "sum", short="New"),
    "returning_players": Kpi("Returning players", "number", short="Returning"),
    "resurrected_players": Kpi("Resurrected players", "number", "sum", short="Resurrected"),
    "churned_players_28": Kpi("Players lost for 28 days", "number", "sum", better="less"),
    "churn_28": Kpi("Churn, 28 days", "share", weight="dau", better="less", short="Churn 28"),
    "sessions": Kpi("Sessions", "number", "sum"),
    "sessions_per_active_player": Kpi("Sessions per active player", "ratio", weight="dau"),
    "playtime_seconds": Kpi("Playtime", "seconds", "sum"),
    "playtime_per_active_player_seconds": Kpi(
        "Playtime per active player", "seconds", weight="dau"
    ),
    "session_length_mean_seconds": Kpi(
        "Session length, mean", "seconds", weight="sessions", short="Session"
    ),
    "session_length_median_seconds": Kpi("Session length, median", "seconds"),
    "revenue_usd": Kpi("Revenue", "usd", "sum", short="Revenue"),
    "payers": Kpi("Payers of the day", "number"),
    "arpdau_usd": Kpi("Revenue per daily active player", "usd", weight="dau", short="ARPDAU"),
    "arppu_usd": Kpi("Revenue per payer", "usd", weight="payers", short="ARPPU"),
    "first_payers": Kpi("First-time payers", "number", "sum"),
    "conversion_first_purchase_daily": Kpi(
        "Conversion, first purchase of the day", "share", weight="dau"
    ),
    "conversion_period": Kpi("Conversion, payers of the day", "share", weight="dau"),
    "conversion_cohort_d7": Kpi("Conversion of cohorts by day 7", "share", weight="new_players"),
    "conversion_cohort_d30": Kpi("Conversion of cohorts by day 30", "share", weight="new_players"),
    "ltv_d7_usd": Kpi("Lifetime value by day 7", "usd", weight="new_players"),
    "ltv_d30_usd": Kpi("Lifetime value by day 30", "usd", weight="new_players"),
    "crash_free_sessions": Kpi(
        "Crash-free sessions", "share", weight="sessions", short="Crash-free"
    ),
    "crash_free_players": Kpi("Crash-free players", "share", weight="dau"),
    "active_players": Kpi("Active players of the hour", "number"),
    "peak_concurrent_players": Kpi("Peak concurrent players", "number"),
    "average_concurrent_players": Kpi("Mean concurrent players", "number"),
    "installs": Kpi("Installs", "number", "sum", short="Installs"),
    "trophy_earned_rate": Kpi("Trophy earned rate", "share", "last", short="Trophy rate"),
    "subscriber_share": Kpi("Subscriber share", "share", "last", short="Subscribers"),
    "console_players": Kpi("Console players so far", "number", "last", short="Players so far"),
    "trophies": Kpi("Trophies earned", "number", "sum", short="Trophies"),
    "trophy_players": Kpi("Players with a trophy so far", "number", "last"),
    "subscriptions": Kpi("Subscriptions taken out", "number", "sum", short="Subscriptions"),
    "subscribers": Kpi("Subscribers so far", "number", "last"),
    "console_purchases": Kpi("Console purchases", "number", "sum", short="Purchases"),
    "console_revenue_usd": Kpi("Console revenue", "usd", "sum", short="Revenue"),
    "console_payers": Kpi("Console payers of the day", "number", short="Payers"),
    "hours_watched": Kpi("Hours watched", "hours", "sum", short="Watched"),
    "average_viewers": Kpi("Average viewers", "number", short="Viewers"),
    "peak_viewers": Kpi("Peak viewers", "number", "max", short="Peak"),
    "hours_streamed": Kpi("Hours streamed", "hours", "sum", short="Streamed"),
    "viewer_ratio": Kpi(
        "Viewer ratio", "ratio", weight="hours_streamed", better="neither", short="Ratio"
    ),
    "peak_channels": Kpi("Peak channels", "number", "max", short="Channels"),
    "adoption": Kpi("Adoption", "share", better="neither"),
    "hours_to_half_adoption": Kpi("Hours to half adoption", "hours", better="less"),
}

_UNITS = {
    **{"share": "share", "usd": "USD", "seconds": "seconds", "hours": "hours", "ratio": "ratio"},
    "number": "count",
}
_WORDS = ("label", "sentence", "formula", "definition_version", "source", "grain")


def describe_kpis(
    columns: Mapping[str, str], definitions: Iterable[Definition]
) -> dict[str, dict[str, str]]:
    """Every KPI that can be shown or is defined, by name, with its rule and its words.

    `columns`: the KPI tables' columns with their descriptions, which stand in for a definition
    that is missing. `definitions`: rows of `kpi_definitions`. A column that nobody has described
    here is shown by its name, as a mean of days.
    """
    words = {row["kpi"]: row for row in definitions}
    names = [*KPIS, *(name for name in words if name not in KPIS)]
    return {
        name: _described(name, words.get(name, {}), columns.get(name, ""))
        for name in names
        if name in columns or name in words
    }


def _described(name: str, words: Definition, sentence: str) -> dict[str, str]:
    rule = KPIS.get(name) or Kpi(name.replace("_", " ").capitalize(), _unit(name), better="neither")
    said = {key: words[key] for key in _WORDS if words.get(key)}
    shown = {"short": rule.short or rule.label, "unit_text": words.get("unit") or _UNITS[rule.unit]}
    return asdict(rule) | {"sentence": sentence} | shown | said


def _unit(name: str) -> Literal["number", "share", "usd", "seconds"]:
    if name.endswith("_usd"):
        return "usd"
    if name.endswith("_seconds"):
        return "seconds"
    return "share" if name.startswith(("retention", "churn", "conversion")) else "number"
