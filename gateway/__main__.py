"""Usage: python -m gateway INDEX"""

import asyncio
import functools
import sys

from gateway.http.cors import Origins
from gateway.process import run_gateway
from remuda.process import run_process
from remuda.settings import Settings


async def main(index: int, settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Exits with status 1 and one line for an unusable entry of OLLAMA_ORIGINS."""
    try:
        Origins.of(settings.origins)
    except ValueError as error:
        sys.exit(f"Error: {error}")
    await run_gateway(index, settings, stop)


if __name__ == "__main__":
    number = int(sys.argv[1])
    run_process(f"gateway {number}", functools.partial(main, number))
