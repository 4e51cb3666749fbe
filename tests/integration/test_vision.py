"""Images and sounds through the whole server, with the real clients."""

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
from PIL import Image
from support.models_folder import install_gguf, models_folder
from support.ollama_layout import OllamaFolder
from support.serving import Server, running_server, short_folder, until
from support.vision_models import write_projector, write_text_model

SEEING = ["gemma3", "qwen2vl"]
FEW = {"num_predict": 4, "temperature": 0, "num_ctx": 2048}


def install(folder: OllamaFolder, name: str, text: str, **projector: Any) -> None:
    """Installs a tiny model with a projector."""
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


def picture(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 100, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def sound(seconds: float = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(int(8000 * seconds)) / 9).astype(np.float32) / 2, 8000, format="WAV")
    return file.getvalue()


def asked(content: str, *images: bytes) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, "images": list(images)}]


def chat(native: ollama.Client, model: str, messages: list[dict[str, Any]]) -> ollama.ChatResponse:
    return native.chat(model, messages, options=FEW, logprobs=True, top_logprobs=5)


def likely(reply: ollama.ChatResponse) -> list[float]:
    """Log-probabilities of the likeliest first tokens: a fingerprint of all that the model has seen."""
    assert reply.logprobs
    return [one.logprob for one in reply.logprobs[0].top_logprobs or ()]


@pytest.mark.parametrize("model", SEEING)
def test_every_image_adds_its_cells_to_the_prompt(native: ollama.Client, model: str) -> None:
    counts = [
        native.chat(model, asked("see?", *images), options=FEW).prompt_eval_count or 0
        for images in ([], [picture(1)], [picture(1), picture(2)])
    ]
    one, two = counts[1] - counts[0], counts[2] - counts[0]
    assert one > 16
    assert two == 2 * one


@pytest.mark.parametrize("model", SEEING)
def test_the_model_sees_what_is_in_an_image(native: ollama.Client, model: str) -> None:
    one, other, again = (likely(chat(native, model, asked("see?", picture(seed)))) for seed in (1, 2, 1))
    assert one == pytest.approx(again, abs=1e-3)
    assert one != pytest.approx(other, abs=1e-2)


@pytest.mark.parametrize("model", SEEING)
def test_a_chat_goes_on_from_the_image_that_is_known(server: Server, native: ollama.Client, model: str) -> None:
    first = asked("what is it, and who?", picture(7))
    reply = chat(native, model, first)
    longer = [*first, {"role": "assistant", "content": "a horse"}, {"role": "user", "content": "sure?"}]
    went_on = chat(native, model, longer)
    known = server.cached_tokens(model, went_on.prompt_eval_count, requests=1)
    assert (reply.prompt_eval_count or 0) - 2 <= known[0] < (went_on.prompt_eval_count or 0)


@pytest.mark.parametrize("model", SEEING)
def test_what_follows_a_known_image_is_what_computing_all_anew_gives(
    server: Server, native: ollama.Client, model: str
) -> None:
    talk = asked(f"{model}: which of these two?", picture(8), picture(9))
    fresh = chat(native, model, talk)
    native.generate(model, keep_alive=0)
    until(lambda: f"{model}:latest" not in {resident.name for resident in native.ps().models})
    chat(native, model, asked(f"{model}: which of these two?", picture(8), picture(10)))
    partly_known = chat(native, model, talk)
    *_, known = server.cached_tokens(model, fresh.prompt_eval_count, requests=3)
    assert known > 16
    assert likely(partly_known) == pytest.approx(likely(fresh), abs=1e-3)


def test_generate_takes_images(native: ollama.Client) -> None:
    plain, seeing, placed = (
        native.generate("gemma3", prompt, images=images, options=FEW).prompt_eval_count or 0
        for prompt, images in [("is [img] red?", []), ("is red?", [picture(1)]), ("is [img] red?", [picture(1)])]
    )
    assert seeing > plain
    assert placed == seeing + len(" ") * 3  # a space takes three tokens here


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
def test_the_usual_formats_are_read(native: ollama.Client, kind: str) -> None:
    assert native.chat("gemma3", asked("see?", picture(1, kind)), options=FEW).eval_count


def test_openais_client_sends_images_and_sounds(compatible: openai.OpenAI) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(picture(1)).decode()}"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound()).decode(), "format": "wav"}},
        {"type": "text", "text": "say!"},
    ]
    reply = compatible.chat.completions.create(
        model="gemma3", messages=[{"role": "user", "content": parts}], max_tokens=2
    )
    assert reply.usage
    assert reply.usage.prompt_tokens > 16 + 150  # the cells of the image and of the sound


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("file", [b"no image", picture(1)[:100], b"RIFF----WAVE", b"\x00\x00\x00\x18ftypmp42"])
def test_a_file_that_cannot_be_decoded_is_a_400(server: Server, file: bytes, stream: bool) -> None:
    image = base64.b64encode(file).decode()
    message = {"role": "user", "content": "see?", "images": [image]}
    reply = httpx.post(f"{server.url}/api/chat", json={"model": "gemma3", "messages": [message], "stream": stream})
    assert reply.status_code == 400
    assert "could not be decoded" in reply.json()["error"]


def test_openais_client_hears_of_a_bad_image(compatible: openai.OpenAI) -> None:
    url = f"data:image/png;base64,{base64.b64encode(b'no image').decode()}"
    content: list[Any] = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError, match="could not be decoded"):
        compatible.chat.completions.create(model="gemma3", messages=[{"role": "user", "content": content}])


def test_a_model_that_only_sees_refuses_sounds(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="does not support audio") as refused:
        native.chat("qwen2vl", asked("hear?", sound()))
    assert refused.value.status_code == 400


def test_a_model_for_text_alone_refuses_images(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="missing data required for image input") as refused:
        native.chat("blind", asked("see?", picture(1)))
    assert refused.value.status_code == 400


def test_images_that_do_not_fit_into_the_context_are_a_400(native: ollama.Client) -> None:
    images = [picture(seed) for seed in range(50)]
    with pytest.raises(ollama.ResponseError, match="context length") as refused:
        native.chat("gemma3", asked("see?", *images), options=FEW)
    assert refused.value.status_code == 400


def test_a_model_with_a_projector_says_that_it_sees_and_hears(native: ollama.Client) -> None:
    capabilities = [native.show(model).capabilities for model in ("gemma3", "qwen2vl", "blind")]
    assert capabilities == [["completion", "vision", "audio"], ["completion", "vision"], ["completion"]]
