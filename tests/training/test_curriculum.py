"""Curricula are state machines: their levels by hand, and laws of all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.errors import WorldError
from sim2real_cat.training.curriculum import (
    CurriculumState,
    LinearCurriculum,
    StepWhenSaturated,
    ThresholdCurriculum,
    Widening,
)
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization

RANDOMIZATION = Randomization({"a": Change("scale", 0.5, 1.5), "b": Change("set", 0.0, 2.0)})


def levels(curriculum, performances):
    state, found = curriculum.start(), []
    for performance in performances:
        state = curriculum.update(state, performance)
        found.append(state.level)
    return found


def test_equal_steps():
    assert levels(LinearCurriculum(4), [0.0] * 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert levels(LinearCurriculum(2, first=0.5), [0.0] * 3) == [0.75, 1.0, 1.0]
    assert LinearCurriculum(3).start().level == 0.0


def test_ten_steps_of_a_tenth_are_one():
    assert levels(ThresholdCurriculum(1.0, 0.0), [2.0] * 11)[-2:] == [1.0, 1.0]
    assert levels(StepWhenSaturated(10, 0.5, 1.0, 0), [0.0] * 11)[-2:] == [1.0, 1.0]
    assert levels(ThresholdCurriculum(1.0, 0.0), [2.0] * 10 + [-1.0] * 10)[-1] == 0.0


def test_thresholds_widen_and_narrow():
    curriculum = ThresholdCurriculum(widen_at=10.0, narrow_at=5.0, step=0.25)
    assert levels(curriculum, [10, 12, 7, 5, 4, 0, 9.99]) == [0.25, 0.5, 0.5, 0.25, 0.0, 0.0, 0.0]


def test_thresholds_look_at_the_mean_of_a_window():
    curriculum = ThresholdCurriculum(widen_at=10.0, narrow_at=5.0, step=0.25, window=3)
    assert levels(curriculum, [20, 20, -10, 100, 0, 0]) == [0, 0, 0.25, 0.25, 0.25, 0.5]
    assert curriculum.update(CurriculumState(0.5), 3.0).recent == (3.0,)
    assert levels(curriculum, [20, 20, -math.inf]) == [0.0, 0.0, 0.0]


def test_the_first_level_is_the_least():
    assert levels(ThresholdCurriculum(1.0, 0.0, step=0.25, first=0.5), [-1, 2, -1, -1]) == [0.5, 0.75, 0.5, 0.5]
    assert levels(StepWhenSaturated(4, 0.2, 0.5, 0, first=0.3), [1.0, 0.1, 1.0]) == [0.3, 0.55, 0.3]


def test_saturation_steps_after_a_wait():
    """Three updates are waited for, the fourth decides, by itself alone."""
    curriculum = StepWhenSaturated(levels=4, widen_below=0.2, narrow_above=0.5, wait=3)
    seldom, often, between = [0.1] * 4, [0.1, 0.1, 0.1, 0.9], [0.9, 0.9, 0.9, 0.3]
    assert levels(curriculum, seldom + between + seldom + often) == (
        [0, 0, 0, 0.25] + [0.25] * 4 + [0.25] * 3 + [0.5] + [0.5] * 3 + [0.25]
    )


CURRICULA = st.one_of(
    st.builds(LinearCurriculum, st.integers(1, 50), st.floats(0, 1)),
    st.builds(
        ThresholdCurriculum,
        st.floats(0.1, 10),
        st.floats(-10, 0),
        st.floats(0.01, 1),
        st.integers(1, 5),
        st.floats(0, 1),
    ),
    st.builds(
        StepWhenSaturated,
        st.integers(1, 20),
        st.floats(0.01, 0.4),
        st.floats(0.5, 1),
        st.integers(0, 4),
        st.floats(0, 1),
    ),
)


@given(CURRICULA, st.lists(st.floats(allow_nan=False), max_size=60))
def test_levels_stay_between_the_first_and_one(curriculum, performances):
    state = curriculum.start()
    for done, performance in enumerate(performances, 1):
        before = state
        state = curriculum.update(state, performance)
        assert curriculum.first <= state.level <= 1
        assert state.updates == done
        assert curriculum.update(before, performance) == state, "the same state gives the same state"


@given(CURRICULA, st.integers(1, 300))
def test_good_performance_never_narrows(curriculum, n):
    good = 0.0 if curriculum.measure == "terminations" else 1e9
    found = [curriculum.start().level, *levels(curriculum, [good] * n)]
    assert (np.diff(found) >= 0).all()


@given(CURRICULA)
def test_nan_is_no_performance(curriculum):
    with pytest.raises(WorldError, match="cannot be updated with the performance NaN"):
        curriculum.update(curriculum.start(), math.nan)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearCurriculum(0), "steps >= 1, got 0"),
        (lambda: LinearCurriculum(3, first=1.5), "'first' is a level from 0 to 1, got 1.5"),
        (lambda: ThresholdCurriculum(1.0, 1.0), "narrow_at < widen_at, got 1 and 1"),
        (lambda: ThresholdCurriculum(math.nan, 1.0), "narrow_at < widen_at"),
        (lambda: ThresholdCurriculum(1.0, 0.0, step=0.0), "0 < step <= 1, got 0"),
        (lambda: ThresholdCurriculum(1.0, 0.0, window=0), "window >= 1, got 0"),
        (lambda: StepWhenSaturated(0, 0.1, 0.2, 1), "levels >= 1, got 0"),
        (lambda: StepWhenSaturated(3, 0.3, 0.2, 1), "widen_below <= narrow_above, got 0.3 and 0.2"),
        (lambda: StepWhenSaturated(3, 0.1, 0.2, -1), "wait >= 0, got -1"),
        (lambda: Widening(RANDOMIZATION, 0, LinearCurriculum(1)), "members >= 1, got 0"),
        (lambda: RANDOMIZATION.at(1.1), "a level is from 0 to 1, got 1.1"),
        (lambda: RANDOMIZATION.at(math.nan), "a level is from 0 to 1, got nan"),
        (lambda: RANDOMIZATION.at(0.5).at(0.5), "narrowed to level 0.5 already; narrow the full ones"),
    ],
)
def test_what_is_no_curriculum(make, message):
    with pytest.raises(WorldError, match=message):
        make()


def test_the_level_is_part_of_the_ensemble():
    half = RANDOMIZATION.at(0.5)
    assert half.draw(3, rng=0).level == half.extremes().level == half.draw_boundary(3, rng=0).level == 0.5
    assert RANDOMIZATION.draw(3, rng=0).level == 1.0
    assert Randomization().at(0.25).draw(3, rng=0).level == 0.25
    assert RANDOMIZATION.at(1.0) == RANDOMIZATION


def test_each_world_of_a_fibre_moves_outwards():
    widening = Widening(RANDOMIZATION, 50, LinearCurriculum(4))
    fibres = [widening.fibre(CurriculumState(level), 3).values for level in (0.0, 0.3, 1.0)]
    np.testing.assert_array_equal(fibres[0], np.ones((50, 2)))
    np.testing.assert_allclose(fibres[1] - 1, 0.3 * (fibres[2] - 1), atol=1e-12)


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_on_the_boundary_one_parameter_is_at_an_end(seed, level):
    narrowed = RANDOMIZATION.at(level)
    drawn = narrowed.draw_boundary(40, rng=seed)
    ends = np.array([change.ends for change in narrowed.changes.values()])
    at_end = (drawn.values == ends[:, 0]) | (drawn.values == ends[:, 1])
    assert at_end.any(axis=1).all()
    assert ((drawn.values >= ends[:, 0]) & (drawn.values <= ends[:, 1])).all()


def test_both_ends_of_every_parameter_are_visited():
    values = RANDOMIZATION.draw_boundary(200, rng=0).values
    for column, ends in zip(values.T, ([0.5, 1.5], [0.0, 2.0]), strict=True):
        counts = [(column == end).sum() for end in ends]
        assert min(counts) > 25  # 50 are expected of each
        assert 60 < len(column) - sum(counts) < 140  # the other parameter was at an end
