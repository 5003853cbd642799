"""Opening a studio's warehouse as its sources file says.

Belongs here: choosing the implementation and finding its secrets. Does not: any statement.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.store import from_url

from kpi_platform.schemas.sources_file.addresses import AddressError, ServerAddress, parse_server
from kpi_platform.schemas.sources_file.source_connections import (
    Connection,
    DuckDBConnection,
    PostgresConnection,
    RedshiftConnection,
)
from kpi_platform.schemas.texts.hidden_secrets import remember_secret
from kpi_platform.storage.landing.landing import RETRIES
from kpi_platform.storage.studio_databases.duckdb_file import DuckDBWarehouse
from kpi_platform.storage.studio_databases.errors import (
    StudioWarehouseError,
    TerminalWarehouseError,
)
from kpi_platform.storage.studio_databases.interface import StudioWarehouse
from kpi_platform.storage.studio_databases.postgres.postgres import PostgresWarehouse

if TYPE_CHECKING:
    from kpi_platform.storage.studio_databases.redshift.redshift_unload import BulkReader

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
    TerminalWarehouseError if a variable is missing or holds no address, or whatever else of the
    settings cannot be used: it is this studio's trouble and nobody else's.
    """
    try:
        if isinstance(connection, DuckDBConnection):
            return DuckDBWarehouse(connection, base)
        if isinstance(connection, RedshiftConnection):
            return _redshift(connection, secret)
        return PostgresWarehouse(connection, dsn(connection, secret))
    except StudioWarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this studio's
        # A library's text may repeat what it could not read.
        said = f"its connection's settings cannot be used ({type(error).__name__})"
        raise TerminalWarehouseError(said) from None


def _redshift(connection: RedshiftConnection, secret: Secret) -> StudioWarehouse:
    # Its libraries take a second to import, which only studios with a Redshift should pay.
    import redshift_connector

    from kpi_platform.storage.studio_databases.redshift.redshift import RedshiftWarehouse

    parts = redshift_parts(connection, secret)

    def connect() -> object:
        return redshift_connector.connect(**parts)

    return RedshiftWarehouse(connection, connect, _bulk(connection))


def redshift_parts(connection: RedshiftConnection, secret: Secret) -> dict[str, Any]:
    """What the driver connects with. Raises TerminalWarehouseError naming a variable."""
    found = _server(connection, secret)
    if len(found.hosts) != 1 or not (found.hosts[0][0] and found.database):
        said = "must name one host and the database, as redshift://user:password@host:5439/database"
        raise TerminalWarehouseError(f"{connection.dsn_env or 'warehouse'}: {said}")
    host, port = found.hosts[0]
    parts: dict[str, Any] = {
        "host": host,
        "port": port or _REDSHIFT_PORT,
        "database": found.database,
        "user": found.user,
        "password": found.password,
        "timeout": connection.timeout_seconds,
    }
    mode = connection.sslmode or found.options.get("sslmode", "verify-ca")
    if mode == "disable":
        return {**parts, "ssl": False}
    # The driver knows these two; weaker modes would not look at the certificate at all.
    mode = "verify-full" if mode == "verify-full" else "verify-ca"
    return {**parts, "ssl": True, "sslmode": mode}


def _bulk(connection: RedshiftConnection) -> "BulkReader | None":
    import boto3

    from kpi_platform.storage.studio_databases.redshift.redshift_unload import BulkReader

    unload = connection.unload
    if unload is None:
        return None
    return BulkReader(
        unload,
        boto3.Session().client("redshift-data", region_name=unload.region),
        from_url(unload.staging, retry_config=RETRIES),
        connection.attempts,
        float(unload.limit_seconds),
    )


def dsn(connection: PostgresConnection | RedshiftConnection, secret: Secret) -> str:
    """The server's address in libpq's form. Raises TerminalWarehouseError naming a variable."""
    mode = {"sslmode": connection.sslmode} if connection.sslmode else {}
    return _server(connection, secret).url(_NOTICE | mode)


def _server(connection: PostgresConnection | RedshiftConnection, secret: Secret) -> ServerAddress:
    """The server by the address or by the parts that the connection names.

    The driver gets what was read here and written anew, never the variable's own text: it repeats
    what it cannot read.
    """
    if connection.dsn_env is None:
        name = connection.password_env
        host = connection.host or ""
        return ServerAddress(
            ((f"[{host}]" if ":" in host and host[0] not in "[/" else host, connection.port),),
            connection.database or "",
            connection.user or "",
            _required("password_env", name, secret) if name is not None else "",
            {},
        )
    try:
        return parse_server(_required("dsn_env", connection.dsn_env, secret))
    except AddressError as error:
        raise TerminalWarehouseError(f"{_named('dsn_env', connection.dsn_env)}: {error}") from None


def _required(setting: str, name: str, secret: Secret) -> str:
    value = secret(name)
    if value is None:
        said = "is not set: it holds what the warehouse needs"
        raise TerminalWarehouseError(f"{_named(setting, name)} {said}")
    remember_secret(name, value)
    return value


def _named(setting: str, name: str) -> str:
    """The variable's name, unless somebody may have written the secret itself in its place."""
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name):
        return name
    return f"the variable that {setting} names (not repeated: it may be a secret)"
