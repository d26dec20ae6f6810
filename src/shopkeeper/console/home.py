"""The console's page. Run by Streamlit, see `launch.py`."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from shopkeeper.console import customer, forecasting, overview, product
from shopkeeper.console.words import LANGUAGES, say

# Plotly and Streamlit look for pandas from several threads; half of it must never be found.
import_module("pandas")

st.set_page_config(page_title="Shopkeeper 掌柜", page_icon="🏮", layout="wide")
st.html(
    "<style>.block-container{padding-top:4rem} [data-testid=stMetricValue]{font-size:1.7rem}"
    "[data-testid=stMetric] *{white-space:normal;overflow:visible;text-overflow:clip}</style>"
)

title, options = st.columns([5, 1])
with options:
    st.selectbox("Language · 语言", list(LANGUAGES), format_func=lambda code: LANGUAGES[code], key="language")
    st.text_input(say("key"), type="password", key="api_key", placeholder=say("key"), label_visibility="collapsed")
with title:
    st.title("Shopkeeper 掌柜", anchor=False)
    st.caption(say("tagline"))
    overview.head()

who, what, ahead, log = st.tabs([say("customer"), say("product"), say("forecasts"), say("last_events")])
with who:
    customer.page()
with what:
    product.page()
with ahead:
    forecasting.page()
with log:
    overview.last_events()
