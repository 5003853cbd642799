"""Opening a studio's warehouse as its sources file says.

Belongs here: choosing the implementation and finding its secrets. Does not: any statement.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from kpi_platform.schemas.source_connections import (
    Connection,
    DuckDBConnection,
    PostgresConnection,
    RedshiftConnection,
)
from kpi_platform.storage.warehouses.duckdb_file import DuckDBWarehouse
from kpi_platform.storage.warehouses.errors import TerminalWarehouseError
from kpi_platform.storage.warehouses.interface import StudioWarehouse
from kpi_platform.storage.warehouses.postgres import PostgresWarehouse

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
        raise NotImplementedError
    return PostgresWarehouse(connection, dsn(connection, secret))


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
