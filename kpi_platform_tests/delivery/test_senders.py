"""Messages reach real servers on loopback, and whatever is in them is text."""

import json
import logging
from dataclasses import replace
from email import message_from_string, policy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer
from moto.ses.models import ses_backends

from kpi_platform.delivery import http, mail, slack
from kpi_platform.delivery.destinations import MailService, Service
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.messages import Letter, Message, message_of, message_text
from kpi_platform.delivery.senders import send
from kpi_platform.delivery.slack import HEADER, SECTION, TEXT, slack_body
from kpi_platform_tests.delivery.loopback import any_server, mail_server, web_server

HOSTILE = "<!channel> @here <https://evil.example|x> <b>&amp; ```*x*```\r\nBcc: a@b.c\x1b[2J"
MESSAGE = Message(
    "m1",
    "i1",
    "opened",
    "A source fell silent",
    f"A source fell silent: {HOSTILE}",
    f"The source {HOSTILE} is silent.",
    (("source", HOSTILE), ("hours (UTC)", "2026-03-10-11:00")),
    "kpi removals list",
    "docs/runbook.md#source_silent",
)


def service(**parts: object) -> Service:
    return Service.model_validate(parts)


def test_a_webhook_gets_text_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as server:
        monkeypatch.setenv("SLACK_HOOK", f"{server.url}/hook")
        assert send(service(slack={"webhook_env": "SLACK_HOOK"}), None, "", MESSAGE, "") == ""
    ((path, _, body),) = server.requests
    assert path == "/hook"
    said = json.dumps(body)
    assert "<!" not in said and "<https" not in said and "<b>" not in said
    heading = ":large_orange_circle: A source fell silent"
    assert body["blocks"][0]["text"] == {"type": "plain_text", "text": heading, "emoji": True}
    assert [b["elements"][0]["text"] for b in body["blocks"] if b["type"] == "context"] == [
        "What mends it:",
        "What it means, and what to do: docs/runbook.md#source_silent",
    ]
    sections = [block["text"] for block in body["blocks"] if block["type"] == "section"]
    # Only our own backticks begin and end the text.
    assert all(s["text"].count("```") == 2 and s["verbatim"] for s in sections)


def test_a_bot_names_its_thread_and_answers_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT", "xoxb-planted-secret")
    with web_server((200, {}, '{"ok": true, "ts": "17.25"}')) as server:
        to = service(
            slack={"slack_channel_name": "#kpi", "token_env": "BOT", "api_url": server.url}
        )
        thread = send(to, None, "", MESSAGE, "")
        assert send(to, None, "", MESSAGE, thread) == thread == "17.25"
    first, second = server.requests
    assert first[0] == "/chat.postMessage"
    assert first[1]["Authorization"] == "Bearer xoxb-planted-secret"
    assert (first[2]["channel"], first[2].get("thread_ts")) == ("#kpi", None)
    assert second[2]["thread_ts"] == "17.25"


def test_slack_says_no_with_a_good_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT", "xoxb-planted-secret")
    answers = [
        (200, {}, '{"ok": false, "error": "channel_not_found"}'),
        (200, {}, '{"ok": false, "error": "ratelimited"}'),
        (200, {}, "<html>"),
        (200, {}, "[1]"),
    ]
    with web_server(*answers) as server:
        to = service(slack={"slack_channel_name": "x", "token_env": "BOT", "api_url": server.url})
        lasting = []
        for _ in answers:
            with pytest.raises(DeliveryError) as error:
                send(to, None, "", MESSAGE, "")
            lasting.append(error.value.is_lasting)
    assert lasting == [True, False, True, True]


def test_the_runbooks_address_is_a_link_and_nothing_in_it_ends_it() -> None:
    page = "https://wiki.example/a|b>c d?e=1&f=%20#hour_failed"
    (*_, last) = slack_body(replace(MESSAGE, link=page))["blocks"]
    address = "https://wiki.example/a%7Cb%3Ec%20d?e=1%26f=%20#hour_failed"
    assert last["elements"][0]["text"] == f"<{address}|What it means, and what to do>"


