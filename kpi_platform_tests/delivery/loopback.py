"""Servers on loopback that answer as they are told: HTTP and SMTP, real sockets, real TLS.

Belongs here: the servers. Does not: what is sent to them.
"""

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What the HTTP server does with a request: a status with headers and a body, `hang` or `close`.
Answer = tuple[int, dict[str, str], str] | str


class WebServer:
    """Answers each POST with the next of `answers`, then with 200; keeps what came."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.released = threading.Event()
        self.url = ""


@contextmanager
def web_server(*answers: Answer) -> Iterator[WebServer]:
    state = WebServer(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, dict(self.headers), json.loads(body)))
            default = (200, {}, '{"ok": true, "ts": "17.1"}')
            answer = state.answers.pop(0) if state.answers else default
            if answer == "hang":
                state.released.wait(20)
            if isinstance(answer, str):
                self.close_connection = True
                return
            self.send_response(answer[0])
            for name, value in answer[1].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer[2].encode())))
            self.end_headers()
            self.wfile.write(answer[2].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class AnyServer:
    """Answers each POST, whatever it is, with the next of `answers`, then with an empty 200; keeps
    what came: path and body."""

    def __init__(self, answers: list[tuple[int, str]]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, bytes]] = []
        self.port = 0


@contextmanager
def any_server(*answers: tuple[int, str]) -> Iterator[AnyServer]:
    state = AnyServer(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, came))
            status, body = state.answers.pop(0) if state.answers else (200, "")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MailServer:
    """Keeps mails and the logins; `refusals`: answers to RCPT, one after the other."""

    def __init__(self, certificate: Path, refusals: list[str]) -> None:
        self.certificate = certificate
        self.refusals = refusals
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[str] = []
        self.was_encrypted: list[bool] = []
        self.port = 0


@contextmanager
def mail_server(folder: Path, *refusals: str, is_tls: bool = False) -> Iterator[MailServer]:
    """An SMTP server with STARTTLS, or TLS from the first byte, and AUTH PLAIN."""
    state = MailServer(make_certificate(folder), list(refusals))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.encrypted = is_tls
            if is_tls:
                self.request = context.wrap_socket(self.request, server_side=True)
            self.lines = self.request.makefile("rb")
            self.say("220 loopback")
            while line := self.lines.readline():
                if not self.answered(line.decode().strip()):
                    return

        def say(self, text: str) -> None:
            self.request.sendall(f"{text}\r\n".encode())

        def answered(self, line: str) -> bool:
            word = line.split(" ")[0].upper()
            if word == "EHLO":
                more = "250-AUTH PLAIN" if self.encrypted else "250-STARTTLS"
                self.say(f"250-loopback\r\n{more}\r\n250 8BITMIME")
            elif word == "STARTTLS":
                self.say("220 go ahead")
                self.request = context.wrap_socket(self.request, server_side=True)
                self.lines, self.encrypted = self.request.makefile("rb"), True
            elif word == "AUTH":
                state.logins.append(line)
                self.say("235 welcome")
            elif word == "RCPT":
                said = state.refusals.pop(0) if state.refusals else "250 fine"
                if said.startswith("250"):
                    state.recipients.append(line.partition("<")[2].partition(">")[0])
                self.say(said)
            elif word == "DATA":
                self.say("354 go on")
                self.take()
            elif word == "QUIT":
                self.say("221 bye")
                return False
            else:
                self.say("250 fine")
            return True

        def take(self) -> None:
            parts = []
            while (line := self.lines.readline()) not in (b".\r\n", b""):
                parts.append(line[1:] if line.startswith(b"..") else line)
            mail = message_from_bytes(b"".join(parts), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            state.mails.append(mail)
            state.was_encrypted.append(self.encrypted)
            self.say("250 taken")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away is no matter."""

    server = Server(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, made now, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    path = folder / "loopback.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(key.private_bytes(*form, plain) + pem)
    return path
