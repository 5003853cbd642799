"""A message as every service is given it, and how it is kept.

Belongs here: the message as a value and as text. Does not: what is said in it (the rooms), and how
a service lays it out (`slack.py`, `mail.py`, `web.py`).
"""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Message:
    """What is to be said. `heading`: what happened, in our own words alone; `subject`: the same
    with names; `text`: in plain words, its line ends kept; `facts`: names and values; `command`:
    what to type. `thread`: messages of one thread belong together. All but `heading` may hold what
    clients chose.
    """

    message_id: str
    thread: str
    event: str
    heading: str
    subject: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    command: str = ""
    link: str = ""
    severity: str = "warn"

    @property
    def plain(self) -> str:
        """All of it as plain text."""
        parts = [self.subject, "", *self.text.split("\n")]
        if self.facts:
            parts += ["", *(f"{name}: {value}" for name, value in self.facts)]
        if self.command:
            parts += ["", "What mends it:", *(f"    {c}" for c in self.command.split("\n"))]
        return "\n".join([*parts, *(["", self.link] if self.link else [])])


@dataclass(frozen=True)
class Letter:
    """What a mail carries besides a message's text.

    `page`: the same in HTML, which shows `pictures` (PNG) as `cid:` and their name; `operator`: the
    address of who takes recipients off the list.
    """

    page: str
    pictures: tuple[tuple[str, bytes], ...]
    operator: str


def message_text(message: Message) -> str:
    """The message as JSON."""
    return json.dumps(asdict(message))


def message_of(text: str) -> Message:
    """The message of such a text."""
    values = json.loads(text)
    facts = tuple((str(name), str(value)) for name, value in values.pop("facts"))
    return Message(**values, facts=facts)
