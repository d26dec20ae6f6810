"""One post to a webhook: signed, to an address that was judged, within a time limit, never led elsewhere.

X-Shopkeeper-Signature: t=1764150000,v1=<HMAC-SHA256 of "1764150000." and the body, hexadecimal>
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
import msgspec

from shopkeeper import __version__
from shopkeeper.core.errors import Invalid
from shopkeeper.core.webhooks import Delivery
from shopkeeper.operations.destinations import Place, parse
from shopkeeper.stores.webhooks import Hook

log = logging.getLogger(__name__)
_TRIES = 3  # addresses of one server
_BODY = 64 * 1024  # of an answer that is read, so that the connection can be used again
_BODY_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`status`: of the answer, None without one. `error`: why it counts as not delivered, None when it was."""

    status: int | None = None
    error: str | None = None


class Post:
    """Posts to one webhook, one after another, over one connection where the receiver keeps it."""

    def __init__(self, hook: Hook, tls: ssl.SSLContext, addresses: Callable[[Place], Awaitable[list[str]]]) -> None:
        self._hook = hook
        self._addresses = addresses
        self._sent = 0
        # No proxy of the environment: it would choose the address itself.
        self._http = httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=None)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, told: Delivery, *, at: int, timeout_s: float) -> Answer:
        """`at`: seconds since 1970, for the signature. Raises nothing but cancellation."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(told, at)
        except TimeoutError:
            return Answer(error=f"no answer within {timeout_s:g} s")
        except Invalid as error:
            return Answer(error=error.message)
        except ssl.SSLError as error:
            return Answer(error=f"the connection is not safe: {error.reason or 'TLS failed'}")
        except (httpx.HTTPError, OSError) as error:
            return Answer(error=_words(error))
        except Exception as error:  # the edge: what nobody foresaw is a failed attempt, not one without end
            log.exception("webhook %s: delivery %s could not be sent", told.webhook_id, told.delivery_id)
            return Answer(error=_words(error))

    async def _send(self, told: Delivery, at: int) -> Answer:
        place = parse(self._hook.url)
        body = msgspec.json.encode(told.payload)
        headers = {
            "host": place.authority,
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"shopkeeper/{__version__}",
            "x-shopkeeper-event": told.event,
            "x-shopkeeper-delivery": told.delivery_id,
            "x-shopkeeper-signature": signature(self._hook.secret, body, at),
        }
        addresses = (await self._addresses(place))[:_TRIES]
        for address in addresses:
            request = self._http.build_request(
                "POST",
                httpx.URL(scheme=place.scheme, host=address, port=place.port, raw_path=place.path.encode()),
                content=body,
                headers=headers,
                extensions={"sni_hostname": place.host},
            )
            try:
                return await self._once(request)
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
        raise httpx.ConnectError("the server has no address")

    async def _once(self, request: httpx.Request) -> Answer:
        """A connection that the receiver had kept may be closed by the time it is used: then once more."""
        try:
            answer = await self._http.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if self._sent == 0:
                raise
            answer = await self._http.send(request, stream=True)
        self._sent += 1
        await _finish(answer)
        return _judged(answer.status_code)


def tls_context() -> ssl.SSLContext:
    """Certificates are checked against the usual authorities, or those of the file that SSL_CERT_FILE names."""
    return httpx.create_ssl_context()


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of X-Shopkeeper-Signature. `at`: seconds since 1970, so that an old post cannot be sent again later."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


async def _finish(answer: httpx.Response) -> None:
    """Leaves the body unread beyond a bound: the status has said everything."""
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_BODY_S):
            size = 0
            async for part in answer.aiter_raw():
                size += len(part)
                if size > _BODY:
                    break
    await answer.aclose()


def _judged(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, f"answered {status}: redirects are not followed, give the address itself as url")
    return Answer(status, f"answered {status}")


def _words(error: Exception) -> str:
    """What went wrong, without the address: that may hold what only the two sides should know."""
    if isinstance(error, httpx.ConnectError | ConnectionError):
        cause = error.__cause__ or error.__context__ or error
        while (deeper := cause.__cause__ or cause.__context__) is not None:
            cause = deeper
        if isinstance(cause, ssl.SSLError):
            return f"the connection is not safe: {getattr(cause, 'verify_message', '') or cause.reason or 'TLS failed'}"
        number = cause.errno if isinstance(cause, OSError) else None
        return f"cannot be connected to: {os.strerror(number) if number else 'no connection'}"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return "the connection broke before an answer"
    return f"could not be sent: {type(error).__name__}"
