"""How a studio's warehouse is reached, without its secrets: those are named, never written.

Belongs here: the grammar of `warehouse:` in the sources file. Does not: opening a connection.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kpi_platform.schemas.sources_file.source_values import Name, Strict

Variable = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of an environment variable")
]


class _Connection(Strict):
    """`timeout_seconds` limits one statement; `attempts` counts tries of what can succeed."""

    timeout_seconds: Annotated[int, Field(ge=1)] = 600
    attempts: Annotated[int, Field(ge=1, le=10)] = 4


class DuckDBConnection(_Connection):
    """A DuckDB file; a relative path is relative to the sources file."""

    kind: Literal["duckdb"]
    path: Name


class _Server(_Connection):
    """A server, by the variable that holds its address or by parts; only the password is secret."""

    dsn_env: Variable | None = None
    host: Name | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    database: Name | None = None
    user: Name | None = None
    password_env: Variable | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = (
        None
    )

    @model_validator(mode="after")
    def _reachable(self) -> "_Server":
        parts = (self.host, self.database, self.user)
        if (self.dsn_env is None) == (None in parts):
            raise ValueError("needs either dsn_env or host, database and user")
        return self


class PostgresConnection(_Server):
    """A PostgreSQL server."""

    kind: Literal["postgres"]


class Unload(Strict):
    """Where Redshift unloads to, as whom, and how the Data API reaches it.

    `staging` is emptied of what a read left there, however the read ends.
    """

    staging: Annotated[str, Field(pattern=r"^s3://[^/]+/.+")]
    iam_role: Annotated[str, Field(pattern=r"^(default|arn:[^'\s]+)$")]
    database: Name
    cluster: Name | None = None
    workgroup: Name | None = None
    secret_arn: Name | None = None
    db_user: Name | None = None
    region: Name | None = None
    above_rows: Annotated[int, Field(ge=0)] = 100_000
    limit_seconds: Annotated[int, Field(ge=1)] = 3600

    @model_validator(mode="after")
    def _one_target(self) -> "Unload":
        if (self.cluster is None) == (self.workgroup is None):
            raise ValueError("needs either cluster or workgroup")
        return self


class RedshiftConnection(_Server):
    """A Redshift cluster or workgroup: small reads by the connection, large ones by UNLOAD."""

    kind: Literal["redshift"]
    unload: Unload | None = None


Connection = Annotated[
    DuckDBConnection | PostgresConnection | RedshiftConnection, Field(discriminator="kind")
]
