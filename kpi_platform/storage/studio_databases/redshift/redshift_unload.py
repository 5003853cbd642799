"""Redshift in bulk: UNLOAD as Parquet into a staging prefix, through the Data API, and away again.

Belongs here: the statement, its life, and what is left in staging. Does not: small reads.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from kpi_platform.schemas.sources_file.source_connections import Unload
from kpi_platform.storage.studio_databases.errors import (
    TerminalWarehouseError,
    TransientWarehouseError,
    one_line,
)
from kpi_platform.storage.studio_databases.retrying import retried

_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.25, 5.0
_POLLS_AFTER_CANCEL = 30
_ENDED = {"FINISHED", "FAILED", "ABORTED"}
_PASSING_CODES = {
    "ThrottlingException",
    "TooManyRequestsException",
    "ActiveStatementsExceededException",
    "ActiveSessionsExceededException",
    "InternalServerException",
    "InternalServerError",
    "ServiceUnavailableException",
    "QueryTimeoutException",
}
_PASSING_WORDS = ("connection", "timeout", "timed out", "disk full", "serializable", "restart")
_ROWS_AT_A_TIME = 50_000


def unload_statement(query: str, target: str, iam_role: str) -> str:
    """The UNLOAD of a query. Redshift reads backslashes in a text as escapes: they are doubled."""
    role = "default" if iam_role == "default" else _literal(iam_role)
    return (
        f"UNLOAD ({_literal(query)}) TO {_literal(target)} IAM_ROLE {role} "
        "FORMAT AS PARQUET MAXFILESIZE 64 MB"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass
class BulkReader:
    """Unloads one query at a time; `data_api` is boto3's client `redshift-data`.

    `store` is the bucket's object store below the staging prefix.
    """

    unload: Unload
    data_api: Any
    store: ObjectStore
    attempts: int
    limit_seconds: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    name: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)

    def read(self, query: str) -> Iterator[pa.RecordBatch]:
        """The query's rows. Staging is emptied of them however the read ends.

        Raises TransientWarehouseError or TerminalWarehouseError.
        """
        folder = f"{self.name()}/"
        target = f"{self.unload.staging.rstrip('/')}/{folder}"
        try:
            self._run(unload_statement(query, target, self.unload.iam_role))
            for path in self._files(folder):
                yield from self._batches(path)
        finally:
            self._remove(folder)

    def _run(self, statement: str) -> None:
        """Run a statement to its end; if anything else ends the waiting, it is cancelled."""
        # The token makes a second try of the same call the same statement.
        token = self.name()
        with _translated():
            started = retried(lambda: self._execute(statement, token), self.attempts, self.sleep)
        try:
            answer = self._wait(started)
        except BaseException:
            self._cancel(started)
            raise
        _judge(answer)

    def _execute(self, statement: str, token: str) -> str:
        target = {
            "ClusterIdentifier": self.unload.cluster,
            "WorkgroupName": self.unload.workgroup,
            "SecretArn": self.unload.secret_arn,
            "DbUser": self.unload.db_user,
        }
        with _translated():
            answer = self.data_api.execute_statement(
                Sql=statement,
                Database=self.unload.database,
                ClientToken=token,
                StatementName="kpi_platform",
                **{key: value for key, value in target.items() if value is not None},
            )
        return str(answer["Id"])

    def _wait(self, statement_id: str) -> dict[str, Any]:
        deadline = self.clock() + self.limit_seconds
        wait = _FIRST_POLL_SECONDS
        while True:
            answer = retried(lambda: self._describe(statement_id), self.attempts, self.sleep)
            if answer["Status"] in _ENDED:
                return answer
            if self.clock() >= deadline:
                raise TransientWarehouseError(f"UNLOAD was not done in {self.limit_seconds:g} s")
            self.sleep(wait)
            wait = min(wait * 2, _LONGEST_POLL_SECONDS)

    def _describe(self, statement_id: str) -> dict[str, Any]:
        with _translated():
            return dict(self.data_api.describe_statement(Id=statement_id))

    def _cancel(self, statement_id: str) -> None:
        """Ask for its end and see it end: a statement that still runs still writes to staging."""
        try:
            self.data_api.cancel_statement(Id=statement_id)
            for _ in range(_POLLS_AFTER_CANCEL):
                if self.data_api.describe_statement(Id=statement_id)["Status"] in _ENDED:
                    return
                self.sleep(1)
        except (ClientError, BotoCoreError):
            # It ended by itself meanwhile, or nobody can be asked any more.
            return

    def _files(self, folder: str) -> list[str]:
        with _translated():
            paths = [meta["path"] for part in obstore.list(self.store, folder) for meta in part]
        return sorted(paths)

    def _batches(self, path: str) -> Iterator[pa.RecordBatch]:
        """One file in memory at a time; UNLOAD makes none much larger than 64 MB."""
        with _translated():
            content = obstore.get(self.store, path).bytes()
            file = pq.ParquetFile(pa.BufferReader(bytes(content)))
            yield from file.iter_batches(batch_size=_ROWS_AT_A_TIME)

    def _remove(self, folder: str) -> None:
        paths = self._files(folder)
        if paths:
            with _translated():
                obstore.delete(self.store, paths)


def _judge(answer: dict[str, Any]) -> None:
    if answer["Status"] == "FINISHED":
        return
    said = one_line(RuntimeError(answer.get("Error") or f"UNLOAD was {answer['Status'].lower()}"))
    passes = answer["Status"] == "ABORTED" or any(w in said.lower() for w in _PASSING_WORDS)
    raise (TransientWarehouseError if passes else TerminalWarehouseError)(said)


@contextmanager
def _translated() -> Iterator[None]:
    """AWS's and the object store's errors as ours."""
    try:
        yield
    except ClientError as error:
        passes = error.response.get("Error", {}).get("Code") in _PASSING_CODES
        kind = TransientWarehouseError if passes else TerminalWarehouseError
        raise kind(one_line(error)) from None
    except NoCredentialsError as error:
        raise TerminalWarehouseError(one_line(error)) from None
    except (BotoCoreError, BaseError) as error:
        raise TransientWarehouseError(one_line(error)) from None
    except pa.ArrowInvalid as error:
        raise TerminalWarehouseError(f"staging: {one_line(error)}") from None
