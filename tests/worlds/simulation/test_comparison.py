"""A recording that lacks something is refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rig import Constant, rig_world

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.simulation.replay import observed_columns
from sim2real_cat.worlds.simulation.rollout import rollout

NO_VELOCITIES = "log them, or map qvel under [state] to columns of positions with derivative = true"
NO_ACTIONS = "map the columns of all actuators under [action]"


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        (["qvel"], f"no velocities, world 'rig' needs them: {NO_VELOCITIES}"),
        (["actions"], f"no actions, world 'rig' needs them: {NO_ACTIONS}"),
        (["qvel", "actions"], f"no velocities and no actions, world 'rig' needs them: {NO_VELOCITIES}; {NO_ACTIONS}"),
        (["qpos"], "no positions, world 'rig' needs them: map qpos of every joint under [state]"),
    ],
)
def test_what_a_recording_lacks(tmp_path, lacks, message):
    world = rig_world(tmp_path)
    done = rollout(world, Constant(np.zeros(2)), rng=0)
    done = replace(done, **{name: getattr(done, name)[:, :, :0] for name in lacks})
    if "actions" in lacks:
        done = replace(done, actuators=())
    with pytest.raises(WorldError) as caught:
        observed_columns(world, world.compile(), done)
    assert str(caught.value) == f"the recording has {message}"


def test_other_sizes_are_counted(tmp_path):
    world = rig_world(tmp_path)
    done = rollout(world, Constant(np.zeros(2)), rng=0)
    done = replace(done, qvel=done.qvel[:, :, :3])
    with pytest.raises(WorldError, match=r"world 'rig' has 4 positions, .*; the recording has 4, 3, 2 and 4$"):
        observed_columns(world, world.compile(), done)
