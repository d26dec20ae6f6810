"""The rules and fields of a telecom shop: fee, tenure, tariff, use of the app."""

import pytest

from shopkeeper.rules.columns import Columns, compile_columns
from shopkeeper.rules.defaults import TELECOM_FIELDS, TELECOM_RULES
from shopkeeper.rules.one import compile_one
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema

SCHEMA = Schema(TELECOM_FIELDS)
PEOPLE = {
    "fee at the bound": {"monthly_fee": 300, "tenure_months": 24},
    "high value": {"monthly_fee": 300.5, "tenure_months": 24, "total_events": 5},
    "loyal by 5G": {"plan_type": "5G Unlimited", "tenure_months": 36},
    "loyal by family": {"plan_type": "family share", "tenure_months": 40},
    "too new": {"plan_type": "5G", "tenure_months": 35},
    "digital": {"event_counts": {"app_use": 4, "click": 6}},
    "less digital": {"event_counts": {"click": 9}},
    "at risk": {"total_events": 2, "tenure_months": 12, "monthly_fee": 79.9},
}
EXPECTED = {
    "high_value_user": {"high value"},
    "loyal_user": {"loyal by 5G", "loyal by family"},
    "digital_enthusiast": {"digital"},
    "at_risk_churn": {"at risk"},
}


@pytest.mark.parametrize("rule", TELECOM_RULES, ids=lambda rule: rule.name)
def test_the_telecom_rules_fire_for_whom_they_should(rule) -> None:
    tree = parse(rule.condition, SCHEMA)
    rows = {name: SCHEMA.row(person) for name, person in PEOPLE.items()}
    assert {name for name, row in rows.items() if compile_one(tree)(row)} == EXPECTED[rule.name]
    in_columns = compile_columns(tree)(Columns.from_rows(list(rows.values()), SCHEMA))
    assert {name for name, hit in zip(rows, in_columns, strict=True) if hit} == EXPECTED[rule.name]


def test_weights() -> None:
    assert [rule.weight for rule in TELECOM_RULES] == [1.0, 0.8, 0.6, -0.7]


@pytest.mark.parametrize(
    "text",
    [
        "monthly_fee > 300 and tenure_months >= 24",
        "tenure_months >= 36 and ('5G' in plan_type or 'family' in plan_type)",
        "tenure_months >= 36 and ('5G' in str(plan_type) or 'family' in str(plan_type))",
        "event_counts.get('app_use', 0) + event_counts.get('click', 0) >= 10",
        "total_events <= 2 and tenure_months >= 12 and monthly_fee < 80",
        "int(user_level) >= 3 and len(device_brand) > 2 and max(monthly_fee, 10) > 10",
        "user_id == 'u1' and last_event_at > 0 and event_counts['click'] > 1",
    ],
)
def test_every_form_of_a_python_like_condition_is_read(text: str) -> None:
    parse(text, SCHEMA)
