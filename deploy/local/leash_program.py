"""No process outlives the stack, not even after kill -9 of the supervisor: two small programs see to it.

`run`: becomes the given program; on Linux the kernel kills it when its parent dies.
`watch`: reads from the supervisor's pipe which process groups there are ("+1234", "-1234"), and kills those that are
left when the pipe ends. It reaches children of children too, and works on macOS.
Both are started as plain scripts: they import the standard library only, and few of it.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def run(parent: int, argv: list[str]) -> None:
    """Replace this process by `argv`, tied to the life of the process `parent`."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - costs 5 ms, and only Linux needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(argv[0], argv)  # noqa: S606 - no shell is what is wanted


def watch() -> None:
    """Follow standard input to its end, then kill every process group that was added and not taken away."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(int(sys.argv[2]), sys.argv[3:])
    else:
        watch()
