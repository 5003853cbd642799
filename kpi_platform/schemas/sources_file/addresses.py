"""Addresses of servers, folders and buckets, read by ourselves and written anew.

Belongs here: the grammar of addresses. Does not: opening what they name, and the settings.

What a library cannot read it repeats in its error, password and all. So it only ever gets an
address that was read here, and of one that cannot be read nothing is repeated: AddressError says
how it must be written, and its caller the name of the setting.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlencode

DATABASE_SCHEMES = frozenset({"postgresql", "postgres", "redshift"})
_SERVER = "must be an address as postgresql://user:password@host:5432/database, with / @ : % and \
blanks in user and password written as %2F %40 %3A %25 and %20"
_PLACE = "must be a folder, file:///folder or s3://bucket/prefix, its characters written as they \
are and without user or password"
_ENDPOINT = "must be an address as https://host:port, without user or password"

_PART = r"(?:[^\s/@%\x00-\x1f\x7f]|%[0-9A-Fa-f]{2})*"
_USER = _PART.replace("/@", "/@:")
_URL = re.compile(
    rf"(?P<scheme>[A-Za-z]+)://(?:(?P<user>{_USER})(?::(?P<password>{_PART}))?@)?"
    rf"(?P<hosts>[^/?#@\s]*)(?:/(?P<database>{_PART.replace('/@', '/@?#')}))?"
    r"(?:\?(?P<options>[^#@\s]*))?"
)
# No scheme, and nothing that looks like a user and a password.
_PLAIN_FOLDER = re.compile(
    r"(?!\w[\w+.\-]+:/|(?i:file|s3a?):|[^/.].*:.*@)(?!.*://)[^\x00]+", re.DOTALL
)
_FILE = re.compile(r"(?i:file):(?://(?i:localhost)?)?(?P<path>/[^/?#\x00][^?#\x00]*)")
_BUCKET = re.compile(
    r"(?i:s3a?)://(?P<name>[A-Za-z0-9][A-Za-z0-9._\-]*(?:/[^%?#\\\x00-\x1f\x7f]*)?)"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|%2[Ff][\w.%\-]*|[\w.\-]*)(?::(?P<port>\d{1,5}))?")
_PAIR = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)")
_DIGITS = re.compile(r"\d{1,9}")
_WORDS = re.compile(r"[\w./:,=+ \-]*")
_MODES = re.compile("disable|allow|prefer|require|verify-ca|verify-full")
# What libpq knows and reading needs, and how each may be written.
_OPTIONS: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(
        ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval",
         "keepalives_count", "tcp_user_timeout", "sslsni", "sslcompression"), _DIGITS,
    ),
    "sslmode": _MODES,
    **dict.fromkeys(
        ("application_name", "fallback_application_name", "channel_binding", "client_encoding",
         "gssencmode", "hostaddr", "krbsrvname", "load_balance_hosts", "options", "passfile",
         "require_auth", "service", "sslcert", "sslcrl", "sslkey", "sslnegotiation", "sslrootcert",
         "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs"), _WORDS,
    ),
}  # fmt: skip
_OWN = ("host", "port", "user", "password", "dbname")


class AddressError(ValueError):
    """It is no address of the kind; the message says how one is written, never what it was."""


@dataclass(frozen=True)
class ServerAddress:
    """A database server: one or more hosts with their ports, and what to connect as."""

    hosts: tuple[tuple[str, int | None], ...]
    database: str
    user: str
    password: str = field(repr=False)
    options: Mapping[str, str]
    is_database: bool = True

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it must not be seen."""
        return tuple(text for text in (self.password, self.options.get("sslpassword", "")) if text)

    def url(self, defaults: Mapping[str, str]) -> str:
        """The address as libpq takes it, every part escaped; its options win over `defaults`."""
        user = quote(self.user, safe="")
        if self.password:
            user += ":" + quote(self.password, safe="")
        hosts = ",".join(
            (host if host.startswith("[") else quote(host, safe=""))
            + ("" if port is None else f":{port}")
            for host, port in self.hosts
        )
        at = f"{user}@" if user else ""
        options = urlencode({**defaults, **self.options}, quote_via=quote)
        return f"postgresql://{at}{hosts}/{quote(self.database, safe='')}?{options}"


