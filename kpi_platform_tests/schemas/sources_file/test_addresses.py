"""Addresses are read by ourselves: what is read was meant, what cannot be is not repeated."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.sources_file.addresses import (
    AddressError,
    check_endpoint,
    parse_place,
    parse_server,
)

_REFUSED = (
    "must be an address as postgresql://user:password@host:5432/database, with / @ : % and blanks "
    "in user and password written as %2F %40 %3A %25 and %20"
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(deadline=None)
@given(user=_TEXT, password=_TEXT, database=_TEXT)
def test_an_escaped_address_is_read_as_it_was_meant(
    user: str, password: str, database: str
) -> None:
    at = f"{quote(user, safe='')}:{quote(password, safe='')}"
    found = parse_server(f"postgresql://{at}@db.example.com:5433/{quote(database, safe='')}")
    assert (found.user, found.password, found.database) == (user, password, database)
    assert found.hosts == (("db.example.com", 5433),)
    assert parse_server(found.url({"connect_timeout": "9"})).password == password


@settings(deadline=None)
@given(password=_TEXT)
def test_the_form_of_pairs_is_read_as_libpq_does(password: str) -> None:
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    found = parse_server(f"host=h port=5433 user = u password='{quoted}' dbname=d")
    assert (found.password, found.hosts, found.database) == (password, (("h", 5433),), "d")


@settings(deadline=None)
@given(password=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
def test_what_is_not_escaped_is_read_exactly_or_refused(password: str) -> None:
    try:
        found = parse_server(f"postgresql://studio:{password}@127.0.0.1:5432/db")
    except AddressError as error:
        # The same words whatever it was: nothing of it can be in them.
        assert str(error) == _REFUSED
        assert set(password) & set("/@%")
        return
    plain = urlsplit(found.url({}))
    assert (plain.hostname, plain.port, plain.path) == ("127.0.0.1", 5432, "/db")
    assert (plain.username, plain.password or "") == ("studio", quote(found.password, safe=""))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://studio:Pl4nted@Wr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted/Wr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted%zzWr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted Wr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted\tWr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted%00Wr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted%ffWr0ng@127.0.0.1:5432/db",
        "postgresql:/studio:Pl4ntedWr0ng@127.0.0.1:5432/db",
        "postgresql//studio:Pl4ntedWr0ng@127.0.0.1:5432/db",
        "mysql://studio:Pl4ntedWr0ng@127.0.0.1:5432/db",
        "postgresql://studio:Pl4nted/Wr0ng",
        "postgresql://127.0.0.1:Pl4nted/db",
        "postgresql://u@127.0.0.1/db?sslmode=Pl4nted",
        "postgresql://u@127.0.0.1/db?Pl4nted=Wr0ng",
        "postgresql://u@127.0.0.1/db?Pl4nted",
        "host=127.0.0.1 password=Pl4nted Wr0ng",
        "host=127.0.0.1 password='Pl4nted'Wr0ng",
        "host=127.0.0.1 port=Pl4nted",
        "host=Pl4nted@Wr0ng",
        "Pl4ntedWr0ng",
        "",
    ],
)
def test_what_cannot_be_read_is_not_repeated(text: str) -> None:
    with pytest.raises(AddressError, match="must be an address as") as error:
        parse_server(text)
    assert "Pl4nted" not in str(error.value)
    assert "Wr0ng" not in str(error.value)


def test_several_hosts_sockets_and_ipv6() -> None:
    several = parse_server("postgresql://u:p@one:1,two:2/d?target_session_attrs=any")
    assert several.url({}) == "postgresql://u:p@one:1,two:2/d?target_session_attrs=any"
    socket = parse_server("postgresql:///d?host=/var/run/postgresql")
    assert socket.url({}) == "postgresql://%2Fvar%2Frun%2Fpostgresql/d?"
    assert parse_server("host=::1 port=5 dbname=d").url({}) == "postgresql://[::1]:5/d?"
    assert parse_server("redshift://u:p@[::1]:5439/d").hosts == (("[::1]", 5439),)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/data/a b", "/data/a b"),
        ("/data/a%20b", "/data/a%20b"),
        ("/data/me@home", "/data/me@home"),
        (".kpi/landing", ".kpi/landing"),
        ("file:///data/a%20b", "/data/a b"),
        ("file://localhost/data", "/data"),
        ("FILE:/data", "/data"),
        ("s3://bucket", "s3://bucket"),
        ("S3://bucket/prefix/", "s3://bucket/prefix"),
        ("s3a://bucket/a b/ä", "s3://bucket/a b/ä"),
    ],
)
def test_a_place_is_a_folder_or_a_prefix(text: str, place: str) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "s3:/bucket/prefix", "s3:bucket", "s3:///bucket", "s3://bucket//x", "s3://bucket/a%20b",
        "s3://bucket/a?b", "s3://bucket/a#b", "s3://u:Pl4nted@bucket/x", "gs://bucket/x",
        "http://u:Pl4nted@host/x", "file://host/x", "file:x", "file:///a%zz", "file:///a%00",
        "postgresql//u:Pl4nted@host", "u:Pl4nted@host/x", "a\0b", "", " ",
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_not_repeated(text: str) -> None:
    with pytest.raises(AddressError) as error:
        parse_place(text)
    assert "Pl4nted" not in str(error.value)


def test_an_endpoint_has_no_password() -> None:
    for text in ("http://127.0.0.1:8333", "https://s3.eu-north-1.amazonaws.com/", "http://[::1]:1"):
        check_endpoint(text)
    for text in ("http://u:Pl4nted@h", "http://u:Pl4nted/x@h", "http://u:Pl4nted", "ftp://h", "h"):
        with pytest.raises(AddressError) as error:
            check_endpoint(text)
        assert "Pl4nted" not in str(error.value)
