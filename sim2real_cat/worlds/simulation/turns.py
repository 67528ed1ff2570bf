"""Turns of several plays: while the physics of one runs in the background, Python works on the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
Play = Generator[Callable[[], None], None, Result]
"""A generator that yields functions which compute physics, and goes on when each has run."""


def in_turns(plays: Sequence[Play[Result]], progress: Callable[[int], None] | None = None) -> list[Result]:
    """Run plays to their ends, one round of each after the other, and return their results.

    Their physics run side by side, each on its own thread (MuJoCo holds no lock of Python). All else runs on the
    caller's thread in a fixed order, so policies and tasks need not be safe for threads.

    Args:
        plays: the plays; their physics must not write to the same memory.
        progress: called with 1, 2, ..., once for each round, when the first play has finished it.

    Raises:
        Exception: as a play or its physics raised it; the other plays are closed.
    """
    results: dict[int, Result] = {}
    told = 0
    with ThreadPoolExecutor(len(plays), thread_name_prefix="physics") as pool:
        # a lone play gains nothing from the background
        start = _now if len(plays) == 1 else lambda physics: pool.submit(physics).result
        try:
            waiting = deque((number, 0, start(next(play))) for number, play in enumerate(plays))
            while waiting:
                number, rounds, finished = waiting.popleft()
                finished()
                try:
                    physics = next(plays[number])
                    waiting.append((number, rounds + 1, start(physics)))
                except StopIteration as end:
                    results[number] = end.value
                if progress is not None and rounds == told:
                    told += 1
                    progress(told)
        finally:
            for play in plays:
                play.close()
    return [results[number] for number in range(len(plays))]


def _now(physics: Callable[[], None]) -> Callable[[], None]:
    physics()
    return lambda: None
