"""Secrets are hidden whole, in every way of writing them, and in their pieces."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.texts import hidden_secrets
from kpi_platform.schemas.texts.hidden_secrets import SafeError, hide_secrets, remember_secret


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_secrets, "_secrets", {})
    hidden_secrets._pattern.cache_clear()


_WORD = st.text("abcdefghijk0123456789", min_size=5, max_size=9).map(lambda word: f"q{word}")


@settings(deadline=None)
@given(st.lists(_WORD, min_size=1, max_size=4), st.text("/@:% ?#[]{}&'\"\\=;,", max_size=3))
def test_no_way_of_writing_a_secret_shows_a_word_of_it(words: list[str], between: str) -> None:
    secret = (between or "-").join(words)
    remember_secret("SECRET", secret)
    ways = (
        secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret),
        json.dumps(secret), secret.upper(), secret.replace("/", " "), *words,
    )  # fmt: skip
    for way in ways:
        said = hide_secrets(f'invalid integer value "{way}" for connection option "port"')
        assert not any(word in said.lower() for word in words)
        assert said.endswith(' for connection option "port"')


def test_of_an_address_only_the_password_is_secret() -> None:
    remember_secret("DSN", "postgresql://studio:Pl4nted%2FWr0ng@db.example.com:5432/games")
    said = hide_secrets('connection to "db.example.com", user "studio", "Pl4nted/Wr0ng" failed')
    assert said == 'connection to "db.example.com", user "studio", "***" failed'
    # One that cannot be read may hold it anywhere.
    remember_secret("DSN", "postgresql://studio:Pl4nted/Wr0ng@db.example.com:5432/games")
    assert hide_secrets("Wr0ng@db.example.com") == "***@db.***.com"


def test_a_new_value_replaces_the_old_and_nothing_hides_nothing() -> None:
    assert hide_secrets("all is well") == "all is well"
    remember_secret("A", "first-word")
    remember_secret("A", "other-text")
    assert hide_secrets("first other") == "first ***"


def test_what_looks_like_a_secret_is_hidden_though_nobody_told() -> None:
    said = hide_secrets("postgresql://me:hunter2@host/db password=hunter3 password='a b' x")
    assert said == "postgresql://me:***@host/db password=*** password=*** x"
    example = "must be an address as postgresql://user:password@host:5432/database"
    assert hide_secrets(example) == example
    assert hide_secrets("password: Extra inputs") == "password: Extra inputs"


def test_errors_are_safe_from_the_moment_they_are_made() -> None:
    class LostError(SafeError, OSError):
        pass

    remember_secret("A", "Pl4nted")
    error = LostError("cannot reach Pl4nted")
    assert (str(error), error.args) == ("cannot reach ***", ("cannot reach ***",))
