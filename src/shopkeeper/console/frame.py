"""What stands around every page: language, key, and whether the shop serves."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from shopkeeper.console.connection import address, client
from shopkeeper.console.plain import plain
from shopkeeper.console.words import LANGUAGES, say
from shopkeeper.core.errors import Refused, ShopkeeperError

CSS = (
    "<style>.block-container{padding-top:2.5rem;padding-bottom:3rem;max-width:1800px}"
    "[data-testid=stMain] [data-testid=stHeading] h1{font-size:1.9rem;padding-bottom:.4rem}"
    "[data-testid=stMetricValue]{font-size:1.6rem}"
    "[data-testid=stMetric] *{white-space:normal;overflow:visible;text-overflow:clip}"
    "[data-testid=stSidebarHeader]{height:2.5rem}"
    "@media(max-width:640px){[data-testid=stColumn]:has(>[data-testid=stVerticalBlock]>"
    "[data-testid=stElementContainer]:only-child>[data-testid=stMetric])"
    "{flex:1 1 calc(50% - 1rem);min-width:calc(50% - 1rem)}}</style>"
)
"""On a phone figures stand two in a row; columns of anything else stand below one another there by themselves."""


def remember_language() -> None:
    """The language stands in the address too, so that a page that is loaded anew or sent on keeps it."""
    if "language" not in st.session_state:
        asked = st.query_params.get("lang", "en")
        st.session_state["language"] = asked if asked in LANGUAGES else "en"


def sidebar() -> None:
    with st.sidebar:
        st.markdown(f"**Shopkeeper 掌柜**  \n:gray[{say('tagline')}]")
        _state()
        st.selectbox(
            "Language · 语言",
            list(LANGUAGES),
            format_func=lambda code: LANGUAGES[code],
            key="language",
            on_change=_language_chosen,
        )
        st.text_input(say("key"), type="password", key="api_key", help=say("key_help"))


def _language_chosen() -> None:
    st.query_params["lang"] = st.session_state["language"]


@st.fragment(run_every=5.0)
def _state() -> None:
    """Whether the shop serves, with its reasons, and what time it is there."""
    try:
        shop = client()
        ready, reasons = shop.ready()
        ingestion = shop.operations_metrics().get("ingestion", {})
    except Refused as error:
        st.markdown(f":orange-badge[● {say('locked')}] :gray[{plain(error.message)}]")
        return
    except ShopkeeperError as error:
        st.markdown(f":red-badge[● {say('offline')}]  \n:gray[{plain(address())}]", help=plain(error.message))
        return
    colour, word = ("green", say("serving")) if ready else ("orange", say("starting"))
    why = "" if ready else "  \n" + " ".join(f":gray[{plain(reason)}.]" for reason in reasons if reason)
    st.markdown(f":{colour}-badge[● {word}] :gray[{say('shop_time')} {clock(ingestion.get('shop_time'))}]{why}")


def clock(text: str | None) -> str:
    """A time of the API as people read it."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M") if text else "–"
