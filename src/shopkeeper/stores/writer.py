"""One thread writes. What waits is written in one transaction and made durable by one commit (group commit).

Each write runs in a savepoint of its own, so one that fails fails alone. In-memory state that mirrors tables takes part
as a `Participant`: it stages what a write adds, forgets it when the write fails, and shows it after the commit.
"""

from __future__ import annotations

import logging
import queue as queues
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shopkeeper.core.errors import Overloaded, ShopkeeperError, Unavailable
from shopkeeper.stores.savepoint import TransactionLost, savepoint
from shopkeeper.telemetry import metrics

T = TypeVar("T")
Translate = Callable[[SQLAlchemyError], ShopkeeperError]
_LOGGER = logging.getLogger(__name__)
_GROUP_LIMIT = 1000


class Participant(Protocol):
    """In-memory state that changes together with the tables. Called on the writer's thread only."""

    def mark(self) -> int:
        """Where the staged changes end now."""
        ...

    def undo(self, mark: int) -> None:
        """Forgets what was staged after `mark`."""
        ...

    def publish(self) -> None:
        """The transaction is durable: shows what was staged."""
        ...


class Writer:
    """A bounded queue of writes and the thread that empties it. The thread starts with the first write."""

    def __init__(self, engine: Engine, *, queue: int, translate: Translate) -> None:
        self._engine = engine
        self._translate = translate
        self._queue: queues.Queue[_Task[Any] | None] = queues.Queue(queue)
        self._participants: list[Participant] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._next: _Task[Any] | None = None  # waits for the group before it to end

    @property
    def depth(self) -> int:
        """Writes that wait."""
        return self._queue.qsize()

    def join(self, participant: Participant, *, first: bool = False) -> None:
        """Lets in-memory state take part; published in the order of joining, `first` before the others."""
        self._participants.insert(0 if first else len(self._participants), participant)

    def submit(self, fn: Callable[[Connection], T], *, after: Callable[[T], None] | None = None) -> Future[T]:
        """Queues `fn`; the future is done when its transaction is durable (`after` has run by then).

        Raises Overloaded when the queue is full, Unavailable after `close`. An error of `fn` undoes `fn` alone and
        arrives by the future; errors of the database arrive as Unavailable or Conflict.
        """
        task = _Task(fn, after)
        self._put(task)
        return task.future

    def alone(self, fn: Callable[[], T]) -> Future[T]:
        """Queues `fn` to run between two transactions, while no write is under way: later ones wait for it. Raises and
        tells errors as `submit` does."""
        task: _Task[T] = _Task(lambda _: fn(), None, alone=True)
        self._put(task)
        return task.future

    def _put(self, task: _Task[Any]) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable("the shop is closing and takes no more writes; try again later", code="closing")
            try:
                self._queue.put_nowait(task)
            except queues.Full:
                raise Overloaded(f"{self._queue.maxsize} writes wait already; try again in a second") from None
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="shopkeeper-writer", daemon=True)
                self._thread.start()
        metrics.write_queue_depth.set(self._queue.qsize())

    def run(self, fn: Callable[[Connection], T]) -> T:
        """`submit` and wait. Never on the writer's own thread: it would wait for itself."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("Writer.run was called on the writer's thread")
        return self.submit(fn).result()

    def close(self) -> None:
        """Takes no more writes, finishes those that wait. A second call does nothing."""
        with self._lock:
            already, self._closed = self._closed, True
        if not already and self._thread is not None:
            self._queue.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _serve(self) -> None:
        while (group := self._next_group()) is not None:
            if group and group[0].alone:
                self._run_alone(group[0])
            elif group:
                self._commit(group)

    def _run_alone(self, task: _Task[Any]) -> None:
        with Outcome() as outcome:
            task.value = task.fn(None)
        if outcome.error is not None:
            known = isinstance(outcome.error, SQLAlchemyError)
            task.error = self._translated(outcome.error) if known else outcome.error
        task.finish()

    def _next_group(self) -> list[_Task[Any]] | None:
        """The tasks that wait now, at least one; None when the end was reached."""
        first = self._queue.get() if self._next is None else self._next
        self._next = None
        if first is None:
            return None
        group = [first]
        while len(group) < _GROUP_LIMIT and not first.alone:
            try:
                task = self._queue.get_nowait()
            except queues.Empty:
                break
            if task is None:
                self._queue.put(None)
                break
            if task.alone:
                self._next = task
                break
            group.append(task)
        metrics.write_queue_depth.set(self._queue.qsize())
        return [task for task in group if task.future.set_running_or_notify_cancel()]

    def _commit(self, group: list[_Task[Any]]) -> None:
        started = time.perf_counter()
        marks = self._marks()
        try:
            with self._engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
                for task in group:
                    self._attempt(connection, task)
        except TransactionLost as lost:
            self._undo(marks)
            self._fail(group, lost.first)
            return
        except SQLAlchemyError as error:
            self._undo(marks)
            self._fail(group, error)
            return
        for participant in self._participants:
            with Outcome() as outcome:
                participant.publish()
            outcome.log("what was committed could not be shown")
        for task in group:
            task.finish()
        metrics.write_group_size.observe(len(group))
        metrics.write_commit_seconds.observe(time.perf_counter() - started)

    def _attempt(self, connection: Connection, task: _Task[Any]) -> None:
        marks = self._marks()
        with Outcome() as outcome, savepoint(connection, "one_write"):
            task.value = task.fn(connection)
        if isinstance(outcome.error, TransactionLost):
            raise outcome.error
        if outcome.error is not None:
            self._undo(marks)
            known = isinstance(outcome.error, SQLAlchemyError)
            task.error = self._translated(outcome.error) if known else outcome.error

    def _fail(self, group: list[_Task[Any]], error: SQLAlchemyError) -> None:
        for task in group:
            task.error = task.error or self._translated(error)
            task.finish()

    def _translated(self, error: BaseException) -> BaseException:
        assert isinstance(error, SQLAlchemyError)
        translated = self._translate(error)
        translated.__cause__ = error
        return translated

    def _marks(self) -> list[int]:
        return [participant.mark() for participant in self._participants]

    def _undo(self, marks: list[int]) -> None:
        for participant, mark in zip(self._participants, marks, strict=True):
            participant.undo(mark)


class _Task(Generic[T]):
    def __init__(self, fn: Callable[[Any], T], after: Callable[[T], None] | None, *, alone: bool = False) -> None:
        self.fn = fn
        self.alone = alone
        self.after = after
        self.future: Future[T] = Future()
        self.value: T | None = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """After the commit, or instead of it: hands over value or error."""
        if self.error is not None:
            self.future.set_exception(self.error)
            return
        value: Any = self.value
        with Outcome() as outcome:
            if self.after is not None:
                self.after(value)
        if outcome.error is not None:
            self.future.set_exception(outcome.error)
        else:
            self.future.set_result(value)


class Outcome:
    """Keeps what a block raised, so that the writer's thread goes on and whoever submitted the block is told."""

    error: BaseException | None = None

    def __enter__(self) -> Outcome:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        self.error = error
        return isinstance(error, Exception)

    def log(self, message: str) -> None:
        """Writes the error to the log, if there was one."""
        if self.error is not None:
            _LOGGER.error(message, exc_info=self.error)
