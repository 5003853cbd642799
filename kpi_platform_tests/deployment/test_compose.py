"""The commands of docker/compose.yaml, run as they stand on loopback against real servers.

Docker itself is not needed: host names, ports and the image's paths are replaced, nothing else.
Where docker/try-image.sh built the image they run in it, on a read-only root, and its paths stay.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from kpi_platform.storage.local_servers.local_process import (
    LOOPBACK,
    free_ports,
    running_server,
    wait_until_ready,
)
from kpi_platform.storage.local_servers.local_s3 import S3Server, sockets_removed
from kpi_platform_tests.deployment.compose import DOCKER, PROJECT_ROOT, Service, read_compose
from kpi_platform_tests.deployment.image import Image, built_image
from kpi_platform_tests.servers import PostgresServer

# Started once: with several test processes, all of this file belongs into one of them.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deployment")]
PROGRAMS = Path(sys.executable).parent
WORKSPACE = "/opt/dagster/workspace.yaml"
SECRETS = {
    "KPI_POSTGRES_PASSWORD": "for-this-test",
    "AWS_ACCESS_KEY_ID": "a-key",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "S3_INNER_KEY": "an-inner-key",
}


@dataclass(frozen=True)
class Deployment:
    """The running services, and what stands here for the names of the containers' network."""

    services: Mapping[str, Service]
    replacements: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path
    image: Image | None

    def here(self, name: str, command: tuple[str, ...], **others: str) -> list[str]:
        """Return a service's command with the program of this environment and this machine's
        places, or within the image; `others` are replaced as well."""
        replaced = [self._replaced(part, {**self.replacements, **others}) for part in command]
        if self.image is None:
            return [str(PROGRAMS / replaced[0]), *replaced[1:]]
        service = self.services[name]
        assert service.is_read_only
        home, sources = self.environment["KPI_HOME"], self.environment["KPI_SOURCES"]
        places = {
            WORKSPACE: self.folder / "workspace.yaml",
            home: self.folder / "home",
            sources: DOCKER / "sources.yaml",
        }
        mounted = {place: places[place] for place in (WORKSPACE, *service.volumes)}
        return self.image.command(replaced, service.in_memory, mounted)

    def _replaced(self, part: str, replacements: Mapping[str, str]) -> str:
        for name, here in replacements.items():
            part = here if part == name else part.replace(f":{name}/", f":{here}/")
        return part

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Ask a service for its health as Docker would."""
        return subprocess.run(
            self.here(name, self.services[name].healthcheck),
            env=dict(self.environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def url(self) -> str:
        """The address of the webserver."""
        return f"http://{LOOPBACK}:{self.replacements['3000']}"


@pytest.fixture(scope="session")
def deployment(
    postgres_server: PostgresServer,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Code location, webserver and daemon, started in the order that compose.yaml demands."""
    folder = tmp_path_factory.mktemp("deployment")
    code_port, web_port = free_ports(2)
    workspace = yaml.safe_load((DOCKER / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    assert (server["host"], server["port"]) == ("code-location", 4000)
    server.update(host=LOOPBACK, port=code_port)
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    shutil.copy(DOCKER / "dagster.yaml", folder / "dagster.yaml")
    secrets = {**SECRETS, "KPI_POSTGRES_PASSWORD": postgres_server.password}
    services = read_compose({**secrets, **_only_identity(s3_server)})
    image = built_image()
    environment = _environment(services["webserver"], postgres_server, s3_server, folder)
    replacements = {"0.0.0.0": LOOPBACK, "4000": str(code_port), "3000": str(web_port)}
    if image is None:
        replacements[WORKSPACE] = str(folder / "workspace.yaml")
        environment |= _outside_an_image(folder)
    else:
        (folder / "workspace.yaml").chmod(0o644)
        _give_home(folder / "home", image)
        # Docker knows the user's home as well.
        environment |= {**image.environment, "HOME": f"/home/{image.user}"}
    running = Deployment(services, replacements, environment, folder, image)
    with ExitStack() as stack:
        for name in ("code-location", "webserver", "daemon"):
            _start(stack, running, name)
        yield running


def _only_identity(server: S3Server) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}


def _environment(
    service: Service, postgres: PostgresServer, s3: S3Server, folder: Path
) -> dict[str, str]:
    """Return a container's environment with the addresses of the test's servers, and no more."""
    database = postgres.create_database("deployment")
    s3.create_bucket(service.environment["KPI_LOG_BUCKET"])
    s3.create_bucket(service.environment["KPI_LAKE_URI"].removeprefix("s3://"))
    s3.create_bucket(service.environment["KPI_LANDING_URI"].removeprefix("s3://"))
    return {
        **service.environment,
        "AWS_ENDPOINT_URL": s3.endpoint,
        "KPI_POSTGRES_HOST": database.host,
        "KPI_POSTGRES_PORT": str(database.port),
        "KPI_POSTGRES_DB": database.database,
        "KPI_POSTGRES_USER": database.user,
    }


def _outside_an_image(folder: Path) -> dict[str, str]:
    return {
        # What compose.yaml mounts there.
        "KPI_SOURCES": str(DOCKER / "sources.yaml"),
        # What the Dockerfile sets.
        "DAGSTER_HOME": str(folder),
        "KPI_HOME": str(folder / "home"),
        "PATH": f"{PROGRAMS}{os.pathsep}{os.defpath}",
        "PYTHONPATH": str(PROJECT_ROOT),
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }


def _give_home(home: Path, image: Image) -> None:
    """Make the volume as Docker would: as the place in the image over which it lies."""
    owner = (image.root / image.environment["KPI_HOME"].lstrip("/")).stat()
    home.mkdir()
    os.chown(home, owner.st_uid, owner.st_gid)


def _start(stack: ExitStack, deployment: Deployment, name: str) -> None:
    service = deployment.services[name]
    log = deployment.folder / f"{name}.log"
    process = stack.enter_context(
        running_server(
            deployment.here(name, service.command),
            log=log,
            cwd=deployment.folder,
            env=deployment.environment,
        )
    )
    ports = [int(deployment.replacements[part]) for part in service.command if part.isdigit()]
    wait_until_ready(
        process,
        # Asking a port first costs nothing; a health check is a Python program.
        lambda: all(map(_listens, ports)) and deployment.health(name).returncode == 0,
        what=name,
        log=log,
        seconds=300,
    )


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


def _ask(deployment: Deployment, query: str) -> dict[str, Any]:
    answer = requests.post(f"{deployment.url}/graphql", json={"query": query}, timeout=30)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    assert "errors" not in body, body
    return dict(body["data"])


def test_the_webserver_answers(deployment: Deployment) -> None:
    answer = requests.get(f"{deployment.url}/server_info", timeout=10)
    assert answer.status_code == 200
    assert "dagster_version" in answer.json()


def test_the_webserver_reaches_the_code_location(deployment: Deployment) -> None:
    data = _ask(
        deployment,
        """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
             locationOrLoadError { __typename } } } } }""",
    )
    (location,) = data["workspaceOrError"]["locationEntries"]
    assert location["name"] == "kpi_platform"
    assert location["loadStatus"] == "LOADED"
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"


def test_the_platforms_assets_are_there(deployment: Deployment) -> None:
    data = _ask(deployment, "{ assetNodes { assetKey { path } } }")
    assets = {"/".join(node["assetKey"]["path"]) for node in data["assetNodes"]}
    assert {"raw_telemetry", "cleaned_events", "user_version_history"} <= assets


def test_the_daemon_is_alive(deployment: Deployment) -> None:
    data = _ask(
        deployment,
        "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }",
    )
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    required = {
        status["daemonType"]: status["healthy"] for status in statuses if status["required"]
    }
    assert {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "MONITORING"} <= set(required)
    assert all(required.values()), required


def test_a_run_is_queued_executed_and_kept(deployment: Deployment, s3_server: S3Server) -> None:
    """An hour without files, through every service: queue, code location, Postgres, lake, logs."""
    launched = _ask(deployment, _LAUNCH)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    status = _finished(deployment, run_id)
    assert status == "SUCCESS", (deployment.folder / "code-location.log").read_text()[-4000:]
    assert _keys(s3_server, "lake", "raw_telemetry/_delta_log/")
    assert _keys(s3_server, "logs", f"dagster/storage/{run_id}/")


_LAUNCH = """
mutation { launchRun(executionParams: {
  selector: {
    repositoryLocationName: "kpi_platform", repositoryName: "__repository__",
    jobName: "__ASSET_JOB", assetSelection: [{path: ["raw_telemetry"]}]
  },
  runConfigData: {},
  executionMetadata: {tags: [{key: "dagster/partition", value: "2026-01-01-00:00"}]}
}) { __typename ... on LaunchRunSuccess { run { runId } }
     ... on PythonError { message } ... on InvalidSubsetError { message } } }
"""


def _finished(deployment: Deployment, run_id: str) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        run = _ask(deployment, f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}')
        if run["runOrError"]["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
            return str(run["runOrError"]["status"])
        time.sleep(0.2)
    return "still running"


def _keys(server: S3Server, bucket: str, prefix: str) -> list[str]:
    listed = server.client().list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", [])]


def test_a_code_location_that_is_down_fails_its_health_check(deployment: Deployment) -> None:
    (unused,) = free_ports(1)
    command = deployment.services["code-location"].healthcheck
    done = subprocess.run(
        deployment.here("code-location", command, **{"4000": str(unused)}),
        env=dict(deployment.environment),
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0


def test_the_s3_service_takes_its_identity_and_makes_its_buckets(tmp_path: Path) -> None:
    service = read_compose(SECRETS)["s3"]
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    (tmp_path / "data").mkdir()
    replaced = {
        "-dir=/data": f"-dir={tmp_path / 'data'}",
        "-ip=s3": f"-ip={LOOPBACK}",
        "-ip.bind=0.0.0.0": f"-ip.bind={LOOPBACK}",
        "-s3.port=8333": f"-s3.port={ports['s3.port']}",
    }
    assert set(replaced) <= set(service.command)
    command = [str(PROGRAMS / "weed"), *(replaced.get(part, part) for part in service.command)]
    others = [f"-{name}={port}" for name, port in ports.items() if name != "s3.port"]
    endpoint = f"http://{LOOPBACK}:{ports['s3.port']}"
    server = S3Server(endpoint, SECRETS["AWS_ACCESS_KEY_ID"], SECRETS["AWS_SECRET_ACCESS_KEY"])
    log = tmp_path / "log"
    environment = {**service.environment, "HOME": str(tmp_path)}
    with (
        sockets_removed(ports.values()),
        running_server(
            [*command, *others], log=log, cwd=tmp_path, env=environment, stop_signal="KILL"
        ) as process,
    ):
        wait_until_ready(process, lambda: _is_up(endpoint), what="s3", log=log)
        wait_until_ready(process, lambda: len(_buckets(server)) == 3, what="buckets", log=log)
        assert _buckets(server) == {"landing", "lake", "logs"}
        assert requests.get(f"{endpoint}/landing", timeout=10).status_code == 403
        filer = f"http://{LOOPBACK}:{ports['filer.port']}/buckets/landing/"
        assert requests.get(filer, timeout=10).status_code == 401
        assert requests.put(f"{filer}a", data=b"a", timeout=10).status_code == 401


_PORTS = [
    f"{part}.port{kind}"
    for part in ("master", "volume", "filer", "s3", "admin")
    for kind in ("", ".grpc")
]


def _is_up(endpoint: str) -> bool:
    """Ask what the service's health check asks."""
    try:
        return requests.get(f"{endpoint}/status", timeout=5).ok
    except requests.ConnectionError:
        return False


def _buckets(server: S3Server) -> set[str]:
    return {bucket["Name"] for bucket in server.client().list_buckets()["Buckets"]}
