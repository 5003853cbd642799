"""Runs a server (S3, Postgres) as a child process on loopback that never outlives its parent.

Belongs here: also where programs are and the end of other children (dbt). What such a server is,
and how one talks to it, belongs to the module that starts it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0
Server = TypeVar("Server")

# Kills a process as soon as the other end of stdin is closed without a word. One that holds locks
# and files must be gone at once: whoever comes after its parent waits for nobody.
_WATCHER = """
read -r word && [ "$word" = ended ] && exit
kill -s KILL "$1"
"""

# Becomes the server, after leaving a watcher behind. The parent holds the other end of stdin:
# when it closes it, or dies in whatever way, `read` ends and the server gets its stop signal, and
# is killed if that does not end it: who starts it may have had the signal ignored, which children
# inherit.
# Unlike the kernel's parent-death signal this works on macOS, and from any thread. The watcher
# is of the server's process group, so the number it signals cannot be another process by then.
# Without a watcher (the system has no process left to give) there is no server: 71 is EX_OSERR.
_KEEPER = """
exec 3<&0 </dev/null
signal=$1; shift
( {
    read -r _ <&3
    kill -s "$signal" "$$"
    tenths=0
    while [ "$tenths" -lt 100 ] && kill -0 "$$"; do sleep 0.1; tenths=$((tenths + 1)); done
    kill -s KILL "$$"
} >/dev/null 2>&1 & ) || exit 71
exec "$@" 3<&-
"""


class LocalServerError(RuntimeError):
    """A local server is not installed, or did not start; the message says which and why."""


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that are free on loopback at this moment."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((LOOPBACK, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


@contextmanager
def running_server(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
    stop_signal: str = "TERM",
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` inside the block, its output in `log`; afterwards it has ended.

    It ends by `stop_signal`, and by force where that takes longer than STOP_SECONDS. Its own
    process group keeps a Ctrl-C on the terminal away: whoever opened the block ends it in order.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the callers' own commands, no shell text
            ["/bin/sh", "-c", _KEEPER, "keeper", stop_signal, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


@contextmanager
def ending_with_us(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Have a child killed if this process ends inside the block, in whatever way.

    The child has ended when the block is left: what an exception left running is killed.
    """
    watcher = subprocess.Popen(  # noqa: S603 (no shell text but our own)
        ["/bin/sh", "-c", _WATCHER, "watcher", str(process.pid)],
        stdin=subprocess.PIPE,
        # A Ctrl-C at the terminal is for the child, not for its watcher.
        start_new_session=True,
    )
    try:
        yield
    finally:
        if process.poll() is None and sys.exc_info()[0] is not None:
            process.kill()
        process.wait()
        watcher.communicate(b"ended\n")


def installed_program(name: str) -> str:
    """A program of this very environment, whether or not that is on the PATH; else the PATH's.

    Raises FileNotFoundError if it is nowhere.
    """
    beside = os.pathsep.join((str(Path(sys.executable).parent), sysconfig.get_path("scripts")))
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is neither beside {sys.executable} nor on the PATH")
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(
    process: subprocess.Popen[bytes],
    is_ready: Callable[[], bool],
    *,
    what: str,
    log: Path,
    seconds: float = 60.0,
) -> None:
    """Return once `is_ready()`; raise LocalServerError when the server ended or took too long."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None:
            raise LocalServerError(f"{what} ended while starting: {_last_lines(log)}")
        if time.monotonic() > deadline:
            raise LocalServerError(f"{what} was not ready in {seconds:.0f} s: {_last_lines(log)}")
        time.sleep(0.05)


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " | ".join(lines[-3:]) or "it wrote nothing"


@contextmanager
def first_that_starts(
    start: Callable[[], AbstractContextManager[Server]], *, attempts: int
) -> Iterator[Server]:
    """Enter `start()`, again on LocalServerError up to `attempts` times.

    A free port found a moment ago may be taken by the time the server wants it.
    """
    with ExitStack() as stack:
        retrying = Retrying(
            retry=retry_if_exception_type(LocalServerError),
            stop=stop_after_attempt(attempts),
            reraise=True,
        )
        server = retrying(lambda: stack.enter_context(start()))
        yield server
