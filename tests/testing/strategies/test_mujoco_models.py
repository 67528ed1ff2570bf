"""Random worlds can be lived in."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from sim2real_cat import strategies
from sim2real_cat.policies.files import ActionTable
from sim2real_cat.worlds.simulation.rollout import rollout

FEW = settings(max_examples=25)

SEARCH = settings(derandomize=True, deadline=None, database=None, max_examples=1000, phases=[Phase.generate])


@FEW
@given(st.data())
def test_random_worlds_live_through_random_actions(data):
    world = data.draw(strategies.worlds())
    fibre = data.draw(strategies.randomizations(world)).draw(2, rng=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (100, world.compile().nu))
    played = rollout(world, ActionTable(actions), rng=1, fibre=fibre, steps=100, threads=1)
    assert played.kept.all()
    assert played.lengths.tolist() == [100, 100]
    assert np.abs(played.observations).max() < 1e3
    assert np.abs(np.diff(played.qpos, axis=1)).max() > 0


def test_worlds_have_many_shapes():
    """A chain and a star of bodies, slides and hinges, velocities observed or not."""
    for wanted in (
        lambda model: (model.body_parentid.max() == 3).any(),
        lambda model: model.nbody == 5 and model.body_parentid.max() == 0,
        lambda model: {2, 3} <= set(model.jnt_type.tolist()),
        lambda model: model.nsensor > 0,
        lambda model: model.nu > 2,
        lambda model: model.opt.gravity[2] == 0,
    ):
        find(
            strategies.models(), lambda m, wanted=wanted: wanted(mujoco.MjModel.from_xml_string(m.xml)), settings=SEARCH
        )


@FEW
@given(strategies.models())
def test_a_model_is_written_once_under_its_own_name(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("models")
    first, second = model.write(folder), model.write(folder, steps=7)
    assert first.path == second.path
    assert [path.name for path in folder.iterdir()] == [first.path.name]
    assert first.path.read_text() == model.xml
    assert second.task.steps == 7
    assert first.deviations() == pytest.approx(model.noise)


def test_worlds_go_where_they_are_told(tmp_path):
    world = find(strategies.worlds(tmp_path, max_bodies=1), lambda world: True, settings=SEARCH)
    assert world.path.parent == tmp_path
    assert world.compile().nbody == 2
