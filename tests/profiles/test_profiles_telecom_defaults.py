"""Everything that a telecom shop begins with can be run, before any user has an attribute."""

from __future__ import annotations

from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.telecom_defaults import TELECOM
from shopkeeper.rules.parser import parse


def test_every_condition_can_be_read_in_an_empty_shop() -> None:
    schema = schema_of([], TELECOM.fields)
    for one in (*TELECOM.rules, *TELECOM.strategies, *TELECOM.segments):
        parse(one.condition, schema)


def test_names_are_given_once_and_actions_are_where_they_belong() -> None:
    for all_of_a_kind in ((*TELECOM.rules, *TELECOM.strategies), TELECOM.segments):
        names = [one.name for one in all_of_a_kind]
        assert len(set(names)) == len(names)
    assert all(rule.weight and not rule.action for rule in TELECOM.rules)
    assert all(rule.action and not rule.weight for rule in TELECOM.strategies)
