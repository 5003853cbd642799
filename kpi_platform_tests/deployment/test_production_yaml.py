"""docker/dagster.yaml against a real Postgres and a real S3: runs in the one, logs in the other."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
import yaml

from kpi_platform.storage.local_servers.local_s3 import S3Server
from kpi_platform_tests.deployment.compose import DOCKER, PROJECT_ROOT
from kpi_platform_tests.deployment.tiny_definitions import SAID, tiny
from kpi_platform_tests.servers import PostgresServer


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> PostgresServer:
    """A database of a user whose password has every character that addresses treat specially."""
    created = postgres_server.create_database("production")
    owner = replace(created, user="dagster", password="p@ss/w:rd%20 #?&")
    with closing(psycopg2.connect(created.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE dagster LOGIN PASSWORD %s", (owner.password,))
        cursor.execute('ALTER DATABASE "production" OWNER TO dagster')
        connection.commit()
    return owner


@pytest.fixture
def instance(
    database: PostgresServer,
    s3_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    s3_server.create_bucket("production-logs")
    settings = {
        "KPI_HOME": str(tmp_path / "home"),
        "KPI_POSTGRES_HOST": database.host,
        "KPI_POSTGRES_PORT": str(database.port),
        "KPI_POSTGRES_DB": database.database,
        "KPI_POSTGRES_USER": database.user,
        "KPI_POSTGRES_PASSWORD": database.password,
        "KPI_LOG_BUCKET": "production-logs",
        **s3_server.environment(),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(DOCKER)) as opened:
        yield opened


def test_a_run_is_kept_in_postgres_and_its_logs_in_the_bucket(
    instance: dg.DagsterInstance, database: PostgresServer, s3_server: S3Server, tmp_path: Path
) -> None:
    run_id = dg.materialize([tiny], instance=instance).run_id
    assert _query(database, "SELECT status FROM runs WHERE run_id = %s", run_id) == [("SUCCESS",)]
    materialised = _query(
        database,
        "SELECT asset_key FROM event_logs WHERE run_id = %s AND asset_key IS NOT NULL",
        run_id,
    )
    assert ('["tiny"]',) in materialised
    assert any(SAID in text for text in _logs(s3_server, run_id))
    assert list(tmp_path.rglob("*.db")) == []


def _query(database: PostgresServer, sql: str, run_id: str) -> list[tuple[object, ...]]:
    parts = {"host": database.host, "port": database.port, "dbname": database.database}
    with (
        closing(
            psycopg2.connect(**parts, user=database.user, password=database.password)
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, (run_id,))
        return list(cursor.fetchall())


def _logs(server: S3Server, run_id: str) -> list[str]:
    client = server.client()
    listed = client.list_objects_v2(
        Bucket="production-logs", Prefix=f"dagster/storage/{run_id}/compute_logs/"
    )
    keys = [item["Key"] for item in listed.get("Contents", [])]
    assert {key.rpartition(".")[2] for key in keys} == {"out", "err"}
    return [
        client.get_object(Bucket="production-logs", Key=key)["Body"].read().decode() for key in keys
    ]


def test_postgres_is_reached_through_psycopg2(instance: dg.DagsterInstance) -> None:
    assert instance.run_storage.postgres_url.startswith("postgresql+psycopg2://")


def test_a_missing_secret_is_named(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KPI_POSTGRES_PASSWORD")
    with pytest.raises(Exception, match='environment variable "KPI_POSTGRES_PASSWORD"'):
        dg.DagsterInstance.from_config(str(DOCKER))


def test_production_limits_and_retention_equal_the_local_ones() -> None:
    local = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    production = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    assert {name: production[name] for name in local} == local
    assert set(production) - set(local) == {"storage", "compute_logs"}
