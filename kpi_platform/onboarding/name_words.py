"""What names of tables, columns and events say, in the habits and languages of studios.

Belongs here: taking names apart and the vocabulary. Does not: weighing it against values.
"""

import re
import unicodedata
from functools import lru_cache

Vocabulary = dict[str, tuple[str, ...]]

# Phrases of one or more words; the first event with a phrase in the name wins.
EVENTS: Vocabulary = {
    "SessionEnd": (
        "session end", "session ended", "session finish", "session stop", "logout", "log out",
        "signout", "sign out", "logoff", "abmeldung", "app close", "quit",
    ),
    "SoftwareVersion": (
        "software version", "client version", "app version", "version", "build", "patch",
        "update installed", "version seen",
    ),
    "Install": ("install", "installation", "download", "first open", "first launch"),
    "Purchase": (
        "purchase", "order", "payment", "iap", "sale", "buy", "bought", "receipt", "kauf", "kaufe",
        "verkauf", "verkaufe", "bestellung", "compra", "achat", "refund", "transaction", "revenue",
        "checkout", "kounyu",
    ),
    "Crash": ("crash", "fatal", "absturz", "absturze", "anr"),
    "Issue": ("issue", "error", "bug", "exception", "fehler", "problem"),
    "FeatureUsed": ("feature", "feature used", "funktion"),
    "Notification": ("notification", "push", "benachrichtigung"),
    "ExperimentAssigned": ("experiment", "ab test", "abtest", "variant", "split test"),
    "SessionStart": (
        "session start", "session begin", "session", "login", "log in", "signin", "sign in",
        "logon", "anmeldung", "sitzung", "sesion", "app open", "app start", "launch", "connexion",
    ),
}  # fmt: skip
COLUMNS: Vocabulary = {
    "event": (
        "event name", "event type", "event", "type", "name", "action", "ereignis", "kind",
        "evento", "evt",
    ),
    "player_id": (
        "player id", "user id", "account id", "gamer id", "customer id", "member id", "spieler id",
        "player uid", "player key", "player ref", "user key", "user uid", "uid", "player guid",
        "spieler nr", "spieler nummer", "spieler", "jugador id", "usuario id", "joueur id", "xuid",
        "psn id", "player", "user", "account", "gamer", "console account", "user uuid",
        "player uuid",
    ),
    "session_id": (
        "session id", "session key", "session uuid", "session guid", "session", "sid", "sess id",
        "sitzung id", "sitzung", "play session",
    ),
    "transaction_id": ("transaction number", "sequence", "seq", "seq no", "event seq"),
    "event_at": (
        "event time", "event at", "event ts", "occurred at", "occurred", "happened at",
        "purchased at", "bought at", "ordered at", "paid at", "started at", "installed at",
        "crashed at", "client time", "client ts", "event timestamp", "timestamp", "ts", "time",
        "zeit", "zeitpunkt", "datum", "gekauft am", "date", "created at", "created", "creation",
        "fecha", "start time", "started", "start", "when", "at", "event date", "erstellt am",
        "purchase time", "purchase date", "order time", "order date", "login at", "login time",
        "logged at", "install time", "crash time", "sent at", "assigned at", "seen at",
    ),
    "watermark": (
        "updated at", "updated", "modified at", "modified", "last modified", "changed at",
        "last update", "update time", "updated on", "loaded at", "load time", "ingested at",
        "inserted at", "synced", "etl loaded at", "geandert am", "geandert", "row updated",
        "last changed", "updated ts", "update ts", "mtime", "written at", "received at",
        "fivetran synced",
    ),
    "key": (
        "id", "row id", "event id", "event uuid", "uuid", "guid", "pk", "order id", "order no",
        "purchase id", "receipt id", "transaction id", "tx id", "record id", "log id", "crash id",
        "install id", "nr", "nummer", "kauf nr", "login id",
    ),
    "platform": (
        "platform", "plattform", "os", "os name", "konsole", "console", "store", "plataforma",
        "device platform", "client platform",
    ),
    "deleted": (
        "is deleted", "deleted", "deleted at", "geloscht", "is removed", "removed", "tombstone",
        "fivetran deleted", "void", "voided", "is void",
    ),
    "Amount": (
        "amount", "price", "preis", "betrag", "total", "revenue", "gross", "value", "cost",
        "importe", "montant", "precio", "paid", "sum", "spend", "umsatz",
    ),
    "Currency": (
        "currency", "currency code", "curr", "ccy", "wahrung", "moneda", "devise", "iso currency",
    ),
    "Sku": ("sku", "product id", "product", "item id", "item", "artikel", "offer", "package"),
    "Version": (
        "version", "app version", "client version", "build", "build number", "software version",
        "game version", "release",
    ),
    "Device": ("device", "device model", "model", "gerat", "hardware", "handset"),
    "Country": ("country", "country code", "land", "geo", "pais", "region code"),
    "DurationSeconds": (
        "duration", "length", "dauer", "session length", "session duration", "play time",
        "playtime", "elapsed",
    ),
    "Source": ("source", "install source", "channel", "campaign", "referrer", "utm source"),
    "Feature": ("feature", "feature name", "funktion"),
    "Kind": ("kind", "notification type", "notification kind"),
    "Status": ("status", "state"),
    "TargetVersion": ("target version", "to version", "new version"),
    "Experiment": ("experiment", "experiment id", "experiment name", "test name"),
    "Variant": ("variant", "arm", "bucket", "variante"),
    "Code": ("code", "error code", "crash code", "signature", "fehlercode"),
    "Severity": ("severity", "schwere", "priority"),
}  # fmt: skip
ATTRIBUTES_OF: Vocabulary = {
    "SoftwareVersion": ("Version", "Device"),
    "SessionStart": ("Country",),
    "SessionEnd": ("DurationSeconds",),
    "Install": ("Source",),
    "Purchase": ("Amount", "Currency", "Sku"),
    "FeatureUsed": ("Feature",),
    "Notification": ("Kind", "Status", "TargetVersion"),
    "ExperimentAssigned": ("Experiment", "Variant"),
    "Crash": ("Code", "Severity"),
    "Issue": ("Code", "Severity"),
}
# What one event cannot do without.
NEEDED_BY: dict[str, str] = {
    "Purchase": "Amount",
    "SoftwareVersion": "Version",
    "FeatureUsed": "Feature",
    "ExperimentAssigned": "Variant",
    "SessionEnd": "DurationSeconds",
}
# What tells the rows of one key apart.
LINE_NUMBERS = (
    "line no", "line", "line number", "line id", "position", "pos", "item no", "seq", "sequence",
    "seq no", "index", "row no", "part", "revision", "zeile", "positionsnummer",
)  # fmt: skip
PERSONAL = (
    "email", "e mail", "mail", "phone", "telefon", "ip", "ip address", "birthday", "birth date",
    "date of birth", "password", "street", "address", "first name", "last name", "full name",
    "real name", "credit card",
)  # fmt: skip
PLATFORMS: Vocabulary = {
    "ios": ("ios", "iphone", "ipad", "apple"),
    "android": ("android", "google play"),
    "pc": ("pc", "windows", "steam", "win"),
    "playstation": ("playstation", "ps4", "ps5", "psn"),
    "xbox": ("xbox",),
    "switch": ("switch", "nintendo"),
    "web": ("web", "browser"),
}
CURRENCIES = frozenset({
    "USD", "EUR", "GBP", "JPY", "CNY", "KRW", "SEK", "NOK", "DKK", "PLN", "CHF", "CAD", "AUD",
    "BRL", "MXN", "TRY", "RUB", "INR", "CZK", "HUF",
})  # fmt: skip
# Whose smallest unit is the currency itself.
WITHOUT_CENTS = frozenset({"JPY", "KRW", "HUF"})
ZONES = {
    "utc": "UTC", "gmt": "UTC", "zulu": "UTC", "jst": "Asia/Tokyo", "tokyo": "Asia/Tokyo",
    "kst": "Asia/Seoul", "cet": "Europe/Berlin", "mez": "Europe/Berlin",
    "berlin": "Europe/Berlin", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles",
    "pt": "America/Los_Angeles", "est": "America/New_York", "edt": "America/New_York",
}  # fmt: skip
# What a part of a name says of the unit of money or of a duration.
SCALES = {
    "cents": "0.01", "cent": "0.01", "pence": "0.01", "minor": "0.01", "ct": "0.01",
    "micros": "0.000001", "micro": "0.000001", "millis": "0.001", "ms": "0.001",
    "milliseconds": "0.001", "minutes": "60", "min": "60", "mins": "60", "hours": "3600",
}  # fmt: skip


