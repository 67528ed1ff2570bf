"""Every field that MuJoCo's batch can vary has a name, and is either varied or refused with the reason."""

from __future__ import annotations

import re

import numpy as np
import pytest
from everything import everything
from mujoco.batch import MODEL_FIELDS, Batch

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.parameters.apply import apply_to_model
from sim2real_cat.worlds.parameters.fields import element_name, field_values, resolve
from sim2real_cat.worlds.parameters.physical import DERIVED, WHOLE, targets
from sim2real_cat.worlds.randomization.ensemble import Ensemble

MODEL = everything()

WITHOUT_PARTS = {"flex_texcoord", "key_plastic", "name_pluginadr", "name_skinadr"}
WITHOUT_PARTS |= {"plugin", "plugin_attr", "plugin_attradr", "plugin_stateadr", "plugin_statenum"}
"""Fields of which the model has no element: they need an engine plugin, a skin, texture coordinates or plasticity."""

FIELDS = sorted(MODEL_FIELDS - WITHOUT_PARTS)

NEIGHBOURS = {"body_inertia", "body_ipos", "body_iquat", "jnt_axis"}
"""Fields of which one element cannot change alone: their neighbours have a say, see `test_worlds_physical`."""


def test_what_the_model_has_no_part_of():
    assert {field for field in MODEL_FIELDS if not field_values(MODEL, field).size} == WITHOUT_PARTS
    for field in WITHOUT_PARTS:
        with pytest.raises(WorldError, match=f"the model has nothing that has a {field}"):
            resolve(MODEL, field)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_resolves_whole_and_by_element(field):
    size = field_values(MODEL, field).size
    assert resolve(MODEL, field).elements == tuple(range(size))
    for element in {0, size // 2, size - 1}:
        assert resolve(MODEL, element_name(MODEL, field, element)).elements == (element,)


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in NEIGHBOURS])
def test_every_field_is_changed_in_its_simulation_alone_or_refused(field):
    """A field that MuJoCo computes from others would be overwritten when the constants are set: it is refused."""
    held = field_values(MODEL, field)
    element, floating = held.size - 1, held.dtype.kind == "f"
    parameter, old = element_name(MODEL, field, element), held.reshape(-1)[element]
    mode = "shift" if floating else "set"
    new = old + 0.0625 if floating else float(not old) if held.dtype == bool else float(old)
    if (
        DERIVED.fullmatch(field)
        or field in ("opt.timestep", "sensor_noise")
        or not (floating or WHOLE.fullmatch(field))
    ):
        with pytest.raises(WorldError, match=f"'{re.escape(parameter)}'.*"):
            targets(MODEL, parameter, mode)
        return
    batch = Batch(MODEL, 2, nthread=1)
    changed = Ensemble(
        (parameter,), (mode,), np.array([[0.0625], [0.0]] if floating else [[new], [old]]), np.ones(2) / 2
    )
    apply_to_model(batch, MODEL, changed, np.arange(2))
    first, second = (field_values(batch.get_model(i), field).reshape(-1)[element] for i in range(2))
    assert first == pytest.approx(new, rel=1e-2 if field.endswith("quat") else 1e-6)  # which is made unit again
    assert second == old


def test_what_is_derived_really_is():
    """Of every refused field: written by hand, the change is gone once the constants are set."""
    for field in FIELDS:
        if not DERIVED.fullmatch(field):
            continue
        batch = Batch(MODEL, 1, nthread=1)
        batch.expand("body_mass")[...] *= 1.0  # something that the constants are computed from
        batch.expand(field)[...] += 0.5
        for cause in ("geom_size", "qpos0", "body_ipos", "light_pos", "cam_pos", "flex_radius"):
            batch.expand(cause)
        batch.set_const()
        kept = field_values(batch.get_model(0), field) - field_values(MODEL, field)
        assert not (np.abs(kept) > 0.4).all(), field


@pytest.mark.parametrize(
    ("field", "element", "name"),
    [
        ("body_mass", 0, "body_mass[world]"),
        ("body_inertia", 10, "body_inertia[trunk, 1]"),
        ("dof_damping", 6, "dof_damping[left shoulder]"),
        ("dof_damping", 9, "dof_damping[9]"),  # one of the three of the ball joint
        ("dof_damping", 2, "dof_damping[2]"),  # one of the six of the free joint
        ("qpos0", 7, "qpos0[left shoulder]"),
        ("qpos_spring", 8, "qpos_spring[right shoulder]"),
        ("opt.gravity", 2, "opt.gravity[2]"),
        ("opt.viscosity", 0, "opt.viscosity"),
        ("numeric_data", 1, "numeric_data[1]"),
        ("flex_damping", 0, "flex_damping[rope]"),
        ("flex_vert", 0, "flex_vert[0, 0]"),
        ("pair_friction", 2, "pair_friction[touch, 2]"),
        ("eq_data", 3, "eq_data[latch, 3]"),
        ("light_intensity", 0, "light_intensity[sun]"),
    ],
)
def test_elements_are_called_by_name_where_that_means_them_alone(field, element, name):
    assert element_name(MODEL, field, element) == name