def parse_server(text: str, schemes: frozenset[str] | None = DATABASE_SCHEMES) -> ServerAddress:
    """Read `postgresql://user:password@host:5432/database?option=value` or `host=... user=...`.

    Raises AddressError; without `schemes` any scheme will do.
    """
    url = _URL.fullmatch(text)
    if url is not None and (schemes is None or url["scheme"].lower() in schemes):
        given = _options_of_url(url["options"] or "")
        parts = {
            "user": _decoded(url["user"] or ""),
            "password": _decoded(url["password"] or ""),
            "dbname": _decoded(url["database"] or ""),
        }
        hosts = _hosts(url["hosts"])
    elif "://" not in text and "=" in text:
        given, parts, hosts = _pairs(text), {}, ((("", None)),)
    else:
        raise AddressError(_SERVER)
    parts |= {name: value for name, value in given.items() if name in _OWN}
    if "host" in parts or "port" in parts:
        hosts = _hosts_of_parts(parts.get("host", ""), parts.get("port", ""))
    options = {name: value for name, value in given.items() if name not in _OWN}
    _check_options(options)
    database, user, password = (parts.get(name, "") for name in ("dbname", "user", "password"))
    is_database = url is None or url["scheme"].lower() in DATABASE_SCHEMES
    return ServerAddress(hosts, database, user, password, options, is_database)


def parse_place(text: str) -> str:
    """A folder's path, or `s3://bucket/prefix`, of a text that names either; `file://` too.

    Raises AddressError, also for what S3 would take for another name than it looks: `%20` and the
    like, `?` and `#`.
    """
    text = text.strip()
    if _PLAIN_FOLDER.fullmatch(text):
        return text
    file = _FILE.fullmatch(text)
    if file is not None:
        return _decoded(file["path"], _PLACE)
    bucket = _BUCKET.fullmatch(text)
    if bucket is None or "//" in bucket["name"]:
        raise AddressError(_PLACE)
    return f"s3://{bucket['name'].rstrip('/')}"


def check_endpoint(text: str) -> None:
    """Raises AddressError if this is no plain address of a service: it is passed on as it is."""
    found = re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.\-]+)(:(\d{1,5}))?(/[\w.~/\-]*)?", text)
    if found is None or (found[3] and int(found[3]) > 65535):
        raise AddressError(_ENDPOINT)


def _decoded(text: str, how: str = _SERVER) -> str:
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise AddressError(how) from None
    if "\0" in plain or re.search("%(?![0-9A-Fa-f]{2})", text):
        raise AddressError(how)
    return plain


def _hosts(text: str) -> tuple[tuple[str, int | None], ...]:
    hosts = [_HOST.fullmatch(each) for each in text.split(",")]
    if any(host is None for host in hosts):
        raise AddressError(_SERVER)
    return tuple((_decoded(host["host"]), _port(host["port"])) for host in hosts if host)


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not _DIGITS.fullmatch(text) or not 0 < int(text) < 65536:
        raise AddressError(_SERVER)
    return int(text)


def _hosts_of_parts(hosts: str, ports: str) -> tuple[tuple[str, int | None], ...]:
    names = hosts.split(",")
    numbers = [_port(port) for port in ports.split(",")]
    if len(numbers) not in (1, len(names)):
        raise AddressError(_SERVER)
    if not all(re.fullmatch(r"/[\w./\-]*|[\w.\-]*|[0-9A-Fa-f:.]+", name) for name in names):
        raise AddressError(_SERVER)
    every = numbers * len(names) if len(numbers) == 1 else numbers
    named = (f"[{name}]" if ":" in name else name for name in names)
    return tuple(zip(named, every, strict=True))


def _options_of_url(text: str) -> dict[str, str]:
    options = {}
    for pair in text.split("&") if text else ():
        name, is_given, value = pair.partition("=")
        if not is_given:
            raise AddressError(_SERVER)
        options[name] = _decoded(value)
    return options


def _pairs(text: str) -> dict[str, str]:
    """libpq's other form, `host=localhost password='a b'`; a backslash takes the next as it is."""
    found, at, text = {}, 0, text.strip()
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise AddressError(_SERVER)
        value = pair["value"]
        bare = value[1:-1] if value.startswith("'") else value
        found[pair["name"]] = re.sub(r"\\(.)", r"\1", bare, flags=re.DOTALL)
        at = pair.end()
    if any("\0" in value for value in found.values()):
        raise AddressError(_SERVER)
    return found


def _check_options(options: Mapping[str, str]) -> None:
    for name, value in options.items():
        if name == "sslpassword":
            continue
        shape = _OPTIONS.get(name)
        if shape is None or not shape.fullmatch(value):
            raise AddressError(_SERVER)
