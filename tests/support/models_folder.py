"""Models folders for real servers, with models installed as Ollama installs them."""

from pathlib import Path

from support.ollama_layout import OllamaFolder
from support.scripted import write_scripted_model

CHAT = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c | tojson }}</tool_call>{% endfor %}{% endfor %}"
    "{# <think></think> {%- if message.role == 'tool' %} #}"
)
"""Has all that capability detection looks for: tools, tool calls and thinking tags."""
ENDLESS = {"model": "endless", "prompt": "?", "raw": True, "options": {"num_ctx": 32768}}
"""A request for the model of `install_endless`. Its reply ends after ten contexts, which no test waits for."""


def install_script(folder: OllamaFolder, name: str, text: str, *, template: str = CHAT, for_ever: bool = False) -> None:
    """Installs a model that says `text`. Its name is `name:latest`."""
    path = write_scripted_model(folder.root / f"{name}.gguf", text, template=template, for_ever=for_ever)
    install_gguf(folder, name, path.read_bytes())
    path.unlink()


def install_endless(folder: OllamaFolder) -> None:
    """Installs `endless:latest`, which talks for ever."""
    install_script(folder, "endless", "and on we go", for_ever=True)


def install_gguf(folder: OllamaFolder, name: str, content: bytes) -> None:
    """Installs any bytes as the weights of `name:latest`."""
    folder.install(f"registry.ollama.ai/library/{name}/latest", folder.layer("model", content))


def models_folder(root: Path) -> OllamaFolder:
    """Creates the empty models folder of a server that runs in `root`."""
    return OllamaFolder(root / "models")
