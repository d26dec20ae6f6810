"""The messenger against real receivers: what is told, in which order, how often, and what a failure costs."""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from outbox import QUICK, SECRET, all_finished, outbox
from receivers import Got, receiving

from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.operations.destinations import Destinations
from shopkeeper.telemetry import logs, metrics

HERE = Path(__file__).parent


def users(posts: list[Got]) -> list[str]:
    return [post.payload["user_id"] for post in posts]


def counted(outcome: str) -> float:
    return metrics.webhook_deliveries_total.labels(outcome)._value.get()


def test_a_delivery_says_what_happened_and_is_signed(tmp_path):
    with receiving() as receiver, outbox(tmp_path) as box:
        hook = box.hook(f"{receiver.url}?from=shop")
        box.messenger.start()
        assert box.enter(1, time=1_700_000_000_000_000) == 1
        (post,) = receiver.take(1)
        payload = post.payload
        assert payload.pop("event_id")
        assert payload == {
            "event": "segment.entered",
            "segment": "loyal",
            "user_id": "u1",
            "time": "2023-11-14T22:13:20.000000Z",
            "shop": "corner-shop",
        }
        assert post.path == "/hook?from=shop"
        assert post.headers["content-type"] == "application/json"
        assert post.headers["x-shopkeeper-event"] == "segment.entered"
        at, mac = (part.partition("=")[2] for part in post.headers["x-shopkeeper-signature"].split(","))
        assert mac == hmac.new(SECRET.encode(), f"{at}.".encode() + post.body, hashlib.sha256).hexdigest()
        (done,) = box.settled(hook, all_finished)
        assert (done.status, done.attempts, done.answer, done.error) == ("delivered", 1, 204, None)
        assert done.delivery_id == post.headers["x-shopkeeper-delivery"]


def test_only_what_was_asked_for_is_told(tmp_path):
    with receiving() as receiver, outbox(tmp_path) as box:
        box.hook(receiver.url, ["segment.left"], segment="loyal")
        box.messenger.start()
        assert box.enter(0) == 0
        assert box.enter(0, event="segment.left", segment="other") == 0
        assert box.enter(2, event="segment.left") == 1
        assert users(receiver.take(1)) == ["u2"]


def test_a_failure_is_tried_again_before_what_came_later(tmp_path):
    with receiving(lambda _, number: (500 if number <= 2 else 200, {})) as receiver, outbox(tmp_path) as box:
        hook = box.hook(receiver.url)
        box.enter(0, 1, 2)
        box.messenger.start()
        posts = receiver.take(5)
        assert users(posts) == ["u0", "u0", "u0", "u1", "u2"]
        assert len({post.payload["event_id"] for post in posts[:3]}) == 1
        assert len({post.headers["x-shopkeeper-delivery"] for post in posts[:3]}) == 1
        done = box.settled(hook, all_finished)
        assert [one.attempts for one in done] == [3, 1, 1]


