"""`kpi doctor`: each check on what is well and on what is wrong, and its exit code."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import obstore
import polars as pl
import pytest
from typer.testing import CliRunner

from kpi_platform.cli.cli import app
from kpi_platform.delivery.outbox import Entry, write_entries
from kpi_platform.engine.books.hour_queue import enqueue_hours
from kpi_platform.engine.layout import note_upgrade
from kpi_platform.engine.platform import Platform
from kpi_platform.operations import storage_checks
from kpi_platform.operations.dagster_checks import check_dagster, judge_daemons, judge_ticks
from kpi_platform.operations.dagster_facts import (
    DaemonState,
    TickState,
    daemon_states,
    run_states,
    tick_states,
)
from kpi_platform.operations.findings import Finding, looked_at
from kpi_platform.operations.machine_checks import check_rights, judge_disk, judge_open_files
from kpi_platform.operations.policy_checks import check_policies
from kpi_platform.operations.storage_checks import (
    check_locks,
    check_storage,
    judge_clock,
    judge_lock,
)
from kpi_platform.operations.table_checks import check_alerts, check_readers, check_tables
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.texts.hidden_secrets import SafeError, remember_secret
from kpi_platform.settings import Settings, load_settings
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.locks import file_lock, lake_lock
from kpi_platform_tests.cli.test_planted_secrets import SETTINGS, shows_secret

ALERTS = """
alert_policies:
- {name: a, event_types: [ALL], notification_service: {url: {url_env: HOOK}}}
"""
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KPI_", "AWS_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KPI_HOME", str(tmp_path / "home"))
    # No project's own Dagster either.
    monkeypatch.setattr("kpi_platform.orchestration.dagster_state._PROJECT", tmp_path)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "home" / "lake"))


def levels(findings: list[Finding]) -> list[str]:
    return [each.level for each in findings]


def test_a_conditional_put_is_really_tried_and_leaves_nothing(lake: Lake) -> None:
    assert levels(check_storage(lake.uri)) == ["well", "well"]
    assert [path for path in Path(lake.uri).rglob("*") if path.is_file()] == []
    assert lake.tables() == []


def test_a_storage_that_overwrites_is_wrong(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put
    monkeypatch.setattr(
        storage_checks.obstore, "put", lambda store, path, content, **_: put(store, path, content)
    )
    found = check_storage(lake.uri)
    assert levels(found) == ["wrong", "well"]
    assert "overwrote" in found[0].said


def test_a_storage_that_cannot_be_written_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert levels(check_storage(str(tmp_path / "file"))) == ["wrong"]


@pytest.mark.parametrize(("apart", "level"), [(4, "well"), (-4, "well"), (6, "wrong")])
def test_clocks_may_be_minutes_apart(apart: int, level: str) -> None:
    assert judge_clock(NOW - apart * MINUTE, NOW).level == level


def test_whoever_holds_a_lock_is_named(lake: Lake, tmp_path: Path) -> None:
    database = tmp_path / "warehouse.duckdb.lock"
    assert levels(check_locks(lake.uri, [database])) == ["well"]
    with lake_lock(lake.uri, "fold"), file_lock(database):
        found = check_locks(lake.uri, [database])
    assert levels(found) == ["note", "note"]
    assert all(f"process {os.getpid()}" in each.said for each in found)
    assert levels(check_locks(lake.uri, [database])) == ["well"]


def test_a_lock_held_for_days_is_wrong() -> None:
    told = {"host": "h", "pid": 7, "since": (NOW - timedelta(hours=30)).isoformat()}
    found = judge_lock("fold", json.dumps(told).encode(), NOW)
    assert (found.level, found.mend) == ("wrong", "look at that process; if it hangs: kill 7")
    for content in (b"", b"{}", b"[]", b'{"host": 1, "pid": 2, "since": "x"}'):
        assert judge_lock("fold", content, NOW).level == "note"


def disk(*, free: float, inodes: float = 0.5, size: int = 10**11) -> os.statvfs_result:
    blocks, files = size // 4096, 1000
    room, places = [int(blocks * free)] * 2, [int(files * inodes)] * 2
    return os.statvfs_result((4096, 4096, blocks, *room, files, *places, 0, 255))


def test_room_and_inodes_are_both_needed(tmp_path: Path) -> None:
    assert judge_disk(tmp_path, disk(free=0.5)).level == "well"
    assert judge_disk(tmp_path, disk(free=0.01)).level == "wrong"
    assert judge_disk(tmp_path, disk(free=0.5, inodes=0.01)).level == "wrong"
    # One percent of very much is room enough.
    assert judge_disk(tmp_path, disk(free=0.01, size=10**13)).level == "well"


@pytest.mark.parametrize(
    ("soft", "hard", "level", "mend"),
    [
        (1024, 4096, "well", ""),
        (-1, -1, "well", ""),
        (256, 4096, "wrong", "ulimit -n 1024"),
        (256, 512, "wrong", "ulimit -n 512"),
        (256, -1, "wrong", "ulimit -n 1024"),
    ],
)
def test_a_process_needs_open_files(soft: int, hard: int, level: str, mend: str) -> None:
    found = judge_open_files(soft, hard)
    assert (found.level, found.mend) == (level, mend)


def test_a_home_that_all_can_look_into_is_noted(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert levels(check_rights(tmp_path)) == ["well"]
    tmp_path.chmod(0o755)
    assert levels(check_rights(tmp_path)) == ["note"]


def test_tables_of_another_release_are_named(lake: Lake) -> None:
    enqueue_hours(lake, "sessions", [NOW])
    assert levels(check_tables(lake)) == ["well"]
    rows = lake.scan("hour_queue").collect()
    rows.write_delta(lake.path("of_nobody"))
    assert [(each.level, each.said.split()[0]) for each in check_tables(lake)] == [
        ("note", "of_nobody")
    ]


@pytest.mark.parametrize("is_newer", [True, False])
def test_a_table_of_other_columns_is_of_another_release(lake: Lake, *, is_newer: bool) -> None:
    rows = pl.DataFrame(schema=TABLES["hour_queue"].polars_schema)
    other = rows.with_columns(new=pl.lit(1)) if is_newer else rows.drop("batch_id")
    partitions = {"partition_by": ["table_name"]}
    other.write_delta(lake.path("hour_queue"), delta_write_options=partitions)
    (found,) = check_tables(lake)
    assert is_newer or found.mend == "kpi upgrade"
    assert (found.level, found.said.split(": ")[0]) == (
        "wrong",
        f"hour_queue is of {'a newer' if is_newer else 'an older'} release",
    )


def test_an_upgrade_that_did_not_end_is_wrong(lake: Lake) -> None:
    lake.append("hour_queue", pl.DataFrame(schema=TABLES["hour_queue"].polars_schema))
    note_upgrade(lake, has_ended=False)
    (found,) = check_tables(lake)
    assert (found.level, found.mend) == ("wrong", "kpi upgrade")
    note_upgrade(lake, has_ended=True)
    assert levels(check_tables(lake)) == ["well"]


def test_a_log_that_cannot_be_read_is_wrong(lake: Lake) -> None:
    log = Path(lake.uri, "sessions", "_delta_log")
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no log")
    (found,) = check_tables(lake)
    assert found.level == "wrong"
    assert found.mend.startswith("kpi verify")


def test_what_consumers_read_is_really_read(lake: Lake) -> None:
    platform = Platform(load_settings())
    assert levels(check_readers(platform)) == ["note"]
    pl.DataFrame({"dau": [1, 2]}).write_delta(lake.path("published/kpi_daily"))
    assert check_readers(platform)[0].said == "published/kpi_daily is read: 2 rows"
    for file in Path(lake.uri).rglob("*.parquet"):
        file.unlink()
    (found,) = looked_at([("readers", lambda: check_readers(platform))])
    assert found.level == "wrong"


def test_alerts_that_could_not_be_delivered_are_wrong(lake: Lake) -> None:
    assert levels(check_alerts(lake)) == ["well"]
    waiting = Entry("m", "p", "", "t", "opened", "{}", NOW, NOW, attempts=1, error="no HOOK")
    write_entries(lake, [waiting])
    (found,) = check_alerts(lake)
    assert (found.level, "no HOOK" in found.said) == ("note", True)
    rows = pl.DataFrame({"kind": ["alerts_undelivered", "run_failed"], "cause": "429", "mend": ""})
    rows.with_columns(opened_at=NOW, resolved_at=pl.lit(None, pl.Datetime)).write_delta(
        lake.path("incidents")
    )
    assert [(each.said, each.mend) for each in check_alerts(lake)] == [("429", "kpi alerts test")]


def test_whether_anybody_is_told_is_asked_of_the_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "alerts.yaml"

    def found(text: str | None) -> list[tuple[str, str]]:
        if text is not None:
            file.write_text(text)
        platform = Platform(Settings(home=tmp_path, alerts=None if text is None else file))
        looked = looked_at([("policies", lambda: check_policies(platform))])
        return [(each.level, each.said) for each in looked]

    assert found(None) == [
        ("note", "KPI_ALERTS is not set: incidents are found, and nobody is told")
    ]
    for text in ("", ALERTS.replace("ALL]", "ALL], enabled: false")):
        assert [level for level, _ in found(text)] == ["note"]
    assert [level for level, _ in found("- a")] == ["wrong"]
    monkeypatch.delenv("HOOK", raising=False)
    assert found(ALERTS) == [("wrong", "policy a: HOOK is not set")]
    monkeypatch.setenv("HOOK", "https://hooks.example/x")
    assert found(ALERTS) == [("well", "policies that are on: 1")]
    away = ALERTS.replace("ALL]", "ALL], alert_targets: [{studio_target: {studio: away}}]")
    assert found(away) == [("wrong", "policy a: KPI_SOURCES names no studio 'away'")]


def test_without_dagsters_home_its_books_cannot_be_read() -> None:
    (found,) = check_dagster(NOW)
    assert found.level == "wrong"
    assert "DAGSTER_HOME" in found.mend


def test_a_daemon_that_never_ran_is_wrong() -> None:
    with dg.instance_for_test() as instance:
        daemons = daemon_states(instance)
        runs = run_states(instance, NOW, 5)
        assert tick_states(instance) == []
    assert daemons
    assert levels(judge_daemons(daemons, NOW)) == ["wrong"]
    assert (runs.newest, runs.queued, runs.at_work, runs.backfills) == ([], 0, 0, 0)


def test_a_run_is_told_with_its_hours_and_what_failed() -> None:
    with dg.instance_for_test() as instance:

        @dg.job
        def maintenance() -> None:
            pass

        tags = {"dagster/partition": "2026-01-01-05:00", "kpi/failed_hours": "2026-01-01-05:00"}
        maintenance.execute_in_process(instance=instance, tags=tags)
        (run,) = run_states(instance, datetime.now(UTC), 5).newest
    assert (run.job, run.status, run.hours) == ("maintenance", "SUCCESS", "2026-01-01-05:00")
    assert run.failed_hours == "2026-01-01-05:00"
    assert run.seconds is not None and run.seconds >= 0


def test_one_worker_behind_is_told_by_name() -> None:
    daemons = [DaemonState("SENSOR", False, NOW), DaemonState("SCHEDULER", True, NOW)]
    assert "SENSOR" in judge_daemons(daemons, NOW)[0].said
    assert levels(judge_daemons([DaemonState("SENSOR", True, NOW)], NOW)) == ["well"]


def test_a_daemon_that_died_some_minutes_ago_is_wrong_whatever_dagster_believes() -> None:
    daemons = [DaemonState("SENSOR", True, NOW)]
    for minutes, level in ((5, "well"), (6, "wrong")):
        (found,) = judge_daemons(daemons, NOW + timedelta(minutes=minutes))
        assert found.level == level
    assert f"since {NOW:%Y-%m-%d %H:%M} UTC" in found.said


def tick(
    minutes_ago: int | None, *, name: str = "hourly_schedule", on: bool = True, error: str = ""
) -> TickState:
    at = None if minutes_ago is None else NOW - minutes_ago * MINUTE
    return TickState(name, "schedule", on, None, at, timedelta(hours=1), error)


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (tick(5), "well"),
        (tick(65), "well"),
        (tick(75), "wrong"),
        (tick(None), "note"),
        (tick(5, error="no such folder"), "wrong"),
    ],
)
def test_what_is_on_has_to_tick(state: TickState, level: str) -> None:
    assert levels(judge_ticks([state], NOW)) == [level]


def test_if_nothing_runs_hours_it_is_noted() -> None:
    assert levels(judge_ticks([tick(9999, on=False)], NOW)) == ["note"]
    assert levels(judge_ticks([tick(5, name="freshness_schedule")], NOW)) == ["well", "note"]


def test_a_check_that_breaks_is_a_finding_and_stops_no_other() -> None:
    remember_secret("PLANTED", "Pl4nted")

    def breaks() -> list[Finding]:
        raise KeyError("Pl4nted\nsecond line")

    def names() -> list[Finding]:
        raise SafeError("KPI_LAKE_URI: is wrong")

    well = Finding("c", "well", "")
    found = list(looked_at([("a", breaks), ("b", names), ("c", lambda: [well])]))
    assert levels(found) == ["wrong", "wrong", "well"]
    assert found[0].said == "cannot be looked at: KeyError: '***\\nsecond line'"
    assert found[1].said == "KPI_LAKE_URI: is wrong"


def doctor(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def test_every_finding_that_is_wrong_has_a_command(tmp_path: Path) -> None:
    code, told = doctor("--json")
    found = json.loads(told)
    assert code == 1
    assert {"check", "level", "said", "mend"} == set(found[0])
    wrong = [each for each in found if each["level"] == "wrong"]
    assert {each["check"] for each in wrong} == {"landing", "dagster"}
    assert all(each["mend"] for each in wrong)
    shown = doctor()[1]
    assert "WRONG landing: " in shown and f"\n      -> {wrong[0]['mend']}\n" in shown
    assert shown.splitlines()[-1].startswith("2 wrong, ")


def test_a_setting_that_cannot_be_read_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_START_HOUR", "yesterday")
    code, told = doctor("--json")
    assert code == 1
    assert [each["check"] for each in json.loads(told)] == ["settings"]


@pytest.fixture
def _planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from kpi_platform.schemas.texts import hidden_secrets

    monkeypatch.setattr(hidden_secrets, "_secrets", {})
    hidden_secrets._pattern.cache_clear()
    yield
    hidden_secrets._pattern.cache_clear()


@pytest.mark.usefixtures("_planted")
# What a file of settings that is missing ends in is said before any command begins.
@pytest.mark.parametrize("setting", [name for name in SETTINGS if name != "KPI_ENV_FILE"])
def test_the_doctor_says_no_secret(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(setting, "postgresql://studio:Pl4nted/Wr0ng@127.0.0.1:1/db")
    assert not shows_secret(doctor()[1])
