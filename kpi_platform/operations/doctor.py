"""What is wrong with the platform and the machine it runs on, each with the command that mends it.

Belongs here: which checks there are, and their order. Does not: the checks.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from kpi_platform.engine.platform import Platform
from kpi_platform.operations.dagster_checks import check_dagster
from kpi_platform.operations.findings import Check, Finding, looked_at
from kpi_platform.operations.machine_checks import check_disks, check_open_files, check_rights
from kpi_platform.operations.policy_checks import check_policies
from kpi_platform.operations.storage_checks import check_locks, check_storage
from kpi_platform.operations.table_checks import (
    check_alerts,
    check_definitions,
    check_readers,
    check_tables,
)
from kpi_platform.settings import Settings
from kpi_platform.storage.lake.locks import warehouse_lock


def examine(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Look at everything in turn; what cannot be looked at is a finding, too.

    Writes one object into the lake's storage, and deletes it.
    """
    yield Finding("settings", "well", "every setting can be read")
    platform = Platform(settings)
    yield from looked_at(_checks(platform, settings, now))


def _checks(platform: Platform, settings: Settings, now: datetime) -> list[Check]:
    places = [settings.home, *(Path(uri) for uri in (settings.lake,) if "://" not in uri)]
    database = warehouse_lock(settings.warehouse_file)
    return [
        ("sources", lambda: _check_sources(platform)),
        ("landing", lambda: _check_landing(platform)),
        ("storage", lambda: check_storage(platform.lake.uri)),
        ("locks", lambda: check_locks(platform.lake.uri, [database])),
        ("rights", lambda: check_rights(settings.home)),
        ("disk", lambda: check_disks(places)),
        ("open files", check_open_files),
        ("tables", lambda: check_tables(platform.lake)),
        ("readers", lambda: check_readers(platform)),
        ("definitions", check_definitions),
        ("dagster", lambda: check_dagster(now)),
        ("policies", lambda: check_policies(platform)),
        ("alerts", lambda: check_alerts(platform.lake)),
    ]


def _check_sources(platform: Platform) -> list[Finding]:
    count = sum(1 for _ in platform.sources.walk())
    if not count:
        said = "KPI_SOURCES is not set: everything is of studio 'unassigned'"
        return [Finding("sources", "note", said, "docs/sources.md")]
    return [Finding("sources", "well", f"{count} sources are named")]


def _check_landing(platform: Platform) -> list[Finding]:
    folders = platform.landing.folders()
    uri = platform.landing.uri
    if not folders:
        return [Finding("landing", "note", f"{uri}: holds no folder of any source")]
    return [Finding("landing", "well", f"{uri}: {len(folders)} folders can be listed")]
