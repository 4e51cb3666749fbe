"""Residence of models in the scheduler's core: keep-alive, unloading, eviction, failures, restarts."""

import pytest
from support.scheduler_drive import MINUTE, SECOND, Drive, device, spec_of

from remuda.v1 import serving_pb2 as pb
from scheduler import events
from scheduler.adoption import CANCELLATIONS_KEPT
from scheduler.notices import LOAD_STALLED


def test_an_idle_model_is_unloaded_when_its_keep_alive_ends() -> None:
    drive = Drive(keep_alive=5 * MINUTE)
    drive.load()
    drive.submit(1)
    drive.pass_time(10 * MINUTE)
    drive.finish(1)
    drive.pass_time(5 * MINUTE - 1)
    assert drive.take_said() == ["run 1 on a"]
    drive.pass_time(1)
    assert drive.take_said() == ["stop a"]


def test_a_request_renews_the_keep_alive() -> None:
    drive = Drive(keep_alive=5 * MINUTE)
    drive.load()
    drive.pass_time(4 * MINUTE)
    drive.submit(1)
    drive.finish(1)
    drive.pass_time(4 * MINUTE)
    assert drive.residents() == {"a": "ready"}


@pytest.mark.parametrize("setting", [-1, -5 * MINUTE])
def test_a_negative_keep_alive_never_ends(setting: int) -> None:
    drive = Drive(keep_alive=setting)
    drive.load()
    drive.pass_time(10**6 * MINUTE)
    assert drive.residents() == {"a": "ready"}
    assert drive.core.next_deadline_ns is None


def test_a_keep_alive_of_zero_unloads_as_soon_as_nothing_is_left_to_do() -> None:
    drive = Drive(keep_alive=0)
    drive.submit(1)
    drive.submit(2)
    drive.ready()
    drive.finish(1)
    assert drive.take_said() == ["start a", "run 1 on a", "run 2 on a"]
    drive.finish(2)
    assert drive.take_said() == ["stop a"]


def test_a_request_overrides_the_keep_alive_for_those_that_name_none() -> None:
    drive = Drive(keep_alive=0)
    drive.submit(1, keep_alive=MINUTE)
    drive.ready()
    drive.finish(1)
    drive.submit(2)
    drive.finish(2)
    drive.pass_time(MINUTE - 1)
    assert drive.residents() == {"a": "ready"}
    drive.pass_time(1)
    assert drive.residents() == {"a": "stopping"}


def test_the_core_names_the_earliest_deadline() -> None:
    drive = Drive(keep_alive=5 * MINUTE, load_timeout=MINUTE)
    drive.load("a")
    assert drive.core.next_deadline_ns == drive.now + 5 * MINUTE
    drive.submit(1, "b")
    assert drive.core.next_deadline_ns == drive.now + MINUTE


def test_an_idle_model_is_unloaded_at_once_when_asked() -> None:
    drive = Drive()
    drive.load("a")
    drive.load("b")
    drive.unload("a")
    assert drive.take_said() == ["stop a"]


def test_unloading_a_busy_model_waits_until_it_is_idle() -> None:
    drive = Drive()
    drive.load()
    drive.submit(1)
    drive.submit(2)
    drive.unload()
    drive.finish(1)
    assert drive.take_said() == ["run 1 on a", "run 2 on a"]
    drive.finish(2)
    assert drive.take_said() == ["stop a"]


def test_unloading_what_is_not_loaded_does_nothing() -> None:
    drive = Drive()
    drive.unload()
    assert drive.take_said() == []


def test_unloading_a_model_that_loads_for_nobody_but_its_own_sake_aborts_the_load() -> None:
    drive = Drive()
    drive.submit(1, only_load=True)
    drive.loading("a", 0.5)
    drive.take_said()
    drive.unload()
    assert drive.take_said() == ["stop a"]
    assert drive.told(1)[-1] == "rejected load_failed: the model was unloaded while it was loading"

    drive.exit()
    assert drive.residents() == {}
    drive.submit(2)
    assert drive.take_said() == ["start a"]


def test_unloading_a_model_that_loads_for_a_generation_serves_that_first() -> None:
    drive = Drive()
    drive.submit(1)
    drive.submit(2, only_load=True)
    drive.take_said()
    drive.unload()
    assert drive.take_said() == []
    drive.ready()
    assert drive.told(1)[-1] == "running"
    drive.finish(1)
    assert drive.take_said() == ["run 1 on a", "stop a"]


