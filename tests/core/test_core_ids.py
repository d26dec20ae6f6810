import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_event_type, check_id, check_label, check_name, ulid


def test_ulids_are_26_characters_and_sort_by_time():
    ids = [ulid(at_ms) for at_ms in (0, 1, 1_700_000_000_000, 2**48 - 1)]
    assert ids == sorted(ids)
    assert {len(made) for made in ids} == {26}
    assert set("".join(ids)) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_two_ulids_of_one_moment_differ():
    assert ulid(5) != ulid(5)


@pytest.mark.parametrize("bad", ["", "a" * 129, "a/b", "a\nb", "\x00", "a\u202eb"])
def test_bad_ids_are_refused_by_name(bad):
    with pytest.raises(Invalid) as caught:
        check_id(bad, "user_id")
    assert caught.value.field == "user_id"


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=1, max_size=128))
def test_letters_and_digits_of_any_script_are_ids(text):
    assert check_id(text) == text


@pytest.mark.parametrize("bad", ["", "A", "1a", "a b", "../x", "a" * 65, "a\n"])
def test_bad_names_are_refused(bad):
    with pytest.raises(Invalid):
        check_name(bad)
    with pytest.raises(Invalid):
        check_event_type(bad)


def test_good_names_pass():
    assert check_name("home_ranker.v-2") == "home_ranker.v-2"
    assert check_label("高价值客户") == "高价值客户"
    assert check_event_type("click") == "click"
