"""What templates and their variables can reach."""

import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.sandbox.pool import sandbox_environment
from remuda.settings import Settings

DEPTH = 300


def test_a_template_process_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    environment = sandbox_environment()
    assert environment["TZ"] == "Europe/Berlin"
    assert "API_TOKEN" not in environment


async def test_variables_that_are_nested_too_deeply_are_refused() -> None:
    items: dict[str, object] = {}
    for _ in range(DEPTH):
        items = {"items": items}
    with pytest.raises(GatewayError, match="nested too deeply") as caught:
        await TemplateRenderer.for_models(Settings()).render(Language.JINJA, "{{ tools }}", lambda: {"tools": [items]})
    assert caught.value.kind is ErrorKind.INVALID
