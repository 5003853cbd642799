"""A message for Slack: blocks within its limits, with everything from outside as text.

Belongs here: Slack's form, and posting it. Does not: what is said.

Whatever clients may have chosen stands between three backticks, with `&`, `<` and `>` escaped, as
Slack asks for: there nothing is a link, a mention or markup. The one link is that to the runbook.
Limits: https://api.slack.com/reference/block-kit.
"""

import json
from typing import Any
from urllib.parse import quote

from kpi_platform.delivery.destinations import Slack
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.http import post_json
from kpi_platform.delivery.messages import Message
from kpi_platform.schemas.texts.shown_text import shown
from kpi_platform.settings import secret

# Slack's own limits: characters of a header, of a section, of the text beside the blocks.
HEADER, SECTION, TEXT = 150, 3000, 4000
# Slack takes 50 blocks; a reader not that many.
_MOST_SECTIONS = 8
_MARKS = {"ok": ":large_green_circle:", "warn": ":large_orange_circle:", "error": ":red_circle:"}
# The text of a report names its day and whose figures it has.
_SAYS_ALL = "report"
_MENDS = "What mends it:"
# What an address may hold and Slack does not read as the end of it.
_OF_ADDRESSES = "%/:?#[]@!$'()*+,;=~"
_WAIT = ("ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout")


def slack_body(message: Message) -> dict[str, Any]:
    """What is posted of a message: `text`, for notifications, and `blocks`."""
    told = () if message.event == _SAYS_ALL else message.facts
    facts = "\n".join(f"{name}: {value}" for name, value in told)
    heading = f"{_MARKS[message.severity]} {message.heading}"[:HEADER]
    said = [_section(piece) for part in (message.text, facts) if part for piece in _pieces(part)]
    mend = [_section(piece) for piece in _pieces(message.command)] if message.command else []
    return {
        "text": cut(escaped(_line(message.subject)), TEXT),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": True}},
            *said,
            *([_note(_MENDS), *mend] if mend else []),
            *([_note(_linked(message.link))] if message.link else []),
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def send_to_slack(slack: Slack, message: Message, thread: str) -> str:
    """Post a message, into a thread if one is named; the thread that it opened, if any is known.

    Raises DeliveryError.
    """
    body = slack_body(message)
    if slack.webhook_env is not None:
        post_json(_secret(slack.webhook_env), body)
        return ""
    body |= {"channel": slack.slack_channel_name, **({"thread_ts": thread} if thread else {})}
    token = _secret(slack.token_variable)
    url = f"{slack.api_url.rstrip('/')}/chat.postMessage"
    answer = post_json(url, body, {"Authorization": f"Bearer {token}"})
    try:
        said = json.loads(answer)
    except ValueError:
        said = {}
    if not isinstance(said, dict) or not said.get("ok"):
        error = str(said.get("error") if isinstance(said, dict) else "") or "an answer without ok"
        raise DeliveryError(f"Slack answers {error}", is_lasting=error not in _WAIT)
    return thread or str(said.get("ts") or "")


def escaped(text: str) -> str:
    """The three characters that Slack asks to escape: no mention or link is left."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, length: int) -> str:
    """At most so many characters, never a part of an escaped one."""
    if len(text) <= length:
        return text
    kept = text[: length - 3]
    amp = kept.rfind("&", max(len(kept) - 5, 0))
    return (kept[:amp] if amp >= 0 and ";" not in kept[amp:] else kept) + "..."


def _pieces(text: str) -> list[str]:
    """The text as Slack shows it, cut between lines into pieces that fit a section."""
    inside = escaped(shown(text.rstrip(), keeps_lines=True)).replace("```", "'''")
    pieces: list[str] = []
    for line in inside.split("\n"):
        if pieces and len(pieces[-1]) + 1 + len(line) <= SECTION - 8:
            pieces[-1] += f"\n{line}"
        else:
            pieces.append(line)
    left = sum(piece.count("\n") + 1 for piece in pieces[_MOST_SECTIONS - 1 :])
    if len(pieces) > _MOST_SECTIONS:
        pieces[_MOST_SECTIONS - 1 :] = [f"... and {left} more lines"]
    return pieces


def _note(text: str) -> dict[str, Any]:
    """A line in small type; the text is Slack's markup."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def _linked(link: str) -> str:
    """Where to read on, to be clicked if it is an address: that part is the operator's."""
    if not link.startswith(("https://", "http://")):
        return f"What it means, and what to do: {escaped(link)}"
    return f"<{quote(link, safe=_OF_ADDRESSES)}|What it means, and what to do>"


def _section(inside: str) -> dict[str, Any]:
    fenced = f"```\n{cut(inside, SECTION - 8)}\n```"
    return {"type": "section", "text": {"type": "mrkdwn", "text": fenced, "verbatim": True}}


def _line(text: str) -> str:
    return shown(" ".join(text.split()))


def _secret(name: str) -> str:
    value = secret(name)
    if value is None:
        raise DeliveryError(f"{name} is not set", is_lasting=True)
    return value
