"""One run of dbt in this very process, and what it told: test results and seconds per model.

Belongs here: running dbt. Does not: what it is told (dbt_command.py), when it runs, and what is
recorded.

In a process of its own dbt cost a second Python, its version asked and the project read again. Here
it begins with the project as parsed, and ends with us, in whatever way we end: nothing of it works
on in the database that the next run wants. It is imported when it is first needed.
"""

import os
import re
import shutil
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from kpi_platform.kpis.dbt.dbt_command import BUILD, extent
from kpi_platform.schemas.collector import paused_collector
from kpi_platform.schemas.texts.hidden_secrets import SafeError

if TYPE_CHECKING:
    from dbt.artifacts.schemas.run import RunResult
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

# How long the folder of a run that failed is kept, and how it is named.
KEPT = timedelta(days=7)
_OF_A_RUN = re.compile(r"^(?:\w+-\w{7,8}-)?[0-9a-f]{7}$")
# What nobody reads is not written: a failure stands in the log, the SQL lies beside it.
_QUIETLY = ("--no-write-json", "--no-print", "--quiet", "--no-use-colors")
_LOGS = ("--log-level", "none", "--log-level-file", "warn")
_ENDING = (signal.SIGINT, signal.SIGTERM)
_FAILURES_SHOWN = 20
_BUILT = ("model", "seed")


class DbtBuildError(SafeError, RuntimeError):
    """dbt could not build the models; the message names them with dbt's own words."""


@dataclass(frozen=True)
class Finding:
    """What a test of dbt found: `status` is dbt's word, `failures` the rows that fail."""

    status: str
    failures: int | None
    message: str
    seconds: float


class DbtRun:
    """Builds all models of the project in `project` in the warehouse at `warehouse` when called.

    `parsed` is the project as dbt parsed it for a database of this name. What dbt writes is below
    the folder `target`. Afterwards `tests` has results by the test's id, `seconds` those by model.
    """

    def __init__(self, project: Path, parsed: Path, warehouse: Path, target: Path) -> None:
        self.tests: dict[str, Finding] = {}
        self.seconds: dict[str, float] = {}
        self._project = project
        self._parsed = parsed
        self._warehouse = warehouse
        self._target = target

    def on(self, warehouse: Path) -> Self:
        """The same for the warehouse at another place; what it finds is found here, too."""
        other = type(self)(self._project, self._parsed, warehouse, self._target)
        other.tests, other.seconds = self.tests, self.seconds
        return other

    def __call__(self, full_refresh: bool) -> None:
        """Build everything anew, or the affected periods. Raises DbtBuildError if a model fails."""
        self.build(*extent(full_refresh=full_refresh))

    def build(
        self,
        how: Sequence[str],
        environment: dict[str, str],
        is_done: Callable[[str], None] | None = None,
    ) -> None:
        """Build what dbt's arguments and variables of its environment say.

        `is_done` is told of each model and seed, by its name, when it is there. Raises
        DbtBuildError if a model fails.
        """
        # dbt reads a relative path from its project's folder.
        with plain_path(self._warehouse.resolve()) as database:
            environment["KPI_WAREHOUSE_PATH"] = str(database)
            with _environment(environment):
                self._build(how, _told(is_done))

    def _build(self, how: Sequence[str], callbacks: "Sequence[Callable[[EventMsg], None]]") -> None:
        written = self._target.resolve() / uuid.uuid4().hex[:7]
        places = ["--project-dir", str(self._project), "--profiles-dir", str(self._project)]
        places += ["--target-path", str(written), "--log-path", str(written)]
        statements: dict[str, str] = {}
        with _cancelled_by_signals():
            arguments = [*BUILD, *how, *places, *_QUIETLY, *_LOGS]
            result = _invoke(self._parsed, arguments, callbacks, statements)
        for each in getattr(result.result, "results", ()):
            self._take(each)
        if not result.success:
            # The folder stays: it has dbt's log and the SQL as it was compiled.
            with suppress(OSError):
                # A disk that is full must not hide what failed.
                for path, statement in statements.items():
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    Path(path).write_text(statement, encoding="utf-8")
            raise DbtBuildError(_said(result, written))
        shutil.rmtree(written, ignore_errors=True)
        clear_failed(written.parent, datetime.now(UTC))

    def _take(self, result: "RunResult") -> None:
        node, seconds = result.node, round(result.execution_time, 3)
        if str(node.resource_type) != "test":
            self.seconds[node.name] = seconds
        elif result.status != "skipped":
            self.tests[node.unique_id] = Finding(
                str(result.status), result.failures, str(result.message or ""), seconds
            )


