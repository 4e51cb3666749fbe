"""The hostile clients: `python -m loadtests.soak.hostile PORT CLIENTS PAUSE_S SEED`, until stdin closes.

They stand back for other processes: on a real network they would compute elsewhere. At the end stdout gets the
number of attacks of each kind as JSON.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter

from loadtests.soak.attacks import ATTACKS

NICENESS = 5


async def attack(port: int, pause_s: float, counts: Counter[str]) -> None:
    """One client after another, of all kinds in turn."""
    while True:
        for name in random.sample(sorted(ATTACKS), len(ATTACKS)):
            try:
                await ATTACKS[name](port)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                counts[f"{name}: cut off"] += 1
            counts[name] += 1
            await asyncio.sleep(pause_s)


async def main() -> None:
    port, clients, pause_s, seed = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    random.seed(seed)
    os.nice(NICENESS)
    counts: Counter[str] = Counter()
    tasks = [asyncio.create_task(attack(port, pause_s, counts)) for _ in range(clients)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    print(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(main())
