"""SimConfig: 15 numbers with bounds."""

import msgspec
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.sources.simulator.config import BOUNDS, PER_VISIT, PER_VISIT_BOUNDS, SimConfig

FIELDS = [
    *BOUNDS.items(),
    *((f"{end}_{what}_per_user", PER_VISIT_BOUNDS) for what in PER_VISIT for end in ("min", "max")),
]


def test_there_are_fifteen_fields_and_their_defaults_are_valid():
    assert [name for name, _ in FIELDS] == list(SimConfig.__struct_fields__)
    assert len(FIELDS) == 15
    assert SimConfig() == msgspec.convert({}, SimConfig)


@pytest.mark.parametrize(("name", "bounds"), FIELDS)
def test_each_field_has_bounds_and_both_are_allowed(name, bounds):
    for value in bounds:
        twin = name.replace("min_", "max_", 1) if value else name.replace("max_", "min_", 1)
        assert getattr(SimConfig(**{twin: value, name: value}), name) == value
    for value in (bounds[0] - 1, bounds[1] + 1):
        with pytest.raises(Invalid) as refused:
            SimConfig(**{name: value})
        assert refused.value.field == name
        assert str(bounds[0]) in refused.value.message


@pytest.mark.parametrize("value", [True, 12.5, "12", None, float("nan")])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(Invalid, match="whole number"):
        SimConfig(user_count=value)


@pytest.mark.parametrize("what", PER_VISIT)
def test_the_least_may_not_be_above_the_most(what):
    with pytest.raises(Invalid) as refused:
        SimConfig(**{f"min_{what}_per_user": 7, f"max_{what}_per_user": 6})
    assert refused.value.field == f"min_{what}_per_user"


def test_a_bad_number_from_json_is_refused_with_its_field():
    with pytest.raises(Invalid) as refused:
        msgspec.json.decode(b'{"history_days":366}', type=SimConfig)
    assert refused.value.field == "history_days"
