"""Reads docker/compose.yaml as Docker would, so that tests run its commands without Docker.

Belongs here: variables and the parts of a service. Does not: running them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT_ROOT = Path(__file__).parents[2]
DOCKER = PROJECT_ROOT / "docker"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):\?[^}]*\}")


@dataclass(frozen=True)
class Service:
    """One service: what it runs, with which environment, and how its health is asked."""

    command: tuple[str, ...]
    environment: dict[str, str]
    healthcheck: tuple[str, ...]
    is_read_only: bool
    in_memory: tuple[str, ...]
    volumes: tuple[str, ...]


def read_compose(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name; raise KeyError where a required variable is missing."""
    document: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return {name: _service(part, variables) for name, part in document["services"].items()}


def _service(part: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    test = part["healthcheck"]["test"]
    assert test[0] == "CMD", "a health check in exec form needs no shell in the image"
    return Service(
        command=tuple(part.get("command", ())),
        environment={
            name: _VARIABLE.sub(lambda match: variables[match["name"]], value)
            for name, value in part["environment"].items()
        },
        healthcheck=tuple(test[1:]),
        is_read_only=part.get("read_only", False),
        in_memory=tuple(place.split(":")[0] for place in part.get("tmpfs", ())),
        volumes=tuple(place.split(":")[1] for place in part.get("volumes", ())),
    )
