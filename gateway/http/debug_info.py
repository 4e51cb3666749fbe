"""The reply to `_debug_render_only`, which Ollama's and OpenAI's routes share."""

from typing import Any

from gateway.generation.events import Done


def debug_info(done: Done) -> dict[str, Any]:
    """The field `_debug_info`, where the prompt was only rendered."""
    if done.rendered is None:
        return {}
    count = {"image_count": done.rendered_images} if done.rendered_images else {}
    return {"_debug_info": {"rendered_template": done.rendered} | count}
