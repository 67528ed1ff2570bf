"""Published randomizations on models that have, or lack, the parts they speak of."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model
from sim2real_cat.worlds.randomization.published import KSIM, ksim_randomizers, playground_go1

LEGS = [f"{side}_{part}" for side in ("FR", "FL", "RR", "RL") for part in ("hip", "thigh", "calf")]


def quadruped(*, floor="floor", free="<freejoint/>", joint='damping="2" armature="0.01" frictionloss="0.2"'):
    """A trunk on four legs of three hinges each, as the Go1 has them, with its masses."""
    legs = ""
    for side, x, y in (("FR", 0.19, -0.05), ("FL", 0.19, 0.05), ("RR", -0.19, -0.05), ("RL", -0.19, 0.05)):
        parts = zip(("hip", "thigh", "calf"), (0.68, 1.009, 0.196), strict=True)
        for depth, (part, mass) in enumerate(parts):
            pos = f"{x} {y} 0" if depth == 0 else "0 0 -0.2"
            legs += f'<body name="{side}_{part}" pos="{pos}"><joint name="{side}_{part}_joint" axis="0 1 0" {joint}/>'
            legs += f'<geom size="0.03" mass="{mass}" contype="0"/>'
        legs += "</body>" * 3
    return mujoco.MjModel.from_xml_string(
        f'<mujoco model="dog"><worldbody><geom name="{floor}" type="plane" size="1 1 1"/>'
        f'<body name="trunk" pos="0 0 0.4">{free}<inertial pos="0.02 0 0" mass="5.2" diaginertia="0.07 0.06 0.02"/>'
        f"{legs}</body></worldbody></mujoco>"
    )


def applied(model, randomization, n=64, seed=0):
    """The models of an ensemble."""
    batch = Batch(model, n, nthread=1)
    apply_to_model(batch, model, randomization.draw(n, rng=seed), np.arange(n))
    return [batch.get_model(i) for i in range(n)]


def spread(models, field, index=...):
    """The least and the most of a field over the models, for each element."""
    values = np.array([getattr(model, field)[index] for model in models])
    return values.min(axis=0), values.max(axis=0)


def near(found, low, high):
    """Whether the draws fill a range: they lie in it, and come within a tenth of its width of the ends."""
    least, most = found
    margin = 0.1 * (np.asarray(high) - low)
    slack = 1e-12
    assert (least >= low - slack).all()
    assert (most <= high + slack).all()
    assert (least <= low + margin).all()
    assert (most >= high - margin).all()


def test_the_go1_of_playground():
    """The published figures, one by one: what is drawn fills each range, for each element by itself."""
    model = quadruped()
    models = applied(model, playground_go1(model), n=300)
    trunk = model.body("trunk").id
    near(spread(models, "geom_friction", (0, 0)), 0.4, 1.0)
    near(spread(models, "dof_frictionloss", slice(6, None)), 0.2 * 0.9, 0.2 * 1.1)
    near(spread(models, "dof_armature", slice(6, None)), 0.01, 0.0105)
    near(spread(models, "body_ipos", trunk), model.body_ipos[trunk] - 0.05, model.body_ipos[trunk] + 0.05)
    near(spread(models, "body_mass", slice(2, None)), 0.9 * model.body_mass[2:], 1.1 * model.body_mass[2:])
    near(spread(models, "qpos0", slice(7, None)), -0.05, 0.05)
    least, most = spread(models, "body_mass", trunk)
    assert 0.9 * 5.2 - 1 <= least < 0.9 * 5.2
    assert 1.1 * 5.2 < most <= 1.1 * 5.2 + 1
    for field in ("dof_damping", "body_inertia", "body_pos"):
        np.testing.assert_array_equal(*spread(models, field))
    assert spread(models, "qpos0", slice(0, 7))[0].tolist() == model.qpos0[:7].tolist()


def test_every_joint_of_the_go1_has_draws_of_its_own():
    drawn = playground_go1(quadruped()).draw(400, rng=0)
    assert len(drawn.parameters) == 1 + 12 + 12 + 3 + 13 + 1 + 12
    assert f"dof_armature[{LEGS[0]}_joint]" in drawn.parameters
    assert np.abs(np.corrcoef(drawn.values.T) - np.eye(len(drawn.parameters))).max() < 5 / 400**0.5


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ({"floor": "ground"}, "lacks a geom 'floor'"),
        ({"free": ""}, "lacks a body with a free joint"),
        ({"joint": 'armature="0.01"'}, "lacks friction loss in a joint"),
        ({"joint": 'frictionloss="0.01"'}, "lacks armature in a joint"),
        ({"joint": 'type="ball"', "floor": "x"}, "'floor', a hinge or slide joint, friction loss in a joint, armature"),
    ],
)
def test_what_playground_needs(parts, missing):
    with pytest.raises(WorldError, match=missing) as caught:
        playground_go1(quadruped(**parts))
    assert "Go1 do not fit the model 'dog'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_floor_may_have_another_name():
    assert "geom_friction[ground, 0]" in playground_go1(quadruped(floor="ground"), floor="ground").changes


@pytest.mark.parametrize("free", ["<freejoint/>", ""])
def test_ksims_randomizers(free):
    model = quadruped(free=free)
    models = applied(model, ksim_randomizers(model), n=300)
    joints = slice(6, None) if free else slice(None)
    near(spread(models, "dof_frictionloss", joints), 0.2 * 0.5, 0.2 * 2.0)
    near(spread(models, "dof_armature", joints), 0.01 * 0.95, 0.01 * 1.05)
    near(spread(models, "dof_damping", joints), 2 * 0.9, 2 * 1.1)
    near(spread(models, "body_mass", slice(1, None)), 0.98 * model.body_mass[1:], 1.02 * model.body_mass[1:])
    near(spread(models, "qpos0", slice(-12, None)), -0.01, 0.01)
    np.testing.assert_array_equal(*spread(models, "geom_friction"))


def test_ksims_other_randomizers():
    model = quadruped()
    one = applied(model, ksim_randomizers(model, ["floor_friction", "mass_multiplication"], body="FR_calf"), n=300)
    calf = model.body("FR_calf").id
    near(spread(one, "geom_friction", (0, 0)), 0.4, 1.0)
    near(spread(one, "body_mass", calf), 0.95 * 0.196, 1.05 * 0.196)
    added = applied(model, ksim_randomizers(model, ["mass_addition"], body="trunk"), n=300)
    near(spread(added, "body_mass", model.body("trunk").id), 4.2, 6.2)


def test_all_of_ksim_at_once():
    model = quadruped()
    randomization = ksim_randomizers(model, KSIM, body="trunk")
    assert len(randomization.changes) == 12 + 12 + 13 + 12 + 12 + 1 + 1 + 1
    assert applied(model, randomization, n=2)


@pytest.mark.parametrize(
    ("parts", "randomizers", "message"),
    [
        ({}, ["statc_friction"], "unknown randomizer of ksim 'statc_friction': did you mean 'static_friction'"),
        ({"joint": ""}, KSIM[:5], "lacks friction loss in a joint, armature in a joint, damping in a joint"),
        ({"joint": 'type="ball"'}, ["joint_zero_position"], "lacks a hinge or slide joint"),
        ({"floor": "ground"}, ["floor_friction"], "lacks a geom 'floor'"),
        ({}, ["mass_addition"], "lacks a body 'None'"),
    ],
)
def test_what_ksim_needs(parts, randomizers, message):
    with pytest.raises(WorldError, match=message):
        ksim_randomizers(quadruped(**parts), randomizers)


def test_published_ranges_narrow_for_a_curriculum():
    model = quadruped()
    narrow = playground_go1(model).at(0.0).draw(5, rng=0)
    assert np.ptp(narrow.values, axis=0).max() == 0.0
    assert narrow.row(0)["geom_friction[floor, 0]"] == pytest.approx(0.7)
