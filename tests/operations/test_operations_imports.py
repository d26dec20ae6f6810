"""A person's own files, from upload to the shop: looked at, shown, stored once, resumed, refused with reasons."""

import csv
import io
import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from own_shop import OwnShop, own_shop

from shopkeeper.core.clock import StoppedClock, micros
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.core.protocols import JobContext, silent
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.operations.imports import notes_of
from shopkeeper.sources.importing import run_import
from shopkeeper.stores import imports as table

NOW = micros(datetime(2025, 1, 1, tzinfo=UTC))
ORDERS = "order_no,customer,sku,name,date,qty,price\n" + "".join(
    f"{n // 3},{n % 7},S{n % 5},Cup {n % 5},2024-0{n % 9 + 1}-1{n % 9},{n % 4 + 1},2.50\n" for n in range(60)
)


@pytest.fixture
def shop(tmp_path):
    opened = own_shop(tmp_path / "home", StoppedClock(NOW))
    yield opened
    opened.close()


def bring(shop: OwnShop, text: str, name: str = "orders.csv", **how):
    return shop.imports.create(name, io.BytesIO(text.encode()), **how)


def reject_rows(shop: OwnShop, import_id: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(shop.imports.rejects(import_id)).decode())))


class Jobs:
    """Runs a job at once, in this process, with the hooks that the job service would call."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.submitted: list[dict] = []

    def submit(self, kind, params, **_about):
        self.submitted.append(dict(params))
        return Job(job_id=f"J{len(self.submitted)}", job_url="", kind=kind, status="queued", params=dict(params))

    def on_start(self, _kind, hook):
        self.started = hook

    def on_message(self, _kind, hook):
        self.message = hook

    def on_finish(self, _kind, hook):
        self.finished = hook

    def on_failure(self, _kind, hook):
        self.failed = hook

    def work(self, job: Job, *, messages: int | None = None) -> dict | None:
        """The child's part; with `messages` the shop dies after as many of them."""
        told: list[dict] = []
        context = JobContext(
            job_id=job.job_id, params=self.started(job), home=self.home, workdir=self.home, sql_url="", now=NOW,
            zone="Europe/London", report=silent, emit=told.append,
        )  # fmt: skip
        result = run_import(context)
        for message in told[:messages]:
            self.message(job, message)
        return self.finished(job, result) if messages is None else None


def test_orders_become_events_with_items_named_and_priced(shop):
    one = bring(shop, ORDERS)
    assert (one.kind, one.rows, one.status) == ("orders", 60, "new")
    done = shop.imports.run(one.import_id)
    assert (done.status, done.accepted, done.duplicates, done.rejected) == ("done", 60, 0, 0)
    assert shop.to.log.count() == 60
    item = shop.to.items.get("S1")
    assert (item.name, item.price) == ("Cup 1", 2.5)
    (newest,) = shop.to.log.recent(limit=1)
    assert newest.context == {"order_id": "19"}
    assert newest.value == newest.quantity * 2.5


def test_the_same_file_again_changes_nothing_and_repeats_are_kept(shop):
    line = "1,7,A,2024-01-05,1\n"
    text = "order_no,customer,sku,date,qty\n" + line * 3
    shop.imports.run(bring(shop, text).import_id)
    again = shop.imports.run(bring(shop, text, "copy.csv").import_id)
    assert (again.accepted, again.duplicates) == (0, 3)
    assert shop.to.log.count() == 3


def test_a_source_id_is_the_events_id(shop):
    text = "line_id,customer,sku,date,qty\nL1,7,A,2024-01-05,1\nL1,7,A,2024-01-05,1\nL2,7,A,2024-01-05,1\n"
    done = shop.imports.run(bring(shop, text).import_id)
    assert (done.accepted, done.duplicates) == (2, 1)


