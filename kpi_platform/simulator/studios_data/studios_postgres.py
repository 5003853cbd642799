"""The studios' warehouses in a PostgreSQL server, a schema per game.

Belongs here: the server's address and filling its tables. Does not: what is in them.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import adbc_driver_postgresql.dbapi as adbc
from adbc_driver_manager import Error as AdbcError

from kpi_platform.schemas.sources_file.addresses import AddressError, parse_server
from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.simulator.studios_data.studio_tables import Tables


class SimulatedServerError(SafeError, OSError):
    """The server cannot be filled; the message is one line that names the variable."""


@dataclass(frozen=True)
class PostgresPlace:
    """A database: the variable of the environment that holds its address, and the address."""

    dsn_env: str
    dsn: str = field(repr=False)

    def connection(self, studio: str) -> dict[str, object]:
        """The warehouse of a studio as the sources file has it; all share the database."""
        return {"kind": "postgres", "dsn_env": self.dsn_env}

    def fill(self, schemas: Mapping[str, Tables]) -> None:
        """Create the schemas and their tables, all or none.

        Raises SimulatedServerError, also if a schema exists already: it is never overwritten.
        """
        try:
            address = parse_server(self.dsn).url({})
        except AddressError as error:
            raise SimulatedServerError(f"{self.dsn_env}: {error}") from None
        try:
            with closing(adbc.connect(address)) as connection, connection.cursor() as cursor:
                for schema, tables in schemas.items():
                    cursor.execute(f"CREATE SCHEMA {_quoted(schema)}")
                    for name, rows in tables.items():
                        cursor.adbc_ingest(
                            name, rows.to_arrow(), mode="create", db_schema_name=schema
                        )
                connection.commit()
        except AdbcError as error:
            raise SimulatedServerError(f"{self.dsn_env}: {str(error).splitlines()[0]}") from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
