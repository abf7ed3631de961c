"""Runs the worker, and ends it when the stack that started it is gone: its end of standard input then closes."""

import os
import runpy
import threading


def end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("understudy_worker", run_name="__main__", alter_sys=True)
