"""One large hour of telemetry: a TSV file of distinct lines, about 175 bytes each.

Belongs here: what the benchmarks read. Does not: a world that makes sense, which the simulator
makes, but not five million lines of it in seconds.

Eight kinds of event in the shares that games send them, bodies in the relaxed form (crashes in
JSON), twelve events per session on average, a player id of its own for every session. Equal
arguments make equal files.
"""

from pathlib import Path

import polars as pl

CHUNK = 500_000
LINES_PER_SESSION = 12
_WORDS = pl.Series([f"{word:04x}" for word in range(1 << 16)])
_START = 1767243600000  # 2026-01-01T05:00Z, in milliseconds


def write_hour(path: Path, lines: int) -> None:
    """Write a file of `lines` lines whose events lie in the hour 2026-01-01 05:00 UTC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, lines, CHUNK):
            lines_of(start, min(start + CHUNK, lines), lines // LINES_PER_SESSION + 1).write_csv(
                file, include_header=False, separator="\t", quote_style="never"
            )


def lines_of(start: int, end: int, sessions: int) -> pl.DataFrame:
    """The fields of lines by their numbers, of as many sessions, in the hour 2026-01-01 05:00."""
    drawn = pl.select(number=pl.int_range(start, end, dtype=pl.UInt64)).with_columns(
        session=_draw(1, sessions),
        kind=_draw(2, 20),
        milliseconds=_draw(3, 3_600_000),
        few=_draw(4, 50),
        many=_draw(5, 1_000_000),
    )
    return drawn.with_columns(
        session_id=_hexadecimal("session", 6, words=8).str.to_uppercase(),
        player=_hexadecimal("session", 7, words=4),
    ).select(
        pl.lit("Telemetry"),
        (pl.col("milliseconds") + _START)
        .cast(pl.Int64)
        .cast(pl.Datetime("ms"))
        .dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000")
        .alias("time"),
        _one_of(pl.col("number") % 3, ["ClientApp", "GameServer", "Launcher"]).alias("service"),
        "session_id",
        pl.col("number").alias("transaction"),
        _body().alias("body"),
    )


def _draw(seed: int, below: int) -> pl.Expr:
    """Numbers that look random, the same each time."""
    return pl.col("number").hash(seed) % below


def _hexadecimal(column: str, seed: int, words: int) -> pl.Expr:
    parts = (pl.col(column).hash(seed * 100 + word) % (1 << 16) for word in range(words))
    return pl.concat_str(pl.lit(_WORDS).gather(part) for part in parts)


def _one_of(number: pl.Expr, texts: list[str]) -> pl.Expr:
    return pl.lit(pl.Series(texts)).gather(number)


def _body() -> pl.Expr:
    few, many, player = pl.col("few"), pl.col("many"), pl.col("player")
    device = _one_of(few % 4, ["Steam Deck", "PS5", "Switch", "Xbox Series X"])
    # Of twenty events, those up to this number are of this kind.
    kinds: dict[int, tuple[str, list[pl.Expr]]] = {
        2: ("{ 'Name': 'SoftwareVersion', 'Version': 1.{}.{}, 'Device': '{}', 'PlayerId': '{}'}",
            [few, many % 10, device, player]),
        4: ("{ 'Name': 'SessionStart', 'PlayerId': '{}', 'Platform': '{}', 'Country': 'DE'}",
            [player, device]),
        6: ("{ 'Name': 'SessionEnd', 'DurationSeconds': {}.{}, 'PlayerId': '{}'}",
            [many % 5000, few, player]),
        7: ("{ 'Name': 'Purchase', 'Amount': {}.99, 'Currency': 'EUR', 'Sku': 'gold_pack_{}', "
            "'PlayerId': '{}'}", [many % 100, few, player]),
        8: ('{"Name": "Crash", "Code": "E{}", "Severity": "high", "Message": "stack at {}"}',
            [few, many]),
        10: ("{ 'Name': 'DeviceInfo', 'Device': '{}', 'Os': 'orbis {}', 'PlayerId': '{}'}",
             [device, few, player]),
        12: ("{ 'Name': 'Notification', 'Kind': 'VersionUpgrade', 'Status': 'shown', "
             "'TargetVersion': 1.{}, 'Id': {}}", [few, many]),
        20: ("{ 'Name': 'FeatureUsed', 'Feature': 'map_{}', 'Count': {}, 'PlayerId': '{}'}",
             [few, many, player]),
    }  # fmt: skip
    body = pl.lit(None, pl.String)
    for limit in sorted(kinds, reverse=True):
        body = pl.when(pl.col("kind") < limit).then(_filled(*kinds[limit])).otherwise(body)
    return body


def _filled(form: str, values: list[pl.Expr]) -> pl.Expr:
    first, *others = form.split("{}")
    parts: list[pl.Expr] = [pl.lit(first)]
    for value, text in zip(values, others, strict=True):
        parts += [value.cast(pl.String), pl.lit(text)]
    return pl.concat_str(parts)
