from datetime import UTC, datetime

import msgspec
import pytest

from shopkeeper.core import errors
from shopkeeper.core.records import Event, RecRequest, StoredEvent, encode


def test_an_event_survives_json():
    event = Event(
        event_type="order", user_id="u1", item_id="85123A", time=datetime(2011, 12, 1, tzinfo=UTC), quantity=2
    )
    assert msgspec.json.decode(encode(event), type=Event) == event


def test_a_stored_event_is_an_event_with_its_number():
    stored = msgspec.json.decode(b'{"event_type":"view","target_id":"x","seq":7}', type=StoredEvent)
    assert stored.seq == 7
    assert isinstance(stored, Event)


def test_a_request_has_the_documented_defaults():
    request = msgspec.json.decode(b'{"user_id":"u1"}', type=RecRequest)
    assert (request.n_recommendations, request.scenario, request.use_cache) == (10, "content", True)


@pytest.mark.parametrize("body", [b'{"user_id":1}', b"{}", b'{"user_id":"u","n_recommendations":"ten"}'])
def test_wrong_types_are_refused(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=RecRequest)


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    branches = {cls.__name__ for cls in errors.ShopkeeperError.__subclasses__()} - {"Cancelled"}
    assert branches == {"NotFound", "Invalid", "Refused", "Conflict", "Unavailable", "Overloaded"}
    for branch in branches:
        assert branch in (errors.__doc__ or "")


def test_a_busy_error_names_the_job():
    error = errors.Busy("already training", job_id="j1")
    assert error.job_id == "j1"
    assert error.code == "busy"
    assert isinstance(error, errors.Conflict)