def test_unloading_and_then_cancelling_the_last_generation_aborts_the_load() -> None:
    drive = Drive()
    drive.submit(1)
    drive.unload()
    drive.take_said()
    drive.cancel(1)
    assert drive.take_said() == ["stop a"]


def test_a_failed_load_refuses_all_who_wait_for_it_and_nobody_else() -> None:
    drive = Drive()
    drive.submit(1, "a")
    drive.submit(2, "a")
    drive.submit(3, "b")
    drive.fail("a", "not a GGUF file")
    assert drive.told(1)[-1] == drive.told(2)[-1] == "rejected load_failed: not a GGUF file"
    assert drive.told(3) == ["queued 0"]


def test_a_request_after_a_failed_load_tries_again_once_the_memory_is_free() -> None:
    drive = Drive(devices=(device(100),))
    drive.sizes["a"] = 40
    drive.submit(1)
    drive.fail("a", "out of memory")
    drive.submit(2)
    assert drive.take_said() == ["start a"]
    drive.exit(reason="exit status 1")
    assert drive.take_said() == ["start a"]


def test_a_worker_that_dies_while_loading_refuses_all_who_wait_for_it() -> None:
    drive = Drive()
    drive.submit(1)
    drive.exit(reason="signal SIGKILL")
    assert drive.told(1)[-1] == "rejected load_failed: the worker ended while loading: signal SIGKILL"
    assert drive.residents() == {}


def test_a_load_without_progress_is_given_up() -> None:
    drive = Drive(load_timeout=MINUTE)
    drive.submit(1)
    drive.pass_time(MINUTE - 1)
    drive.loading("a", 0.1)
    drive.pass_time(MINUTE - 1)
    assert drive.told(1) == ["queued 0", "loading 0.1"]
    drive.pass_time(1)
    assert drive.told(1)[-1] == f"rejected load_failed: {LOAD_STALLED}"
    assert drive.take_said() == ["start a", "stop a"]


def test_without_a_load_timeout_a_load_may_take_for_ever() -> None:
    drive = Drive(load_timeout=0)
    drive.submit(1)
    drive.pass_time(10**6 * MINUTE)
    assert drive.told(1) == ["queued 0"]


def test_another_num_ctx_drains_the_replica_and_reloads_in_order() -> None:
    drive = Drive(slots=2, devices=(device(100),))
    drive.sizes["a"] = 40
    drive.load()
    drive.submit(1)
    drive.submit(2, spec=spec_of("a", num_ctx=8192))
    drive.submit(3)
    assert drive.residents() == {"a": "draining"}
    drive.finish(1)
    drive.exit()
    assert drive.take_said() == ["run 1 on a", "stop a", "start a"]
    assert drive.replica().spec.options.num_ctx == 8192
    drive.ready()
    assert drive.told(2)[-1] == drive.told(3)[-1] == "running"


def test_a_smaller_num_ctx_and_options_of_speed_alone_reload_nothing() -> None:
    drive = Drive(slots=4)
    drive.load()
    slow = spec_of("a")
    slow.options.num_thread, slow.options.num_batch, slow.options.use_mmap = 1, 64, True
    for request, spec in enumerate((spec_of("a", num_ctx=512), slow, spec_of("a"))):
        drive.submit(request, spec=spec)
        assert drive.told(request) == ["running"]


def test_another_num_ctx_loads_beside_the_drained_replica_where_both_fit() -> None:
    drive = Drive(slots=2)
    drive.load()
    drive.submit(1)
    drive.submit(2, spec=spec_of("a", num_ctx=8192))
    assert drive.take_said() == ["run 1 on a", "start a"]
    drive.ready()
    assert [replica.state.value for replica in drive.replicas()] == ["draining", "ready"]
    assert drive.told(1)[-1] == drive.told(2)[-1] == "running"


def test_at_the_limit_the_idle_model_used_longest_ago_makes_room() -> None:
    drive = Drive(models=2)
    drive.load("a")
    drive.load("b")
    drive.now += SECOND
    drive.submit(1, "a")
    drive.finish(1)
    drive.take_said()
    drive.submit(2, "c")
    assert drive.take_said() == ["stop b"]
    drive.exit("b")
    assert drive.take_said() == ["start c"]


def test_a_model_takes_its_room_until_its_worker_has_exited() -> None:
    drive = Drive(models=1)
    drive.load("a")
    drive.submit(1, "b")
    drive.submit(2, "c")
    assert drive.take_said() == ["stop a"]
    drive.exit("a")
    assert drive.take_said() == ["start b"]


