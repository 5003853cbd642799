"""The instance of Dagster: its state (runs, events, logs) lies under `$KPI_HOME/dagster`, and runs
are planned asset by asset.

Belongs here: these two. Does not: any other setting of Dagster, which `dagster.yaml` has.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import yaml
from dagster import DagsterInstance

from kpi_platform.orchestration.dagster_internals import (
    ConfigurableClassData,
    InstanceRef,
    PlannedAssetByAsset,
    retention_schema,
)
from kpi_platform.orchestration.event_storage import HomeStorage
from kpi_platform.orchestration.log_json import set_up_logs
from kpi_platform.settings import SettingsError, load_settings, make_home

# Webserver, daemon and workers load this module before anything else of ours, some nothing else.
set_up_logs()

_PROJECT = Path(__file__).resolve().parents[2]


def open_instance() -> DagsterInstance:
    """The instance that `dagster` itself would use, or, where DAGSTER_HOME is not set, the
    project's own. Raises SettingsError if there is neither."""
    if os.environ.get("DAGSTER_HOME", "").strip():
        return DagsterInstance.get()
    if not (_PROJECT / "dagster.yaml").is_file():
        raise SettingsError("DAGSTER_HOME: is not set: name the folder of dagster.yaml")
    return DagsterInstance.from_config(str(_PROJECT))


# Webserver, daemon and workers load this module before anything else of ours, some nothing else.
set_up_logs()


class HomeInstance(DagsterInstance):
    """Dagster's own instance, its storage by default below the platform's home.

    `dagster.yaml` names it as its `instance_class`, because the file's own `env:` knows neither a
    default nor a path below a variable: with it, every command would need KPI_HOME exported.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, object]:
        """Return the keys this class changes in `dagster.yaml`: `retention` knows `event_logs`."""
        return {"retention": retention_schema()}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return Dagster's defaults with `$KPI_HOME/dagster` in place of `base_dir`.

        The path is made absolute here, once: run workers get it as it is, wherever they run.
        """
        base = str(make_home(load_settings()) / "dagster")
        storage = ConfigurableClassData(
            HomeStorage.__module__, HomeStorage.__name__, yaml.safe_dump({"base_dir": base})
        )
        return {**InstanceRef.config_defaults(base), "storage": storage}

    @property
    def event_log_days(self) -> int | None:
        """Days after which events are purged; None: never."""
        days = self.get_settings("retention").get("event_logs", {}).get("purge_after_days", -1)
        return None if days < 0 else int(days)

    @cached_property
    def run_domain(self) -> PlannedAssetByAsset:
        """What creates runs, which plans every asset by its own partitions."""
        return PlannedAssetByAsset(self)
