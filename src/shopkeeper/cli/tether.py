"""Runs a program that must not outlive the process that started it: `python -m shopkeeper.cli.tether PID program ...`.

The kernel then ends it even when the parent was killed and could not clean up. Linux only; elsewhere it is just run.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            sys.exit(0)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