@lru_cache(maxsize=200_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name: camel case, underscores, blanks and accents taken apart; lower case."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", bare)
    apart = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", apart)
    return tuple(re.sub(r"[^0-9a-z]+", " ", apart.lower()).split())


@lru_cache(maxsize=200_000)
def says(name: str, phrases: tuple[str, ...]) -> str:
    """The longest phrase whose words stand in the name in order; empty if none does.

    The plural of a phrase's last word counts.
    """
    said = [phrase for phrase in phrases if _stands_in(phrase.split(), words(name))]
    return max(said, key=len, default="")


def _stands_in(phrase: list[str], name: tuple[str, ...]) -> bool:
    size = len(phrase)
    return any(
        list(name[at : at + size - 1]) == phrase[:-1] and _same(name[at + size - 1], phrase[-1])
        for at in range(len(name) - size + 1)
    )


def _same(word: str, wanted: str) -> bool:
    return word == wanted or (
        len(wanted) > 2 and word in (f"{wanted}s", f"{wanted}es", f"{wanted}en")
    )


def event_named(name: str) -> str:
    """The event that a table's or an event's name tells of; empty if none."""
    scored = [
        (len(phrase), event) for event, all_ in EVENTS.items() if (phrase := says(name, all_))
    ]
    # The longest phrase; of equals the first of the vocabulary.
    best = max((length for length, _ in scored), default=0)
    return next((event for length, event in scored if length == best), "")


def platform_named(name: str) -> str:
    """The platform that a table's name carries (`purchases_ios`); empty if none."""
    return next((key for key, phrases in PLATFORMS.items() if says(name, phrases)), "")