def _told(is_done: Callable[[str], None] | None) -> "list[Callable[[EventMsg], None]]":
    """What dbt calls with all that it has to say, to have `is_done` told of what is built."""

    def listen(message: "EventMsg") -> None:
        if is_done is not None and message.info.name == "NodeFinished":
            node = message.data.node_info
            if node.node_status == "success" and node.resource_type in _BUILT:
                is_done(node.node_name)

    return [] if is_done is None else [listen]


def _invoke(
    parsed: Path,
    arguments: list[str],
    callbacks: "Sequence[Callable[[EventMsg], None]]",
    statements: dict[str, str],
) -> "dbtRunnerResult":
    """Run dbt; the SQL that it would write comes to `statements`, by the path of its file."""
    with paused_collector(), _readers_made_when_used():
        from dbt.adapters.factory import reset_adapters
        from dbt.cli.main import dbtRunner

        manifest = _manifest(parsed)
    try:
        with _not_written(statements):
            return dbtRunner(manifest, callbacks=list(callbacks)).invoke(arguments)
    finally:
        reset_adapters()  # type: ignore[no-untyped-call]
        _close_duckdb()


@contextmanager
def _not_written(statements: dict[str, str]) -> Iterator[None]:
    """Keep the SQL of nodes instead of writing it: nobody reads that of a build that succeeds, and
    to make two hundred files costs more than to run their statements."""
    from dbt.contracts.graph import nodes as dbts

    nodes: Any = dbts

    def keep(path: str, contents: str = "") -> bool:
        statements[path] = contents
        return True

    before = nodes.write_file
    nodes.write_file = keep
    try:
        yield
    finally:
        nodes.write_file = before


@contextmanager
def _readers_made_when_used() -> Iterator[None]:
    """Let mashumaro write the readers of what is imported inside when one is first called.

    dbt asks so for most of its classes. The others have hundreds, of which a build calls few.
    """
    from mashumaro.config import BaseConfig

    before = BaseConfig.lazy_compilation
    BaseConfig.lazy_compilation = True
    try:
        yield
    finally:
        BaseConfig.lazy_compilation = before


def _close_duckdb() -> None:
    """Let other processes in: dbt keeps the database open for what it runs next."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager.env().close()
        DuckDBConnectionManager.close_all_connections()


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Let dbt cancel its statements where the run is told to end, before whoever else acts on that.

    It does so on KeyboardInterrupt alone, and goes on with its threads on Dagster's own exception.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def _manifest(parsed: Path) -> "Manifest":
    """The project as dbt parsed it, read anew: a build writes into it."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    manifest = Manifest.from_msgpack(parsed.read_bytes(), decoder=extended_mashumuro_decoder)
    # What macros see as `graph`, which dbt makes when it parses.
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def _said(result: "dbtRunnerResult", written: Path) -> str:
    failed = [
        f"{each.node.name}: {each.message}"
        for each in getattr(result.result, "results", ())
        if each.status in ("error", "fail", "partial success")
    ]
    reasons = [str(result.exception)] if result.exception is not None else []
    shown = "\n".join([*reasons, *failed[:_FAILURES_SHOWN]])
    return f"dbt build failed; its log and the SQL are in {written}\n{shown}"


def clear_failed(folder: Path, now: datetime) -> None:
    """Remove what runs that failed more than `KEPT` ago left in dbt's target folder."""
    for left in folder.iterdir():
        is_old = left.stat().st_mtime < (now - KEPT).timestamp()
        if is_old and left.is_dir() and _OF_A_RUN.match(left.name):
            # Another run may be removing it too.
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def plain_path(database: Path) -> Iterator[Path]:
    """A path by which dbt finds the database: it reads paths as addresses, which `#` and `?` end.

    Its folder is linked to, never the file: DuckDB keeps its log of changes beside what it opens.
    """
    if not re.search("[#?]", str(database.parent)):
        yield database
        return
    with TemporaryDirectory(prefix="kpi-") as folder:
        link = Path(folder, "database")
        link.symlink_to(database.parent)
        yield link / database.name


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the environment have these variables inside, and none of them after it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
