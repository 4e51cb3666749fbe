"""A model with several replicas: when another one starts, where requests run, and what a failure of one costs."""

import pytest
from support.scheduler_drive import MINUTE, SECOND, Drive, device, spec_of

from scheduler.notices import LOAD_STALLED
from scheduler.residence import RETRY_PAUSE_NS


def two_replicas(*, slots: int = 1, models: int = 3, replicas: int = 2) -> Drive:
    """Model "a" with two ready replicas; requests 1 and 2 run, one on each."""
    drive = Drive(slots=slots, models=models, replicas=replicas)
    drive.load()
    for request in range(1, slots + 2):
        drive.submit(request)
    drive.ready()
    for request in range(3, slots + 2):
        drive.finish(request)
    drive.take_said()
    return drive


def loading_beside_one_that_serves(*, load_timeout: int = 5 * MINUTE) -> Drive:
    """Request 1 runs, request 2 waits for the second replica of "a", which is loading."""
    drive = Drive(replicas=2, load_timeout=load_timeout)
    drive.load()
    drive.submit(1)
    drive.submit(2)
    assert drive.take_said() == ["run 1 on a", "start a"]
    return drive


def test_another_replica_starts_only_for_a_request_that_has_waited_a_while() -> None:
    drive = Drive(replicas=2, scale_up_after=2 * SECOND)
    drive.load()
    drive.submit(1)
    drive.submit(2)
    assert drive.core.next_deadline_ns == drive.now + 2 * SECOND
    drive.pass_time(2 * SECOND - 1)
    assert drive.take_said() == ["run 1 on a"]
    drive.pass_time(1)
    assert drive.take_said() == ["start a"]


def test_a_model_has_as_many_replicas_as_there_are_gpus_each_on_its_own() -> None:
    drive = Drive(replicas=0, devices=(device(100), *(device(30, index) for index in range(3))))
    drive.sizes["a"] = 10
    for request in range(1, 6):
        drive.submit(request)
        if request < 4:
            drive.ready()
    assert [replica.placement.devices[0].index for replica in drive.replicas()] == [0, 1, 2]
    assert [drive.told(request)[-1] for request in (4, 5)] == ["queued 0", "queued 1"]


def test_another_replica_starts_when_all_slots_are_busy() -> None:
    drive = loading_beside_one_that_serves()
    drive.submit(3)
    assert drive.take_said() == []  # one load at a time
    drive.ready()
    assert drive.take_said() == ["run 2 on a"]
    assert drive.told(3) == ["queued 1"]


def test_there_are_no_more_replicas_than_allowed() -> None:
    drive = two_replicas()
    drive.submit(3)
    assert drive.take_said() == []
    drive.finish(2)
    assert drive.take_said() == ["run 3 on a"]


def test_a_request_runs_on_the_replica_with_most_free_slots() -> None:
    drive = two_replicas(slots=3)
    first, second = drive.replicas()
    before = len(first.busy), len(second.busy)
    drive.submit(10)
    after = len(first.busy), len(second.busy)
    assert after == ((before[0] + 1, before[1]) if before[0] < before[1] else (before[0], before[1] + 1))


@pytest.mark.parametrize("ending", ["fails", "exits", "stalls"])
def test_a_load_that_comes_to_nothing_rejects_nobody_whom_a_sibling_will_serve(ending: str) -> None:
    drive = loading_beside_one_that_serves(load_timeout=MINUTE)
    match ending:
        case "fails":
            drive.fail("a", "out of memory")
        case "exits":
            drive.exit(reason="signal SIGKILL")
        case _:
            drive.pass_time(MINUTE)
    assert drive.told(2) == ["queued 0"]
    drive.finish(1)
    assert drive.told(2)[-1] == "running"


def test_after_a_failed_load_no_further_replica_is_tried_for_a_while() -> None:
    drive = loading_beside_one_that_serves()
    drive.fail("a", "out of memory")
    drive.exit(reason="exit status 1")
    drive.submit(3)
    assert drive.take_said() == []
    drive.pass_time(RETRY_PAUSE_NS)
    drive.submit(4)
    assert drive.take_said() == ["start a"]


def test_a_failed_load_rejects_those_who_wait_for_its_options_alone() -> None:
    drive = Drive(slots=1)
    drive.submit(1)
    drive.submit(2, spec=spec_of("a", num_ctx=8192))
    drive.fail("a", "out of memory")
    assert drive.told(1)[-1] == "rejected load_failed: out of memory"
    drive.exit(reason="exit status 1")
    assert drive.take_said() == ["start a", "start a"]
    assert drive.replica().spec.options.num_ctx == 8192


def test_a_stalled_load_without_siblings_rejects_all_who_wait_for_it() -> None:
    drive = Drive(replicas=2, load_timeout=MINUTE)
    drive.submit(1)
    drive.pass_time(MINUTE)
    assert drive.told(1)[-1] == f"rejected load_failed: {LOAD_STALLED}"


def test_the_load_of_another_replica_is_abandoned_with_its_last_waiter_and_the_ready_one_stays() -> None:
    drive = loading_beside_one_that_serves()
    drive.cancel(2)
    assert drive.take_said() == ["stop a"]
    assert [replica.state.value for replica in drive.replicas()] == ["ready", "stopping"]


def test_a_load_for_options_that_nobody_wants_any_more_is_abandoned() -> None:
    drive = Drive()
    drive.submit(1)
    drive.submit(2, spec=spec_of("a", num_ctx=8192))
    drive.cancel(1)
    assert drive.take_said() == ["start a", "stop a", "start a"]
    assert drive.replica().spec.options.num_ctx == 8192


def test_a_replica_that_dies_loses_its_own_requests_alone() -> None:
    drive = two_replicas()
    (lost,) = drive.replica().busy
    (other,) = drive.replicas()[0].busy
    drive.exit(reason="signal SIGKILL")
    assert drive.told(lost.request_id)[-1] == "lost: signal SIGKILL"
    assert drive.told(other.request_id)[-1] == "running"


def test_each_replica_has_a_keep_alive_of_its_own() -> None:
    drive = two_replicas()
    first, second = drive.replicas()
    (request,) = second.busy
    drive.finish(request.request_id)
    drive.pass_time(5 * MINUTE)
    assert (first.state.value, second.state.value) == ("ready", "stopping")


def test_for_other_options_all_replicas_drain() -> None:
    drive = two_replicas()
    drive.submit(5, spec=spec_of("a", num_ctx=8192))
    assert [replica.state.value for replica in drive.replicas()] == ["draining", "draining", "loading"]


def test_unloading_a_model_unloads_all_its_replicas() -> None:
    drive = two_replicas()
    drive.unload()
    for replica in drive.replicas():
        for key in list(replica.busy):
            drive.finish(key.request_id)
    assert [replica.state.value for replica in drive.replicas()] == ["stopping", "stopping"]


def test_the_limit_counts_models_and_a_model_leaves_with_all_its_replicas() -> None:
    drive = two_replicas(models=1)
    for replica in drive.replicas():
        for key in list(replica.busy):
            drive.finish(key.request_id)
    drive.now += SECOND
    drive.submit(7, "b")
    assert drive.take_said() == ["stop a", "stop a"]
    for replica in drive.replicas():
        drive.exit_replica(replica)
    assert drive.take_said() == ["start b"]
