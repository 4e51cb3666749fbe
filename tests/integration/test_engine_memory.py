"""What the engine does not compute again, on every kind of memory: nobody's reply may tell the difference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.byte_vocabulary import PIECES
from support.engine_run import Run, engine_on
from support.memory_models import write_hybrid, write_plain, write_recurrent, write_windowed
from support.scripted import PROMPT, write_scripted_model

from workers.engine.admission import WORTH_PARKING
from workers.engine.engine import Engine
from workers.engine.parking import Disk, Parking

PREDICT = 16
INTERVAL = 64
"""Tokens between two checkpoints."""

KINDS = {"plain": write_plain, "windowed": write_windowed, "recurrent": write_recurrent, "hybrid": write_hybrid}


def prompt_of(seed: int, length: int) -> list[int]:
    return [1, *np.random.default_rng(seed).integers(3, len(PIECES), length - 1).tolist()]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write(folder / f"{kind}.gguf") for kind, write in KINDS.items()}


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, paths: dict[str, Path]) -> Path:
    return paths[request.param]


@pytest.fixture
def plain(paths: dict[str, Path]) -> Path:
    return paths["plain"]


def engine(path: Path, *, slots: int = 2, parking: int = 10**7, disk: Disk | None = None) -> Engine:
    return engine_on(
        path, slots=slots, num_ctx=512, parking=Parking(parking, disk), checkpoint_interval=INTERVAL, exact=True
    )


def alone(path: Path, prompt: list[int], *, predict: int = PREDICT) -> str:
    """The reply of an engine that has done nothing else."""
    return Run(engine_on(path, slots=1, num_ctx=512, exact=True)).say(prompt, predict=predict)[1]


SECOND: dict[str, Callable[[list[int], list[int]], list[int]]] = {
    "the same prompt": lambda prompt, reply: prompt,
    "the next turn": lambda prompt, reply: prompt + reply + prompt_of(2, 40),
    "one that ends otherwise": lambda prompt, reply: prompt[:150] + prompt_of(3, 60),
    "a beginning of it": lambda prompt, reply: prompt[:140],
    "one that begins like it for a few tokens": lambda prompt, reply: prompt[:5] + prompt_of(4, 100),
}


@pytest.mark.parametrize("second", SECOND)
def test_a_second_prompt_gets_the_reply_that_it_gets_alone(path: Path, second: str) -> None:
    run = Run(engine(path))
    first, _ = run.say(prompt_of(1, 200), predict=PREDICT)
    prompt = SECOND[second](first.prompt, first.tokens[200:])
    sequence, text = run.say(prompt, predict=PREDICT)
    assert text == alone(path, prompt)
    if not second.endswith("few tokens"):
        assert sequence.cached >= len(prompt_of(1, 128))


def test_prompts_side_by_side_with_the_same_beginning_get_the_replies_that_they_get_alone(path: Path) -> None:
    shared = prompt_of(1, 150)
    prompts = [shared + prompt_of(number, 20 + number) for number in range(2, 8)]
    run = Run(engine(path, slots=4))
    run.add(0, shared + prompt_of(10, 30), predict=40)
    run.steps(6)
    for number, prompt in enumerate(prompts, 1):
        run.add(number, prompt, predict=PREDICT)
    run.steps()
    assert [run.text[number] for number in range(1, 7)] == [alone(path, prompt) for prompt in prompts]
    assert run.engine.counters.cached_tokens >= 3 * 128


def test_prompts_that_take_turns_in_too_few_slots_start_from_their_parked_states(path: Path) -> None:
    prompts = [prompt_of(number, 130 + 10 * number) for number in range(4)]
    run = Run(engine(path, slots=2))
    rounds = [[run.say(prompt, predict=PREDICT) for prompt in prompts] for _ in range(3)]
    expected = [alone(path, prompt) for prompt in prompts]
    assert [[text for _, text in replies] for replies in rounds] == [expected] * 3
    for sequence, _ in rounds[1] + rounds[2]:
        assert sequence.cached >= len(sequence.prompt) - 8


def test_a_conversation_that_comes_back_goes_on_from_where_it_was(path: Path) -> None:
    run = Run(engine(path, slots=1))
    first, _ = run.say(prompt_of(1, 100), predict=PREDICT)
    run.say(prompt_of(2, 100), predict=PREDICT)
    again = first.tokens + prompt_of(3, 30)
    sequence, text = run.say(again, predict=PREDICT)
    assert text == alone(path, again)
    assert sequence.cached > len(first.tokens) - WORTH_PARKING


def test_what_was_held_between_two_running_sequences_is_parked_when_one_of_them_moves_there(path: Path) -> None:
    run = Run(engine(path, slots=3))
    for number in range(3):
        run.add(number, prompt_of(number, 100), predict=5 if number == 1 else 80)
    run.steps()
    assert run.text[2] == alone(path, prompt_of(2, 100), predict=80)
    again = [*run.sequences[1].tokens, *prompt_of(9, 20)]
    sequence, text = run.say(again, predict=PREDICT)
    assert sequence.cached > 104 - WORTH_PARKING
    assert text == alone(path, again)


def test_a_stop_string_frees_the_last_slot_as_any_other_end_does(tmp_path: Path) -> None:
    run = Run(engine_on(write_scripted_model(tmp_path / "script", "one two three four"), slots=1))
    _, text = run.say(PROMPT, stop=("three",))
    assert text == "one two "
    assert run.engine._slots.idle()


def test_without_parking_a_prompt_that_lost_its_slot_starts_anew(plain: Path) -> None:
    run = Run(engine(plain, slots=1, parking=0))
    for number in (1, 2):
        run.say(prompt_of(number, 100), predict=PREDICT)
    sequence, text = run.say(prompt_of(1, 100), predict=PREDICT)
    assert sequence.cached <= 1
    assert run.engine.counters.parked_states == 0
    assert text == alone(plain, sequence.prompt)


def test_parked_states_keep_to_their_limit(path: Path) -> None:
    limit = 500_000
    run = Run(engine(path, slots=1, parking=limit))
    for number in range(12):
        run.say(prompt_of(number, 100 + number), predict=PREDICT)
        assert run.engine.counters.parked_bytes <= limit
    assert run.engine.counters.parked_states > 1
    sequence, text = run.say(prompt_of(10, 110), predict=PREDICT)
    assert (sequence.cached > 90, text) == (True, alone(path, sequence.prompt))


def test_a_state_that_memory_had_no_room_for_comes_back_from_disk(path: Path, tmp_path: Path) -> None:
    disk = Disk(tmp_path, 10**7)
    run = Run(engine(path, slots=1, parking=200_000, disk=disk))
    for number in range(12):
        run.say(prompt_of(number, 100), predict=PREDICT)
        written(disk)
    assert any(parked.tokens[:64] == prompt_of(0, 100)[:64] for parked in disk)
    sequence, text = run.say(prompt_of(0, 100), predict=PREDICT)
    assert sequence.cached > 90
    assert text == alone(path, sequence.prompt)
    assert list(tmp_path.iterdir()) == []


def written(disk: Disk) -> None:
    """Waits until all that is to be written is."""
    disk._thread.submit(bool).result()


def test_a_shifted_context_leaves_nothing_wrong_behind(path: Path) -> None:
    """What is left of it in its slot, and what is parked, begins with the tokens that were kept."""
    run = Run(engine(path, slots=1))
    shifted, _ = run.say(prompt_of(1, 300), predict=400, shift=True, num_keep=200)
    assert shifted.generated == (400 if run.engine._memory.can_shift else 213)
    run.say(prompt_of(2, 100), predict=PREDICT)
    for prompt in (prompt_of(1, 300), shifted.tokens[:400], prompt_of(1, 200) + prompt_of(3, 50)):
        assert run.say(prompt, predict=PREDICT)[1] == alone(path, prompt)


def test_a_shifted_context_that_is_gone_leaves_no_cells_behind(plain: Path) -> None:
    """Where nothing of it is kept, nobody knows its cells: they must not be lost."""
    run = Run(engine_on(plain, slots=4, num_ctx=256, shared_cells=512, exact=True))
    run.say([5, *prompt_of(1, 100)[1:]], predict=300, shift=True, num_keep=0)
    run.say([6, *prompt_of(2, 100)[1:]], predict=300, shift=True, num_keep=0)
    sequence, text = run.say(prompt_of(3, 250), predict=1)
    assert (sequence.error, text) == ("", alone(plain, sequence.prompt, predict=1))
    assert run.engine.cells_used == 0