def test_an_idle_model_makes_room_before_a_busy_one() -> None:
    drive = Drive(models=2)
    drive.load("a")
    drive.load("b")
    drive.submit(1, "a")
    drive.submit(2, "c")
    assert drive.take_said() == ["run 1 on a", "stop b"]


def test_where_all_models_are_busy_one_drains_and_finishes_its_work() -> None:
    drive = Drive(models=1)
    drive.load("a")
    drive.submit(1, "a")
    drive.submit(2, "b")
    assert drive.residents() == {"a": "draining"}
    drive.finish(1)
    drive.exit("a")
    drive.ready("b")
    assert drive.told(1)[-1] == "finished stop"
    assert drive.told(2)[-1] == "running"


def test_a_steady_stream_for_one_model_does_not_starve_another() -> None:
    drive = Drive(models=1)
    drive.load("a")
    for request in (1, 2, 3):
        drive.submit(request, "a")
    drive.submit(4, "b")
    newest = 4
    for _ in range(10):  # every slot that "a" gives is asked for again
        newest += 1
        drive.submit(newest, "a")
        for replica in list(drive.core.state.replicas.values()):
            model = replica.spec.model_path[1:]
            for key in list(replica.busy):
                drive.finish(key.request_id)
            if replica.state.value == "stopping":
                drive.exit(model)
            if replica.state.value == "loading":
                drive.ready(model)
    drive.told(4)
    assert "running" in drive.told(4)


def test_two_models_that_wait_for_room_are_given_it_side_by_side() -> None:
    drive = Drive(models=2)
    drive.load("a")
    drive.load("b")
    drive.submit(1, "c")
    drive.submit(2, "d")
    assert drive.take_said() == ["stop a", "stop b"]


def test_a_restarted_host_has_lost_its_workers() -> None:
    drive = Drive()
    drive.load("a")
    drive.submit(1, "a")
    drive.submit(2, "b")
    drive.take_said()
    drive.join("h")
    assert drive.told(1)[-1] == "lost: its worker host was restarted"
    assert drive.take_said() == ["start b"]
    assert drive.told(2) == ["queued 0"]


def test_a_host_that_comes_back_keeps_the_workers_that_it_still_runs() -> None:
    drive = Drive()
    drive.load("a")
    drive.submit(1, "a")
    drive.join("h", drive.replica("a").id)
    drive.finish(1)
    assert drive.told(1) == ["running", "finished stop"]


def test_a_host_that_is_not_known_is_asked_who_it_is() -> None:
    drive = Drive(hosts=())
    drive.give(events.HostReported("h", ()))
    assert drive.take_said() == ["identify host h"]


def test_a_restarted_scheduler_adopts_the_workers_that_it_finds() -> None:
    drive = Drive(hosts=(), first_replica=100)
    drive.join("h", 7)
    drive.give(events.WorkerReported(8, pb.WorkerStats()))
    assert drive.take_said() == ["identify worker 7", "identify worker 8"]
    drive.ready("a", replica=7, active=((1, 0),))
    drive.submit(2, "a")
    assert drive.told(2) == ["queued 0"]
    drive.finish(1, replica=7)
    assert drive.told(2) == ["queued 0", "running"]
    assert drive.told(1) == []


def test_what_was_cancelled_before_its_worker_was_adopted_is_cancelled_then() -> None:
    drive = Drive(hosts=(), first_replica=100, slots=3)
    for late in range(CANCELLATIONS_KEPT + 10):  # requests that had ended when their clients left
        drive.cancel(1000 + late)
    drive.cancel(1)
    drive.join("h", 7)
    drive.ready("a", replica=7, active=((1, 0), (2, 0), (1000, 0)))
    assert drive.take_said() == ["identify worker 7", "cancel 1 on a"]


def test_an_adopted_worker_that_is_idle_has_the_usual_keep_alive() -> None:
    drive = Drive(hosts=(), first_replica=100, keep_alive=MINUTE)
    drive.join("h", 7)
    drive.ready("a", replica=7)
    drive.pass_time(MINUTE)
    assert drive.residents() == {"a": "stopping"}


def test_the_last_words_of_a_dead_worker_do_not_bring_it_back() -> None:
    drive = Drive()
    drive.submit(1)
    dead = drive.replica().id
    drive.exit(reason="signal SIGKILL")  # its host was heard before its own "ready", which was on its way
    drive.ready("a", replica=dead)
    assert drive.residents() == {}
    drive.submit(2)
    assert "running" not in drive.told(2)
