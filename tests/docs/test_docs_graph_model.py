"""The first half of docs/graph.md says what the code does: encoders, layers, parameters, the gate."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shopkeeper.profiles.graph import encoders, fields, hetero, weights
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import RECENT

PAGE = (Path(__file__).parents[2] / "docs" / "graph.md").read_text(encoding="utf-8")


def test_every_parameter_stands_there_with_its_default_and_bounds() -> None:
    properties = msgspec.json.schema(Hgt.Params)["$defs"]["Params"]["properties"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.* \| .*) \|$", PAGE, re.MULTILINE))
    assert set(rows) & set(properties) == set(properties)
    for name, known in properties.items():
        default, bounds = (cell.strip().replace(",", "") for cell in rows[name].split(" | ", 1))
        wanted = known["default"]
        wanted = "empty" if wanted is None else str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
        assert default == wanted, name
        numbers = [float(number) for number in re.findall(r"[\d.]+", bounds.split(";")[0])]
        for bound in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
            if bound in known:
                assert known[bound] in numbers, (name, bound)


def test_numbers_of_the_page() -> None:
    assert f"{encoders.BINS} of equal shares" in PAGE
    assert f"at least {encoders.LEAST} nodes" in PAGE
    assert f"fewer than {encoders.LEAST} users" in PAGE
    assert f"most frequent {encoders.MOST:,}" in PAGE
    assert f"the newest {fields.SERIES}, " in PAGE
    assert f"{fields.CHANNELS} channels" in PAGE
    assert f"cut at {weights.LOGIT_LIMIT:.0f}" in PAGE
    assert f"{hetero.BUCKETS} buckets" in PAGE
    assert Hgt.Params().recent == RECENT


def test_what_a_summary_has_is_named() -> None:
    from shopkeeper.checks.graph import small_rows
    from shopkeeper.core.protocols import silent

    model = Hgt(Hgt.Params(epochs=1, width=8, dims=8, windows=1), 1).fit(small_rows()[0], silent)
    assert [name for name in model.summary if f"`{name}`" not in PAGE and name not in ("val", "encoders")] == []