def test_a_receiver_that_is_not_there_yet(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with outbox(tmp_path, waits_s=(0.05,) * 500) as box:
        hook = box.hook(f"http://127.0.0.1:{port}/hook")
        box.messenger.start()
        box.enter(0, 1)
        first, second = box.settled(hook, lambda found: found[0].attempts >= 2)
        assert first.error == "cannot be connected to: Connection refused"
        assert (first.status, first.answer, second.attempts) == ("pending", None, 0)
        with receiving(port=port) as receiver:
            assert users(receiver.take(2)) == ["u0", "u1"]
            box.settled(hook, all_finished)


def test_a_delivery_is_given_up_after_the_last_attempt_and_the_next_goes_on(tmp_path):
    failed = counted("failed")
    answer = lambda post, _: (503 if post.payload["user_id"] == "u0" else 204, {})  # noqa: E731
    with receiving(answer) as receiver, outbox(tmp_path) as box:
        hook = box.hook(receiver.url)
        box.messenger.start()
        box.enter(0, 1)
        assert users(receiver.take(5)) == ["u0"] * (len(QUICK) + 1) + ["u1"]
        first, second = box.settled(hook, all_finished)
        assert (first.status, first.answer, first.error) == ("failed", 503, "answered 503")
        assert first.finished_at is not None
        assert second.status == "delivered"
        assert counted("failed") == failed + 1


def test_what_a_receiver_refuses_does_not_hold_up_the_others_for_long(tmp_path):
    answer = lambda post, _: (422 if post.payload["user_id"] == "u0" else 204, {})  # noqa: E731
    with receiving(answer) as receiver, outbox(tmp_path, waits_s=(0.02, 0.02, 600.0, 600.0)) as box:
        box.hook(receiver.url)
        box.messenger.start()
        box.enter(0, 1)
        assert users(receiver.take(4)) == ["u0", "u0", "u0", "u1"]


def test_what_waited_for_a_day_is_tried_once(tmp_path):
    clock = StoppedClock(30 * DAY)
    with receiving(lambda *_: (500, {})) as receiver, outbox(tmp_path, clock=clock, waits_s=(0.0,) * 5) as box:
        hook = box.hook(receiver.url)
        box.enter(0)
        clock.advance(DAY + 1)
        box.messenger.start()
        (done,) = box.settled(hook, all_finished)
        assert (done.status, done.attempts) == ("failed", 1)


def test_a_slow_receiver_holds_up_nobody_else(tmp_path):
    release = threading.Event()

    def never(*_):
        release.wait(60)
        return 204, {}

    with ExitStack() as stack:
        slow, quick = stack.enter_context(receiving(never)), stack.enter_context(receiving())
        stack.callback(release.set)
        box = stack.enter_context(outbox(tmp_path, timeout_s=1.0, waits_s=(600.0,)))
        held, hook = box.hook(slow.url), box.hook(quick.url)
        box.messenger.start()
        box.enter(0, 1, 2)
        assert users(quick.take(3)) == ["u0", "u1", "u2"]
        box.settled(hook, all_finished)
        first, second, _ = box.settled(held, lambda found: found[0].attempts == 1)
        assert (first.status, first.error, second.attempts) == ("pending", "no answer within 1 s", 0)
        assert slow.count == 1


def test_a_receiver_that_trickles_its_answer_is_out_of_time_too(tmp_path):
    """Bytes keep coming, so that no wait for a single read ever ends."""
    with socket.create_server(("127.0.0.1", 0)) as server, outbox(tmp_path, timeout_s=0.6, waits_s=(600.0,)) as box:
        ended = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                try:
                    while not ended.wait(0.05):
                        connection.send(b"H")
                except OSError:
                    ended.set()

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        hook = box.hook(f"http://127.0.0.1:{server.getsockname()[1]}/")
        box.messenger.start()
        box.enter(0)
        (done,) = box.settled(hook, lambda found: found[0].attempts == 1)
        ended.set()
        thread.join(10)
        assert done.error is not None
        assert done.answer is None


def test_an_answer_without_end_counts_by_its_status(tmp_path):
    answer = lambda *_: (200, {"content-length": str(10**12)})  # noqa: E731  # and then nothing
    with receiving(answer) as receiver, outbox(tmp_path) as box:
        hook = box.hook(receiver.url)
        box.messenger.start()
        box.enter(0)
        (done,) = box.settled(hook, all_finished)
        assert (done.status, done.answer) == ("delivered", 200)
        assert receiver.count == 1


def test_a_redirect_is_not_followed(tmp_path):
    with receiving() as elsewhere:
        answer = lambda *_: (307, {"location": elsewhere.url})  # noqa: E731
        with receiving(answer) as receiver, outbox(tmp_path, waits_s=()) as box:
            hook = box.hook(receiver.url)
            box.messenger.start()
            box.enter(0)
            (done,) = box.settled(hook, all_finished)
            assert (done.status, done.answer) == ("failed", 307)
            assert "redirects are not followed" in done.error
        assert elsewhere.count == 0


def test_a_line_is_kept_over_many_deliveries(tmp_path):
    with receiving() as receiver, outbox(tmp_path) as box:
        hook = box.hook(receiver.url)
        box.messenger.start()
        for start in range(0, 120, 40):
            for number in range(start, start + 40):
                box.enter(number % 3, time=number * 1_000_000)
        times = [post.payload["time"] for post in receiver.take(120)]
        assert times == sorted(times)
        assert len(set(times)) == 120
        box.settled(hook, all_finished)


@pytest.mark.parametrize("where", ["before", "while"])
def test_what_was_committed_is_told_after_a_kill(tmp_path, where):
    """Killed before anything is sent, or while the first post waits for its answer."""
    hold = threading.Event()

    def answer(_, number):
        if number == 1 and where == "while":
            hold.wait(60)
        return 204, {}

    with receiving(answer) as receiver:
        command = [sys.executable, str(HERE / "outbox.py"), str(tmp_path), where, receiver.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "committed\n"
            before = receiver.take(1) if where == "while" else []
        finally:
            process.kill()
            process.wait()
        hold.set()
        with outbox(tmp_path) as box:
            box.messenger.start()
            after = receiver.take(3)
            assert users(after) == ["u0", "u1", "u2"]
            if before:
                assert before[0].payload["event_id"] == after[0].payload["event_id"]
                assert before[0].headers["x-shopkeeper-delivery"] == after[0].headers["x-shopkeeper-delivery"]
            (hook,) = box.store.all()
            box.settled(hook.webhook_id, all_finished)


def test_what_was_not_committed_is_never_told(tmp_path):
    with receiving() as receiver, outbox(tmp_path) as box:
        hook = box.hook(receiver.url)
        box.messenger.start()

        def broken(connection):
            from shopkeeper.stores.webhooks import Announcement

            box.store.announce(connection, [Announcement("segment.entered", "loyal", 0, "u0", 5)])
            raise RuntimeError("after all not")

        with pytest.raises(RuntimeError):
            box.db.writer.run(broken)
        box.enter(1)
        assert users(receiver.take(1)) == ["u1"]
        assert len(box.store.deliveries(hook)[0]) == 1


def test_a_test_goes_past_what_waits_and_lets_it_go_on(tmp_path):
    working = threading.Event()
    answer = lambda *_: (204 if working.is_set() else 500, {})  # noqa: E731
    with receiving(answer) as receiver, outbox(tmp_path, waits_s=(600.0,)) as box:
        hook = box.hook(receiver.url)
        box.messenger.start()
        box.enter(0, 1)
        box.settled(hook, lambda found: found[0].attempts == 1)
        queued = box.store.test(hook).result()
        assert (queued.event, queued.status) == ("webhook.test", "pending")
        told = box.settled(hook, lambda found: found[-1].status != "pending")
        assert (told[-1].status, told[-1].attempts) == ("failed", 1)  # a test is sent once
        assert told[0].status == "pending"
        working.set()
        box.store.test(hook).result()
        done = box.settled(
            hook, lambda found: all(one.status == "delivered" for one in found if one.event != "webhook.test")
        )
        assert [one.attempts for one in done[:2]] == [2, 1]
        posts = receiver.take(5)
        assert [post.headers["x-shopkeeper-event"] for post in posts[:3]] == [
            "segment.entered",
            "webhook.test",
            "webhook.test",
        ]
        assert users(posts[3:]) == ["u0", "u1"]


def test_a_change_sends_what_waits_to_the_new_address(tmp_path):
    with receiving(lambda *_: (500, {})) as old, receiving() as new, outbox(tmp_path, waits_s=(600.0,)) as box:
        hook = box.hook(old.url)
        box.messenger.start()
        box.enter(0)
        box.settled(hook, lambda found: found[0].attempts == 1)
        box.store.update(hook, new.url, ["segment.entered"]).result()
        assert users(new.take(1)) == ["u0"]
        box.settled(hook, all_finished)


def test_a_deleted_webhook_is_told_nothing_more_and_leaves_nothing(tmp_path):
    with receiving(lambda *_: (500, {})) as receiver, outbox(tmp_path, waits_s=(600.0,)) as box:
        hook, kept = box.hook(receiver.url), box.hook(receiver.url)
        box.messenger.start()
        box.enter(0, 1)
        for one in (hook, kept):
            box.settled(one, lambda found: found[0].attempts == 1)
        box.store.delete(hook).result()
        box.enter(2)
        from shopkeeper.stores.schema import deliveries

        def left():
            with box.db.read() as connection:
                return {row.webhook_id for row in connection.execute(deliveries.select())}

        box.settled(kept, lambda _: left() == {kept})
        assert receiver.count == 2


def test_who_refuses_while_it_waits_is_not_told_of(tmp_path):
    with receiving() as receiver, outbox(tmp_path, allows=lambda row: row != 1) as box:
        hook = box.hook(receiver.url)
        box.enter(0, 1, 2)
        box.messenger.start()
        assert users(receiver.take(2)) == ["u0", "u2"]
        withheld = box.settled(hook, all_finished)[1]
        assert (withheld.status, withheld.attempts) == ("failed", 0)
        assert withheld.error == "not sent: the user has refused marketing"


def test_what_was_finished_long_ago_is_removed(tmp_path):
    clock = StoppedClock(60 * DAY)
    with receiving() as receiver:
        with outbox(tmp_path, clock=clock) as box:
            hook = box.hook(receiver.url)
            box.messenger.start()
            box.enter(0, 1)
            box.settled(hook, all_finished)
        clock.advance(31 * DAY)
        with outbox(tmp_path, clock=clock, keep_days=30) as box:
            box.enter(2)
            box.messenger.start()
            box.settled(hook, lambda found: [one.payload["user_id"] for one in found] == ["u2"])


def test_too_many_that_wait_lose_the_oldest(tmp_path):
    dropped = counted("dropped")
    with receiving() as receiver, outbox(tmp_path, pending=20) as box:
        hook = box.hook(receiver.url)
        for number in range(21):
            box.enter(0, time=number)
        found = box.store.deliveries(hook, limit=100)[0][::-1]
        assert [one.status for one in found] == ["failed"] * 3 + ["pending"] * 18
        assert found[0].error == "more than 20 deliveries were waiting; the oldest were given up"
        assert box.enter(*[0] * 30) == 20  # the oldest of so many are not even written
        assert sum(one.status == "pending" for one in box.store.deliveries(hook, limit=100)[0]) == 18
        assert counted("dropped") == dropped + 3 + 10 + 20
        box.messenger.start()
        receiver.take(18)


def test_an_address_that_turned_private_is_not_sent_to(tmp_path):
    """Judged at each sending: what was allowed when the webhook was made is not asked again."""
    with receiving() as receiver:
        with outbox(tmp_path) as box:
            hook = box.hook(receiver.url.replace("127.0.0.1", "localhost"))
            box.enter(0)
        with outbox(tmp_path, destinations=Destinations(), waits_s=()) as box:
            box.messenger.start()
            (done,) = box.settled(hook, all_finished)
            assert (done.status, done.answer) == ("failed", None)
            assert "SHOPKEEPER_WEBHOOK_HOSTS" in done.error
        assert receiver.count == 0


def test_a_name_is_kept_in_the_request_though_the_address_is_connected_to(tmp_path):
    with receiving() as receiver, outbox(tmp_path) as box:
        box.hook(f"http://LOCALHOST:{receiver.port}")
        box.messenger.start()
        box.enter(0)
        (post,) = receiver.take(1)
        assert (post.headers["host"], post.path) == (f"localhost:{receiver.port}", "/")


def test_the_log_knows_neither_body_nor_secret_nor_address(tmp_path):
    written = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("debug", written)
    try:
        with receiving(lambda *_: (500, {})) as receiver, outbox(tmp_path, waits_s=()) as box:
            hook = box.hook(f"{receiver.url}?token=hidden-token")
            box.messenger.start()
            box.enter(1)
            box.settled(hook, all_finished)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    text = written.getvalue()
    assert hook in text
    assert "answered 500" in text
    for secret in ("hidden-token", SECRET, "u1", "v1="):
        assert secret not in text


def test_stopping_does_not_wait_for_a_receiver_that_never_answers(tmp_path):
    release = threading.Event()

    def never(*_):
        release.wait(60)
        return 204, {}

    with receiving(never) as receiver:
        with outbox(tmp_path, timeout_s=600.0) as box:
            hook = box.hook(receiver.url)
            box.messenger.start()
            box.enter(0)
            receiver.take(1)
            box.messenger.stop()
            (left,) = box.store.deliveries(hook)[0]
            assert (left.status, left.attempts) == ("pending", 0)
        release.set()
