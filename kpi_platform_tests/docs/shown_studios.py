"""The blocks of `docs/studios-shown.md`, made by running what they show.

Belongs here: six studios before and after their mapping, a drift report, a studio switched off.
Does not: the words around them. `python -m kpi_platform_tests.docs.shown_studios` writes the page.
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

import duckdb
import polars as pl

from kpi_platform.arrivals.checks import check_studios
from kpi_platform.arrivals.drift.drift_step import look_for_drift
from kpi_platform.schemas.attributes import attribute
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import TransientWarehouseError
from kpi_platform_tests.arrivals.studios.studio_world import StudioWorld, hour, purchase, purchases
from kpi_platform_tests.arrivals.studios.test_six_studios import events_of, opened, proposed_sources
from kpi_platform_tests.onboarding.six_studios import SIX_STUDIOS

PAGE = Path(__file__).parents[2] / "docs" / "studios-shown.md"
_ATTRIBUTES = ("PlayerId", "Platform", "Amount", "Currency", "Sku")
_WIDTH = 110
_CHANGES = """
ALTER TABLE prod.purchases RENAME COLUMN player_id TO player_key;
ALTER TABLE prod.purchases ALTER price_cents TYPE numeric(12, 2);
ALTER TABLE prod.logins ADD COLUMN store varchar(20);
DROP TABLE prod.country_names;
"""


def six_studios(folder: Path) -> str:
    """Per studio the first purchase: as it lies there, as it is mapped, as an event."""
    return "\n\n".join(_studio(name, folder / name) for name in SIX_STUDIOS)


def drift_report(folder: Path) -> str:
    """What is said of the first studio after some changes; the second look follows the first."""
    sources = proposed_sources("snake", folder)
    studio = sources.studios[0]
    read = [source for game in studio.games for source in game.sources]
    lake = Lake(str(folder / "lake"))
    look_for_drift(lake, studio.key, read, opened(studio, folder))
    with duckdb.connect(str(folder / "snake.duckdb")) as connection:
        connection.execute(_CHANGES)
    drift = look_for_drift(lake, studio.key, read, opened(studio, folder))
    return "\n".join(["\n  ".join(_wrapped(sentence)) for sentence in drift.sentences])


def switched_off(folder: Path) -> str:
    """What the engineer sees hour by hour of a studio that is off from 02:00 to before 04:00."""
    world = StudioWorld(folder)
    rows = [purchase(n, hour(n), 100, bought=hour(n)) for n in range(6)]
    lines = []
    for now in range(6):
        is_off = now in (2, 3)
        world.warehouse.is_down = TransientWarehouseError("connection refused") if is_off else None
        world.warehouse.tables["purchases"] = purchases(rows[: now + 1])
        world.run([hour(now)])
        ledger = world.lake.scan("hour_ledger").filter(pl.col("source") == "comet-db").collect()
        status = dict(ledger.select("p_ingest_hour_utc", "status").sort("p_ingest_hour_utc").rows())
        (check,) = [
            c
            for c in check_studios(world.lake, [hour(now)])
            if c.spec.name == "every_studio_was_captured"
        ]
        events = world.lake.scan("cleaned_events").select(pl.len()).collect().item()
        told = " ".join(f"{number:02}:00 {said}," for number, said in status.items()).rstrip(",")
        lines.append(f"run of {now:02}:00   studio {'off' if is_off else 'on '}   events {events}")
        lines.append(f"  check every_studio_was_captured: {'passed' if check.passed else 'WARN'}")
        lines.append(f"  hour_ledger: {told}")
    return "\n".join(lines)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "six studios": six_studios,
    "drift report": drift_report,
    "switched off": switched_off,
}


def blocks_of(page: str) -> dict[str, str]:
    """The blocks that the page shows."""
    found = re.findall(r"<!-- ([\w ]+) -->\n```text\n(.*?)\n```", page, re.DOTALL)
    return dict(found)


def write_page() -> None:
    """Replace the page's blocks by what running them gives now."""
    page = PAGE.read_text()
    for name, make in BLOCKS.items():
        with tempfile.TemporaryDirectory() as folder:
            text = make(Path(folder))
        start, end = f"<!-- {name} -->\n```text\n", "\n```"
        before, _, rest = page.partition(start)
        page = before + start + text + end + rest.partition(end)[2]
    PAGE.write_text(page)


def _studio(name: str, folder: Path) -> str:
    folder.mkdir()
    sources = proposed_sources(name, folder)
    source = sources.studios[0].games[0].sources[0]
    mapping = min((t for t in source.tables if "Purchase" in str(t.event)), key=lambda t: t.table)
    lake = events_of(sources, folder)
    rows = lake.scan("raw_studio_events").filter(pl.col("table_name") == mapping.table).collect()
    row = json.loads(rows.sort("watermark_at", "row_key")["row"][0])
    said = mapping.model_dump(exclude_defaults=True)
    attributes = [attribute(name).alias(name) for name in _ATTRIBUTES]
    events = lake.scan("cleaned_events").filter(pl.col("event_name") == "Purchase").collect()
    made = events.select("event_name", "event_at", *attributes).sort("event_at", "Platform")
    event = {k: str(v) for k, v in made.row(0, named=True).items() if v is not None}
    lines = [f"{name}: {source.schema_}.{mapping.table}"]
    for label, shown in (("before", row), ("mapping", said), ("after", event)):
        text = json.dumps(shown, ensure_ascii=False, default=str)
        lines += [f"  {label:9}{_wrapped(text)[0]}"]
        lines += [f"  {'':9}{line}" for line in _wrapped(text)[1:]]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    write_page()
