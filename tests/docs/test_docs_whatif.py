"""docs/what-if.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shopkeeper.api.whatif import WhatIfForm
from shopkeeper.operations.whatif import MOST_EVENTS, Change, Side, Supposed

PAGE = (Path(__file__).parents[2] / "docs" / "what-if.md").read_text(encoding="utf-8")


def test_every_field_of_body_and_answer_is_on_the_page() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE))
    for record in (WhatIfForm, Supposed, Side, Change):
        assert set(record.__struct_fields__) <= told, record.__name__


def test_the_bounds_are_those_of_the_form() -> None:
    fields = msgspec.json.schema(WhatIfForm)["$defs"]["WhatIfForm"]["properties"]
    assert f"1 to {MOST_EVENTS} |" in PAGE
    n = fields["n"]
    assert f"{n['minimum']} to {n['maximum']}, default {n['default']} |" in PAGE
    assert f"default `{fields['scenario']['default']}`" in PAGE
