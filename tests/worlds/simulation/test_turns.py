"""Plays that take turns: a fixed order, their physics in the background, and failures that close the others."""

from __future__ import annotations

import threading

import pytest

from sim2real_cat.worlds.simulation.turns import in_turns


def play(name, rounds, events, fail_at=None):
    """A play of some rounds that notes when Python works on it, and where its physics ran."""

    def physics(round_):
        threads.append(threading.current_thread().name)
        if round_ == fail_at:
            raise ValueError(f"{name} failed")

    threads = []
    try:
        for round_ in range(rounds):
            events.append((name, round_, threading.current_thread() is threading.main_thread()))
            yield lambda round_=round_: physics(round_)
    finally:
        events.append((name, "closed", True))
    return name, threads


def test_python_works_on_one_after_the_other_in_the_callers_thread():
    events = []
    results = in_turns([play("a", 3, events), play("b", 2, events)])
    assert [name for name, _ in results] == ["a", "b"]
    assert [event[:2] for event in events] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("b", "closed"),
        ("a", "closed"),
    ]
    assert all(main for *_, main in events)
    assert all(thread.startswith("physics") for _, threads in results for thread in threads)


def test_physics_of_two_run_side_by_side():
    """Each waits for the other, so they would never end one after the other."""
    both = threading.Barrier(2, timeout=10)

    def meeting():
        yield both.wait
        yield both.wait
        return "met"

    assert in_turns([meeting(), meeting()]) == ["met", "met"]


def test_a_lone_play_stays_on_the_callers_thread():
    [(_, threads)] = in_turns([play("a", 2, [])])
    assert threads == [threading.main_thread().name] * 2


@pytest.mark.parametrize("rounds", [(3,), (3, 2), (1, 4), (2, 2)])
def test_progress_is_told_once_per_round(rounds):
    told = []
    in_turns([play(str(i), count, []) for i, count in enumerate(rounds)], told.append)
    assert told == list(range(1, max(rounds) + 1))


@pytest.mark.parametrize("others", [0, 1])
def test_a_failure_closes_all(others):
    events = []
    plays = [play("a", 3, events, fail_at=1), *(play("b", 9, events) for _ in range(others))]
    with pytest.raises(ValueError, match="a failed"):
        in_turns(plays)
    assert events.count(("a", "closed", True)) == 1
    assert events.count(("b", "closed", True)) == others
