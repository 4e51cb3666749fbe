"""The life of a request in the scheduler's core."""

from support.scheduler_drive import WORK, Drive, spec_of

from remuda.v1 import serving_pb2 as pb
from scheduler.notices import QUEUE_FULL


def test_a_request_for_a_loaded_model_runs_at_once() -> None:
    drive = Drive()
    drive.load("a")
    drive.submit(1, "a")
    assert drive.told(1) == ["running"]
    assert drive.take_said() == ["run 1 on a"]


def test_a_request_for_a_model_that_is_not_loaded_starts_a_worker_and_runs_when_it_is_ready() -> None:
    drive = Drive()
    drive.submit(1, "a")
    assert drive.take_said() == ["start a"]
    drive.loading("a", 0.5)
    drive.ready("a")
    drive.finish(1)
    assert drive.told(1) == ["queued 0", "loading 0.5", "running", "finished stop"]


def test_requests_wait_while_all_slots_are_busy_and_run_in_order() -> None:
    drive = Drive(slots=2)
    drive.load("a")
    for request in (1, 2, 3, 4):
        drive.submit(request)
    assert drive.take_said() == ["run 1 on a", "run 2 on a"]
    assert (drive.told(3), drive.told(4)) == (["queued 0"], ["queued 1"])
    drive.finish(2)
    drive.finish(1)
    assert drive.take_said() == ["run 3 on a", "run 4 on a"]


def test_waiting_requests_are_told_their_new_position() -> None:
    drive = Drive()
    drive.load()
    for request in (1, 2, 3):
        drive.submit(request)
    drive.finish(1)
    drive.pass_time(1)
    drive.pass_time(1)
    assert drive.told(3) == ["queued 1", "queued 0"]


def test_a_full_queue_refuses_with_the_words_of_ollama() -> None:
    drive = Drive(queue=2)
    drive.load()
    for request in (1, 2, 3, 4):
        drive.submit(request)
    assert drive.told(4) == [f"rejected queue_full: {QUEUE_FULL}"]
    assert QUEUE_FULL == "server busy, please try again.  maximum pending requests exceeded"
    assert len(drive.core.state.queues) == 2


def test_a_queue_with_too_many_bytes_refuses_with_the_same_words() -> None:
    drive = Drive(queue_bytes=2 * WORK.ByteSize())
    drive.load()
    for request in (1, 2, 3, 4):
        drive.submit(request)
    assert drive.told(4) == [f"rejected queue_full: {QUEUE_FULL}"]
    assert drive.core.state.queues.bytes == 2 * WORK.ByteSize()


def test_a_request_that_leaves_the_queue_makes_room_for_its_bytes() -> None:
    drive = Drive(queue_bytes=2 * WORK.ByteSize())
    drive.load()
    for request in (1, 2, 3):
        drive.submit(request)
    drive.cancel(2)
    drive.submit(4)
    drive.finish(1)
    drive.submit(5)
    assert [drive.told(request)[-1] for request in (3, 4, 5)] == ["running", "queued 1", "queued 1"]


def test_a_request_too_large_for_the_queue_runs_where_a_slot_is_free() -> None:
    drive = Drive(queue_bytes=0)
    drive.load()
    drive.submit(1)
    drive.submit(2)
    assert drive.told(1) == ["running"]
    assert drive.told(2) == [f"rejected queue_full: {QUEUE_FULL}"]


def test_a_model_can_be_loaded_while_the_queue_has_no_room_for_bytes() -> None:
    drive = Drive(queue_bytes=0)
    drive.submit(1, only_load=True)
    drive.ready()
    assert drive.told(1)[-1] == "running"


def test_works_that_their_gateways_keep_take_next_to_no_bytes() -> None:
    drive = Drive()
    drive.load()
    large = pb.WorkSource(kept=pb.KeptWork(target="unix:/g", size=1 << 40))
    for request in range(1, 102):
        drive.submit(request, work=large)
    assert len(drive.core.state.queues) == 100
    assert drive.core.state.queues.bytes < 100 * 64


def test_a_full_queue_does_not_refuse_a_request_that_need_not_wait() -> None:
    drive = Drive(queue=1)
    drive.load("a")
    drive.load("b")
    drive.submit(1, "a")
    drive.submit(2, "a")
    drive.submit(3, "b")
    assert drive.told(3) == ["running"]


def test_a_refused_request_starts_no_worker_and_evicts_no_model() -> None:
    drive = Drive(queue=1, models=2)
    drive.load("a")
    drive.load("b")
    drive.submit(1, "a")
    drive.submit(2, "a")
    drive.take_said()
    drive.submit(3, "c")
    assert drive.told(3) == [f"rejected queue_full: {QUEUE_FULL}"]
    assert drive.take_said() == []
    assert drive.residents() == {"a": "ready", "b": "ready"}


def test_a_refused_request_starts_no_worker_where_there_is_room_for_one() -> None:
    drive = Drive(queue=0)
    drive.submit(1, "a")
    assert drive.take_said() == []


