"""docs/webhooks.md says what the code does, and its example verifies what is really sent."""

import json
import re
import time
from pathlib import Path

from shopkeeper.api.access import SCOPES
from shopkeeper.api.app import NOUNS
from shopkeeper.api.webhooks import WebhookForm
from shopkeeper.core.webhooks import EVENTS, TEST
from shopkeeper.operations.destinations import URL_LENGTH
from shopkeeper.operations.posting import signature
from shopkeeper.operations.webhooks import KEPT, REFUSALS, REFUSED, TIMEOUT_S, WAITS_S
from shopkeeper.stores.webhooks import PENDING, SECRET, WEBHOOKS
from shopkeeper.telemetry import metrics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
TEXT = " ".join(PAGE.split())


def rows(part):
    section = PAGE.split(f"\n## {part}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def example():
    told = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.S)[1], told)
    return told["is_genuine"]


def test_the_example_verifies_what_is_sent():
    is_genuine, now, body = example(), int(time.time()), b'{"event":"segment.left"}'
    header = signature("s" * 16, body, now)
    assert is_genuine("s" * 16, header, body)
    assert not is_genuine("t" * 16, header, body)
    assert not is_genuine("s" * 16, header, body + b" ")
    assert not is_genuine("s" * 16, header.replace(f"t={now}", f"t={now + 1}"), body)
    assert not is_genuine("s" * 16, signature("s" * 16, body, now - 301), body)
    for broken in ("", "t=", "v1=", "t=x,v1=y", f"t={now}", "nonsense", "t=-5,v1=a"):
        assert not is_genuine("s" * 16, broken, body)


def test_the_events_and_the_payload_are_those_of_the_code():
    assert [names(row[0])[0] for row in rows("Events")] == [*EVENTS, TEST]
    body = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.S)[1])
    assert list(body) == ["event_id", "event", "segment", "user_id", "time", "shop"]


def test_the_doors_and_their_scopes_are_those_of_the_api():
    told = [(names(row[0])[0], row[1]) for row in rows("Doors")]
    doors = [door for noun in NOUNS for door in noun.all if "/webhooks" in door.path]
    assert sorted(told) == sorted((f"{door.method} {door.path}", SCOPES[door.scope]) for door in doors)
    form = re.search(r"`\{(url, events[^}]*)\}`", PAGE)[1].split(", ")
    assert form == list(WebhookForm.__struct_fields__)


def test_numbers_in_the_text_are_the_codes():
    units = {"s": 1, "min": 60, "h": 3600}
    listed = re.search(r"tried again after (.*?) \(a fifth", TEXT)[1].replace(" and ", ", ").split(", ")
    assert [float(one.split()[0]) * units[one.split()[1]] for one in listed] == list(WAITS_S)
    assert f"{len(WAITS_S) + 1} attempts in about a day" in TEXT
    assert 0.8 < sum(WAITS_S) / 86_400 < 1.2
    refusals = re.search(r"- (400.*?) say that", TEXT)[1].replace(" and ", ", ").split(", ")
    assert {int(one) for one in refusals} == REFUSALS
    assert f"{REFUSED} attempts only" in TEXT
    assert f"within {TIMEOUT_S:.0f} seconds" in TEXT
    assert f"At most {PENDING} wait" in TEXT
    assert f"when {KEPT} newer ones are there" in TEXT
    assert f"({SECRET[0]} to {SECRET[1]} characters)" in TEXT
    assert f"at most {URL_LENGTH} characters" in TEXT
    assert f"409 when there are {WEBHOOKS}" in TEXT


def test_the_metrics_exist():
    exposed = metrics.exposition().decode()
    for name in ("webhook_deliveries_total", "webhook_post_seconds"):
        assert name in PAGE
        assert f"# HELP {name}" in exposed
