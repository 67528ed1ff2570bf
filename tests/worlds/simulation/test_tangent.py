"""Moving states along tangent vectors: MuJoCo's own functions, one state at a time, are the reference."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim2real_cat.worlds.simulation.tangent import positions_apart, positions_moved

MODEL = mujoco.MjModel.from_xml_string("""
<mujoco>
  <worldbody>
    <body><joint type="slide"/><geom size="0.1"/>
      <body pos="0 0 1"><joint type="ball"/><geom size="0.1"/></body>
    </body>
    <body pos="0 1 0"><freejoint/><geom size="0.1"/></body>
    <body pos="0 2 0"><joint type="hinge"/><geom size="0.1"/></body>
  </worldbody>
</mujoco>
""")


def positions(rng: np.random.Generator, n: int) -> np.ndarray:
    qpos = rng.normal(size=(n, MODEL.nq))
    for row in qpos:
        mujoco.mj_normalizeQuat(MODEL, row)
    return qpos


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1e-9, 1e-3, 1.0]))
def test_moving_is_what_mujoco_does(seed, size):
    rng = np.random.default_rng(seed)
    qpos, step = positions(rng, 5), size * rng.uniform(-1, 1, (5, MODEL.nv))
    expected = qpos.copy()
    for row, along in zip(expected, step, strict=True):
        mujoco.mj_integratePos(MODEL, row, along, 1.0)
    found = positions_moved(MODEL, qpos, step)
    sign = np.sign((found * expected)[:, 1:5].sum(axis=1))
    assert (np.abs(sign) == 1).all()
    apart = np.empty(MODEL.nv)
    for one, other in zip(found, expected, strict=True):
        mujoco.mj_differentiatePos(MODEL, apart, 1.0, one, other)
        np.testing.assert_allclose(apart, 0.0, atol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_apart_undoes_moved(seed):
    rng = np.random.default_rng(seed)
    qpos, step = positions(rng, 4), rng.uniform(-1, 1, (3, 4, MODEL.nv))
    np.testing.assert_allclose(positions_apart(MODEL, positions_moved(MODEL, qpos, step), qpos), step, atol=1e-12)
    expected = np.empty(MODEL.nv)
    mujoco.mj_differentiatePos(MODEL, expected, 1.0, qpos[0], qpos[1])
    np.testing.assert_allclose(positions_apart(MODEL, qpos[1], qpos[0]), expected, atol=1e-12)


def test_what_is_not_known_stays_unknown():
    qpos = np.stack([positions(np.random.default_rng(0), 1)[0], np.full(MODEL.nq, np.nan)])
    moved = positions_moved(MODEL, qpos, np.full(MODEL.nv, 0.1))
    assert np.isfinite(moved[0]).all()
    assert np.isnan(moved[1]).all()


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_shapes_broadcast(shape):
    qpos = positions(np.random.default_rng(0), 1)[0]
    assert positions_moved(MODEL, qpos, np.zeros((*shape, MODEL.nv))).shape == (*shape, MODEL.nq)
