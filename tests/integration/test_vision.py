"""Images and sounds through a real server, sent by the real clients."""

import base64
import io
from collections.abc import Generator
from typing import Any

import httpx
import numpy as np
import ollama
import openai
import pytest
import soundfile
from support.models_folder import install_gguf, models_folder
from support.ollama_layout import OllamaFolder
from support.pictures import random_picture
from support.serving import Server, running_server, short_folder, until
from support.vision_models import write_projector, write_text_model

VISION_MODELS = ["gemma3", "qwen2vl"]
FEW = {"num_predict": 4, "temperature": 0, "num_ctx": 2048}


def install(folder: OllamaFolder, name: str, text: str, **projector: Any) -> None:
    """Installs a tiny model of the architecture `text` with a projector."""
    model = write_text_model(folder.root / "text.gguf", text)  # type: ignore[arg-type]
    file = write_projector(folder.root / "projector.gguf", **projector)
    layers = folder.layer("model", model.read_bytes()), folder.layer("projector", file.read_bytes())
    folder.install(f"registry.ollama.ai/library/{name}/latest", *layers)


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as folder:
        models = models_folder(folder)
        install(models, "gemma3", "llama", vision="gemma3", audio=True)
        install(models, "qwen2vl", "qwen2vl", vision="qwen2vl_merger")
        install_gguf(models, "blind", write_text_model(models.root / "text.gguf").read_bytes())
        with running_server(folder) as server:
            yield server


def sound(seconds: float = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(int(8000 * seconds)) / 9).astype(np.float32) / 2, 8000, format="WAV")
    return file.getvalue()


def question(content: str, *images: bytes) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, "images": list(images)}]


def chat(native: ollama.Client, model: str, messages: list[dict[str, Any]]) -> ollama.ChatResponse:
    return native.chat(model, messages, options=FEW, logprobs=True, top_logprobs=5)


def likely(reply: ollama.ChatResponse) -> list[float]:
    """Log probabilities of the likeliest first tokens. They depend on the whole prompt."""
    assert reply.logprobs
    return [one.logprob for one in reply.logprobs[0].top_logprobs or ()]


@pytest.mark.parametrize("model", VISION_MODELS)
def test_every_image_adds_its_cells_to_the_prompt(native: ollama.Client, model: str) -> None:
    counts = [
        native.chat(model, question("see?", *images), options=FEW).prompt_eval_count or 0
        for images in ([], [random_picture(1)], [random_picture(1), random_picture(2)])
    ]
    one, two = counts[1] - counts[0], counts[2] - counts[0]
    assert one > 16
    assert two == 2 * one


@pytest.mark.parametrize("model", VISION_MODELS)
def test_the_model_sees_what_is_in_an_image(native: ollama.Client, model: str) -> None:
    one, other, again = (likely(chat(native, model, question("see?", random_picture(seed)))) for seed in (1, 2, 1))
    assert one == pytest.approx(again, abs=1e-3)
    assert one != pytest.approx(other, abs=1e-2)


@pytest.mark.parametrize("model", VISION_MODELS)
def test_a_chat_continues_from_its_cached_image(server: Server, native: ollama.Client, model: str) -> None:
    first = question("what is it, and who?", random_picture(7))
    reply = chat(native, model, first)
    longer = [*first, {"role": "assistant", "content": "a horse"}, {"role": "user", "content": "sure?"}]
    continuation = chat(native, model, longer)
    cached, *_ = server.cached_tokens(model, continuation.prompt_eval_count, requests=1)
    assert (reply.prompt_eval_count or 0) - 2 <= cached < (continuation.prompt_eval_count or 0)


@pytest.mark.parametrize("model", VISION_MODELS)
def test_a_partly_cached_prompt_gives_the_same_tokens_as_a_fresh_one(
    server: Server, native: ollama.Client, model: str
) -> None:
    talk = question(f"{model}: which of these two?", random_picture(8), random_picture(9))
    fresh = chat(native, model, talk)
    native.generate(model, keep_alive=0)
    until(lambda: f"{model}:latest" not in {resident.name for resident in native.ps().models})
    chat(native, model, question(f"{model}: which of these two?", random_picture(8), random_picture(10)))
    partly_cached = chat(native, model, talk)
    *_, cached = server.cached_tokens(model, fresh.prompt_eval_count, requests=3)
    assert cached > 16
    assert likely(partly_cached) == pytest.approx(likely(fresh), abs=1e-3)


def test_generate_takes_images(native: ollama.Client) -> None:
    image = random_picture(1)
    without, before, inside = (
        native.generate("gemma3", prompt, images=images, options=FEW).prompt_eval_count or 0
        for prompt, images in [("is [img] red?", []), ("is red?", [image]), ("is [img] red?", [image])]
    )
    assert before > without
    assert inside == before + len(" ") * 3  # a space takes three tokens here


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
def test_the_usual_formats_are_read(native: ollama.Client, kind: str) -> None:
    assert native.chat("gemma3", question("see?", random_picture(1, kind)), options=FEW).eval_count


def test_openais_client_sends_images_and_sounds(compatible: openai.OpenAI) -> None:
    image = base64.b64encode(random_picture(1)).decode()
    parts: list[Any] = [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound()).decode(), "format": "wav"}},
        {"type": "text", "text": "say!"},
    ]
    reply = compatible.chat.completions.create(
        model="gemma3", messages=[{"role": "user", "content": parts}], max_tokens=2
    )
    assert reply.usage
    assert reply.usage.prompt_tokens > 16 + 150  # the cells of the image and of the sound


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("file", [b"no image", random_picture(1)[:100], b"RIFF----WAVE", b"\x00\x00\x00\x18ftypmp42"])
def test_a_file_that_cannot_be_decoded_is_a_400(server: Server, file: bytes, stream: bool) -> None:
    image = base64.b64encode(file).decode()
    message = {"role": "user", "content": "see?", "images": [image]}
    reply = httpx.post(f"{server.url}/api/chat", json={"model": "gemma3", "messages": [message], "stream": stream})
    assert reply.status_code == 400
    assert "could not be decoded" in reply.json()["error"]


def test_a_bad_image_is_openais_bad_request(compatible: openai.OpenAI) -> None:
    url = f"data:image/png;base64,{base64.b64encode(b'no image').decode()}"
    content: list[Any] = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError, match="could not be decoded"):
        compatible.chat.completions.create(model="gemma3", messages=[{"role": "user", "content": content}])


def test_a_model_that_only_sees_refuses_sounds(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support audio") as refused:
        native.chat("qwen2vl", question("hear?", sound()))
    assert refused.value.status_code == 400


def test_a_model_for_text_alone_refuses_images(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="missing data required for image input") as refused:
        native.chat("blind", question("see?", random_picture(1)))
    assert refused.value.status_code == 400


def test_images_that_do_not_fit_into_the_context_are_a_400(native: ollama.Client) -> None:
    images = [random_picture(seed) for seed in range(50)]
    with pytest.raises(ollama.ResponseError, match="context length") as refused:
        native.chat("gemma3", question("see?", *images), options=FEW)
    assert refused.value.status_code == 400


def test_a_model_with_a_projector_says_that_it_sees_and_hears(native: ollama.Client) -> None:
    capabilities = [native.show(model).capabilities for model in ("gemma3", "qwen2vl", "blind")]
    assert capabilities == [["completion", "vision", "audio"], ["completion", "vision"], ["completion"]]
