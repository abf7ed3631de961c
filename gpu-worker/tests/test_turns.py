"""One at a time, in the order of asking."""

from __future__ import annotations

import threading
import time

from understudy_worker.turns import Turns


def test_whoever_asked_first_is_next() -> None:
    turns, order, threads = Turns(), [], []
    with turns:
        for name in range(5):

            def work(name: int = name) -> None:
                with turns:
                    order.append(name)

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            while len(turns._waiting) <= name:
                time.sleep(0.001)
    for thread in threads:
        thread.join(60)
    assert order == [0, 1, 2, 3, 4]


def test_never_two_at_once_and_nobody_starves() -> None:
    turns, inside, seen, counts = Turns(), [], [], [0, 0, 0]

    def work(name: int) -> None:
        while min(counts) < 20:
            with turns:
                inside.append(name)
                seen.append(len(inside))
                time.sleep(0.001)
                inside.pop()
                counts[name] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(seen) == {1}
    assert min(counts) >= 20


def test_a_holder_may_take_it_again_and_a_failure_gives_it_back() -> None:
    turns = Turns()
    with turns, turns:
        pass
    try:
        with turns:
            raise ValueError
    except ValueError:
        pass
    with turns:
        assert turns._depth == 1
