"""A swap drops no request, and what cannot serve never becomes the pointer."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import toyshop

from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.lifecycle.loading import difference_of
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.telemetry import metrics


@pytest.fixture
def serving(registry: Registry) -> Serving:
    return Serving(registry)


def answer(serving, ref="champion"):
    return serving.score("line", [{"x": 10.0}], ref).predictions


def test_the_champion_answers_and_a_promotion_is_seen_at_once(registry, serving, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    assert answer(serving) == [10.0]
    add_version(2.0, against=1)
    assert answer(serving) == [10.0]
    registry.promote("line", 2)
    assert answer(serving) == [20.0]
    assert answer(serving, "previous") == [10.0]
    registry.rollback("line")
    assert answer(serving) == [10.0]


def test_every_verified_version_answers_by_its_address(registry, serving, add_version):
    for weight in (1.0, 2.0, 3.0):
        add_version(weight, verdict="HOLD")
    assert [answer(serving, ref) for ref in ("v1", "2", "candidate")] == [[10.0], [20.0], [30.0]]
    with pytest.raises(Unavailable, match="it has no champion yet") as caught:
        answer(serving)
    assert caught.value.code == "not_loaded"


def test_unknown_names_versions_and_wrong_rows(registry, serving, add_version):
    with pytest.raises(NotFound, match="no model 'nothing'"):
        serving.get("nothing")
    add_version()
    registry.promote("line", 1)
    with pytest.raises(NotFound):
        serving.get("line", "v9")
    with pytest.raises(Invalid, match="expected a number"):
        serving.score("line", [{"x": "ten"}])
    assert serving.score("line", []).predictions == []


def test_the_names_of_a_family_in_a_scope_are_those_with_a_champion(registry, serving, add_version):
    add_version()
    family = registry.model("line").task
    assert serving.names(family) == ()
    registry.promote("line", 1)
    assert serving.names(family) == ("line",)
    assert serving.names("forecast") == serving.names(family, "product:P1") == ()
    registry.forget("line", force=True)
    assert serving.names(family) == ()


def test_a_missing_feature_takes_the_models_default(registry, serving, add_version):
    add_version(2.0)
    registry.promote("line", 1)
    assert serving.score("line", [{}]).predictions == [2.0]


def damage(registry, version, how):
    folder = registry.folder(version)
    file = folder / "line.json"
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:3])
    elif how == "wrong_hash":
        file.write_text(json.dumps({"weight": 7.0}))
    elif how == "missing":
        file.unlink()
    elif how == "gone":
        folder.rename(folder.with_name("elsewhere"))
    elif how == "added":
        (folder / "more.json").write_text("{}")


@pytest.mark.parametrize("how", ["truncated", "wrong_hash", "missing", "gone", "added"])
def test_a_damaged_artifact_is_refused_and_the_old_version_goes_on(registry, serving, add_version, how):
    add_version(1.0)
    registry.promote("line", 1)
    damage(registry, add_version(2.0, against=1), how)
    with pytest.raises(Conflict, match="cannot serve"):
        registry.promote("line", 2)
    assert answer(serving) == [10.0]
    with pytest.raises((NotFound, Unavailable)):
        answer(serving, "v2")
    assert answer(Serving(registry)) == [10.0]


def test_a_wrong_golden_answer_nan_and_a_raising_load_are_refused(registry, serving, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    bad = {
        "off by up to": add_version(2.0, against=1, expected=[2.0, 6.5]),
        "gives 2 outputs on the golden input, expected 3": add_version(2.0, against=1, expected=[2.0, 6.0, 1.0]),
        "NaN or infinity": add_version(2.0, against=1, algorithm="toy_blank"),
        "JSONDecodeError": add_version(2.0, against=1, content={"line.json": "{"}),
        "golden rows cannot be read": add_version(2.0, against=1, content={"golden.json": "[]"}),
        "feature names are not those": add_version(2.0, against=1, feature_names=("x", "y")),
        "no algorithm 'toy_gone'": add_version(2.0, against=1, algorithm="toy_gone"),
    }
    for words, version in bad.items():
        with pytest.raises(Conflict, match=words):
            registry.promote("line", version.version)
        assert answer(serving) == [10.0]
        assert registry.model("line").aliases["champion"] == 1


def test_a_champion_that_breaks_on_disk_serves_on_and_reload_says_why(registry, serving, add_version):
    version = add_version(1.0)
    registry.promote("line", 1)
    damage(registry, version, "truncated")
    (told,) = serving.reload("line")
    assert (told.old, told.new) == (1, 1)
    assert "artifact" in told.error
    assert answer(serving) == [10.0]
    assert list(serving.problems()) == ["line"]
    (registry.folder(version) / "line.json").write_text(json.dumps({"weight": 1.0}))
    (told,) = serving.reload()
    assert (told.old, told.new, told.feature_count, told.error) == (1, 1, 1, None)
    assert serving.problems() == {}
    with pytest.raises(NotFound):
        serving.reload("nothing")


def test_a_start_with_a_broken_champion_falls_back_to_the_one_before(registry, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    add_version(2.0, against=1)
    registry.promote("line", 2)
    damage(registry, registry.version("line", 2), "wrong_hash")
    serving = Serving(registry)
    (told,) = serving.sync()
    assert (told.old, told.new) == (None, 1)
    assert "SHA-256" in told.error
    assert answer(serving) == [10.0]
    assert "SHA-256" in serving.problems()["line"]


def test_sync_follows_moves_of_another_process(db, home, registry, add_version):
    from shopkeeper.core.clock import SystemClock

    serving = Serving(registry)
    other = Registry(db, ArtifactStore(home.artifacts), SystemClock())
    add_version(1.0)
    other.promote("line", 1)
    assert [(told.old, told.new) for told in serving.sync()] == [(None, 1)]
    add_version(2.0, against=1)
    other.promote("line", 2)
    assert [(told.old, told.new) for told in serving.sync()] == [(1, 2)]
    assert [(told.old, told.new) for told in serving.sync()] == [(2, 2)]


def test_requests_in_flight_keep_their_version_through_a_swap(registry, serving, add_version):
    add_version(1.0)
    registry.promote("line", 1)
    with serving.get("line") as held:
        assert held.in_flight == 1
        add_version(2.0, against=1)
        registry.promote("line", 2)
        assert held.model.score_rows([{"x": 1.0}]) == [1.0]
        assert answer(serving) == [20.0]
    assert held.in_flight == 0


def test_few_versions_stay_in_memory(registry, serving, add_version):
    for number in range(1, 12):
        add_version(float(number), against=number - 1 or None)
        registry.promote("line", number)
        serving.get("line", f"v{number}")
    held = [serving.peek("line", f"v{number}") for number in range(1, 12)]
    assert held[-1] is not None
    assert held[-2] is not None
    assert sum(loaded is not None for loaded in held) == 5


def test_a_client_over_forty_swaps_sees_no_failure_and_only_newer_versions(registry, serving, add_version):
    """Good versions, damaged ones and wrong golden answers, promoted under a client that never stops."""
    add_version(1.0)
    registry.promote("line", 1)
    stop = threading.Event()

    def client():
        versions = []
        while not stop.is_set():
            scored = serving.score("line", [{"x": 1.0}, {"x": 2.0}])
            assert scored.predictions == [float(scored.version), 2.0 * scored.version]
            if not versions or versions[-1] != scored.version:
                versions.append(scored.version)
            time.sleep(0.0005)  # lets the swapping thread have the interpreter
        return versions

    champion, refused = 1, 0
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(client)
        for swap in range(2, 42):
            bad = swap % 4 == 0
            version = add_version(float(swap), against=champion, expected=[-1.0, -1.0] if swap % 8 == 0 else None)
            if bad and swap % 8 != 0:
                damage(registry, version, ["truncated", "wrong_hash", "missing"][swap % 3])
            try:
                registry.promote("line", version.version)
                champion = version.version
            except Conflict:
                refused += 1
            assert serving.peek("line").version.version == champion
        stop.set()
    versions = seen.result()  # raises what the client saw fail
    assert refused == 10
    assert versions == sorted(versions)
    assert len(versions) > 1
    assert not any(number % 4 == 0 for number in versions)


def test_a_model_that_takes_no_rows_says_so(registry, serving, add_version):
    add_version(model="forecaster", algorithm="toy_forecaster")
    registry.promote("forecaster", 1)
    with pytest.raises(Invalid, match="does not score rows"):
        serving.score("forecaster", [{}])


@pytest.mark.parametrize("outputs", [[1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_wrong_outputs_while_serving_are_not_passed_on(registry, serving, add_version, outputs):
    class Odd(toyshop.Line):
        def score_rows(self, rows):
            return outputs if rows else []

    add_version()
    registry.promote("line", 1)
    serving.get("line").model = Odd(1.0)
    with pytest.raises(Unavailable) as caught:
        serving.score("line", [{}, {}])
    assert caught.value.code == "bad_output"


def test_differences_are_found_beyond_rounding():
    assert difference_of([1.0, 2.0], [1.0 + 1e-7, 2.0]) is None
    assert "off by up to 0.1" in difference_of([1.1], [1.0])
    assert "NaN" in difference_of([np.nan], [np.nan])


def test_a_version_that_was_removed_says_so(registry, serving, add_version):
    registry.mark(add_version(1.0), "removed")
    with pytest.raises(NotFound, match="line v1 was removed") as caught:
        serving.get("line", "v1")
    assert caught.value.code == "removed"


@pytest.fixture
def scoped(registry, add_version):
    """A model for each of so many products, and one for the whole shop."""

    def make(many):
        scopes = [f"product:P{number}" for number in range(many)]
        for number, scope in enumerate(["all", *scopes]):
            add_version(1.0 + number, scope=scope)
            registry.promote("line", 1, scope=scope)
        return scopes

    return make


def test_a_start_loads_the_models_of_the_whole_shop_and_others_when_asked_for(registry, scoped):
    scoped(8)
    serving = Serving(registry)
    assert [(told.scope, told.new) for told in serving.sync()] == [("all", 1)]
    assert [loaded.version.scope for loaded in serving.loaded()] == ["all"]
    assert serving.peek("line", scope="product:P7") is None
    assert serving.score("line", [{"x": 1.0}], scope="product:P7").predictions == [9.0]
    assert serving.peek("line", scope="product:P7") is not None
    assert {told.scope for told in serving.sync()} == {"all", "product:P7"}
    assert {told.scope for told in serving.reload()} == {"all", "product:P7"}


def test_of_scoped_models_those_asked_for_last_are_kept(registry, scoped):
    many_scopes = scoped(20)
    serving = Serving(registry, scoped_kept=6)
    serving.sync()
    held = serving.get("line", scope="product:P0")
    serving.get("line", "v1", "product:P1")
    serving.pin("line", "product:P2", frozenset({1}))
    serving.get("line", scope="product:P2")
    for scope in many_scopes[3:]:
        serving.get("line", scope=scope)
        assert serving.get("line", scope=many_scopes[15]) is not None
    kept = {loaded.version.scope for loaded in serving.loaded()}
    assert len(kept) == 8
    assert {"all", "product:P2", "product:P15", "product:P19"} <= kept
    assert not {"product:P0", "product:P1", "product:P10"} & kept
    assert held.score([{"x": 1.0}]) == [2.0]
    assert serving.score("line", [{"x": 1.0}], scope="product:P0").predictions == [2.0]
    told = metrics.exposition().decode()
    assert 'model="line[product:P3]"' not in told
    assert 'model="line[product:P19]",version="1"' in told


def test_a_scoped_champion_that_moves_is_followed_whether_it_is_in_memory_or_not(registry, scoped, add_version):
    many_scopes = scoped(6)
    serving = Serving(registry, scoped_kept=2)
    for scope in many_scopes[:2]:
        serving.get("line", scope=scope)
        add_version(500.0, scope=scope, against=1)
        registry.promote("line", 2, scope=scope)
    for scope in many_scopes[2:6]:
        serving.get("line", scope=scope)
    registry.rollback("line", scope=many_scopes[1])
    asked = [serving.score("line", [{"x": 1.0}], scope=scope).predictions for scope in many_scopes[:2]]
    assert asked == [[500.0], [3.0]]
