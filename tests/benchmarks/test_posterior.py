"""The posterior of a recording that others made, and its calibration."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from places import ROOT, SHARED
from scipy import stats

import sim2real_cat as s2r

DATA = SHARED / "data"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import posterior

    yield posterior
    del sys.modules["posterior"]


@pytest.mark.nightly
@pytest.mark.skipif(not (DATA / "dropo_hopper").exists(), reason="the recording is not at ../shared/data/dropo_hopper")
def test_masses_of_a_recorded_hopper(benchmark):
    """Masses within 3 %, the foot's within 5 %: its contacts are another MuJoCo's, which the result says."""
    world, recording = benchmark.hopper_recording(DATA, 300)
    found, light = (
        s2r.posterior(world, recording, randomization=benchmark.hopper_randomization(torso_fixed=fixed))
        for fixed in (False, True)
    )
    for body, mass in benchmark.MASSES.items():
        assert found.interval(f"body_mass[{body}]")[0] == pytest.approx(mass, rel=0.05 if body == "foot" else 0.03)
    for one in (found, light):
        assert not one.reliable
        assert "'foot angular velocity'" in one.reasons[0]
    assert found.log_evidence - light.log_evidence > 300
    wide = s2r.posterior(world, recording, randomization=benchmark.hopper_randomization(), discrepancy=True)
    for body, mass in benchmark.MASSES.items():
        _, low, high = wide.interval(f"body_mass[{body}]")
        assert low < mass < high


@pytest.mark.nightly
def test_ranks_of_true_parameters_are_uniform(benchmark):
    found = benchmark.ranks("InvertedPendulum", 50)
    assert min(stats.chisquare(np.bincount(column, minlength=10)).pvalue for column in found.T) > 0.001
