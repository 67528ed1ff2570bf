"""The variants of the nearest-neighbour estimate, and what the default one gains."""

import numpy as np
import pytest
from scipy.special import digamma

from sim2real_cat.errors import GapError
from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.gaps.nearest_neighbours import KnnRule, Neighbours, TimeExclusion
from sim2real_cat.gaps.resampling import Blocks


def neighbours_of_all(real, sim):
    pooled = np.concatenate([real, sim])
    white = np.linalg.inv(np.linalg.cholesky(np.cov(pooled, rowvar=False))).T
    real, sim = real @ white, sim @ white
    own = np.linalg.norm(real[:, None] - real[None], axis=2)
    np.fill_diagonal(own, np.inf)
    return np.sort(own, axis=1), np.sort(np.linalg.norm(real[:, None] - sim[None], axis=2), axis=1)


def test_reduced_is_the_brute_force_estimate():
    rng, k, cap = np.random.default_rng(0), 3, 36
    real, sim = rng.normal(size=(80, 2)), 1.3 * rng.normal(size=(90, 2))
    rho, nu = neighbours_of_all(real, sim)
    total = 0.0
    for i in range(80):
        radius = max(rho[i, k - 1], nu[i, k - 1])
        inner, outer = min(cap, (rho[i] <= radius).sum()), min(cap, (nu[i] <= radius).sum())
        total += 2 * np.log(nu[i, outer - 1] / rho[i, inner - 1]) + digamma(inner) - digamma(outer)
    expected = total / 80 + np.log(90 / 79)
    assert gap(real, sim, method="knn", neighbours=k, variant="reduced").raw == pytest.approx(expected)


def test_plain_is_the_brute_force_estimate():
    rng = np.random.default_rng(1)
    real, sim = rng.normal(size=(80, 2)), 1.3 * rng.normal(size=(90, 2))
    rho, nu = neighbours_of_all(real, sim)
    found = gap(real, sim, method="knn", variant="plain")
    assert found.raw == found.plug_in == pytest.approx(2 * np.log(nu[:, 4] / rho[:, 4]).mean() + np.log(90 / 79))
    assert "does not know its bias" in found.why[-1]


@pytest.mark.parametrize(("d", "plain"), [(5, 0.84), (20, 4.06)])
def test_anchored_where_plain_is_off(d, plain):
    # KL(N(0, I) || N(0, 1.5² I)) = d 0.1277; the plain figures are the ones the anchor is there for.
    truth = d * (np.log(1.5) + 0.5 / 1.5**2 - 0.5)
    found = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        found.append(gap(rng.normal(size=(1000, d)), 1.5 * rng.normal(size=(1000, d)), method="knn"))
    assert np.mean([one.plug_in for one in found]) == pytest.approx(plain, rel=0.05)
    assert np.mean([one.raw for one in found]) == pytest.approx(truth, rel=0.08)
    assert all(one.low < truth < one.high and one.reliable for one in found)


def test_anchored_has_no_bias_where_nothing_differs():
    # The plug-in of the anchor alone is 0.25 nats too large here.
    rng = np.random.default_rng(6)
    found = [gap(rng.normal(size=(1000, 20)), rng.normal(size=(1000, 20)), method="knn").raw for _ in range(3)]
    assert np.mean(found) == pytest.approx(0, abs=0.1)


def test_the_anchored_interval_is_at_least_that_of_its_anchor():
    # Distances hardly move here as blocks are left out, the moments do.
    rng = np.random.default_rng(8)
    real, sim = 1.5 * rng.normal(size=(800, 10)), rng.normal(size=(800, 10))
    near, anchor = gap(real, sim, method="knn"), gap(real, sim, method="gaussian", splits=0)
    assert 2.5 > (near.raw - near.low) / (anchor.raw - anchor.low) > 0.8


def test_more_shape_than_distances_can_be_trusted_with():
    rng = np.random.default_rng(10)
    found = gap(rng.exponential(1, (800, 8)), rng.exponential(1.5, (800, 8)), method="knn")
    assert not found.reliable
    assert any("distances in 8 dimensions see a part only" in reason for reason in found.why)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_shapes_in_many_dimensions_are_not_believed(scale):
    # Student's t in every sensor: no single one is far from a Gaussian, together they are.
    rng = np.random.default_rng(9)
    real, sim = rng.standard_t(5, (1000, 12)), scale * rng.standard_t(5, (1000, 12)) + 0.5
    assert gap(real, sim).method == "knn"
    assert not gap(real, sim, method="gaussian", splits=0).reliable


