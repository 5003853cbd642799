"""Settings: defaults, the environment, `.env`, and mistakes that name the setting."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform.settings import SettingsError, load_settings, said_of_env_file


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("KPI_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_gives_the_embedded_default() -> None:
    settings = load_settings()
    assert (settings.landing, settings.lake) == (".kpi/landing", ".kpi/lake")
    assert settings.warehouse_file == Path(".kpi/warehouse.duckdb")
    assert settings.start_hour == datetime(2026, 1, 1, tzinfo=UTC)
    assert settings.sources_file is None


def test_landing_lake_and_warehouse_follow_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_HOME", "/data")
    settings = load_settings()
    assert (settings.landing, settings.lake) == ("/data/landing", "/data/lake")
    assert str(settings.warehouse_file) == "/data/warehouse.duckdb"


def test_the_file_named_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my.env").write_text(
        "KPI_HOME=/from/file\nKPI_LATE_LIMIT_DAYS=7\nAWS_REGION=eu-north-1\n"
    )
    monkeypatch.setenv("KPI_ENV_FILE", "my.env")
    monkeypatch.setenv("KPI_HOME", "/from/environment")
    # What load_settings sets in the environment must not outlive the test.
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.delenv("AWS_REGION")
    settings = load_settings()
    assert str(settings.home) == "/from/environment"
    assert settings.late_limit == timedelta(days=7)
    assert os.environ.pop("AWS_REGION") == "eu-north-1"
    os.environ.pop("KPI_LATE_LIMIT_DAYS")


def test_player_id_attributes_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_PLAYER_ID_ATTRIBUTES", "Gamer, PlayerId")
    assert load_settings().player_id_attributes == ("Gamer", "PlayerId")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KPI_START_HOUR", "2026-01-01"),
        ("KPI_START_HOUR", "2026-01-01-00:30"),
        ("KPI_WAREHOUSE", "oracle"),
        ("KPI_CHUNK_MEGABYTES", "0"),
        ("KPI_QUARANTINE_SHARE_THRESHOLD", "2"),
        ("KPI_PLAYER_ID_ATTRIBUTES", ","),
        ("KPI_KEEP_LINES_DAYS", "30"),
        ("KPI_KEEP_EVENTS_DAYS", "400"),
        ("KPI_KEEP_CONTRIBUTIONS_DAYS", "800"),
    ],
)
def test_a_wrong_value_names_the_setting_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_lines_are_kept_as_long_as_they_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_KEEP_LINES_DAYS", "60")
    assert load_settings().keep_lines_days == 60
    monkeypatch.setenv("KPI_LATE_LIMIT_DAYS", "60")
    with pytest.raises(SettingsError, match=r"^KPI_KEEP_LINES_DAYS: must be at least 61: "):
        load_settings()


def test_events_are_kept_as_long_as_their_sessions_may_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KPI_KEEP_LINES_DAYS", "31")
    # 30 days late, one ahead, one of silence, and a night.
    monkeypatch.setenv("KPI_KEEP_EVENTS_DAYS", "65")
    assert load_settings().keep_events_days == 65
    monkeypatch.setenv("KPI_KEEP_EVENTS_DAYS", "64")
    with pytest.raises(SettingsError, match=r"^KPI_KEEP_EVENTS_DAYS: must be at least 65: "):
        load_settings()
    monkeypatch.setenv("KPI_WAREHOUSE", "postgres")
    with pytest.raises(SettingsError, match=r"^KPI_KEEP_EVENTS_DAYS: needs KPI_WAREHOUSE=duckdb"):
        load_settings()


def test_the_env_of_the_folder_one_stands_in_is_not_read_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KPI_HOME=/from/here")
    assert load_settings().home == Path(".kpi")
    assert said_of_env_file() == (
        f"{tmp_path / '.env'} is not read: only the project's, or the one that KPI_ENV_FILE names"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"KPI_HOME=/caf\xe9", "is not UTF-8"), (b"KPI_HOME=/a\0b", "holds a NUL character")],
)
def test_a_file_of_settings_that_is_no_text_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "my.env").write_bytes(content)
    monkeypatch.setenv("KPI_ENV_FILE", "my.env")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value) == f"my.env: {said}"


@pytest.mark.parametrize("name", ["nowhere.env", "."])
def test_a_file_of_settings_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KPI_ENV_FILE", name)
    with pytest.raises(SettingsError, match=r"KPI_ENV_FILE: .*: no such file"):
        load_settings()


def test_what_the_process_writes_is_its_users_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        load_settings()
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "players").write_text("P1")
        assert (tmp_path / "home").stat().st_mode & 0o077 == 0
        assert (tmp_path / "home" / "players").stat().st_mode & 0o077 == 0
        monkeypatch.setenv("KPI_UMASK", "027")
        load_settings()
        (tmp_path / "shared").mkdir()
        assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(before)