def test_a_report_ends_with_its_text() -> None:
    facts = (("report", "all"), ("day", "2026-03-10"))
    report = Message("m", "t", "report", "Daily KPI report", "s", "1,200 active players", facts)
    assert [b["type"] for b in slack_body(report)["blocks"]] == ["header", "section"]
    assert len(slack_body(replace(report, event="opened"))["blocks"]) == 3


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=9000), st.text(max_size=9000), st.text(max_size=300))
def test_whatever_is_said_keeps_slacks_limits(text: str, subject: str, value: str) -> None:
    body = slack_body(Message("m", "t", "opened", "h", subject, text, (("n", value * 20),), value))
    assert len(body["text"]) <= TEXT
    for block in body["blocks"]:
        said = block["text"]["text"] if "text" in block else ""
        assert len(said) <= (HEADER if block["type"] == "header" else SECTION)
        plain = said.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "")
        assert not set(plain) & set("<>&")
    assert len(body["blocks"]) <= 50


def test_mail_is_encrypted_logged_in_and_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "planted-secret")
    for tls in ("starttls", "tls"):
        with mail_server(tmp_path, is_tls=tls == "tls") as server:
            smtp = {"host": "127.0.0.1", "port": server.port, "tls": tls, "user": "kpi"}
            smtp |= {"password_env": "MAIL_PASSWORD", "ca_file": str(server.certificate)}
            mails = MailService.model_validate({"from": "kpi@example.com", "smtp": smtp})
            to = service(email={"email_addresses": ["ann@example.com"]})
            send(to, mails, "ann@example.com", MESSAGE, "")
        (got,) = server.mails
        assert (server.was_encrypted, len(server.logins)) == ([True], 1)
        assert server.recipients == ["ann@example.com"]
        assert got["Bcc"] is None and "\n" not in str(got["Subject"])
        assert got["In-Reply-To"] == got["References"] == "<i1.thread@example.com>"
        text, page = got.get_body(("plain",)), got.get_body(("html",))
        assert text is not None and page is not None
        assert "kpi removals list" in text.get_content() and "\x1b" not in text.get_content()
        assert "<!channel>" not in page.get_content() and "&lt;!channel&gt;" in page.get_content()


def test_a_certificate_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        smtp = {"host": "127.0.0.1", "port": server.port}
        mails = MailService.model_validate({"from": "kpi@example.com", "smtp": smtp})
        to = service(email={"email_addresses": ["ann@example.com"]})
        with pytest.raises(DeliveryError, match="certificate"):
            send(to, mails, "ann@example.com", MESSAGE, "")
    assert server.mails == []


def test_a_refused_recipient_is_tried_again_only_if_it_may_pass(tmp_path: Path) -> None:
    with mail_server(tmp_path, "450 later", "550 nobody") as server:
        smtp = {"host": "127.0.0.1", "port": server.port, "tls": "none"}
        mails = MailService.model_validate({"from": "kpi@example.com", "smtp": smtp})
        to = service(email={"email_addresses": ["ann@example.com"]})
        lasting = []
        for _ in range(2):
            with pytest.raises(DeliveryError) as error:
                send(to, mails, "ann@example.com", MESSAGE, "")
            lasting.append(error.value.is_lasting)
    assert (lasting, server.mails) == ([False, True], [])


