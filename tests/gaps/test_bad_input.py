"""Every bad input is refused in one line that says what, where and what to do."""

import numpy as np
import pytest

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.kl_gap import gap, pointwise

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(50, 2))
EPISODES = list(RNG.normal(size=(5, 20, 2)))
LINE = np.arange(20.0)[:, None]


def with_nan():
    episodes = [e.copy() for e in EPISODES]
    episodes[2][7, 1] = np.nan
    episodes[4][0, 0] = np.inf
    return episodes


@pytest.mark.parametrize(
    ("real", "sim", "options", "message"),
    [
        (ROWS[:0], ROWS, {}, "the real side is empty"),
        ([], EPISODES, {}, "the real side is empty: it has 0 arrays"),
        (ROWS, "x", {}, "the simulated side is a str: give an array"),
        (ROWS, ROWS[:, :1], {}, "the real side has 2 sensors and the simulated side 1"),
        (with_nan(), EPISODES, {}, "2 values that are NaN or infinite, the first in episode 2, row 7, sensor '1'"),
        (ROWS, np.where(np.arange(100).reshape(50, 2) == 6, np.inf, ROWS), {}, "the first in row 3, sensor '0'"),
        ([np.zeros(3)], EPISODES, {}, r"episode 0 of the real side has shape \(3,\), not \(T, d\)"),
        ([*EPISODES, ROWS[:, :1]], EPISODES, {}, "episode 5 of the real side has 1 sensors, episode 0 has 2"),
        (np.array(["a", "b"]), ROWS, {}, "the real side is not an array of numbers"),
        (ROWS, ROWS, {"method": "gausian"}, "unknown method 'gausian': did you mean 'gaussian'"),
        (ROWS, ROWS, {"level": "transitions"}, "unknown level 'transitions': did you mean 'transition'"),
        (ROWS, EPISODES, {"level": "transition"}, "needs episodes of at least 2 steps, which the real side"),
        (ROWS, ROWS, {"confidence": 95}, "confidence is 95: give a number between 0 and 1"),
        (ROWS[:1], ROWS, {}, "the real side has a single observation"),
        (ROWS, ROWS[:1], {"method": "knn"}, "the simulated side has a single observation"),
        (ROWS, ROWS[:, 0], {}, "the real side has 2 sensors and the simulated side 1"),
        (EPISODES, EPISODES, {"level": "trajectories"}, "unknown level 'trajectories': did you mean 'trajectory'"),
        (ROWS, ROWS[:3], {}, "observations of simulated member 0: 3 points are too few"),
        (ROWS[:6], ROWS, {"method": "knn"}, "the real side has 6 points in 6 blocks, too few for 5 nearest"),
        (ROWS, ROWS, {"method": "knn", "neighbours": 0}, "neighbours is 0"),
        (ROWS, ROWS, {"weights": [1, 2]}, r"2 weights for 1 simulated members \[0\]"),
        (ROWS, ROWS, {"weights": {1: 1.0}}, r"weights are for members \[1\], the simulated members are \[0\]"),
        (ROWS, ROWS, {"weights": [-1]}, "weights must be finite, not negative"),
        (ROWS, np.hstack([ROWS[:, :1], ROWS[:, :1] * 0]), {}, r"to compare: 1 \(simulated side only\)"),
        (np.ones((9, 1)), np.zeros((9, 1)), {}, r"0 \(both sides, at different values\)"),
        (np.ones((9, 1)), np.ones((9, 1)), {}, "every sensor is constant"),
        (ROWS @ [[1, 1], [0, 0]], ROWS, {}, "real side: linearly dependent sensors .*: 0, 1"),
        ([LINE, LINE], [LINE, LINE + RNG.normal(size=(20, 1))], {}, "linearly dependent sensors .*: 0, next 0"),
    ],
)
def test_refused(real, sim, options, message):
    with pytest.raises(GapError, match=message) as caught:
        gap(real, sim, **options)
    assert "\n" not in str(caught.value)


