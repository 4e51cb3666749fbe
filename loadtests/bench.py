"""`python loadtests/bench.py CASE`: the benchmarks. `--help` lists the cases; `docs/performance.md` explains them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started as a file, not as a module

from loadtests.command import main

if __name__ == "__main__":
    main()
