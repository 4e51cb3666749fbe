"""Usage: python -m gateway INDEX"""

import functools
import sys

from gateway.process import run_gateway
from remuda.process import run_process

if __name__ == "__main__":
    number = int(sys.argv[1])
    run_process(f"gateway {number}", functools.partial(run_gateway, number))
