"""Work on a conversation grows with its size, not with its square. What is quadratic takes minutes with these."""

from gateway.formats.thoughts import without_old_thoughts
from gateway.generation.request import Message
from gateway.openai.chat.messages import ChatMessage, native_messages
from gateway.prompt.conversation import merged
from gateway.prompt.images import with_marks

MANY = 60_000


def test_results_of_many_tools_are_named_by_the_ids_of_their_calls() -> None:
    calls = [
        {"id": f"call_{number}", "function": {"name": f"tool{number}", "arguments": "{}"}} for number in range(MANY)
    ]
    results = [ChatMessage(role="tool", content="1", tool_call_id=f"call_{number}") for number in range(MANY)]
    asked = ChatMessage.model_validate({"role": "assistant", "content": "", "tool_calls": calls})
    names = [message.tool_name for message in native_messages([asked, *results])][1:]
    assert names == [f"tool{number}" for number in range(MANY)]


def test_the_last_call_of_an_id_names_its_result() -> None:
    calls = [{"id": "a", "function": {"name": name, "arguments": "{}"}} for name in ("first", "second")]
    later = [{"id": "a", "function": {"name": name, "arguments": "{}"}} for name in ("third", "fourth")]
    history = [
        ChatMessage.model_validate({"role": "assistant", "content": "", "tool_calls": some}) for some in (calls, later)
    ]
    *_, result = native_messages([*history, ChatMessage(role="tool", content="1", tool_call_id="a")])
    assert result.tool_name == "third"


def test_neighbours_of_one_role_are_joined() -> None:
    (joined,) = merged([Message("user", "x" * 100)] * MANY)
    assert len(joined.content) == MANY * 102 - 2


def test_tags_that_open_no_thoughts_stay() -> None:
    content = "<think>" * (20 * MANY)
    answer, _ = without_old_thoughts((Message("assistant", content), Message("user", "go on")))
    assert answer.content == content


def test_the_first_thoughts_of_an_earlier_answer_go_with_the_white_space_after_them() -> None:
    earlier = Message("assistant", "a<think>b</think> \n c<think>d</think>e")
    answer, _ = without_old_thoughts((earlier, Message("user", "go on")))
    assert answer.content == "ac<think>d</think>e"


def test_many_marks_of_images_are_placed() -> None:
    (marked,) = with_marks([Message("user", "[img]" * MANY, images=(b"",) * MANY)], at_end=False)
    assert marked.content == "".join(f"[img-{number}]" for number in range(MANY))


def test_images_without_a_place_come_first_and_places_without_an_image_stay() -> None:
    (marked,) = with_marks([Message("user", "a[img]b", images=(b"", b""))], at_end=False)
    assert marked.content == "[img-1]a[img-0]b"
    (marked,) = with_marks([Message("user", "a[img]b[img]c", images=(b"",))], at_end=False)
    assert marked.content == "a[img-0]b[img]c"
