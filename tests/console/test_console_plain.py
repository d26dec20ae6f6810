"""Texts of people in a real browser: they stand there as they were written, and nothing in them can be clicked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from console_world import CHROMIUM, free_port

TEXT = (
    "http://one.example/x?a=1 HTTPS://two.example www.three.example four@five.example (https://six.example) "
    "<https://seven.example> [eight](https://nine.example) xmpp:ten@eleven.example"
)
_PLACES = f"""
import streamlit as st
from shopkeeper.console.plain import plain
text = plain({TEXT!r})
st.markdown(text)
st.markdown(f"- **{{text}}** :gray[{{text}}]")
st.markdown(f":blue-badge[{{text}}]")
st.caption(text)
st.error(text)
st.text_input(text)
st.button(text, help=text)
st.markdown("The end")
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A page of all the places where such texts stand; what `page` opens."""
    if CHROMIUM is None and not os.environ.get("SHOPKEEPER_REQUIRE_ALL"):
        pytest.skip("needs a browser: apt-get install chromium")
    script = tmp_path_factory.mktemp("places") / "places.py"
    script.write_text(_PLACES)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true", "--server.address",
               "127.0.0.1", "--server.port", str(port), "--browser.gatherUsageStats", "false"]  # fmt: skip
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield {"console": f"http://127.0.0.1:{port}"}
    finally:
        served.terminate()
        served.wait(30)


def test_an_address_in_a_text_is_no_link(page: Any) -> None:
    page.get_by_text("The end").first.wait_for()
    page.get_by_role("button", name="one.example").hover()
    page.get_by_test_id("stTooltipContent").get_by_text(TEXT).first.wait_for()
    places = page.get_by_test_id("stMarkdownContainer").filter(has_text="one.example")
    assert {text.strip() for text in places.all_inner_texts()} == {TEXT, f"{TEXT} {TEXT}"}
    assert page.get_by_test_id("stMarkdownContainer").locator("a").all_inner_texts() == []
