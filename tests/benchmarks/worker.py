"""The process of one side: makes its call ready, then runs and measures it as often as it is told to.

``python -m tests.benchmarks.worker MODULE:FUNCTION ARGUMENTS`` reads a line per order (``call``, ``quit``) and answers each
with a line of JSON. Whatever else a library prints goes to standard error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any


def memory(field: str) -> float:
    """Return a memory figure of this process in bytes: ``VmRSS`` now, ``VmHWM`` the most so far."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return float(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def forget_peak() -> None:
    """Let the most so far start again from now, where the system can."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def size(result: Any) -> float | None:
    """Return the bytes of a result: text as UTF-8."""
    if isinstance(result, str):
        return float(len(result.encode()))
    return float(len(result)) if isinstance(result, (bytes, bytearray)) else None


def measured(call: Any) -> dict[str, float]:
    """Run the call once and return what was measured; a call that measures itself returns a dict."""
    gc.collect()
    high = memory("VmHWM")
    forget_peak()
    before = memory("VmRSS")
    start = time.process_time()
    result = call()
    spent = time.process_time() - start
    during = memory("VmHWM")
    found = {"time": spent, "peak": max(high, during), "extra": max(0.0, during - before)}
    if isinstance(result, dict):
        return {**found, **result}
    length = size(result)
    return found if length is None else {**found, "bytes": length}


def main() -> None:
    """Answer orders until there are none."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**items: Any) -> None:
        answers.write(json.dumps(items) + "\n")
        answers.flush()

    module, _, name = sys.argv[1].partition(":")
    try:
        call = getattr(importlib.import_module(module), name)(*json.loads(sys.argv[2]))
    except ImportError as error:
        answer(
            trouble=f"{error.name or error} is not installed" if isinstance(error, ModuleNotFoundError) else str(error)
        )
        return
    answer(ready=True)
    for order in sys.stdin:
        if order.strip() != "call":
            break
        answer(**measured(call))


if __name__ == "__main__":
    main()