def test_sensors_and_periods_must_agree(recorded):
    members = np.zeros(5, int)
    ab = recorded(EPISODES, members, ("a", "b"))
    with pytest.raises(GapError, match="differ in only real: a; only simulated: c"):
        gap(ab, recorded(EPISODES, members, ("b", "c")))
    with pytest.raises(GapError, match="differ in their order: real a, b; simulated b, a"):
        gap(ab, recorded(EPISODES, members, ("b", "a")))
    with pytest.raises(GapError, match=r"control periods differ: real 0.02 s, simulated 0.01 s"):
        pointwise(ab, recorded(EPISODES, members, ("a", "b"), 0.01))
    with pytest.raises(GapError, match=r"5 episodes but a member_index of shape \(4,\)"):
        gap(ab, recorded(EPISODES, members[:4], ("a", "b")))
    with pytest.raises(GapError, match="2 columns but 1 sensor names"):
        gap(recorded(EPISODES, members, ("a",)), ab)
    assert gap(ab, EPISODES).sensors == ("a", "b")


def test_member_without_transitions(recorded):
    real = recorded(EPISODES, np.zeros(5, int))
    sim = recorded([*EPISODES, EPISODES[0][:1]], np.array([0, 0, 0, 0, 0, 9]))
    with pytest.raises(GapError, match="simulated member 9 has no transitions: add episodes or give it weight 0"):
        gap(real, sim)
    assert gap(real, sim, weights=[1, 0]).episodes_sim == 5
    sim.member_index[5] = 0
    assert gap(real, sim, method="gaussian").why == ("1 simulated episodes of a single step have no transition",)


def test_constant_sensor_is_dropped_and_said(recorded):
    still = [np.hstack([e, np.full((20, 1), 3.0)]) for e in EPISODES]
    other = list(np.random.default_rng(1).normal(size=(5, 20, 2)))
    with_it = gap(still, [np.hstack([e, np.full((20, 1), 3.0)]) for e in other], method="gaussian")
    assert with_it.why == ("dropped as constant and equal on both sides: 2",)
    assert with_it.raw == pytest.approx(gap(EPISODES, other).raw)


def test_quantised_samples_are_not_believed():
    found = gap(np.round(ROWS[:, 0]), np.round(ROWS[:, 1]), method="knn", neighbours=1, dither=False)
    assert np.isfinite(found.raw)
    assert not found.reliable
    assert "coincide" in found.why[0]


@pytest.mark.parametrize("method", ["gaussian", "knn", None])
@pytest.mark.parametrize("episodes", [1, 2])
def test_too_few_episodes_are_no_narrow_interval(method, episodes):
    rng = np.random.default_rng(2)
    real, sim = list(rng.normal(size=(episodes, 25, 2))), list(rng.normal(size=(8, 25, 2)))
    if method == "knn" and episodes == 2:
        with pytest.raises(GapError, match=r"50 points in 2 blocks, too few .* add episodes"):
            gap(real, sim, method=method, level="occupancy")
        return
    found = gap(real, sim, method=method, level="occupancy")
    assert not found.reliable or found.high > 0.3


@pytest.mark.parametrize("method", ["gaussian", "knn", None])
def test_the_same_log_on_both_sides_is_no_finding(method):
    found = gap(EPISODES, EPISODES, method=method, level="occupancy")
    assert found.value == pytest.approx(0, abs=0.05) or not found.reliable


@pytest.mark.parametrize("method", ["knn", None])
def test_a_sensor_of_two_values(method):
    # A contact: on 30 % of the time in reality and half of the time in simulation.
    rng = np.random.default_rng(3)
    real, sim = (np.column_stack([rng.random(1500) < p, rng.normal(size=1500)]).astype(float) for p in (0.3, 0.5))
    truth = 0.3 * np.log(0.3 / 0.5) + 0.7 * np.log(0.7 / 0.5)
    found = gap(real, sim, method=method)
    assert found.method == "knn"
    assert found.value == pytest.approx(truth, abs=0.05)
    assert any("quantum" in note for note in found.why)
