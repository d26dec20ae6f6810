"""A version has a name beside its number: given, or the time at which it was made."""

import re

import pytest

from shopkeeper.core.clock import micros
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.lifecycle.addresses import check_label, label_at, parse_address


def test_without_a_name_it_is_called_by_the_time_and_no_two_alike(registry, add_version):
    labels = [add_version(weight).label for weight in (1.0, 2.0, 3.0)]
    assert len(set(labels)) == 3
    assert all(re.fullmatch(r"\d{8}-\d{6}(-\d+)?", label) for label in labels)
    for number, label in enumerate(labels, 1):
        assert registry.version("line", label).version == number


def test_a_label_is_an_address_like_the_number(registry, add_version):
    add_version(1.0, label="spring-sale")
    add_version(2.0, label="2026-11-20T09-00")
    name, ref = parse_address("line@spring-sale")
    assert registry.version(name, ref).version == 1
    assert registry.promote("line", "spring-sale").new_version == 1
    assert registry.version("line", "2026-11-20T09-00").version == 2
    with pytest.raises(NotFound, match=r"no version 'autumn'; its aliases: candidate \(v2\), champion \(v1\)"):
        registry.version("line", "autumn")


def test_a_time_without_a_label_is_still_a_time(registry, add_version):
    made = add_version(1.0)
    registry.promote("line", 1)
    later = label_at(micros(made.created_at) + 3_600_000_000)
    assert registry.version("line", later).version == 1


def test_a_label_belongs_to_one_version_of_a_model(registry, add_version):
    add_version(1.0, label="spring-sale")
    with pytest.raises(Conflict, match="v1 is called 'spring-sale' already"):
        registry.check_free("line", "all", "spring-sale")
    with pytest.raises(Conflict, match="v1 is called 'spring-sale' already"):
        add_version(2.0, label="spring-sale")
    registry.check_free("line", "store:1", "spring-sale")
    registry.check_free("another", "all", "spring-sale")
    assert registry.model("line").versions == 1


@pytest.mark.parametrize(
    "label", ["", "v3", "V3", "7", "0", "champion", "candidate", "previous", "-a", "a b", "a/b", "ä", "a" * 65]
)
def test_what_means_something_else_is_no_label(label):
    with pytest.raises(Invalid, match="no name for one"):
        check_label(label)


@pytest.mark.parametrize("label", ["a", "v3.1", "3rd", "2026-11-20", "A_b.c-d", "a" * 64])
def test_what_a_label_may_be(label):
    assert check_label(label) == label
