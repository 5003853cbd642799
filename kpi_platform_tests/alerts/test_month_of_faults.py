"""Faults of real files and a real database: every message that they send, and no other.

The suite has three days, in which they come at once; `make soak` the month whose list
`docs/month-of-faults.md` shows.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from kpi_platform.engine.books.removals import accept_removals
from kpi_platform.orchestration.partitions import key_of
from kpi_platform_tests.alerts.month_of_files import ALERTS, SOURCES, MonthOfFiles, Told, at
from kpi_platform_tests.delivery.loopback import web_server

Begin = Callable[[datetime], MonthOfFiles]
BEAT = ("heartbeat", "")
# Of each day of the month what is told besides the heartbeat, and why.
MONTH: tuple[tuple[int, str, str, str], ...] = (
    (2, "opened", "check_failed rails", "a file of 08:00 was cut at its upload"),
    (3, "resolved", "check_failed rails", "it was uploaded again, whole"),
    (4, "opened", "source_silent gulls", "nothing comes since 10:00; told at 12:30"),
    (5, "resolved", "source_silent gulls", "what it had kept came at noon"),
    (6, "opened", "attribute_silent rails", "a client renamed `Version` at 10:00; told at 12:30"),
    (7, "resolved", "attribute_silent rails", "it sends `Version` again since 16:00"),
    (9, "opened", "files_held rails", "a file of 03:00 was deleted after it was read"),
    (10, "resolved", "files_held rails", "it was let go by `kpi removals accept`"),
    (11, "opened", "schema_drifted terns", "the studio renamed a mapped column"),
    (11, "resolved", "schema_drifted terns", "it took the name back; its hours were read"),
    (12, "opened", "check_failed terns", "the studio's database was not there"),
    (12, "resolved", "check_failed terns", "it is there again; its hours were read"),
    (13, "opened", "figure_restated", "an hour of the day before was corrected by 200 sessions"),
    (16, "opened", "data_not_fresh", "the daemon had been stopped for a day"),
    (16, "resolved", "data_not_fresh", "it runs again, and all hours since"),
    (18, "opened", "hour_failed", "the disk was full for three hours"),
    (19, "resolved", "hour_failed", "they were run again"),
)
SILENT = {
    8: "a quiet day",
    13: "an hour corrected by 2 sessions of 2,400: below the limit",
    15: "the daemon is stopped from 06:30 on: nobody is told that it is watched",
}


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begins a month whose hours reach back to an instant."""
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("KPI_HOME", str(tmp_path))
    monkeypatch.setenv("KPI_SOURCES", str(tmp_path / "sources.yaml"))
    monkeypatch.setenv("KPI_ALERTS", str(tmp_path / "alerts.yaml"))
    logging.getLogger("dagster").setLevel(logging.ERROR)
    (tmp_path / "dagster").mkdir()
    with (
        dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance,
        web_server() as server,
    ):
        (tmp_path / "alerts.yaml").write_text(ALERTS.replace("URL", server.url))

        def since(first: datetime) -> MonthOfFiles:
            monkeypatch.setenv("KPI_START_HOUR", key_of(first))
            return MonthOfFiles(tmp_path, instance, server, first)

        yield since


def _opened(*about: str) -> set[Told]:
    return {("opened", each) for each in about}


def _resolved(*about: str) -> set[Told]:
    return {("resolved", each) for each in about}


def test_faults_that_come_at_once_are_told_once_each_and_end_once_each(begin: Begin) -> None:
    month = begin(at(2))
    lake = month.places.parts.lake
    month.goes_on(at(10, 7.5))
    assert month.told() == {BEAT}
    # Files are cut and deleted, a source dies, a client renames an attribute, a studio a column,
    # and a disk is full.
    month.silent["gulls"] = (at(10, 9), at(11, 6))
    month.renamed["rails"] = (at(10, 9), at(11, 6))
    month.send_until(at(10, 12.5))
    month.cut("rails", at(10, 10))
    month.file("mines", at(10, 3)).unlink()
    month.full = {at(10, 8)}
    month.change_database("alter table game.versions rename version to client_version")
    month.goes_on(at(10, 12.5), at(10, 3))
    wrong = ("check_failed rails", "files_held mines", "source_silent gulls")
    wrong += ("attribute_silent rails", "schema_drifted terns", "hour_failed")
    assert month.told() == _opened(*wrong)
    # What is known is not told again.
    month.goes_on(at(10, 13.5))
    assert month.told() == set()
    month.full.clear()
    month.change_database("alter table game.versions rename client_version to version")
    month.send("rails", at(10, 10))
    kept = [at(10, hour) for hour in range(9, 30)]
    for hour in kept:
        month.send("gulls", hour)
    accept_removals(lake, at(10, 3), at(10, 3))
    month.goes_on(at(11, 7.5), *kept, at(10, 8))
    assert month.told() == {BEAT, *_resolved(*wrong)}
    # The database is gone; a day that was published as complete is corrected.
    month.database.rename(month.home / "away")
    month.send("rails", at(10, 12), more=200)
    month.goes_on(at(11, 8.5), at(10, 12))
    assert month.told() == _opened("check_failed terns", "figure_restated")
    (month.home / "away").rename(month.database)
    month.goes_on(at(11, 9.5))
    assert month.told() == _resolved("check_failed terns")
    # The daemon is stopped for a day; as it begins to run again, that is told.
    month.goes_on(at(12, 7.5), is_stopped=True)
    assert month.told() == {BEAT, *_opened("data_not_fresh")}
    month.goes_on(at(12, 8.5))
    assert month.told() == _resolved("data_not_fresh")


