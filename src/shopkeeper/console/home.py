"""The console: its frame and its pages. Run by Streamlit, see `launch.py`."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from shopkeeper.console import asking, frame
from shopkeeper.console.views import (
    customers,
    data,
    forecasts,
    models,
    operations,
    overview,
    recommendations,
    rules,
    train,
)
from shopkeeper.console.words import say

# Plotly and Streamlit look for pandas from several threads; half of it must never be found.
import_module("pandas")

st.set_page_config(page_title="Shopkeeper 掌柜", page_icon="🏮", layout="wide")
st.html(frame.CSS)
frame.remember_language()

PAGES = {
    "": [
        st.Page(overview.page, title=say("overview"), icon=":material/storefront:", url_path="overview", default=True),
    ],
    say("know"): [
        st.Page(customers.page, title=say("customers"), icon=":material/person:", url_path="customers"),
        st.Page(rules.page, title=say("rules_and_segments"), icon=":material/rule:", url_path="rules"),
    ],
    say("suggest"): [
        st.Page(
            recommendations.page, title=say("recommendations"), icon=":material/recommend:", url_path="recommendations"
        ),
    ],
    say("stock"): [
        st.Page(forecasts.page, title=say("forecasts"), icon=":material/trending_up:", url_path="forecasts"),
    ],
    say("run"): [
        st.Page(train.page, title=say("train_page"), icon=":material/school:", url_path="train"),
        st.Page(models.page, title=say("models_page"), icon=":material/deployed_code:", url_path="models"),
        st.Page(operations.page, title=say("operations"), icon=":material/settings:", url_path="operations"),
        st.Page(data.page, title=say("data"), icon=":material/database:", url_path="data"),
    ],
}
chosen = st.navigation(PAGES)
frame.sidebar()
st.title(chosen.title, anchor=False)
asking.begin()
chosen.run()
