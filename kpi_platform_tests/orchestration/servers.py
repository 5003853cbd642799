"""Dagster as it runs in production, on loopback: code server, webserver and daemon.

Belongs here: starting them and talking GraphQL to them. Does not: what is asked.
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from dagster._grpc.client import DagsterGrpcClient

from kpi_platform.storage.local_servers.local_process import (
    LOOPBACK,
    first_that_starts,
    free_ports,
    running_server,
    wait_until_ready,
)
from kpi_platform_tests.orchestration.home import Home, program

LOCATION = "kpi_platform"
_REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}


@dataclass(frozen=True)
class Webserver:
    """The GraphQL API that the UI uses."""

    port: int

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer's data; GraphQL errors fail the test."""
        answer = requests.post(
            f"http://{LOOPBACK}:{self.port}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
        ).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def is_up(self) -> bool:
        """Whether it answers and has loaded the definitions."""
        query = (
            "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {"
            " __typename ... on PythonError { message } } } } } }"
        )
        try:
            (entry,) = self.ask(query)["workspaceOrError"]["locationEntries"]
        except requests.ConnectionError:
            return False
        found = entry["locationOrLoadError"] or {"__typename": "still loading"}
        assert found["__typename"] != "PythonError", found["message"]
        return bool(found["__typename"] == "RepositoryLocation")

    def backfill(self, tables: list[str], partitions: list[str]) -> str:
        """Launch what "Materialize" launches for these partitions; returns its id."""
        answer = self.ask(
            "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {"
            " __typename ... on LaunchBackfillSuccess { backfillId }"
            " ... on PythonError { message } } }",
            p={
                "assetSelection": [{"path": [table]} for table in tables],
                "partitionNames": partitions,
            },
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def backfill_status(self, backfill_id: str) -> str:
        """For example REQUESTED or COMPLETED_SUCCESS."""
        query = (
            "query($id: String!) { partitionBackfillOrError(backfillId: $id) {"
            " ... on PartitionBackfill { status } } }"
        )
        return str(self.ask(query, id=backfill_id)["partitionBackfillOrError"]["status"])

    def assets(self) -> dict[str, bool]:
        """Every asset that can be materialised, and whether it is partitioned."""
        nodes = self.ask("{ assetNodes { assetKey { path } isPartitioned isExecutable } }")
        return {
            node["assetKey"]["path"][0]: node["isPartitioned"]
            for node in nodes["assetNodes"]
            if node["isExecutable"]
        }

    def reexecute_from_failure(self, run_id: str) -> str:
        """Click "Re-execute from failure" on a run; returns the new run's id."""
        answer = self.ask(
            "mutation($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p) {"
            " __typename ... on LaunchRunSuccess { run { runId } }"
            " ... on PythonError { message } } }",
            p={"parentRunId": run_id, "strategy": "FROM_FAILURE"},
        )["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def start_sensor(self, name: str) -> None:
        """Turn a sensor on."""
        answer = self.ask(
            "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }",
            s=_REPOSITORY | {"sensorName": name},
        )["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def launch_job(self, name: str) -> None:
        """Start a run of a job, as its "Launch run" button does."""
        answer = self.ask(
            "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }",
            p={"selector": _REPOSITORY | {"jobName": name}, "runConfigData": {}},
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer

    def runs(self, job: str) -> list[tuple[str, Mapping[str, str]]]:
        """Status and tags of a job's runs, newest first."""
        query = (
            "query($job: String!) { runsOrError(filter: {pipelineName: $job}) {"
            " ... on Runs { results { status tags { key value } } } } }"
        )
        results = self.ask(query, job=job)["runsOrError"]["results"]
        return [
            (run["status"], {tag["key"]: tag["value"] for tag in run["tags"]}) for run in results
        ]


def wait_for(is_true: Callable[[], bool], what: str, seconds: float = 150.0) -> None:
    """Return once `is_true()`; fail the test when it takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)


@contextmanager
def running_dagster(home: Home) -> Iterator[Webserver]:
    """Webserver and daemon on one code server, as in production, until the block ends."""
    with first_that_starts(lambda: _dagster(home), attempts=2) as webserver:
        yield webserver


@contextmanager
def _dagster(home: Home) -> Iterator[Webserver]:
    code_port, web_port = free_ports(2)
    workspace = home.folder / "workspace.yaml"
    workspace.write_text(
        f"load_from: [{{grpc_server: {{host: {LOOPBACK}, port: {code_port},"
        f" location_name: {LOCATION}}}}}]\n"
    )
    code = ["dagster", "api", "grpc", "-h", LOOPBACK, "-p", str(code_port)]
    commands = [
        [*code, "-m", home.environment["DAGSTER_MODULE_NAME"]],
        ["dagster-webserver", "-h", LOOPBACK, "-p", str(web_port), "-w", str(workspace)],
        ["dagster-daemon", "run", "-w", str(workspace)],
    ]
    webserver = Webserver(web_port)
    # A webserver that finds no code server shows an error until somebody reloads it.
    is_ready = [lambda: _serves_code(code_port), webserver.is_up, lambda: True]
    # The programs refuse a workspace file together with this variable.
    environment = {k: v for k, v in home.environment.items() if k != "DAGSTER_MODULE_NAME"}
    with ExitStack() as stack:
        for number, (name, *arguments) in enumerate(commands):
            log = home.folder / f"server-{number}.log"
            command = [program(name), *arguments]
            server = running_server(command, log=log, cwd=home.folder, env=environment)
            process = stack.enter_context(server)
            wait_until_ready(process, is_ready[number], what=name, log=log, seconds=120)
        yield webserver


def _serves_code(port: int) -> bool:
    try:
        # Dagster's client would print a traceback for every attempt that comes too early.
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    client: Any = DagsterGrpcClient(host=LOOPBACK, port=port)
    return str(client.health_check_query()) == "SERVING"
