"""What each world of a fibre says by itself: against closed forms, and in the instance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2real_cat.gaps.estimate import Null
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.posteriors.densities import gaussian_densities
from sim2real_cat.predictive.estimate import gap_of_densities
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import WorldGaps, measure, member_gaps
from sim2real_cat.worlds.randomization.ensemble import Ensemble

SHIFTS = np.array([0.1, -0.3, 2.0])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def of_shifts(shifts, weights, episodes=40, steps=25, seed=0, reach=np.inf):
    """Readings of N(0, 1) where member e expects N(shift_e, 1), and nothing beyond its reach."""
    rng = np.random.default_rng(seed)
    n = episodes * steps
    reading = rng.normal(size=(n, 1))
    expected = np.broadcast_to(np.asarray(shifts)[:, None, None], (len(shifts), n, 1)).copy()
    expected[-1, np.abs(reading) > reach] = np.nan
    densities = gaussian_densities(
        np.repeat(np.arange(episodes), steps),
        reading,
        expected,
        np.ones((len(shifts), 1)),
        np.zeros((n, 1)),
        np.ones(1),
    )
    return gap_of_densities([{1.0: densities}], weights, ["x"], noise="given")


def test_a_member_s_gap_is_half_its_shift_squared():
    """KL(N(0,1) || N(μ,1)) = μ²/2."""
    found = of_shifts(SHIFTS, WEIGHTS, episodes=400)
    assert found.members.gaps.shape == (3, 3)
    value, low, high = found.members.gaps.T
    assert value == pytest.approx(SHIFTS**2 / 2, abs=0.08, rel=0.05)
    assert ((low <= value) & (value <= high)).all()
    assert value[0] == pytest.approx(0.005, abs=0.004)


def test_the_intervals_of_members_cover():
    hits = np.zeros(3)
    for seed in range(60):
        _, low, high = of_shifts(SHIFTS, WEIGHTS, episodes=12, seed=seed).members.gaps.T
        hits += (low <= SHIFTS**2 / 2) & (high >= SHIFTS**2 / 2)
    assert (hits / 60 > 0.85).all()


def test_a_single_member_has_the_gap_of_the_mixture():
    found = of_shifts([0.7], [3.0])
    estimate = found.estimate
    assert found.members.gaps[0] == pytest.approx([estimate.value, estimate.low, estimate.high], rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_the_fibre_holds_of_the_estimates(seed):
    found = of_shifts(SHIFTS, WEIGHTS, episodes=3, steps=4, seed=seed)
    bounds = 4 * found.members.gaps[:, 0] - np.log(WEIGHTS)
    assert (found.trajectory.value <= bounds + 1e-9).all()


def test_a_member_that_excludes_a_reading_is_infinitely_far():
    found = of_shifts(SHIFTS, WEIGHTS, reach=0.5)
    assert np.isinf(found.members.gaps[2, [0, 2]]).all()
    assert np.isfinite(found.members.gaps[:2]).all()


def test_a_single_episode_has_no_interval_of_members():
    assert of_shifts(SHIFTS, WEIGHTS, episodes=1, steps=100).members.gaps[:, 1:].tolist() == [[0.0, np.inf]] * 3


# of samples


@pytest.fixture
def deployment(make_trajectories):
    """Two worlds, of which the robot is like the second."""
    fibre = Ensemble((), (), np.zeros((2, 0)), np.array([0.25, 0.75]))
    rng = np.random.default_rng(0)
    sim = make_trajectories(rng.normal(size=(24, 25, 2)), members=np.repeat([0, 1], 12))
    sim.observations[:12] += 3.0
    return Deployment("p", "r", "", None, fibre, sim, make_trajectories(rng.normal(size=(12, 25, 2))))


def test_each_world_is_compared_by_itself(deployment):
    found = measure(deployment, method="gaussian", confidence=0.9, rng=np.random.default_rng(5)).by_world
    assert found.square_level == "occupancy"
    for level, rows in (("transition", found.gaps), ("occupancy", found.squares)):
        for member in (0, 1):
            own = deployment.sim.select(deployment.sim.member_index == member)
            expected = gap(deployment.real, own, method="gaussian", level=level, confidence=0.9)
            assert rows[member].tolist() == [expected.value, expected.low, expected.high]
    assert found.squares[0, 0] == pytest.approx(9.0, rel=0.1)
    assert found.squares[1, 2] < 0.1


def test_a_world_that_cannot_be_compared_says_nothing(deployment):
    lost = replace(deployment.sim, diverged=np.arange(24) < 12)
    rng = np.random.default_rng(5)
    found = member_gaps(replace(deployment, sim=lost), None, method="gaussian", confidence=0.9, rng=rng)
    assert np.isnan(found.gaps[0]).all()
    assert np.isfinite(found.squares[1]).all()


def test_the_instance_holds_what_was_measured(deployment, make_gap):
    members = WorldGaps(
        np.array([[np.inf, np.inf, np.inf], [0.2, 0.1, np.inf]]), np.array([[3.0, 2.0, 4.0], [np.nan, np.nan, np.nan]])
    )
    measured = replace(make_gap(0.3, 0.2, 0.4), by_world=members)
    instance = build_instance([deployment], [measured], 0.5)
    names = [
        "member_gap",
        "member_gap_low",
        "member_gap_high",
        "square_gap",
        "square_low",
        "square_high",
        "square_level",
    ]
    rows = instance.along(names)
    assert [rows[name] for name in names] == [
        [None, 0.2],
        [None, 0.1],
        [None, None],
        [3.0, None],
        [2.0, None],
        [4.0, None],
        ["occupancy", None],
    ]
    assert instance.along(["gap_steps", "gap_episodes"]) == {"id": [0], "gap_steps": [5.0], "gap_episodes": [2]}


@pytest.mark.parametrize(
    ("null", "row"),
    [
        (None, [None, None]),
        (Null((0.1, -0.02), (0.04,), 0.25, 2, ()), [0.04, 0.25]),
        (Null((-0.1,), (), 1.0, 1, ()), [0.0, 1.0]),
        (Null((), (), None, 0, ("too few episodes",)), [None, None]),
    ],
)
def test_the_instance_holds_the_null(deployment, make_gap, null, row):
    measured = make_gap(0.3)
    measured = replace(measured, transition=replace(measured.transition, null=null))
    found = build_instance([deployment], [measured], 0.5).along(["gap_null", "gap_p_value"])
    assert [found[name][0] for name in ("gap_null", "gap_p_value")] == [
        pytest.approx(row[0]) if row[0] else row[0],
        row[1],
    ]


def test_what_is_measured_keeps_the_laws(deployment):
    measured = measure(deployment, method="gaussian", confidence=0.9, rng=np.random.default_rng(5))
    report = build_instance([deployment], [measured], 0.5).check(0.5)
    assert report["square"].verdict == "holds"
    assert [note.id for note in report["square"].notes] == [0, 1]
    assert not report["fibre-bound"].asked


def test_a_predictive_gap_keeps_the_bound_in_the_study(tiny_run):
    _, result = tiny_run
    report = result.report["fibre-bound"]
    assert (report.asked, report.verdict, len(report.notes)) == (True, "holds", 2)
    assert result.report["square"].verdict == "holds"
    steps = result.instance.along(["gap_steps", "gap_episodes"])
    for policy, deployment in enumerate(result.deployments):
        lengths = deployment.real.lengths[deployment.real.kept]
        assert (steps["gap_steps"][policy], steps["gap_episodes"][policy]) == (lengths.mean(), len(lengths))