@pytest.mark.skipif(os.environ.get("KPI_LAWS") != "soak", reason="minutes: `make soak`")
def test_a_month_of_faults_sends_the_list_of_the_docs_and_nothing_else(begin: Begin) -> None:
    month = begin(at(-28))
    sent: dict[int, list[Told]] = defaultdict(list)

    def passes(day: int, *hours: float, again: tuple[datetime, ...] = ()) -> None:
        for hour in hours:
            month.goes_on(at(day, hour), *(again if hour == hours[-1] else ()))
        sent[day] += month.told()

    passes(0, 0.5, 7.5)
    passes(1, 7.5)
    passes(2, 7.5)
    month.send_until(at(2, 9.5))
    month.cut("rails", at(2, 8))
    passes(2, 9.5)
    passes(3, 7.5)
    month.send("rails", at(2, 8))
    passes(3, 9.5, again=(at(2, 8),))
    month.silent["gulls"] = (at(4, 10), at(5, 10))
    passes(4, 7.5, 12.5, 18.5)
    passes(5, 7.5)
    kept = tuple(at(4, hour) for hour in range(10, 34))
    for hour in kept:
        month.send("gulls", hour)
    passes(5, 12.5, again=kept)
    month.renamed["rails"] = (at(6, 10), at(7, 16))
    passes(6, 7.5, 12.5)
    passes(7, 7.5, 12.5, 19.5)
    passes(8, 7.5)
    passes(9, 7.5)
    month.file("rails", at(9, 3)).unlink()
    passes(9, 10.5, again=(at(9, 3),))
    passes(10, 7.5)
    accept_removals(month.places.parts.lake, at(9, 3), at(9, 3))
    passes(10, 10.5)
    passes(11, 6.1)
    month.change_database("alter table game.versions rename version to client_version")
    passes(11, 7.5, 9.5)
    month.change_database("alter table game.versions rename client_version to version")
    passes(11, 10.5)
    passes(12, 7.5)
    month.database.rename(month.home / "away")
    passes(12, 9.5)
    (month.home / "away").rename(month.database)
    passes(12, 11.5)
    passes(13, 7.5)
    month.send("gulls", at(12, 6), more=2)
    passes(13, 8.5, again=(at(12, 6),))
    month.send("rails", at(12, 8), more=200)
    passes(13, 9.5, again=(at(12, 8),))
    passes(14, 7.5)
    passes(15, 6.5)
    month.goes_on(at(16, 7.4), is_stopped=True)
    passes(16, 8.5)
    passes(17, 7.5)
    passes(18, 7.5)
    month.full = {at(18, hour) for hour in (7, 8, 9)}
    passes(18, 10.5)
    month.full.clear()
    passes(19, 7.5, again=tuple(at(18, hour) for hour in (7, 8, 9)))
    for day in range(20, 30):
        passes(day, 7.5)
    expected = {day: [] if day == 15 else [BEAT] for day in range(30)}
    for day, event, about, _ in MONTH:
        expected[day].append((event, about))
    assert {day: sorted(told) for day, told in sent.items()} == {
        day: sorted(told) for day, told in expected.items()
    }


def test_the_docs_show_the_list_of_the_month() -> None:
    rows = [(day, f"{event}: `{about}`", why) for day, event, about, why in MONTH]
    rows += [(day, "nothing more than the heartbeat", why) for day, why in SILENT.items()]
    rows[-1] = (15, "nothing at all", SILENT[15])
    table = [f"| {day} | {told} | {why} |" for day, told, why in sorted(rows, key=lambda r: r[0])]
    page = Path(__file__).parents[2] / "docs" / "month-of-faults.md"
    assert "\n".join(table) in page.read_text(encoding="utf-8")