@pytest.mark.parametrize("variant", ["plain", "reduced", "extrapolated"])
def test_leaving_out_a_block_is_never_having_had_it(variant):
    rng = np.random.default_rng(7)
    real, sim, rule = rng.normal(size=(60, 2)), rng.normal(size=(90, 2)) + 0.5, KnnRule(variant, 2)
    real_blocks = Blocks(np.repeat([0, 1, 2], 20), np.zeros(3, dtype=np.intp))
    sim_blocks = Blocks(np.repeat([0, 1, 2, 3], [20, 30, 20, 20]), np.array([0, 0, 1, 1]))
    weights = {0: 0.3, 1: 0.7}

    def estimate(real_kept, sim_kept):
        blocks = [
            Blocks(np.searchsorted(kept, of.label[np.isin(of.label, kept)]), of.stratum[kept])
            for of, kept in ((real_blocks, real_kept), (sim_blocks, sim_kept))
        ]
        rows, others = np.isin(real_blocks.label, real_kept), np.isin(sim_blocks.label, sim_kept)
        exclusion = TimeExclusion.choose(real_blocks.label[rows], blocks[0], None)
        return Neighbours.find(real[rows], sim[others], exclusion, blocks[1], weights, rule.far).mean(rule)

    exclusion = TimeExclusion.choose(real_blocks.label, real_blocks, None)
    near = Neighbours.find(real, sim, exclusion, sim_blocks, weights, rule.far)
    everything = np.arange(3), np.arange(4)
    assert near.mean(rule) == pytest.approx(estimate(*everything))
    assert near.mean(rule, real_out=1) == pytest.approx(estimate(np.array([0, 2]), everything[1]))
    assert near.mean(rule, sim_out=1) == pytest.approx(estimate(everything[0], np.array([0, 2, 3])))


def test_anchored_sees_a_joint_shape_that_gaussians_do_not():
    # (x, y + b (x² - 1)): the map has determinant 1, so KL is that of y's shift, E (b - b')² (x² - 1)² / 2 = (b - b')².
    def bent(rng, b):
        x = rng.normal(size=(2000, 3))
        x[:, 1] += b * (x[:, 0] ** 2 - 1)
        return x

    rng = np.random.default_rng(2)
    real, sim = bent(rng, 1.0), bent(rng, 0.5)
    assert gap(real, sim, method="knn").raw == pytest.approx(0.25, abs=0.05)
    assert gap(real, sim, method="gaussian").raw < 0.19


def test_theiler_window(autoregressive):
    # One long episode on each side: without a window the neighbours of a point are its own past and future.
    rng = np.random.default_rng(3)
    real, sim = autoregressive(rng, 4, 800, 1, 0.99), autoregressive(rng, 4, 800, 1, 0.99)
    options = {"method": "knn", "level": "occupancy", "variant": "plain"}
    none, wide, default = (gap(real, sim, theiler=steps, **options).raw for steps in (0, 800, None))
    assert none > wide + 0.1
    assert wide == pytest.approx(default)


def test_too_few_points_for_an_anchor():
    rng = np.random.default_rng(4)
    real, sim = list(rng.normal(size=(4, 2, 5))), list(rng.normal(size=(6, 3, 5)))
    found = gap(real, sim, method="knn", level="occupancy", neighbours=1)
    assert "variant 'extrapolated'" in " ".join(found.why)
    with pytest.raises(GapError, match="too few points for a covariance when a block is left out"):
        gap(real, sim, method="knn", level="occupancy", neighbours=1, variant="anchored")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "reducd"}, "unknown variant 'reducd': did you mean 'reduced'"),
        ({"theiler": -1}, "theiler is -1 steps"),
        ({"variant": "reduced", "neighbours": 4}, "too few for 48 nearest neighbours outside a block"),
    ],
)
def test_refused_choices(options, message):
    rows = np.random.default_rng(5).normal(size=(45, 2))
    with pytest.raises(GapError, match=message):
        gap(rows, rows + 0.1, method="knn", **options)
