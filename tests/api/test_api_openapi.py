from __future__ import annotations

from api_server import Running

from shopkeeper.api.access import SCOPES
from shopkeeper.api.app import NOUNS
from shopkeeper.api.openapi import statuses


def test_the_page_has_every_door_hot_ones_included(live: Running) -> None:
    page = live.http.get("/openapi.json").json()
    for noun in NOUNS:
        for door in noun.all:
            operation = page["paths"][door.path][door.method.lower()]
            assert set(operation["responses"]) == {str(code) for code in statuses(door)}
            assert operation["summary"]
    assert "post" in page["paths"]["/api/v1/personalization/recommend"]
    assert "post" in page["paths"]["/predictions/{model}"]


def test_every_reference_leads_somewhere(live: Running) -> None:
    page = live.http.get("/openapi.json")
    names = set(page.json()["components"]["schemas"])
    wanted = {part.split('"')[0] for part in page.text.split("#/components/schemas/")[1:]}
    assert wanted <= names


def test_operation_ids_are_unique_and_scopes_known() -> None:
    doors = [door for noun in NOUNS for door in noun.all]
    assert len({door.operation_id for door in doors}) == len(doors)
    assert len({(door.method, door.path) for door in doors}) == len(doors)
    assert {door.scope for door in doors} <= set(SCOPES)