def test_loads_of_different_models_do_not_delay_each_other() -> None:
    drive = Drive()
    drive.submit(1, "a")
    drive.submit(2, "b")
    assert drive.take_said() == ["start a", "start b"]
    drive.ready("b")
    assert drive.told(2)[-1] == "running"
    assert drive.told(1) == ["queued 0"]


def test_a_waiting_request_that_is_cancelled_leaves_the_queue() -> None:
    drive = Drive()
    drive.load()
    for request in (1, 2, 3):
        drive.submit(request)
    drive.cancel(2)
    drive.finish(1)
    assert drive.told(2) == ["queued 0"]
    assert drive.told(3)[-1] == "running"


def test_a_load_that_nobody_waits_for_any_more_is_abandoned() -> None:
    drive = Drive()
    drive.submit(1)
    drive.submit(2)
    drive.cancel(1)
    assert drive.take_said() == ["start a"]
    drive.cancel(2)
    assert drive.take_said() == ["stop a"]
    drive.exit()
    assert drive.residents() == {}


def test_a_request_that_comes_while_an_abandoned_load_ends_gets_a_load_of_its_own() -> None:
    drive = Drive()
    drive.submit(1)
    drive.cancel(1)
    drive.submit(2)
    assert drive.take_said() == ["start a", "stop a", "start a"]
    drive.exit_replica(drive.replicas()[0])
    drive.ready()
    assert drive.told(2) == ["queued 0", "running"]


def test_a_running_request_that_is_cancelled_keeps_its_slot_until_the_worker_lets_go() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.submit(2)
    drive.cancel(1)
    assert drive.take_said() == ["run 1 on a", "cancel 1 on a"]
    assert drive.told(2) == ["queued 0"]
    drive.finish(1, reason=pb.FINISH_REASON_CANCELLED)
    assert drive.take_said() == ["run 2 on a"]
    assert drive.told(1) == ["running"]


def test_cancelling_twice_says_it_once() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.cancel(1)
    drive.cancel(1)
    assert drive.take_said() == ["run 1 on a", "cancel 1 on a"]


def test_cancelling_what_has_finished_does_nothing() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.finish(1)
    drive.take_said()
    drive.cancel(1)
    assert drive.take_said() == []
    assert drive.replica().is_idle


def test_what_a_dead_worker_was_running_is_lost_and_what_waits_gets_a_new_load() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.submit(2)
    drive.take_said()
    drive.exit(reason="signal SIGKILL")
    assert drive.told(1) == ["running", "lost: signal SIGKILL"]
    assert drive.take_said() == ["start a"]
    drive.ready()
    assert drive.told(2)[-1] == "running"


def test_a_cancelled_request_is_not_told_that_its_worker_died() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.cancel(1)
    drive.exit()
    assert drive.told(1) == ["running"]
    assert drive.core.state.requests == {}


def test_the_end_of_an_earlier_attempt_never_touches_a_later_one() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.exit()
    drive.submit(1, attempt=1)
    drive.ready()
    drive.finish(1, attempt=0, replica=drive.replica().id)
    assert drive.told(1, attempt=1)[-1] == "running"
    assert len(drive.replica().busy) == 1


def test_the_end_of_a_request_on_a_dead_replica_never_frees_a_slot_of_another() -> None:
    drive = Drive()
    drive.load()
    dead = drive.replica().id
    drive.exit()
    drive.load()
    drive.submit(1)
    drive.finish(1, replica=dead)
    assert drive.told(1) == ["running"]
    assert len(drive.replica().busy) == 1


def test_requests_wait_until_a_worker_host_joins() -> None:
    drive = Drive(hosts=())
    drive.submit(1)
    assert (drive.take_said(), drive.told(1)) == ([], ["queued 0"])
    drive.join()
    assert drive.take_said() == ["start a"]


def test_a_request_that_only_loads_takes_no_slot() -> None:
    drive = Drive()
    drive.submit(1, only_load=True)
    drive.submit(2)
    drive.ready()
    assert drive.told(1)[-1] == drive.told(2)[-1] == "running"
    assert drive.take_said() == ["start a", "run 2 on a"]


def test_two_names_with_the_same_files_share_a_replica() -> None:
    drive = Drive(slots=2)
    drive.submit(1, spec=spec_of("a", name="one"))
    drive.submit(2, spec=spec_of("a", name="two"))
    drive.ready()
    assert drive.take_said() == ["start a", "run 1 on a", "run 2 on a"]


def test_the_same_weights_with_a_projector_are_another_model() -> None:
    drive = Drive()
    drive.submit(1, spec=spec_of("a"))
    drive.submit(2, spec=spec_of("a", projectors=("/mmproj",)))
    assert drive.take_said() == ["start a", "start a"]


def test_split_models_with_the_same_first_file_are_two_models() -> None:
    drive = Drive()
    one, other = spec_of("a"), spec_of("a")
    one.split_paths.append("/second-of-one")
    other.split_paths.append("/second-of-other")
    drive.submit(1, spec=one)
    drive.submit(2, spec=other)
    assert drive.take_said() == ["start a", "start a"]
