"""Jobs as the processes of a cluster share them through the database, on both kinds; time moves when a test says so."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.jobs import service
from capstan.jobs.job import Done, Job, Run
from capstan.jobs.loop import Lane
from capstan.jobs.schedule import Schedule
from tests.jobs.runs import Clock

EVERY = timedelta(minutes=10)
SOMEBODY = SystemPrincipal("test")


class Node:
    """A process of a cluster with one job, which notes that it ran and then does what a test wants."""

    def __init__(self, registry: Registry, clock: Clock, work: Callable[[Run], Done] | None = None) -> None:
        self.runs = 0
        self.stopping = threading.Event()
        self._registry = registry
        self._clock = clock
        self._work = work or (lambda _run: Done({"rows": 3}))
        self._lane = Lane(registry, [self.job()], uuid.uuid4().hex, clock, self.stopping)

    def job(self) -> Job:
        return Job("sweep", Schedule(EVERY), self._run)

    def look(self) -> None:
        """Look for work once."""
        self._lane.work_through()

    def renew(self) -> None:
        self._lane.renew()

    def pause(self) -> float:
        return self._lane.pause()

    def last_run(self) -> service.LastRun:
        with self._registry.read() as session:
            (run,) = service.last_runs(session)
        return run

    def history(self) -> list[str]:
        with self._registry.read() as session:
            return [row["outcome"] for row in service.history(session, "sweep")]

    def _run(self, run: Run) -> Done:
        self.runs += 1
        return self._work(run)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_new_job_waits_for_its_first_due_moment(registry: Registry, clock: Clock) -> None:
    node = Node(registry, clock)
    node.look()
    assert node.runs == 0
    assert clock() < node.last_run().due_at <= clock() + EVERY


def test_a_job_that_is_due_runs_once_in_the_whole_cluster(registry: Registry, clock: Clock) -> None:
    nodes = [Node(registry, clock) for _ in range(3)]
    for _ in range(4):
        for node in nodes:
            node.look()
        clock.pass_time(minutes=10)
    assert sum(node.runs for node in nodes) == 3


def test_what_a_run_did_is_told_afterwards(registry: Registry, clock: Clock) -> None:
    node = Node(registry, clock)
    node.look()
    clock.pass_time(minutes=10)
    node.look()
    run = node.last_run()
    assert (run.outcome, run.detail, run.failures, run.running) == ("done", {"rows": 3}, 0, False)
    assert run.started_at == run.ended_at == clock()
    assert run.due_at > clock()
    assert node.history() == ["done"]


def test_a_job_that_two_processes_take_at_the_same_moment_is_one_ones(registry: Registry, clock: Clock) -> None:
    first = Node(registry, clock)
    first.look()
    clock.pass_time(minutes=10)
    taken = threading.Barrier(2)
    won: list[str] = []

    def take(owner: str) -> None:
        taken.wait()
        with registry.write(SOMEBODY) as session:
            if service.take(session, "sweep", owner, clock()) is not None:
                won.append(owner)

    threads = [threading.Thread(target=take, args=(uuid.uuid4().hex,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_job_of_a_process_that_died_is_run_by_another_when_its_lease_is_over(
    registry: Registry, clock: Clock
) -> None:
    class KilledError(BaseException):
        """No `except Exception` sees it, like a kill."""

    def be_killed(_run: Run) -> Done:
        raise KilledError

    dead, other = Node(registry, clock, be_killed), Node(registry, clock)
    dead.look()
    clock.pass_time(minutes=10)
    with pytest.raises(KilledError):
        dead.look()
    other.look()
    assert other.last_run().running
    clock.pass_time(seconds=service.LEASE.total_seconds() + 1)
    other.look()
    assert (dead.runs, other.runs) == (1, 1)


def test_a_job_that_takes_long_stays_with_the_process_that_says_so(registry: Registry, clock: Clock) -> None:
    other = Node(registry, clock)
    went_on: list[bool] = []

    def work_long(run: Run) -> Done:
        for _ in range(5):
            clock.pass_time(seconds=20)
            busy.renew()
            other.look()
            went_on.append(run.goes_on())
        return Done({})

    busy = Node(registry, clock, work_long)
    busy.look()
    clock.pass_time(minutes=10)
    busy.look()
    assert other.runs == 0
    assert went_on == [True] * 5
    assert busy.last_run().outcome == "done"


def test_a_run_whose_lease_is_over_ends_and_leaves_the_note_to_whoever_took_over(
    registry: Registry, clock: Clock
) -> None:
    other = Node(registry, clock)
    went_on: list[bool] = []

    def sleep_through(run: Run) -> Done:
        clock.pass_time(seconds=service.LEASE.total_seconds() + 1)
        other.look()
        went_on.append(run.goes_on())
        return Done({"rows": 99})

    sleepy = Node(registry, clock, sleep_through)
    sleepy.look()
    clock.pass_time(minutes=10)
    with capture_logs() as logs:
        sleepy.look()
    assert went_on == [False]
    assert other.runs == 1
    assert sleepy.last_run().detail == {"rows": 3}
    assert [line["log_level"] for line in logs if line["event"].startswith("a job took longer")] == ["warning"]


def test_renewing_a_lease_that_somebody_else_has_by_now_ends_the_run(registry: Registry, clock: Clock) -> None:
    other = Node(registry, clock, lambda run: Done({"went_on": int(run.goes_on())}))

    def lose(run: Run) -> Done:
        clock.pass_time(seconds=service.LEASE.total_seconds() + 1)
        with registry.write(SOMEBODY) as session:
            assert service.take(session, "sweep", uuid.uuid4().hex, clock()) is not None
        loser.renew()
        return Done({"went_on": int(run.goes_on())})

    loser = Node(registry, clock, lose)
    loser.look()
    clock.pass_time(minutes=10)
    loser.look()
    other.look()
    assert other.last_run().outcome is None
    assert other.last_run().running


def test_a_job_that_keeps_failing_is_logged_once_and_so_is_its_recovery(registry: Registry, clock: Clock) -> None:
    outcomes = iter([ValueError("no room"), ValueError("no room"), None, None])

    def work(_run: Run) -> Done:
        error = next(outcomes)
        if error is not None:
            raise error
        return Done({})

    node = Node(registry, clock, work)
    node.look()
    with capture_logs() as logs:
        for _ in range(4):
            clock.pass_time(minutes=10)
            node.look()
    assert node.runs == 4
    said = [line["event"] for line in logs if line["event"] != "a job has run"]
    assert said == ["a job failed", "a job runs well again"]


def test_a_failing_job_is_logged_noted_and_tried_again_later(registry: Registry, clock: Clock) -> None:
    def fail(_run: Run) -> Done:
        raise ValueError("no room\nsecret second line")

    node = Node(registry, clock, fail)
    node.look()
    clock.pass_time(minutes=10)
    with capture_logs() as logs:
        node.look()
    run = node.last_run()
    assert (run.outcome, run.detail, run.failures) == ("failed", {"error": "ValueError: no room"}, 1)
    assert run.due_at == clock() + timedelta(minutes=1)
    assert [line["log_level"] for line in logs if line["event"] == "a job failed"] == ["error"]
    clock.pass_time(minutes=1)
    node.look()
    assert (node.runs, node.last_run().failures) == (2, 2)
    assert node.last_run().due_at == clock() + timedelta(minutes=2)


def test_a_job_that_works_again_is_back_on_its_schedule(registry: Registry, clock: Clock) -> None:
    outcomes = iter([ValueError("once"), None])

    def work(_run: Run) -> Done:
        error = next(outcomes)
        if error is not None:
            raise error
        return Done({})

    node = Node(registry, clock, work)
    node.look()
    clock.pass_time(minutes=10)
    node.look()
    clock.pass_time(minutes=1)
    node.look()
    run = node.last_run()
    assert (run.outcome, run.failures) == ("done", 0)
    assert run.due_at == Schedule(EVERY).next_after(clock())
    assert node.history() == ["done", "failed"]


def test_a_job_that_the_servers_stop_cuts_short_goes_on_at_once_elsewhere(registry: Registry, clock: Clock) -> None:
    def stop_halfway(run: Run) -> Done:
        node.stopping.set()
        return Done({"rows": 1, "went_on": int(run.goes_on())})

    node, other = Node(registry, clock, stop_halfway), Node(registry, clock)
    node.look()
    clock.pass_time(minutes=10)
    node.look()
    assert node.last_run().outcome == "stopped"
    assert node.last_run().detail == {"rows": 1, "went_on": 0}
    other.look()
    assert other.runs == 1


def test_a_server_that_stops_takes_no_more_jobs(registry: Registry, clock: Clock) -> None:
    node = Node(registry, clock)
    node.look()
    clock.pass_time(minutes=10)
    node.stopping.set()
    node.look()
    assert node.runs == 0


def test_a_run_that_is_not_worth_telling_is_the_last_run_but_not_in_the_history(
    registry: Registry, clock: Clock
) -> None:
    node = Node(registry, clock, lambda _run: Done({"checked": 0}, notable=False))
    node.look()
    clock.pass_time(minutes=10)
    node.look()
    assert node.last_run().detail == {"checked": 0}
    assert node.history() == []


def test_the_history_keeps_the_last_runs_only(
    registry: Registry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RUNS_KEPT", 3)
    node = Node(registry, clock)
    for _ in range(6):
        node.look()
        clock.pass_time(minutes=10)
    assert len(node.history()) == 3


def test_a_job_that_is_to_run_more_often_than_before_does_so_at_once(registry: Registry, clock: Clock) -> None:
    with registry.write(SOMEBODY) as session:
        rare = Job("sweep", Schedule(timedelta(days=30)), lambda _run: Done({}))
        service.announce(session, [rare], clock())
    node = Node(registry, clock)
    node.look()
    assert node.last_run().due_at <= clock() + EVERY


def test_work_is_looked_for_when_it_is_due_and_every_few_seconds(registry: Registry, clock: Clock) -> None:
    node = Node(registry, clock)
    node.look()
    until_due = (node.last_run().due_at - clock()).total_seconds()
    assert node.pause() == min(until_due, 5)
    clock.pass_time(seconds=until_due - 2)
    assert node.pause() == 2
    clock.pass_time(seconds=3)
    assert 0 < node.pause() < 1
