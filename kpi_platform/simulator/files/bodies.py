"""The bodies of events: attributes and their text, in the relaxed form and in strict JSON.

Belongs here: what each kind of event says, and that as text. Does not: whole lines, broken ones.
"""

from typing import Literal

import polars as pl

from kpi_platform.simulator.draws import Draws, lookup
from kpi_platform.simulator.people.events import KINDS

Style = Literal["text", "bare", "version"]
# (attribute, column, style); a null leaves the attribute out. `@` is the game's id attribute.
_ATTRIBUTES: dict[str, tuple[tuple[str, str, Style], ...]] = {
    "SessionStart": (
        ("@", "player_told", "text"),
        ("Platform", "platform", "text"),
        ("Country", "country", "text"),
    ),
    "SoftwareVersion": (
        ("Version", "version_told", "version"),
        ("Device", "device_told", "text"),
        ("@", "player_told", "text"),
    ),
    "DeviceInfo": (
        ("Device", "device_told", "text"),
        ("Os", "os", "text"),
        ("Platform", "platform", "text"),
    ),
    "FeatureUsed": (("Feature", "word", "text"),),
    "Purchase": (
        ("Amount", "amount_told", "bare"),
        ("Currency", "currency", "text"),
        ("Sku", "word", "text"),
    ),
    "Install": (("Source", "word", "text"),),
    "Notification": (
        ("Kind", "kind_told", "text"),
        ("Status", "word", "text"),
        ("TargetVersion", "target_told", "version"),
    ),
    "ExperimentAssigned": (("Experiment", "word", "text"), ("Variant", "arm", "text")),
    "Crash": (("Code", "word", "text"), ("Severity", "severity", "text")),
    "Issue": (("Code", "word", "text"), ("Severity", "severity", "text")),
    "SessionEnd": (("DurationSeconds", "seconds_told", "bare"),),
    "AccountLinked": (("@", "player_told", "text"), ("Via", "word", "text")),
    "CheckpointReached": (("Level", "level", "bare"), ("Stats", "nested", "bare")),
    "AdViewed": (("Placement", "word", "text"), ("Skipped", "word_2", "bare")),
}
_FEATURES = (
    *("Map", "Inventory", "Photo Mode", "Captain's Log", "Trading Post", "Co-op", "Garage"),
    *("Daily Quest", *(f"Season Hall {number}" for number in range(1, 60))),
)
_WORDS: dict[str, tuple[str, ...]] = {
    "Install": ("organic", "organic", "store-feature", "ad-network", "influencer"),
    "ExperimentAssigned": ("onboarding-2026",),
    "Crash": ("E1001", "E1001", "E1002", "E2040"),
    "Issue": ("LOW_FPS", "LOW_FPS", "DESYNC", "MISSING_TEXTURE", "LOGIN_RETRY"),
    "AccountLinked": ("console", "browser"),
    "AdViewed": ("menu", "level-end"),
    "Notification": (*("sent",) * 4, *("shown",) * 3, "accepted", "dismissed"),
}
_PRICES = {
    "JPY": (120, 120, 250, 400, 600, 1200),
    "other": (99, 99, 199, 299, 499, 999),
}


def with_bodies(draws: Draws, events: pl.DataFrame) -> pl.DataFrame:
    """Add `body` and what it says that the truth needs (null where it says nothing):
    player_told, version_told, device_told, seconds_told (text), amount_minor (Int64)."""
    # No events are still a frame of the same columns: that of any kind.
    parts = events.partition_by("kind", "is_strict", maintain_order=True, as_dict=True)
    parts = parts or {(KINDS.index("FeatureUsed"), False): events}
    return pl.concat(
        [
            _with_body(_with_values(draws, part, KINDS[kind]), KINDS[kind], strict=strict)
            for (kind, strict), part in parts.items()
        ],
        how="vertical",
    )


def _with_values(draws: Draws, events: pl.DataFrame, kind: str) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.String)
    values: dict[str, pl.Expr] = {
        "player_told": nothing,
        "version_told": nothing,
        "device_told": nothing,
        "seconds_told": nothing,
        "amount_minor": pl.lit(None, dtype=pl.Int64),
    }
    return events.with_columns(**{**values, **_VALUES.get(kind, _words)(draws, kind)})


