"""How each session is told: its id, identity, clock, network and the form of its lines.

Belongs here: what goes wrong or differs for a session as a whole. Does not: single lines, files.
"""

import polars as pl

from kpi_platform.simulator.draws import Draws, lookup
from kpi_platform.simulator.people.sessions import EVENT_SPACING_MS, HOUR_MS, MOST_EVENTS
from kpi_platform.simulator.world import ANDROID, IOS, SWITCH

# Suffix of the offset, minutes east of UTC.
OFFSETS = (
    ("+0000", 0),
    ("Z", 0),
    ("+00:00", 0),
    ("+0200", 120),
    ("-05:00", -300),
    ("+0530", 330),
    ("-0800", -480),
    ("+09:00", 540),
)
BLANK_EVENTS = 3
FEWEST_EVENTS = 6


def echoes_of(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Return the sessions whose id is heard again: after hours (same session) or over a day.

    An echo keeps its first stretch's id (`id_key`), player and device; half of those that come
    after more than 24 h of silence are another member of the family signing in.
    """
    chosen = sessions.filter(draws.chance("echo", 0.012, "stretch"))
    long_silence = draws.chance("long silence", 0.5, "stretch")
    silence = draws.unit("silence", "stretch")
    hours = pl.when(long_silence).then(26 + 24 * silence).otherwise(2 + 16 * silence)
    silence_ms = (hours * HOUR_MS).cast(pl.Int64)
    return chosen.with_columns(
        id_key=pl.col("stretch"),
        is_family=long_silence & draws.chance("family", 0.5, "stretch"),
        start_ms=pl.col("start_ms") + pl.col("length_ms") + silence_ms,
        stretch=pl.col("stretch") + 1,
        is_joining=pl.lit(False),
        crashes=pl.lit(False),
    )


def with_habits(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add to every session how it is told; see the columns made by the parts below."""
    told = sessions.with_columns(is_echo=pl.col("id_key") != pl.col("stretch"))
    told = told.with_columns(
        is_blank=~pl.col("is_echo")
        & ~pl.col("is_joining")
        & draws.chance("blank", 0.006, "stretch")
    )
    return _with_form(draws, _with_network(draws, _with_identity(draws, told)))


def _with_identity(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add session_id, player (null: never identified), family, is_guest, is_switched, ..."""
    ids = sessions.select(
        draws.bits("id, upper half", "id_key").alias("upper"),
        draws.bits("id, lower half", "id_key").alias("lower"),
    )
    session_ids = [f"{upper:016X}{lower:016X}" for upper, lower in ids.iter_rows()]
    is_anonymous = draws.chance("anonymous", 0.03, "stretch") & ~pl.col("is_joining")
    # The same person whether ids are numbers or texts: one more digit, one more letter.
    family = pl.when(pl.col("id_attribute") == "UserId").then(pl.lit("9")).otherwise(pl.lit("K"))
    family_text = pl.concat_str("player_text", family)
    return (
        sessions.with_columns(pl.Series("session_id", session_ids, dtype=pl.String))
        .with_columns(
            session_id=pl.when("is_blank").then(pl.lit("")).otherwise("session_id"),
            family=family_text,
            signs_in_as=pl.when("is_family").then(family_text).otherwise("player_text"),
        )
        .with_columns(
            player=pl.when(is_anonymous & ~pl.col("is_blank")).then(None).otherwise("signs_in_as"),
            is_guest=draws.chance("guest", 0.05, "stretch")
            & ~(pl.col("is_joining") | pl.col("is_blank")),
            is_switched=draws.chance("switched", 0.006, "stretch") & ~pl.col("is_blank"),
            tells_two_versions=draws.chance("seen twice", 0.01, "stretch")
            & pl.col("previous_version").is_not_null()
            & ~pl.col("is_blank"),
            takes_part=draws.chance("takes part", 0.12, "stretch"),
            arm=draws.pick("arm", ["control", "fast-start", "gift"], "kit"),
            is_spender=draws.chance("spender", 0.15, "pid"),
            ends=draws.chance("ends", 0.93, "stretch") & ~pl.col("crashes"),
        )
        .drop("signs_in_as", "is_family")
    )


def _with_network(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add offline_ms (null: online), skew_ms of the clock, sign_in_delay_ms and event_count."""
    can_be_offline = pl.col("platform").is_in([IOS, ANDROID, SWITCH])
    offline = draws.log_uniform("offline", 10 / 60, 96, "stretch") * HOUR_MS
    skew = ((draws.unit("skew", "stretch") - 0.5) * 3 * HOUR_MS).cast(pl.Int64)
    sign_in = draws.log_uniform("late sign-in", 0.7, 30, "stretch") * HOUR_MS
    is_skewed = draws.chance("is skewed", 0.005, "stretch")
    counted = (FEWEST_EVENTS + pl.col("length_ms") // EVENT_SPACING_MS).clip(
        upper_bound=MOST_EVENTS
    )
    return sessions.with_columns(
        offline_ms=pl.when(can_be_offline & draws.chance("is offline", 0.03, "stretch")).then(
            offline.cast(pl.Int64)
        ),
        skew_ms=pl.when(is_skewed).then(skew).otherwise(pl.lit(0, dtype=pl.Int64)),
        sign_in_delay_ms=pl.when(draws.chance("signs in late", 0.02, "stretch"))
        .then(sign_in.cast(pl.Int64))
        .otherwise(pl.lit(0, dtype=pl.Int64)),
        event_count=pl.when("is_blank")
        .then(pl.lit(BLANK_EVENTS, dtype=pl.Int64))
        .otherwise(counted),
    )


def _with_form(draws: Draws, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add the form of the lines: strict JSON bodies, offset notation, lane of files, devices.

    `told_device` is what SoftwareVersion carries (null: nothing, "": blank), `info_device` what
    DeviceInfo carries; lane 0 writes tab separated files, lane 1 JSON lines.
    """
    is_plain = draws.chance("plain offset", 0.6, "stretch")
    any_place = (draws.unit("offset", "stretch") * len(OFFSETS)).floor()
    place = pl.when(is_plain).then(pl.lit(0.0)).otherwise(any_place)
    told = draws.unit("told device", "stretch")
    return sessions.with_columns(
        is_strict=draws.chance("strict", 0.2, "stretch"),
        lane=draws.chance("lane", 0.2, "stretch").cast(pl.Int8),
        offset=lookup([suffix for suffix, _ in OFFSETS], place),
        offset_ms=lookup([minutes * 60_000 for _, minutes in OFFSETS], place).cast(pl.Int64),
        told_device=pl.when(told < 0.85).then("device").when(told > 0.997).then(pl.lit("")),
        info_device=pl.when(draws.chance("info device", 0.92, "stretch")).then("device"),
        category=pl.when(draws.chance("misspelt", 0.03, "stretch"))
        .then(pl.lit("Telemtery"))
        .otherwise(pl.lit("Telemetry")),
    )
