"""Aliases move only to what can serve and what the gate passed; every move is on record."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import micros, rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.lifecycle.versions import Candidate, check_model_name


def test_versions_are_numbered_and_the_newest_is_the_candidate(registry, add_version):
    assert [add_version(weight).version for weight in (1.0, 2.0, 3.0)] == [1, 2, 3]
    info = registry.model("line")
    assert (info.aliases, info.versions, info.algorithm, info.task) == ({"candidate": 3}, 3, "toy_line", "toy")
    newest = registry.version("line", "candidate")
    assert (newest.aliases, newest.created_by, newest.feature_names) == (["candidate"], "anna", ["x"])
    assert {f.name for f in newest.files} == {"line.json", "golden.json"}
    assert (registry.folder(newest) / "line.json").exists()


def test_promotion_moves_champion_and_previous(registry, add_version):
    add_version(1.0)
    first = registry.promote("line", 1, reason="begin", by="anna")
    assert (first.old_version, first.new_version, first.gate.verdict) == (None, 1, "PROMOTE")
    add_version(2.0, against=1)
    assert registry.promote("line", "candidate", by="ben").old_version == 1
    assert registry.model("line").aliases == {"champion": 2, "previous": 1}
    assert registry.promote("line", "v2").old_version == 2
    changes = registry.history("line")
    assert [(c.version, c.changed_by, c.reason, c.forced) for c in changes] == [
        (2, "ben", "", False),
        (1, "anna", "begin", False),
    ]


@pytest.mark.parametrize("verdict", ["HOLD", "REJECT"])
def test_the_gate_refuses_and_force_is_on_record(registry, add_version, verdict):
    add_version(verdict=verdict)
    with pytest.raises(Conflict, match=f"the gate says {verdict}.*as the test wants it") as caught:
        registry.promote("line", 1)
    assert caught.value.code == "gate_says_no"
    assert "champion" not in registry.model("line").aliases
    registry.promote("line", 1, force=True, reason="it is Friday", by="ben")
    change = registry.history("line")[0]
    assert (change.forced, change.reason, change.changed_by) == (True, "it is Friday", "ben")


def test_a_verdict_against_another_champion_does_not_count(registry, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    add_version(2.0, against=1)
    add_version(3.0, against=1)
    registry.promote("line", 3)
    with pytest.raises(Conflict, match="measured against v1, the champion is v3"):
        registry.promote("line", 2)


def test_rollback_goes_back_and_forth(registry, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    with pytest.raises(Conflict, match="no previous version"):
        registry.rollback("line")
    add_version(2.0, against=1)
    registry.promote("line", 2)
    assert registry.rollback("line", by="anna").new_version == 1
    assert registry.model("line").aliases == {"champion": 1, "previous": 2}
    assert registry.rollback("line").new_version == 2
    assert registry.rollback("line", to="v1").new_version == 1


def test_a_version_that_is_broken_on_disk_is_not_promoted(registry, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    broken = add_version(2.0, against=1)
    (registry.folder(broken) / "line.json").write_text(json.dumps({"weight": 9.0}))
    with pytest.raises(Conflict, match="cannot serve"):
        registry.promote("line", 2, force=True)
    assert registry.version("line", 2).status == "broken"
    assert registry.model("line").aliases["champion"] == 1
    (registry.folder(broken) / "line.json").write_text(json.dumps({"weight": 2.0}))
    registry.promote("line", 2)
    assert registry.version("line", 2).status == "ready"


def test_what_answered_at_a_time(registry, add_version):
    add_version(1.0)
    registry.promote("line", 1, by="anna")
    add_version(2.0, against=1)
    registry.promote("line", 2, by="ben")
    second, first = registry.history("line")
    assert registry.live_at("line", first.time).version == 1
    assert registry.live_at("line", second.time).by == "ben"
    assert registry.version("line", rfc3339(second.time)).version == 2
    with pytest.raises(NotFound, match="no version of 'line' was champion then"):
        registry.live_at("line", first.time - 1)


def test_one_job_registers_once(registry, add_version):
    assert add_version(1.0, job_id="J1").version == 1
    assert add_version(1.0, job_id="J1").version == 1
    assert add_version(1.0, job_id="J2").version == 2


def test_a_folder_that_was_moved_before_its_row_was_stored_is_found_again(registry, add_version, tmp_path):
    made = add_version(1.0)
    place = registry.folder(made).with_name("v2")
    folder = tmp_path / "second"
    registry.folder(made).rename(folder)
    folder.rename(place)
    candidate = Candidate(model="line", scope="all", family="toy", algorithm="toy_line", files=made.files)
    assert registry.register(tmp_path / "gone", candidate, by="anna").version == 2


def test_a_folder_that_changed_since_it_was_sealed_is_refused(registry, add_version, tmp_path):
    made = add_version(1.0)
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "line.json").write_text("{}")
    candidate = Candidate(model="line", scope="all", family="toy", algorithm="toy_line", files=made.files)
    with pytest.raises(Unavailable):
        registry.register(folder, candidate, by="anna")
    assert registry.model("line").versions == 1


def test_scopes_are_models_of_their_own(registry, add_version):
    add_version(1.0)
    assert add_version(1.0, scope="product:85123A").version == 1
    registry.promote("line", 1, scope="product:85123A")
    assert registry.model("line").aliases == {"candidate": 1}
    assert [(m.name, m.scope) for m in registry.models()] == [("line", "all"), ("line", "product:85123A")]
    assert [m.scope for m in registry.models(scope="all")] == ["all"]
    assert registry.models(task="other") == []


def test_unknown_things_are_named(registry, add_version):
    with pytest.raises(NotFound, match="no model 'line'"):
        registry.model("line")
    add_version()
    for ref in ("v2", "champion", "2020-01-01T00:00:00Z", "nonsense"):
        with pytest.raises(NotFound):
            registry.version("line", ref)
    with pytest.raises(Invalid):
        registry.version("line", "2020-99-01")
    for name in ("predict", "Ümlaut", "../x", "a" * 65):
        with pytest.raises(Invalid):
            check_model_name(name)


def test_versions_come_in_pages(registry, add_version):
    for weight in range(5):
        add_version(float(weight))
    first, cursor, total = registry.versions("line", limit=2)
    assert ([v.version for v in first], total) == ([5, 4], 5)
    second, cursor, _ = registry.versions("line", limit=2, cursor=cursor)
    third, end, _ = registry.versions("line", limit=2, cursor=cursor)
    assert ([v.version for v in second + third], end) == ([3, 2, 1], None)
    with pytest.raises(Invalid):
        registry.versions("line", cursor="x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("xgb", ("xgb", "champion")),
        ("xgb@previous", ("xgb", "previous")),
        ("xgb/v3", ("xgb", "v3")),
        ("xgb/3", ("xgb", "3")),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "@champion", "../x", "XGB", "a b"])
def test_bad_addresses(text):
    with pytest.raises(Invalid):
        parse_address(text)


@given(moves=st.lists(st.tuples(st.sampled_from(["promote", "rollback"]), st.integers(1, 3)), max_size=12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_record_always_gives_the_present(registry, add_version, moves):
    """Whatever was moved: champion and previous follow the two newest distinct moves, and history agrees."""
    name = f"line-{micros_now()}"
    for weight in range(3):
        add_version(float(weight), model=name)
    champion = previous = None
    for verb, number in moves:
        if verb == "promote":
            registry.promote(name, number, force=True)
            target = number
        elif previous is None:
            with pytest.raises(Conflict):
                registry.rollback(name)
            continue
        else:
            target = previous
            registry.rollback(name)
        if target != champion:
            champion, previous = target, champion
    aliases = registry.model(name).aliases
    assert (aliases.get("champion"), aliases.get("previous")) == (champion, previous)
    assert (registry.history(name) or [None])[0] is None or registry.history(name)[0].version == champion


def micros_now():
    from datetime import UTC, datetime

    return micros(datetime.now(UTC))
