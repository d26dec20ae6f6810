"""The console's way to the shop: the address from the environment, the key from the person, one client a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound, Refused, ShopkeeperError, Unavailable

DEFAULT_URL = "http://127.0.0.1:8080"


def address() -> str:
    """Where the API is: SHOPKEEPER_URL, or the older name BACKEND_BASE_URL."""
    return os.environ.get("SHOPKEEPER_URL") or os.environ.get("BACKEND_BASE_URL") or DEFAULT_URL


def client() -> ShopkeeperClient:
    """The session's client; made anew when the key changed."""
    key = st.session_state.get("api_key") or None
    held = st.session_state.get("client")
    if held is None or held[0] != key:
        held = (key, ShopkeeperClient(address(), key, timeout_s=30))
        st.session_state["client"] = held
    found: ShopkeeperClient = held[1]
    return found


@contextmanager
def told() -> Iterator[None]:
    """Shows an error of the block where it happened, in words, and lets the rest of the page go on."""
    try:
        yield
    except NotFound as error:
        st.info(error.message)
    except Refused as error:
        st.warning(f"{say('key_needed')} {error.message}")
    except Unavailable as error:
        st.error(say("unreachable", url=address(), reason=error.message))
    except ShopkeeperError as error:
        st.error(error.message)
