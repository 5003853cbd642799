"""Sends one message to one recipient of a service.

Belongs here: which sender a service has, JSON for any address, and apprise. Does not: when it is
tried again (`outbox.py`).
"""

import importlib
import logging
from dataclasses import asdict

from kpi_platform.delivery.destinations import Apprise, MailService, Service, Web
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.http import post_json
from kpi_platform.delivery.mail import mail_of, send_mail
from kpi_platform.delivery.messages import Letter, Message
from kpi_platform.delivery.slack import send_to_slack
from kpi_platform.settings import secret


def send(
    service: Service,
    mail: MailService | None,
    recipient: str,
    message: Message,
    thread: str,
    letter: Letter | None = None,
) -> str:
    """Send it; what names its thread for the messages that follow, or nothing.

    `letter`: what a mail of it carries besides.

    Raises DeliveryError.
    """
    if service.slack is not None:
        return send_to_slack(service.slack, message, thread)
    if service.email is not None:
        if mail is None:
            raise DeliveryError("email_service is not set in KPI_ALERTS", is_lasting=True)
        send_mail(mail, mail_of(message, mail.sender, recipient, letter))
    elif service.url is not None:
        _to_web(service.url, message)
    elif service.apprise is not None:
        _by_apprise(service.apprise, message)
    return ""


def _to_web(web: Web, message: Message) -> None:
    url = web.url or secret(web.url_env or "")
    if not url:
        raise DeliveryError(f"{web.url_env} is not set", is_lasting=True)
    headers = {"Idempotency-Key": message.message_id}
    if web.token_env is not None:
        token = secret(web.token_env)
        if token is None:
            raise DeliveryError(f"{web.token_env} is not set", is_lasting=True)
        headers["Authorization"] = f"Bearer {token}"
    post_json(url, asdict(message) | {"facts": dict(message.facts)}, headers)


def _by_apprise(apprise: Apprise, message: Message) -> None:
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        raise DeliveryError(
            "apprise is not installed: pip install 'kpi-platform[apprise]'", is_lasting=True
        ) from None
    # It would log the address, which is secret, where it cannot make sense of it.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    url = secret(apprise.url_env)
    if url is None:
        raise DeliveryError(f"{apprise.url_env} is not set", is_lasting=True)
    told = library.Apprise()
    if not told.add(url):
        raise DeliveryError(f"{apprise.url_env}: apprise knows no such service", is_lasting=True)
    if not told.notify(title=message.subject, body=message.plain, body_format="text"):
        raise DeliveryError("apprise could not deliver it")
