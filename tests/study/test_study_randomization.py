"""What a study file can say of randomization reaches the worlds, the instance and the written document."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.errors import WorldError
from sim2real_cat.study.description import read_description

EVERYTHING = {
    "body mass of cart": {"scale": [0.5, 2.0], "distribution": "loguniform", "centre": 1.0, "each": True},
    "joint damping": {"scale": [1.0, 0.2], "distribution": "normal", "within": [0.5, 1.5]},
    "actuator gear": {"scale": [0.9, 1.0], "distribution": "discrete", "probabilities": [0.25, 0.75]},
    "sensor bias": {"shift": [-0.01, 0.01], "each": True},
    "correlations": [{"between": ["body mass of cart", "joint damping"], "coefficient": 0.5}],
}
COLUMNS = ["body_mass[cart]", "joint damping", "actuator gear"]
COLUMNS += ["observation_bias[qpos[rail]]", "observation_bias[qvel[rail]]"]


def test_every_draw_is_a_row_of_the_instance(cart_document, run):
    cart_document["robots"]["cart"]["randomizations"]["wide"] = EVERYTHING
    folder, result = run(cart_document)
    acset = result.instance.acset
    wide = next(deployment for deployment in result.deployments if deployment.policy == "two")
    assert list(wide.fibre.parameters) == COLUMNS
    draws = np.flatnonzero(np.isin(acset.column("drawn_in"), result.instance.fibre("two")))
    assert len(draws) == 2 * len(COLUMNS)
    np.testing.assert_array_equal(acset.column("drawn_value")[draws], wide.fibre.values.ravel())
    again = read_description(folder / "study.toml")
    assert again.candidates[1].randomization == result.description.candidates[1].randomization


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"joint dampign": {"scale": [1, 2]}}, "unknown quantity of a joint 'dampign': did you mean 'damping'"),
        ({"body_mass": {"scale": [1.1, 1.2]}, "fixed_totals": [["body_mass"]]}, "needs to stay 1, but the ranges"),
        ({"body_mass": {"scale": [0.0, 1.2]}}, "body_mass needs to stay above 1e-15"),
        ({"body_mass[cart]": {"scale": [1, 2]}, "correlations": [{}]}, "'correlations': between needs to be a list"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(cart_document, write_study, table, message):
    cart_document["robots"]["cart"]["randomizations"]["wide"] = table
    path = write_study(cart_document)
    with pytest.raises(WorldError, match=message) as caught:
        read_description(path)
    assert str(caught.value).startswith(f"{path} [robots.cart.randomizations.wide]")
