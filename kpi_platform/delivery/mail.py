"""A message as mail: plain text and the same in HTML, in threads, by SMTP or SES.

Belongs here: the form of a mail, and handing it over. Does not: what is said.
"""

import shlex
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from urllib.parse import quote

from kpi_platform.delivery.destinations import MailService, Ses, Smtp
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.http import SECONDS
from kpi_platform.delivery.messages import Letter, Message
from kpi_platform.schemas.texts.shown_text import shown
from kpi_platform.settings import secret

# Mailers fold longer subjects; nobody reads further.
_SUBJECT = 200
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
# How a line above or below a letter's page looks, which is as wide.
BESIDE = "font-size:12px;max-width:584px;margin:0 auto;padding:12px 28px"


def mail_of(
    message: Message, sender: str, recipient: str, letter: Letter | None = None
) -> EmailMessage:
    """The mail to one recipient. Equal messages make equal mails, but for their boundary.

    Of a letter the text is all that is said; its page and pictures are parts of the mail.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = shown(" ".join(message.subject.split()))[:_SUBJECT]
    domain = sender.rpartition("@")[2]
    # Of one incident all mails answer to one that is never sent: mailers show them together.
    thread = f"<{message.thread}.thread@{domain}>"
    mail["Message-ID"] = f"<{message.message_id}@{domain}>"
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    if letter is None:
        mail.set_content(shown(message.plain, keeps_lines=True))
        mail.add_alternative(html_of(message), subtype="html")
        return mail
    # Mailers offer to leave by this: the operator reads it, the sender's box nobody does.
    leave = f"mailto:{letter.operator}?subject={quote(f'unsubscribe {recipient}', safe='')}"
    mail["List-Unsubscribe"] = f"<{leave}>"
    mail["List-Id"] = f"<{message.thread}.{domain}>"
    ways = f"To get no more of this: {letter.operator} types"
    command = f"kpi reports unsubscribe {shlex.quote(recipient)}"
    text = f"{message.text.rstrip()}\n\n{ways}\n    {command}\n"
    page = f"<p style='{BESIDE}'>{_text(ways)} <code>{_text(command)}</code></p></body>"
    mail.set_content(shown(text, keeps_lines=True))
    mail.add_alternative(letter.page.replace("</body>", page), subtype="html")
    (html,) = [part for part in mail.iter_parts() if part.get_content_subtype() == "html"]
    for name, png in letter.pictures:
        html.add_related(png, "image", "png", cid=f"<{name}>", disposition="inline")
    return mail


def html_of(message: Message) -> str:
    """The message as a page in which everything from outside is text."""
    rows = "".join(
        f"<tr><th align='left' valign='top'>{_text(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in message.facts
    )
    # A command is longer than a screen of a phone is wide.
    box = "white-space:pre-wrap;overflow-wrap:anywhere;background:#f2f2f2;padding:8px"
    command = (
        f"<p>What mends it:</p><pre style='{box}'>{_text(message.command)}</pre>"
        if message.command
        else ""
    )
    link = f"<p>{_text(message.link)}</p>" if message.link else ""
    said = f"<p style='white-space:pre-wrap'>{_text(message.text)}</p>"
    return (
        "<!doctype html><html><body style='font-family:sans-serif;max-width:640px'>"
        f"<h2 style='font-size:18px'>{_text(message.subject)}</h2>{said}"
        f"<table cellpadding='4'>{rows}</table>{command}{link}</body></html>"
    )


def send_mail(service: MailService, mail: EmailMessage) -> None:
    """Hand a mail over. Raises DeliveryError."""
    if service.smtp is not None:
        _by_smtp(service.smtp, mail)
    elif service.ses is not None:
        _by_ses(service.ses, mail)


def _by_smtp(smtp: Smtp, mail: EmailMessage) -> None:
    context = ssl.create_default_context(cafile=smtp.ca_file or None)
    port = smtp.port or _PORTS[smtp.tls]
    try:
        server: smtplib.SMTP
        if smtp.tls == "tls":
            server = smtplib.SMTP_SSL(smtp.host, port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(smtp.host, port, timeout=SECONDS)
        with server:
            if smtp.tls == "starttls":
                server.starttls(context=context)
            if smtp.user and smtp.password_env:
                server.login(smtp.user, _password(smtp.password_env))
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _refused(smtp.host, code, said) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(smtp.host, error.smtp_code, error.smtp_error) from None
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"{smtp.host} gives no answer: {error}") from None


def _refused(host: str, code: int, said: bytes | str) -> DeliveryError:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    # 4yz: later; 5yz: never like this.
    return DeliveryError(f"{host} answers {code}: {text}", is_lasting=code >= 500)


def _by_ses(ses: Ses, mail: EmailMessage) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1}
    )
    try:
        client = boto3.Session().client("ses", region_name=ses.region, config=config)
        client.send_raw_email(RawMessage={"Data": mail.as_bytes()})
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "?")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        may_pass = status >= 500 or "Throttl" in code
        raise DeliveryError(f"SES answers {error}", is_lasting=not may_pass) from None
    except BotoCoreError as error:
        raise DeliveryError(f"SES gives no answer: {error}") from None


def _password(name: str) -> str:
    value = secret(name)
    if value is None:
        raise DeliveryError(f"{name} is not set", is_lasting=True)
    return value


def _text(text: str) -> str:
    return escape(shown(text, keeps_lines=True))
