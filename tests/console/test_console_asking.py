"""What was done is said once, and stands until a person does something else."""

from __future__ import annotations

import pytest

SCRIPT = """
import streamlit as st
from shopkeeper.console import asking

asking.begin()
asking.notice("lamp")
if st.button("Do it"):
    asking.tell("lamp", "It is done.")
    st.session_state["jobs"] = 2
    st.rerun()
if st.session_state.get("jobs"):  # one ended, and the page is made anew
    st.session_state["jobs"] -= 1
    asking.again()
"""


def test_a_notice_stands_until_a_person_does_something_else() -> None:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_string(SCRIPT).run()

    def said() -> list[str]:
        return [one.value for one in page.success]

    assert said() == []
    page.button[0].click().run()
    assert said() == ["It is done."]
    page.run()  # as a person's next step does
    assert said() == []
