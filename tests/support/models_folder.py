"""Models folders for real servers: scripted models installed as Ollama would."""

from pathlib import Path

from support.ollama_layout import OllamaFolder
from support.scripted import write_scripted_model

CHAT = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c | tojson }}</tool_call>{% endfor %}{% endfor %}"
    "{# <think></think> {%- if message.role == 'tool' %} #}"
)
"""Has what capability detection looks for: tools, tool calls and thinking tags."""


def install_script(folder: OllamaFolder, name: str, text: str, *, template: str = CHAT, for_ever: bool = False) -> None:
    """Installs a model that says `text`, as `name:latest`."""
    path = write_scripted_model(folder.root / f"{name}.gguf", text, template=template, for_ever=for_ever)
    install_gguf(folder, name, path.read_bytes())
    path.unlink()


def install_gguf(folder: OllamaFolder, name: str, content: bytes) -> None:
    """Installs any bytes as a model's weights."""
    folder.install(f"registry.ollama.ai/library/{name}/latest", folder.layer("model", content))


def models_folder(root: Path) -> OllamaFolder:
    """An empty models folder at `root`, where a server of `serving` with that folder looks for it."""
    return OllamaFolder(root / "models")
