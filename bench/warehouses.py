"""Reading a studio's PostgreSQL into a Delta table, beside ADBC alone and beside dlt; discovery.

Belongs here: the comparisons and the server they share. Does not: the works (`warehouse_works`).
"""

import atexit
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Comparison, Work, measure
from kpi_platform_tests.servers import local_postgres

ROWS = 5_000_000
TABLES = 5_000
COLUMNS = 40
STUDIOS = 20
MEBIBYTES = 1024


def comparisons(folder: Path) -> list[Comparison]:
    """At most 1.3 times ADBC's read and a plain Delta write, within 1 GiB; no slower than dlt;
    the catalog of 5,000 tables in 10 s; an hour without news in 1 s per studio."""
    stack = ExitStack()
    # The server lives as long as this process: its works are run later.
    atexit.register(stack.close)
    server = stack.enter_context(local_postgres())
    environment = {"BENCH_DSN": server.dsn, "RUNTIME__DLTHUB_TELEMETRY": "false"}

    def work(name: str, *arguments: str, within: str = "") -> Work:
        place = folder / (within or "-".join((name, *arguments)))

        def remove_table() -> None:
            shutil.rmtree(place, ignore_errors=True)

        command = [sys.executable, "-m", "bench.warehouse_works", name, str(place)]
        return Work(place.name, [*command, *arguments], environment, remove_table)

    measure(work("make-rows", str(ROWS)))
    measure(work("make-tables", str(TABLES), str(COLUMNS)))
    quiet = []
    for kind in ("postgres", "duckdb"):
        measure(work("make-studios", kind, str(STUDIOS), within="studios"))
        title = f"an hour without news at {STUDIOS} studios ({kind})"
        quiet.append(Comparison(title, work("quiet-hour", kind, str(STUDIOS)), None, STUDIOS))
    ours, adbc = work("capture"), work("adbc")
    return [
        Comparison(
            f"{ROWS:,} rows into raw_studio_events, beside ADBC and a plain write",
            ours,
            adbc,
            1.3,
            MEBIBYTES,
        ),
        Comparison("beside dlt with pyarrow", ours, work("dlt-pyarrow"), 1.0),
        Comparison("beside dlt with connectorx", ours, work("dlt-connectorx"), 1.0),
        Comparison(f"catalog of {TABLES:,} x {COLUMNS} columns", work("discover"), None, 10),
        *quiet,
    ]
