"""Opening a studio's warehouse as its sources file says.

Belongs here: choosing the implementation and finding its secrets. Does not: any statement.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from obstore.store import from_url

from kpi_platform.schemas.source_connections import (
    Connection,
    DuckDBConnection,
    PostgresConnection,
    RedshiftConnection,
)
from kpi_platform.storage.landing.landing import RETRIES
from kpi_platform.storage.studio_databases.duckdb_file import DuckDBWarehouse
from kpi_platform.storage.studio_databases.errors import TerminalWarehouseError
from kpi_platform.storage.studio_databases.interface import StudioWarehouse
from kpi_platform.storage.studio_databases.postgres import PostgresWarehouse

if TYPE_CHECKING:
    from kpi_platform.storage.studio_databases.redshift_unload import BulkReader

_REDSHIFT_PORT = 5439
Secret = Callable[[str], str | None]
# A server that is gone is noticed within a minute or two, not after the system's two hours.
_NOTICE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "kpi_platform",
}


def open_warehouse(connection: Connection, base: Path, secret: Secret) -> StudioWarehouse:
    """Make the warehouse ready; it is reached when it is first used.

    `base` is the folder of the sources file, `secret` finds a variable of the environment. Raises
    TerminalWarehouseError if a variable is missing or holds no address.
    """
    if isinstance(connection, DuckDBConnection):
        return DuckDBWarehouse(connection, base)
    if isinstance(connection, RedshiftConnection):
        return _redshift(connection, secret)
    return PostgresWarehouse(connection, dsn(connection, secret))


def _redshift(connection: RedshiftConnection, secret: Secret) -> StudioWarehouse:
    # Its libraries take a second to import, which only studios with a Redshift should pay.
    import redshift_connector

    from kpi_platform.storage.studio_databases.redshift import RedshiftWarehouse

    parts = redshift_parts(connection, secret)

    def connect() -> object:
        return redshift_connector.connect(**parts)

    return RedshiftWarehouse(connection, connect, _bulk(connection))


def redshift_parts(connection: RedshiftConnection, secret: Secret) -> dict[str, Any]:
    """What the driver connects with. Raises TerminalWarehouseError naming a variable."""
    found: dict[str, Any] = {
        "host": connection.host,
        "port": connection.port or _REDSHIFT_PORT,
        "database": connection.database,
        "user": connection.user,
        "password": _required(connection.password_env, secret) if connection.password_env else "",
    }
    if connection.dsn_env is not None:
        address = urlsplit(_required(connection.dsn_env, secret))
        if not (address.hostname and address.path.strip("/")):
            said = "must be an address as redshift://user:password@host:5439/database"
            raise TerminalWarehouseError(f"{connection.dsn_env}: {said}")
        found = {
            "host": address.hostname,
            "port": address.port or _REDSHIFT_PORT,
            "database": unquote(address.path.strip("/")),
            "user": unquote(address.username or ""),
            "password": unquote(address.password or ""),
        }
    mode = connection.sslmode or "verify-ca"
    if mode == "disable":
        return {**found, "timeout": connection.timeout_seconds, "ssl": False}
    # The driver knows these two; weaker modes would not look at the certificate at all.
    mode = "verify-full" if mode == "verify-full" else "verify-ca"
    return {**found, "timeout": connection.timeout_seconds, "ssl": True, "sslmode": mode}


def _bulk(connection: RedshiftConnection) -> "BulkReader | None":
    import boto3

    from kpi_platform.storage.studio_databases.redshift_unload import BulkReader

    unload = connection.unload
    if unload is None:
        return None
    return BulkReader(
        unload,
        boto3.client("redshift-data", region_name=unload.region),
        from_url(unload.staging, retry_config=RETRIES),
        connection.attempts,
        float(unload.limit_seconds),
    )


def dsn(connection: PostgresConnection | RedshiftConnection, secret: Secret) -> str:
    """The server's address in libpq's form. Raises TerminalWarehouseError naming a variable."""
    if connection.dsn_env is not None:
        return _with_options(_required(connection.dsn_env, secret), connection.dsn_env)
    user = quote(connection.user or "", safe="")
    if connection.password_env is not None:
        user += ":" + quote(_required(connection.password_env, secret), safe="")
    place = quote(connection.host or "", safe="")
    if connection.port is not None:
        place += f":{connection.port}"
    options = _NOTICE | ({"sslmode": connection.sslmode} if connection.sslmode else {})
    database = quote(connection.database or "", safe="")
    return f"postgresql://{user}@{place}/{database}?{urlencode(options)}"


def _required(name: str, secret: Secret) -> str:
    value = secret(name)
    if value is None:
        raise TerminalWarehouseError(f"{name} is not set: it holds what the warehouse needs")
    return value


def _with_options(address: str, name: str) -> str:
    """The address with our options, its own winning."""
    if "://" in address:
        missing = {key: value for key, value in _NOTICE.items() if f"{key}=" not in address}
        return f"{address}{'&' if '?' in address else '?'}{urlencode(missing)}"
    if "=" not in address:
        said = "must be an address as postgresql://user:password@host:5432/database"
        raise TerminalWarehouseError(f"{name}: {said}")
    own = " ".join(f"{key}={value}" for key, value in _NOTICE.items() if f"{key}=" not in address)
    return f"{own} {address}"