def ses_of(monkeypatch: pytest.MonkeyPatch, port: int) -> MailService:
    """Mail by SES as a server on loopback has it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "planted-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    return MailService.model_validate({"from": "kpi@example.com", "ses": {"region": "eu-west-1"}})


def test_mail_leaves_by_ses(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    letter = Letter(
        "<html><body>page</body></html>", (("chart-1@x", b"\x89PNG"),), "ops@example.com"
    )
    service_of_mail = service(email={"email_addresses": ["ann@example.com"]})
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        mails = ses_of(monkeypatch, server.get_host_and_port()[1])
        # Nobody has verified the sender.
        with pytest.raises(DeliveryError, match="MessageRejected") as error:
            send(service_of_mail, mails, "ann@example.com", MESSAGE, "", letter)
        boto3.Session().client("ses", region_name="eu-west-1").verify_email_identity(
            EmailAddress="kpi@example.com"
        )
        send(service_of_mail, mails, "ann@example.com", MESSAGE, "", letter)
        (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].sent_messages
    finally:
        server.stop()
    assert error.value.is_lasting and "planted" not in str(error.value)
    got = message_from_string(sent.raw_data, policy=policy.default)
    assert (sent.destinations, got["To"]) == (["ann@example.com"], "ann@example.com")
    assert [part.get_content_type() for part in got.walk()] == [
        *("multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"),
    ]


def test_ses_that_is_asked_too_often_or_is_not_there_may_take_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "<ErrorResponse><Error><Code>{}</Code></Error></ErrorResponse>"
    letter = mail.mail_of(MESSAGE, "kpi@example.com", "ann@example.com")
    answers = [(400, said.format("Throttling")), (400, said.format("MailFromDomainNotVerified"))]
    with any_server(*answers) as server:
        mails = ses_of(monkeypatch, server.port)
        lasting = []
        for _ in answers:
            with pytest.raises(DeliveryError) as error:
                mail.send_mail(mails, letter)
            lasting.append(error.value.is_lasting)
    with pytest.raises(DeliveryError, match="SES gives no answer") as error:
        mail.send_mail(mails, letter)
    assert [*lasting, error.value.is_lasting] == [False, True, False]


def test_any_address_gets_json_and_a_key_by_which_it_knows_repetitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "planted-secret")
    with web_server() as server:
        to = service(url={"url": server.url, "token_env": "HOOK_TOKEN"})
        send(to, None, "", MESSAGE, "")
    ((_, headers, body),) = server.requests
    assert headers["Idempotency-Key"] == "m1"
    assert headers["Authorization"] == "Bearer planted-secret"
    assert body["facts"]["source"] == HOSTILE
    assert (body["event"], body["thread"], body["command"]) == ("opened", "i1", MESSAGE.command)


@pytest.mark.parametrize(
    ("answer", "is_lasting", "wait"),
    [
        ((429, {"Retry-After": "7"}, "slow down"), False, 7.0),
        ((429, {"Retry-After": "soon"}, ""), False, 0.0),
        ((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, ""), False, 0.0),
        ((500, {}, "boom"), False, 0.0),
        ((404, {}, "gone"), True, 0.0),
        ((302, {"Location": "http://127.0.0.1:1/"}, ""), True, 0.0),
        ("close", False, 0.0),
        ("hang", False, 0.0),
    ],
)
def test_what_a_server_does_wrong_is_named_and_judged(
    answer: object, is_lasting: bool, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.3)
    with web_server(answer) as server, pytest.raises(DeliveryError, match=r"127\.0\.0\.1") as error:
        http.post_json(server.url, {})
    assert (error.value.is_lasting, error.value.wait_seconds) == (is_lasting, wait)


def test_a_server_that_is_not_there_is_named() -> None:
    with web_server() as server:
        pass
    with pytest.raises(DeliveryError, match="gives no answer"):
        http.post_json(server.url, {})


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    ways = ({"slack": {"webhook_env": "NOT_SET"}}, {"url": {"url_env": "NOT_SET"}})
    for way in ways:
        with pytest.raises(DeliveryError, match="NOT_SET is not set"):
            send(service(**way), None, "", MESSAGE, "")


def test_apprise_reaches_its_hundred_services(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with web_server((200, {}, "{}"), (500, {}, "boom")) as server:
        monkeypatch.setenv("ELSEWHERE", f"json://planted:secret@{server.url[7:]}/hook")
        to = service(apprise={"url_env": "ELSEWHERE"})
        assert send(to, None, "", MESSAGE, "") == ""
        with pytest.raises(DeliveryError, match="apprise could not deliver it") as error:
            send(to, None, "", MESSAGE, "")
    (path, headers, body), _ = server.requests
    assert path == "/hook" and headers["Authorization"].startswith("Basic ")
    assert body["title"] == MESSAGE.subject.strip()
    assert "kpi removals list" in body["message"]
    assert "planted" not in str(error.value) and not error.value.is_lasting
    monkeypatch.setenv("ELSEWHERE", "xyzzy://planted")
    with pytest.raises(DeliveryError, match="apprise knows no such service") as error:
        send(to, None, "", MESSAGE, "")
    assert "planted" not in str(error.value) and "planted" not in caplog.text


def test_apprise_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(DeliveryError, match="apprise is not installed"):
        send(service(apprise={"url_env": "ANY"}), None, "", MESSAGE, "")


def test_a_message_is_read_as_it_was_written() -> None:
    assert message_of(message_text(MESSAGE)) == MESSAGE


def test_an_escaped_text_is_cut_between_characters() -> None:
    assert slack.cut("abcdefg&lt;&lt;", 12) == "abcdefg..."
    assert slack.cut("short", 12) == "short"