def test_bad_rows_are_told_by_number_with_what_they_held(shop):
    text = "customer,sku,date,qty\n7,A,2024-01-05,1\n7,,2024-01-05,1\n7,A,yesterday,1\n7,B\n7,A,2024-01-05,nan\n"
    one = bring(shop, text)
    done = shop.imports.run(one.import_id)
    assert (done.status, done.accepted, done.rejected) == ("done", 1, 4)
    header, *rows = reject_rows(shop, one.import_id)
    assert header == ["row", "reason", "customer", "sku", "date", "qty"]
    assert [row[:2] for row in rows] == [
        ["2", "item_id is missing"],
        ["3", "time 'yesterday' is not a date or time that exists in Europe/London"],
        ["4", "has 2 fields, the header has 4"],
        ["5", "quantity 'nan' is not finite"],
    ]
    assert rows[1][2:] == ["7", "A", "yesterday", "1"]


def test_a_file_of_bad_rows_only_fails_and_says_where_to_look(shop):
    one = bring(shop, "customer,sku,date,qty\n" + "7,A,2024-01-05,x\n" * 5_000, kind="orders")
    with pytest.raises(Invalid, match="none of 5000 rows"):
        shop.imports.run(one.import_id)
    assert shop.imports.get(one.import_id).status == "failed"
    assert len(reject_rows(shop, one.import_id)) == 5_001


def test_a_german_file_is_read_as_it_is_meant(shop):
    text = "Kunde;Artikelnummer;Datum;Menge;Einzelpreis\n7;A;13.02.2024;2;1.234,50\n"
    one = shop.imports.create("bestellungen.csv", io.BytesIO(text.encode("latin-1")))
    seen = shop.imports.preview(one.import_id)
    assert seen.rows[0]["time"] == "2024-02-13T00:00:00.000000Z"
    assert seen.rows[0]["unit_price"] == 1234.5
    assert shop.to.log.count() == 0


def test_a_chinese_file_of_daily_sales(shop):
    text = "日期,商品编号,名称,销量,单价\n2024-01-05,A1,杯子,3,2.5\n"
    one = shop.imports.create("销售.csv", io.BytesIO(text.encode("gb18030")))
    assert (one.kind, one.filename) == ("sales", "销售.csv")
    shop.imports.run(one.import_id)
    assert shop.to.items.get("A1").name == "杯子"


def test_the_preview_shows_guesses_and_takes_another_mapping(shop):
    one = bring(shop, "who,what,when,n\n7,A,2024-01-05,2\n", mapping={"user_id": "who", "item_id": "what"})
    seen = shop.imports.preview(one.import_id)
    assert seen.mapping["time"] == "when"
    assert "quantity" not in seen.mapping
    assert [guess["field"] for guess in seen.guesses if guess["confidence"] < 0.5] == ["time"]
    other = shop.imports.preview(one.import_id, {"quantity": "n"})
    assert (seen.rows[0]["quantity"], other.rows[0]["quantity"]) == (1.0, 2.0)
    done = shop.imports.run(one.import_id, {"quantity": "n"})
    assert shop.to.log.recent(limit=1)[0].quantity == 2.0
    assert done.plan["mapping"]["quantity"] == "n"


def test_a_guess_that_nothing_proves_is_told_until_a_person_says_it(shop):
    text = "customer,sku,date,qty,n\n7,A,03/04/2024,1,2\n"
    one = bring(shop, text)
    (note,) = notes_of(one)
    assert "'03/04/2024' are read as day_first" in note
    first = shop.imports.preview(one.import_id)
    echoed = shop.imports.preview(one.import_id, first.mapping, kind=first.kind)
    assert (first.notes, echoed.notes) == ([note], [note])
    assert shop.imports.preview(one.import_id, {**first.mapping, "quantity": "n"}).notes == [note]
    assert shop.imports.preview(one.import_id, {"@dates": "month_first"}).notes == []
    assert notes_of(bring(shop, text, mapping={"@dates": "day_first"})) == []


