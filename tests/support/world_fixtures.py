from __future__ import annotations

import numpy as np
import pytest
from rig import JOINTS, Constant, rig_world

from sim2real_cat.worlds.simulation.rollout import rollout


@pytest.fixture
def rig(tmp_path):
    return rig_world(tmp_path)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path, monkeypatch, capfd):
    """Every test runs in its own folder; MuJoCo must neither print there nor leave its log."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "MUJOCO_LOG.TXT").exists()
    assert capfd.readouterr().err == ""


@pytest.fixture
def moved(tmp_path):
    """Positions of one joint of the rig, (members, steps + 1), under constant actions in changed worlds."""

    def positions(joint, members, action=(0.0, 0.0), *, steps=20, text=None, **task):
        settings = {} if text is None else {"text": text}
        world = rig_world(tmp_path, **settings, **task)
        done = rollout(world, Constant(np.array(action, dtype=float)), rng=0, fibre=members, steps=steps, threads=1)
        return done.qpos[:, :, JOINTS.index(joint)]

    return positions