def _words(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    words = {"word": draws.pick("word", _WORDS[kind])} if kind in _WORDS else {}
    severity = draws.pick("severity", ("low", "low", "medium", "high"))
    return {**words, "severity": severity, "word_2": draws.pick("skipped", ("true", "false"))}


def _session_start(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    is_second = pl.col("position") > 0
    first = pl.when(~pl.col("is_guest")).then("player")
    return {"player_told": pl.when(is_second).then("family").otherwise(first)}


def _software_version(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    is_older = pl.col("tells_two_versions") & (pl.col("position") == 1)
    return {
        "version_told": pl.when(is_older).then("previous_version").otherwise("version"),
        "device_told": pl.col("told_device"),
        "player_told": pl.when("is_blank").then("player"),
    }


def _device_info(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    return {"device_told": pl.col("info_device")}


def _account_linked(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    return {**_words(draws, kind), "player_told": pl.col("player")}


def _feature_used(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    # Every release brings one more feature.
    features = (8 + pl.col("release_number").cast(pl.Int64)).clip(upper_bound=len(_FEATURES))
    return {"word": lookup(_FEATURES, (draws.unit("feature") * features).floor())}


def _purchase(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    place = (draws.unit("price") * 6).floor()
    is_yen = pl.col("currency") == "JPY"
    yen, other = lookup(_PRICES["JPY"], place), lookup(_PRICES["other"], place)
    price = pl.when(is_yen).then(yen).otherwise(other).cast(pl.Int64)
    is_refund = draws.chance("refund", 0.06)
    cents = pl.format("{}.{}", price // 100, (price % 100).cast(pl.String).str.zfill(2))
    told = pl.when(is_yen).then(price.cast(pl.String)).otherwise(cents)
    sign = pl.when(is_refund).then(pl.lit("-")).otherwise(pl.lit(""))
    return {
        "amount_minor": pl.when(is_refund).then(-price).otherwise(price),
        "amount_told": pl.concat_str(sign, told),
        "word": pl.format("gems-{}", place.cast(pl.Int32)),
    }


def _notification(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    is_behind = pl.col("newest_version") != pl.col("version")
    upgrade = pl.when(is_behind).then(pl.lit("VersionUpgrade"))
    return {
        **_words(draws, kind),
        "kind_told": upgrade.otherwise(pl.lit("DailyReward")),
        "target_told": pl.when(is_behind).then("newest_version"),
    }


def _session_end(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    # A few clients count wrongly, or not at all.
    seconds = (pl.col("length_ms") // 1000).cast(pl.String)
    chance = draws.unit("wrong seconds")
    told = pl.when(chance < 0.005).then(pl.lit("-1")).when(chance < 0.01).then(pl.lit("999999"))
    return {"seconds_told": told.when(chance > 0.99).then(None).otherwise(seconds)}


def _checkpoint(draws: Draws, kind: str) -> dict[str, pl.Expr]:
    quote = pl.when("is_strict").then(pl.lit('"')).otherwise(pl.lit("'"))
    score = (draws.unit("score") * 1000).cast(pl.Int32).cast(pl.String)
    stats = [pl.lit("{"), quote, pl.lit("Score"), quote, pl.lit(": "), score, pl.lit(", "), quote]
    stats += [pl.lit("Hits"), quote, pl.lit(": [1, 2, 3]}")]
    level = (draws.unit("level") * 40).cast(pl.Int32).cast(pl.String)
    return {"level": level, "nested": pl.concat_str(stats)}


_VALUES = {
    "SessionStart": _session_start,
    "SoftwareVersion": _software_version,
    "DeviceInfo": _device_info,
    "FeatureUsed": _feature_used,
    "Purchase": _purchase,
    "Notification": _notification,
    "SessionEnd": _session_end,
    "AccountLinked": _account_linked,
    "CheckpointReached": _checkpoint,
}


def _with_body(events: pl.DataFrame, kind: str, *, strict: bool) -> pl.DataFrame:
    quote = '"' if strict else "'"
    head = f'{{"Name": "{kind}"' if strict else f"{{ 'Name': '{kind}'"
    attributes = [_attribute(*spec, quote) for spec in _ATTRIBUTES[kind]]
    body = pl.concat_str([pl.lit(head), *attributes, pl.lit("}")], ignore_nulls=True)
    made = {"word", "word_2", "severity", "level", "nested", "amount_told"}
    made |= {"kind_told", "target_told"}
    return events.with_columns(body=body).drop(made & set(events.columns))


def _attribute(attribute: str, column: str, style: Style, quote: str) -> pl.Expr:
    """The text of one attribute with the comma before it; null if its value is null."""
    name = pl.col("id_attribute") if attribute == "@" else pl.lit(attribute)
    value = pl.col(column)
    return pl.concat_str(
        pl.lit(f", {quote}"), name, pl.lit(f"{quote}: "), _value(value, style, quote)
    )


def _value(value: pl.Expr, style: Style, quote: str) -> pl.Expr:
    if style == "bare":
        return value
    quoted = pl.concat_str(pl.lit(quote), value, pl.lit(quote))
    if style == "version":
        # As a number, 1.10 must stay 1.10; the relaxed form leaves every version bare.
        is_bare = value.str.contains(r"^\d+\.\d+$") if quote == '"' else pl.lit(value=True)
        return pl.when(is_bare).then(value).otherwise(quoted)
    if quote == "'":
        has_apostrophe = value.str.contains("'", literal=True)
        double = pl.concat_str(pl.lit('"'), value, pl.lit('"'))
        return pl.when(has_apostrophe).then(double).otherwise(quoted)
    return quoted
