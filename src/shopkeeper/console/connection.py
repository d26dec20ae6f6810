"""The console's way to the shop: the address from the environment, the key from the person, one client a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import NoReturn

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound, Refused, ShopkeeperError, Unavailable

DEFAULT_URL = "http://127.0.0.1:8080"
_PATIENCE_S = 30.0
_LOOK_S = 1.0
_SHORT_S = 3.0
"""So long an answer is waited for where none came before."""
_AWAY = "shop_away"
_GONE = frozenset({"unreachable", "timeout"})


def address() -> str:
    """Where the API is: SHOPKEEPER_URL, or the older name BACKEND_BASE_URL."""
    return os.environ.get("SHOPKEEPER_URL") or os.environ.get("BACKEND_BASE_URL") or DEFAULT_URL


def client() -> ShopkeeperClient:
    """The session's client; made anew when the key changed. While the shop is away it is one of little patience, so
    that a server which takes requests and answers none does not hold up the notice of that."""
    if _AWAY not in st.session_state:
        return _client("client", _PATIENCE_S, 2)
    if _answers():
        del st.session_state[_AWAY]
        return _client("client", _PATIENCE_S, 2)
    st.session_state[_AWAY] = st.session_state[_AWAY][0], monotonic()
    return _client("looking_client", _SHORT_S, 0)


def _client(name: str, timeout_s: float, retries: int) -> ShopkeeperClient:
    key = st.session_state.get("api_key") or None
    held = st.session_state.get(name)
    if held is None or held[0] != key:
        held = (key, ShopkeeperClient(address(), key, timeout_s=timeout_s, retries=retries))
        st.session_state[name] = held
    found: ShopkeeperClient = held[1]
    return found


@contextmanager
def told() -> Iterator[None]:
    """Shows an error of the block where it happened, in words, and lets the rest of the page go on. Where nothing
    answers at all, the page is held until something does; a single answer that takes too long is not asked for again
    by itself, for it would take too long again."""
    try:
        yield
    except NotFound as error:
        st.info(plain(error.message))
    except Refused as error:
        st.warning(f"{say('key_needed')} {plain(error.message)}")
    except Unavailable as error:
        if error.code == "unreachable" or (error.code == "timeout" and not _answers()):
            _hold()
        if error.code == "timeout":
            _slow()
        else:
            st.error(plain(error.message))
    except ShopkeeperError as error:
        st.error(plain(error.message))


def _hold() -> NoReturn:
    """Waits for the shop with everything else as it stands, so that nobody loses what they typed, then makes the page
    anew. Only a run that ends forgets the fields it has not reached; this one is taken up again instead."""
    began, looked = st.session_state.get(_AWAY, (0.0, float("-inf")))
    if monotonic() - looked > 10 * _SHORT_S:  # just noticed, perhaps by a part of the page: all of it shall say so
        st.session_state[_AWAY] = monotonic(), monotonic()
        asking.again()
    notice = st.empty()
    while not _answers():
        st.session_state[_AWAY] = began, monotonic()
        notice.error(say("shop_away", url=address(), s=round(monotonic() - began)), icon=":material/cloud_off:")
        sleep(_LOOK_S)  # whoever presses something meanwhile is heard at the next notice
    st.session_state.pop(_AWAY, None)
    asking.again()


def _slow() -> None:
    """Of a shop that serves: what was asked for takes too long."""
    if st.session_state.pop(_AWAY, None):  # it was asked with little patience just as the shop came back
        asking.again()
    st.error(say("too_slow", s=round(_PATIENCE_S)), icon=":material/hourglass_disabled:")


def _answers() -> bool:
    try:
        _client("looking_client", _SHORT_S, 0).ready()
    except ShopkeeperError as error:
        return error.code not in _GONE
    return True