def test_a_file_whose_delimiter_is_not_found_is_refused_until_it_is_named(shop):
    text = "order date^customer^sku^qty\n2024-01-05^7^A^2\n"
    with pytest.raises(Invalid, match="@delimiter=\\^"):
        bring(shop, text)
    assert list(shop.home.imports.iterdir()) == []
    one = bring(shop, text, mapping={"@delimiter": "^"})
    assert (one.kind, shop.imports.run(one.import_id).accepted) == ("orders", 1)
    with pytest.raises(Invalid, match="one column"):
        shop.imports.preview(bring(shop, ORDERS).import_id, {"@delimiter": "^"})


def test_days_without_a_sale_are_counted_and_told(shop):
    text = "date,sku,qty\n" + "".join(f"2024-01-{n % 28 + 1:02d},S,{n % 3}\n" for n in range(60)) + "never,S,1\n"
    one = bring(shop, text)
    assert one.without_sale == 0
    assert shop.imports.preview(one.import_id).notes == [
        "17 of the first 50 rows without a sale: counted, nothing to store"
    ]
    done = shop.imports.run(one.import_id)
    assert (done.accepted, done.duplicates, done.rejected, done.without_sale, done.rows) == (40, 0, 1, 20, 61)
    assert notes_of(done) == ["20 rows without a sale: counted, nothing to store"]


def test_a_day_without_a_sale_is_no_failure(shop):
    done = shop.imports.run(bring(shop, "date,sku,qty\n2024-01-05,S,0\nnever,S,1\n").import_id)
    assert (done.status, done.rejected, done.without_sale) == ("done", 1, 1)
    assert notes_of(done) == ["1 row without a sale: counted, nothing to store"]


def test_a_mapping_that_lacks_a_field_is_shown_and_refused(shop):
    one = bring(shop, "a,b\n1,2\n", kind="orders")
    assert shop.imports.preview(one.import_id).missing == ["item_id", "time"]
    with pytest.raises(Invalid, match="need item_id, time"):
        shop.imports.run(one.import_id)
    with pytest.raises(Invalid, match="no column"):
        shop.imports.preview(one.import_id, {"item_id": "c"})


def test_users_items_and_stock_are_stored_and_told_apart_from_repeats(shop):
    users = "user_id,city,age\nu1,Rome,33\nu2,Oslo,\n"
    shop.imports.run(bring(shop, users, "u.csv").import_id)
    assert shop.to.users.get("u1").attributes == {"city": "Rome", "age": 33}
    again = shop.imports.run(bring(shop, users, "u.csv").import_id)
    assert (again.accepted, again.duplicates) == (0, 2)
    items = "sku,title,price,category,colour\ni1,Cup,2.5,Kitchen,blue\n"
    shop.imports.run(bring(shop, items, "i.csv").import_id)
    stored = shop.to.items.get("i1")
    assert (stored.name, stored.category, stored.attributes) == ("Cup", "Kitchen", {"colour": "blue"})
    stock = "sku,stock,date\ni1,10,2024-12-01\nnew,4,2024-12-01\n"
    shop.imports.run(bring(shop, stock, "s.csv").import_id)
    assert shop.to.stock.get("main", "new").on_hand == 4
    old = shop.imports.run(bring(shop, "sku,stock,date\ni1,7,2024-11-01\ni1,6,2024-12-02\n", "s.csv").import_id)
    assert (old.accepted, old.rejected) == (1, 1)
    assert "older than the stored level" in reject_rows(shop, old.import_id)[1][1]


