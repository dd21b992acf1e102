"""Who may ask: the Host and Origin of every request, the token, and the headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from convlens.server.refused import Refused, as_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_HEADERS = 1 << 15  # bytes of the headers of a request
LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "media-src blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """Around the whole app. `hosts` are the names under which it may be called; loopback's always are.

    A page of another site that had its name point to 127.0.0.1 would come with its own name as Host, and a form or
    script of another site with its own Origin: both are refused. Where `hosts` has "*", the server listens on all
    addresses of the machine, and is called by any address in numbers, or by the machine's name.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._app, self._token = app, token
        self._hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        if "*" in self._hosts:
            self._hosts.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send) if scope["type"] == "lifespan" else None

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_encoded_headers(message["headers"])]
            await send(message)

        try:
            self._check(scope)
        except Refused as refused:
            from starlette.responses import JSONResponse

            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            response = JSONResponse(as_json(refused.status, str(refused)), refused.status, headers)
            return await response(scope, receive, guarded_send)
        await self._app(scope, receive, guarded_send)

    def _check(self, scope: Scope) -> None:
        if (size := sum(len(name) + len(value) for name, value in scope["headers"])) > MOST_HEADERS:
            raise Refused(431, f"the headers of the request have {size:,} bytes; send {MOST_HEADERS:,} at most")
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(host_of(f"//{hosts[0]}")):
            shown = ", ".join(hosts)[:80]
            raise Refused(421, f"the Host {shown!r} is not this server's; open it under the address it printed")
        for name, value in headers:
            if name == b"origin" and site_of(value) != hosts[0].lower():
                raise Refused(403, f"the Origin {value[:80]!r} is another site; call from the server's own page")
        foreign = [v for n, v in headers if n == b"sec-fetch-site" and v in ("cross-site", "same-site")]
        if foreign and needs_token(scope["path"]):
            raise Refused(403, "another site asked for this; call from the server's own page, or a program")
        if self._token is not None and needs_token(scope["path"]) and not self._has_token(headers):
            raise Refused(401, "this server wants a token; send the header Authorization: Bearer TOKEN")

    def _is_ours(self, host: str | None) -> bool:
        return host is not None and (host in self._hosts or ("*" in self._hosts and is_address(host)))

    def _has_token(self, headers: list[tuple[bytes, str]]) -> bool:
        """Compared in the same time whatever it is."""
        assert self._token is not None
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        same = hmac.compare_digest(token.strip().encode("latin-1"), self._token.encode())
        return same and scheme.lower() == "bearer"


def needs_token(path: str) -> bool:
    """All but the static page, which holds nothing of the run."""
    return path != "/" and not path.startswith("/page/")


def host_of(address: str) -> str | None:
    """ "//localhost:8000" -> "localhost"; None for what is no address."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  a ValueError where it is none
        return None if parts.username or parts.path else parts.hostname
    except ValueError:
        return None


def is_address(host: str) -> bool:
    """Whether it is in numbers, which no other site's name is."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def site_of(origin: str) -> str | None:
    """ "http://localhost:8000" -> "localhost:8000"; None for what is no origin of HTTP."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and not parts.path else None


def _encoded_headers(there: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in there}
    extra = {**HEADERS, "Cache-Control": "no-store"}
    pairs = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
    return [(name, value) for name, value in pairs if name not in names]
