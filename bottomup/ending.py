"""How processes end: a command by Ctrl-C or SIGTERM, in a word and not a traceback; others with their parent."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

_LATER = 0.05  # s
_LOOKS_EVERY = 1.0  # s; how often a process looks whether its parent is there
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Asked:
    """Which signal asked a command to end; None as long as none did."""

    number: int | None = None

    def __call__(self, number: int, _: Any) -> None:
        """Handle a signal: KeyboardInterrupt, after which what is open is closed and what was found is written."""
        self.number = number
        raise KeyboardInterrupt


@contextlib.contextmanager
def ending(lasting: bool = False) -> Iterator[Asked]:
    """Handle the signals inside; only the main thread may. ``lasting``: afterwards they end the process without a word.

    Where Python cannot raise, as in a destructor, it prints and goes on: here the signal is raised again instead.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, asked) for number in _SIGNALS}
    told = sys.unraisablehook

    def raise_again(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt) and asked.number is not None:
            threading.Timer(_LATER, _thread.interrupt_main, (signal.Signals(asked.number),)).start()  # here it would be lost, too
        else:
            told(unraisable)

    sys.unraisablehook = raise_again
    try:
        yield asked
    finally:
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if lasting else handler)


def end_with_parent() -> None:
    """Let this process end soon after the one that began it, however that ended; what is open is left as it is."""
    if hasattr(os, "fork"):  # elsewhere nobody says that a parent is gone
        began = os.getppid()  # of a fork server's child that server, which ends with the main process
        threading.Thread(target=_end_after, args=(began,), daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY)
    os._exit(1)