def test_parquet_and_xlsx_of_the_same_orders_say_the_same(shop, tmp_path):
    frame = pl.read_csv(io.StringIO(ORDERS), try_parse_dates=True)
    for suffix, write in (("parquet", frame.write_parquet), ("xlsx", frame.write_excel), ("jsonl", frame.write_ndjson)):
        path = tmp_path / f"o.{suffix}"
        write(path)
        one = shop.imports.create(path.name, path)
        assert (one.kind, one.rows) == ("orders", 60)
        assert shop.imports.run(one.import_id).accepted == 60


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\x00\x01binary", b"PK\x03\x04broken"])
def test_a_file_that_cannot_be_read_leaves_nothing_behind(shop, content):
    with pytest.raises(Invalid):
        shop.imports.create("../../evil.csv", io.BytesIO(content))
    assert list(shop.home.imports.iterdir()) == []
    assert shop.imports.list() == ([], None, 0)


def test_a_disk_that_refuses_leaves_nothing_behind(shop):
    class Upload(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match="No space"):
        shop.imports.create("orders.csv", Upload())
    assert list(shop.home.imports.iterdir()) == []


def test_names_cannot_leave_the_folder(shop):
    one = shop.imports.create("../..\\..\\etc/passwd.csv", io.BytesIO(ORDERS.encode()))
    assert one.filename == "passwd.csv"
    assert Path(one.path).parent == shop.home.imports / one.import_id


def test_an_upload_over_the_limit_is_refused(shop, tmp_path):
    small = type(shop.imports)(shop.to, shop.home, shop.clock, "UTC", upload_limit=100)
    with pytest.raises(Invalid, match="larger than"):
        small.create("a.csv", io.BytesIO(b"a,b\n" + b"1,2\n" * 100))
    with pytest.raises(NotFound, match="no file"):
        small.create("a.csv", tmp_path / "nowhere.csv")


def test_list_get_and_delete(shop):
    ids = [bring(shop, ORDERS, f"{n}.csv").import_id for n in range(3)]
    first, cursor, total = shop.imports.list(limit=2)
    assert ([one.import_id for one in first], total) == ([ids[2], ids[1]], 3)
    rest, end, _ = shop.imports.list(limit=2, cursor=cursor)
    assert ([one.import_id for one in rest], end) == ([ids[0]], None)
    shop.imports.run(ids[0])
    shop.imports.delete(ids[0])
    assert shop.to.log.count() == 60  # the file goes, its rows stay
    assert not (shop.home.imports / ids[0]).exists()
    with pytest.raises(NotFound):
        shop.imports.get(ids[0])


def test_what_is_done_is_not_read_again(shop):
    done = bring(shop, ORDERS).import_id
    shop.imports.run(done)
    with pytest.raises(Conflict, match="is done"):
        shop.imports.run(done)


def test_a_job_reads_in_a_child_and_the_shop_commits(shop):
    jobs = Jobs(shop.home.path)
    shop.imports.hook_into(jobs)
    one = bring(shop, ORDERS)
    job = shop.imports.start(one.import_id, jobs, requested_by="anna")
    running = shop.imports.get(one.import_id)
    assert (running.status, running.job_id) == ("running", job.job_id)
    with pytest.raises(Conflict, match="is running"):
        shop.imports.start(one.import_id, jobs)
    with pytest.raises(Conflict, match="is running"):
        shop.imports.delete(one.import_id)
    assert jobs.work(job) == {"accepted": 60, "duplicates": 0, "rejected": 0}
    assert shop.imports.get(one.import_id).status == "done"


def test_the_job_service_runs_it_in_a_process_of_its_own(shop):
    jobs = JobService(shop.db, shop.home, shop.clock, zone=lambda: "Europe/London")
    shop.imports.hook_into(jobs)
    one = bring(shop, ORDERS + "1,2,S1,Cup,2024-01-01,many,1\n")
    jobs.start()
    job = jobs.wait(shop.imports.start(one.import_id, jobs).job_id, timeout_s=120)
    jobs.stop()
    assert (job.status, job.error) == ("done", None)
    assert (job.result or {})["accepted"] == 60
    done = shop.imports.get(one.import_id)
    assert (done.status, done.accepted, done.rejected, done.job_id) == ("done", 60, 1, job.job_id)
    assert shop.to.log.count() == 60


