"""Who may ask: the token, the host, the origin, and the size of what is sent."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

__all__ = ["TOO_LARGE", "Guard", "TooLargeError"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TOO_LARGE = "this upload is larger than any mask of this video can be"
_TOO_LARGE_FILE = "this upload is larger than this server takes"

_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' blob: data:"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class TooLargeError(Exception):
    """A body goes on beyond the limit; its header had not said so."""


class Guard:
    """Refuses requests that may not be answered, before anything else sees them.

    The token comes in the address of the page, once; then in a cookie that other sites cannot
    send, or in the header ``X-Vostrack-Token``.

    Args:
        app: what answers the others.
        token: the secret of this server.
        hosts: the values of ``Host`` that this server has, such as ``127.0.0.1:8765``. Others are
            those of a foreign name that points here (DNS rebinding).
        largest: tells the bytes that a request to a path may carry.
    """

    def __init__(
        self, app: Any, token: str, hosts: frozenset[str], largest: Callable[[str], int]
    ) -> None:
        self._app, self._token, self._hosts, self._largest = app, token, hosts, largest
        port = next(iter(hosts)).rpartition(":")[2]
        self.cookie = f"vostrack-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            # Two values, where one is expected, are as strange as a wrong one.
            held, text = headers.get(name.decode("latin-1")), value.decode("latin-1")
            headers[name.decode("latin-1")] = text if held is None else f"{held}, {text}"
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
                if self._is_token(asked):
                    cookie = f"{self.cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                    message["headers"].append((b"set-cookie", cookie.encode()))
            await send(message)

        await self._app(scope, _limited(receive, self._largest(scope["path"])), with_headers)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return 421, f"this server does not answer for the host {host!r}"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] not in self._hosts:
            return 403, f"pages of {origin} may not use this server"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "other pages may not use this server"
        if not self._knows_token(scope, headers):
            return 401, "wrong or missing token; open the address that vostrack studio printed"
        length = headers.get("content-length") or "0"
        if not length.isdecimal() or int(length) > self._largest(scope["path"]):
            return 413, _words(scope["path"])
        return None

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            jar = SimpleCookie()
        given = [jar[self.cookie].value] if self.cookie in jar else []
        given.append(headers.get("x-vostrack-token", ""))
        given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return any(self._is_token(one) for one in given)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _limited(receive: Receive, largest: int) -> Receive:
    """Stop reading a body that goes on beyond the limit."""
    seen = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > largest:
            raise TooLargeError(TOO_LARGE)
        return message

    return limited


def _words(path: str) -> str:
    return _TOO_LARGE_FILE if path.startswith("/api/uploads") else TOO_LARGE


async def _answer(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
