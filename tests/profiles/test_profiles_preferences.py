from profile_world import NOW, World

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.preferences import learned


def preferences(world: World, user: str) -> dict:
    return world.profiles.profile(user)["preferences"]


def test_preferences_are_what_the_orders_say(world: World) -> None:
    world.item("mug", "Kitchen")
    world.item("cup", "Kitchen")
    world.item("lamp", "Light")
    world.item("misc")
    world.order("ada", 30, "mug", 2, 4.0)
    world.order("ada", 30, "lamp", 1, 20.0)
    world.order("ada", 20, "mug", 4, 4.0)
    world.order("ada", 10, "cup", 1, 6.0)
    world.order("ada", 10, "misc", 1, 1.0)
    found = preferences(world, "ada")
    assert found["orders"] == 3
    assert found["categories"] == [
        {"category": "Kitchen", "share": 0.75, "lines": 3},
        {"category": "Light", "share": 0.25, "lines": 1},
    ]
    assert found["price"] == {"low": 4.0, "median": 4.0, "high": 6.0}
    assert found["basket"] == {"value": 16.0, "pieces": 3.0, "lines": 2.0}
    assert found["repeat_share"] == 0.2
    assert found["new_share"] == 0.8


def test_hour_and_weekday_are_those_of_the_shop_s_clock(world: World) -> None:
    # NOW is Tuesday 14 November 2023, 22:13 in London; in July the clock is an hour ahead of that of UTC.
    world.order("ada", 0)
    assert preferences(world, "ada")["hour"] == {"usual": 22, "share": 1.0}
    assert preferences(world, "ada")["weekday"] == {"usual": "Tuesday", "share": 1.0}
    world.order("bob", 126)
    assert preferences(world, "bob")["hour"]["usual"] == 23
    world.order("bob", 3)
    world.order("bob", 7)
    assert preferences(world, "bob")["hour"] == {"usual": 22, "share": 0.6667}


def test_without_orders_and_without_a_catalogue_there_is_nothing(world: World) -> None:
    world.user("new")
    world.event("looker", "view", 1)
    for user in ("new", "looker"):
        found = preferences(world, user)
        assert found.pop("orders") == 0
        assert set(found.values()) == {None}
    world.order("ada", 1)
    row = world.vocabularies.users.row("ada")
    assert row is not None
    assert learned(world.features, None, row, NOW)["categories"] is None
    assert learned(world.features, world.catalog, row, NOW)["categories"] is None  # an item without a category
    assert learned(world.features, world.catalog, row, NOW - 2 * DAY)["price"] is None


def test_an_item_changes_its_category_and_a_free_one_has_no_price(world: World) -> None:
    world.item("gift", "Gifts")
    world.order("ada", 1, "gift", 1, 0.0)
    assert preferences(world, "ada")["categories"] == [{"category": "Gifts", "share": 1.0, "lines": 1}]
    assert preferences(world, "ada")["price"] is None
    world.item("gift", "Samples")
    assert preferences(world, "ada")["categories"][0]["category"] == "Samples"


def test_the_last_twenty_events_are_shown_newest_first(world: World) -> None:
    world.item("mug")
    for n in range(25):
        world.event("ada", "view", n)
    world.order("ada", 0.5, "mug", 2, 3.0)
    recent = world.profiles.profile("ada")["recent"]
    assert len(recent) == 20
    assert [event["event_type"] for event in recent[:3]] == ["view", "order", "view"]
    assert (recent[1]["item_id"], recent[1]["quantity"], recent[1]["value"]) == ("mug", 2.0, 6.0)
    assert [event["time"] for event in recent] == sorted((event["time"] for event in recent), reverse=True)