def test_a_second_attempt_of_a_job_goes_on_and_a_chunk_told_twice_counts_once(shop):
    text = "customer,sku,date,qty\n" + "7,A,2024-01-05,1\n" * 120_000 + "7,A,2024-01-05,x\n"
    jobs = Jobs(shop.home.path)
    shop.imports.hook_into(jobs)
    one = bring(shop, text)
    job = shop.imports.start(one.import_id, jobs)
    jobs.work(job, messages=2)
    stopped = shop.imports.get(one.import_id)
    assert (stopped.next_row, stopped.accepted) == (100_001, 100_000)
    chunk = {
        "chunk": {"first_row": 1, "next_row": 50_001, "rows": 50_000, "rejected": 0, "good": "gone", "rejects": None}
    }
    jobs.message(job, chunk)
    jobs.work(job)
    done = shop.imports.get(one.import_id)
    assert (done.status, done.accepted, done.duplicates, done.rejected) == ("done", 120_000, 0, 1)
    assert len(reject_rows(shop, one.import_id)) == 2
    assert list((shop.home.imports / one.import_id).glob("good-*")) == []


def test_a_cancelled_job_leaves_an_import_that_can_be_started_again(shop):
    jobs = Jobs(shop.home.path)
    shop.imports.hook_into(jobs)
    one = bring(shop, ORDERS)
    job = shop.imports.start(one.import_id, jobs)
    jobs.failed(job, "cancelled", None)
    assert shop.imports.get(one.import_id).status == "failed"
    assert jobs.work(shop.imports.start(one.import_id, jobs))["accepted"] == 60


def test_a_kill_between_import_and_job_leaves_an_import_that_can_be_started_again(shop):
    jobs = JobService(shop.db, shop.home, shop.clock)
    goes_on, stuck = bring(shop, ORDERS, "a.csv"), bring(shop, ORDERS + "1,2,S1,Cup,2024-01-01,1,1\n", "b.csv")
    shop.imports.start(goes_on.import_id, jobs)
    shop.db.writer.run(lambda connection: table.start(connection, stuck.import_id))  # and then the process is gone
    shop.imports.recover()
    assert shop.imports.get(goes_on.import_id).status == "running"
    assert shop.imports.get(stuck.import_id).status == "failed"
    assert shop.imports.run(stuck.import_id).accepted == 61


def test_a_file_that_changed_is_not_read(shop):
    one = bring(shop, ORDERS)
    Path(one.path).write_text("something else")
    with pytest.raises(Invalid, match="changed"):
        shop.imports.run(one.import_id)


def test_an_import_that_is_killed_goes_on_where_it_stood(tmp_path):
    rows = 400_000
    path = tmp_path / "big.csv"
    path.write_text("customer,sku,date,qty\n" + "".join(f"{n % 99},S{n % 50},2024-01-05,1\n" for n in range(rows)))
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from own_shop import own_shop
        from shopkeeper.core.clock import StoppedClock
        shop = own_shop(Path({str(tmp_path / "home")!r}), StoppedClock({NOW}))
        one = shop.imports.create("big.csv", Path({str(path)!r}))
        def report(step, of, metrics=None, *, message="", epoch=False):
            print(step, flush=True)
        shop.imports.run(one.import_id, report=report)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 150_000:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    shop = own_shop(tmp_path / "home", StoppedClock(NOW))
    half = shop.imports.resumable(path)
    assert half is not None
    assert 100_000 <= half.next_row - 1 < rows
    assert shop.to.log.count() == half.accepted == half.next_row - 1
    done = shop.imports.run(half.import_id)
    assert (done.status, done.accepted, done.duplicates) == ("done", rows, 0)
    assert shop.to.log.count() == rows
    assert shop.imports.resumable(path) is None
    with shop.db.read() as connection:
        assert table.get(connection, half.import_id).next_row == rows + 1
    shop.close()
