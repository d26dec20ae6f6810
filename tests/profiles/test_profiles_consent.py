from __future__ import annotations

from typing import TypeAlias

import pytest
from profile_world import World

from shopkeeper.core.errors import Refused
from shopkeeper.profiles.service import ProfileService
from shopkeeper.stores.consents import ConsentStore

Asked: TypeAlias = tuple[ProfileService, ConsentStore]


@pytest.fixture
def asked(world: World) -> Asked:
    """Profiles that look at consent, of a shop with a rule and a segment that match everybody who orders."""
    consents = ConsentStore(world.db, world.vocabularies, world.clock)
    profiles = ProfileService(world.db, world.clock, world.features, world.vocabularies.users, consents=consents)
    profiles.rulebook.create("buys", "orders >= 1", weight=2.0).result()
    profiles.segmentbook.create("buyers", "orders >= 1").result()
    world.user("anna", city="Ulm")
    world.order("anna", 2)
    return profiles, consents


def test_who_refuses_profiling_has_a_record_and_no_score(asked: Asked) -> None:
    profiles, consents = asked
    before = profiles.profile("anna")
    assert before["scores"]["final_score"] == 2
    assert before["segments"] == ["buyers"]
    assert before["consent"].profiling
    consents.change("anna", {"profiling": False}).result()
    after = profiles.profile("anna")
    assert after["profile"] == before["profile"]
    assert after["profile"]["user"]["city"] == "Ulm"
    assert (after["scores"], after["segments"], after["attributes"], after["windows"]) == (None, [], {}, {})
    assert not after["consent"].profiling
    assert profiles.segments_of("anna") == []
    consents.change("anna", {"profiling": True}).result()
    again = profiles.profile("anna")
    assert {**again, "consent": None} == {**before, "consent": None}


def test_what_was_not_scored_is_not_explained(asked: Asked) -> None:
    profiles, consents = asked
    assert profiles.explain("anna").final_score == 2
    consents.change("anna", {"profiling": False}).result()
    with pytest.raises(Refused, match="does not agree to profiling") as refused:
        profiles.explain("anna")
    assert refused.value.code == "no_consent"


def test_refusing_another_purpose_leaves_the_score(asked: Asked) -> None:
    profiles, consents = asked
    consents.change("anna", {"personalization": False, "marketing": False}).result()
    assert profiles.profile("anna")["scores"]["final_score"] == 2
    assert profiles.explain("anna").final_score == 2


@pytest.mark.parametrize("purpose", ["profiling", "personalization"])
def test_who_refuses_gets_no_strategy_and_without_a_profile_no_preview(asked: Asked, purpose: str) -> None:
    profiles, consents = asked
    profiles.rulebook.create("greets", "orders >= 1", weight=0.0, action="greet").result()
    assert profiles.suggestions("anna") == ["greet"]
    assert profiles.preview("orders >= 1")().matches == 1
    consents.change("anna", {purpose: False}).result()
    assert profiles.suggestions("anna")[0].startswith("keep in touch")
    told = profiles.preview("orders >= 1")()
    assert (told.matches, told.total) == ((0, 0) if purpose == "profiling" else (1, 1))
