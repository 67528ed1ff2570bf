from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.dependence import Correlation, FixedTotal
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization

N = 4000
CHANGES = {
    "uniform": (Change("scale", 0.8, 1.4), stats.uniform(0.8, 0.6)),
    "negative": (Change("shift", -2.0, -1.0), stats.uniform(-2.0, 1.0)),
    "loguniform": (Change("scale", 0.01, 10.0, "loguniform"), stats.loguniform(0.01, 10.0)),
    "normal": (Change.normal("set", -3.0, 0.5), stats.norm(-3.0, 0.5)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_draws_follow_the_distribution(name):
    """Kolmogorov-Smirnov with a fixed seed: a wrong distribution of 4,000 draws is far below one in a thousand."""
    change, law = CHANGES[name]
    drawn = change.draw(N, rng=np.random.default_rng(0))
    assert drawn.shape == (N,)
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3
    if change.distribution != "normal":
        assert change.low <= drawn.min() < drawn.max() <= change.high


@pytest.mark.parametrize("distribution", ["uniform", "loguniform"])
def test_a_range_of_one_point_is_that_point(distribution):
    np.testing.assert_allclose(
        Change("set", 2.0, 2.0, distribution).draw(5, rng=np.random.default_rng(0)), 2.0, rtol=1e-15
    )


def test_an_ensemble_is_a_table_of_independent_columns():
    drawn = Randomization({name: change for name, (change, _) in CHANGES.items()}).draw(N, rng=np.random.default_rng(1))
    assert drawn.parameters == tuple(CHANGES)
    assert drawn.modes == ("scale", "shift", "scale", "set")
    assert drawn.values.shape == (N, 4)
    assert drawn.weights.sum() == pytest.approx(1.0)
    assert (drawn.weights == 1 / N).all()
    off_diagonal = np.corrcoef(drawn.values.T) - np.eye(4)
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(N)
    for column, (_, law) in zip(drawn.values.T, CHANGES.values(), strict=True):
        assert stats.kstest(column, law.cdf).pvalue > 1e-3


def test_draws_are_reproducible():
    randomization = Randomization({"a": Change("scale", 0, 1), "b": Change("set", 0, 1)})
    one, two, other = (randomization.draw(9, rng=np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.values, two.values)
    assert not np.array_equal(one.values, other.values)


def test_rows_by_name():
    drawn = Randomization({"a": Change("scale", 2, 2), "b": Change("set", 3, 3)}).draw(2, rng=np.random.default_rng(0))
    assert drawn.row(1) == {"a": 2.0, "b": 3.0}


def test_nothing_varies_in_the_nominal_world():
    for nominal in (Ensemble.nominal(), Randomization().draw(7, rng=np.random.default_rng(0)), Ensemble.single({})):
        assert len(nominal) == 1
        assert nominal.values.shape == (1, 0)
        assert nominal.weights.tolist() == [1.0]
        assert nominal.row(0) == {}


def test_a_range_is_no_change():
    with pytest.raises(WorldError, match=r"'body_mass\[a\]': a randomization needs a Change, got \(0.5, 2\)"):
        Randomization({"body_mass[a]": (0.5, 2)})


def test_no_worlds_are_no_ensemble():
    with pytest.raises(WorldError, match="an ensemble needs at least one world, got 0"):
        Randomization({"a": Change("scale", 0, 1)}).draw(0, rng=np.random.default_rng(0))


def test_a_table_as_toml_gives_it():
    table = {
        "body_mass[torso]": {"scale": [0.8, 1.2]},
        "opt.gravity[2]": {"shift": [-0.5, 0], "distribution": "uniform"},
        "dof_damping": {"distribution": "loguniform", "scale": [0.5, 2]},
        "actuator_delay": {"set": [0.02, 0.005], "distribution": "normal"},
    }
    assert Randomization.from_table(table).changes == {
        "body_mass[torso]": Change("scale", 0.8, 1.2),
        "opt.gravity[2]": Change("shift", -0.5, 0.0),
        "dof_damping": Change("scale", 0.5, 2.0, "loguniform"),
        "actuator_delay": Change.normal("set", 0.02, 0.005),
    }


def test_a_table_of_all_there_is():
    table = {
        "body_mass[*]": {"scale": [0.5, 2.0], "distribution": "loguniform", "centre": 1, "each": True},
        "actuator_gear": {"set": [1, 2, 4], "distribution": "discrete", "probabilities": [0.5, 0.25, 0.25]},
        "geom_friction[:, 0]": {"scale": [1.0, 0.1], "distribution": "normal", "within": [0.7, 1.3]},
        "correlations": [
            {"between": ["actuator_gear", "body_mass[*]"], "coefficient": 1},
            {"between": ["geom_friction[:, 0]"], "matrix": [[1]]},
        ],
        "fixed_totals": [["body_mass[*]"]],
    }
    found = Randomization.from_table(table)
    assert found.changes == {
        "body_mass[*]": Change("scale", 0.5, 2.0, "loguniform", centre=1.0, each=True),
        "actuator_gear": Change.discrete("set", [1, 2, 4], [0.5, 0.25, 0.25]),
        "geom_friction[:, 0]": Change.normal("scale", 1.0, 0.1, within=(0.7, 1.3)),
    }
    assert found.correlations == (
        Correlation(("actuator_gear", "body_mass[*]"), 1.0),
        Correlation(("geom_friction[:, 0]",), matrix=((1.0,),)),
    )
    assert found.totals == (FixedTotal(("body_mass[*]",)),)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"correlations": {}}, "correlations needs to be a list of tables, as in [{ between"),
        ({"correlations": [["a", "b"]]}, "correlations needs to be a list of tables"),
        ({"correlations": [{"betwen": ["a"]}]}, "unknown key 'betwen': did you mean 'between'?"),
        ({"correlations": [{"coefficient": 0.5}]}, "between needs to be a list of parameters, got None"),
        ({"correlations": [{"between": ["a", "b"]}]}, "give either a coefficient or a matrix"),
        ({"correlations": [{"between": ["a", "b"], "coefficient": "1"}]}, "coefficient needs to be a number, got '1'"),
        (
            {"correlations": [{"between": ["a"], "matrix": [1]}]},
            "matrix needs to be a list of rows of finite numbers",
        ),
        ({"correlations": [{"between": ["a", "c"], "coefficient": 1}]}, "correlation: unknown parameter 'c'"),
        ({"fixed_totals": "a"}, "'fixed_totals': needs to be a list of lists of parameters"),
        ({"fixed_totals": ["a"]}, "'fixed_totals': each of them needs to be a list of parameters, got 'a'"),
        ({"fixed_totals": [["c"]]}, "fixed total: unknown parameter 'c'"),
        ({"fixed_totals": [["a"], ["a"]]}, "fixed total: 'a' is named twice"),
    ],
)
def test_dependence_that_is_none(extra, message):
    table = {"a": {"scale": [1, 2]}, "b": {"scale": [1, 2]}} | extra
    with pytest.raises(WorldError) as caught:
        Randomization.from_table(table, place="study.toml, hopper")
    assert str(caught.value).startswith("study.toml, hopper")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_world_from_a_table():
    one = Ensemble.single({"a": {"scale": 2}, "b": {"set": -0.5}})
    assert (one.parameters, one.modes) == (("a", "b"), ("scale", "set"))
    assert one.values.tolist() == [[2.0, -0.5]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "needs exactly one of scale, shift, set, got {}"),
        ({"scale": [1, 2], "set": [1, 2]}, "needs exactly one of scale, shift, set"),
        ([0.8, 1.2], "needs to be a table, as { scale = [0.8, 1.2] }, got [0.8, 1.2]"),
        (1.0, "needs to be a table, as { scale = [0.8, 1.2] }, got 1.0"),
        ({"scal": [1, 2]}, "needs exactly one of scale, shift, set"),
        ({"scale": [1, 2], "distributon": "normal"}, "unknown key 'distributon': did you mean 'distribution'?"),
        ({"scale": 1.0}, "scale needs to be two finite numbers, as in [0.8, 1.2], got 1.0"),
        ({"scale": [1.0]}, "scale needs to be two finite numbers"),
        ({"scale": [1.0, 2.0, 3.0]}, "scale needs to be two finite numbers"),
        ({"scale": "12"}, "scale needs to be two finite numbers, as in [0.8, 1.2], got '12'"),
        ({"scale": [True, 2]}, "scale needs to be two finite numbers"),
        ({"scale": ["1", 2]}, "scale needs to be two finite numbers"),
        ({"scale": [2, 1]}, "a change needs low <= high, got [2.0, 1.0]"),
        ({"scale": [1, float("inf")]}, "scale needs to be two finite numbers, as in [0.8, 1.2], got [1, inf]"),
        ({"scale": [float("nan"), 1]}, "scale needs to be two finite numbers, as in [0.8, 1.2], got [nan, 1]"),
        ({"scale": [0, 1], "distribution": "loguniform"}, "a loguniform change needs positive ends, got [0.0, 1.0]"),
        ({"scale": [1, -1], "distribution": "normal"}, "got the deviation -1.0"),
        ({"scale": [], "distribution": "discrete"}, "a discrete change needs at least one value"),
        (
            {"scale": [1, "2"], "distribution": "discrete"},
            "scale needs to be a list of finite numbers, as in",
        ),
        ({"scale": [1, 2], "distribution": "discrete", "probabilities": [1, 1]}, "sum to 1, got [1.0, 1.0], sum 2"),
        ({"scale": [1, 2], "distribution": "discrete", "probabilities": []}, "2 values need as many probabilities"),
        (
            {"scale": [1, 2], "distribution": "discrete", "probabilities": "1"},
            "probabilities needs to be a list of finite numbers",
        ),
        ({"scale": [1, 2], "distribution": "discrete", "within": [0, 1]}, "only a normal change is cut"),
        ({"scale": [1, 2], "probabilities": [0.5, 0.5]}, "only a discrete change has probabilities"),
        ({"scale": [1, 2], "within": [0, 3]}, "only a normal change is cut"),
        ({"scale": [1, 2], "distribution": "normal", "within": [0]}, "within needs to be two finite numbers"),
        ({"scale": [1, 2], "distribution": "normal", "within": [2, 3]}, "needs its mean 1 within its limits"),
        ({"scale": [1, 2], "each": 1}, "each needs to be true or false, got 1"),
        ({"scale": [1, 2], "centre": "1"}, "centre needs to be a number, got '1'"),
        ({"scale": [1, 2], "centre": 3}, "the centre 3 is outside the range [1, 2]"),
        ({"scale": [1, 2], "distribution": "unifrom"}, "unknown distribution 'unifrom': did you mean 'uniform'?"),
    ],
)
def test_entries_that_are_no_change(entry, message):
    with pytest.raises(WorldError) as caught:
        Randomization.from_table({"body_mass": entry}, place="study.toml, hopper")
    assert str(caught.value).startswith("study.toml, hopper, 'body_mass': ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"scale": [1, 2]}, "scale needs to be a number, got [1, 2]"),
        ({"scale": True}, "scale needs to be a number, got True"),
        ({"scale": float("nan")}, "scale needs to be a finite number, got nan"),
        ({"scale": 1, "distribution": "normal"}, "unknown key 'distribution'"),
        (2.0, "needs to be a table, as { scale = 1.3 }, got 2.0"),
    ],
)
def test_entries_that_are_no_world(entry, message):
    with pytest.raises(WorldError) as caught:
        Ensemble.single({"body_mass": entry}, place="study.toml, reality")
    assert str(caught.value).startswith("study.toml, reality, 'body_mass': ")
    assert message in str(caught.value)


def test_an_unknown_mode():
    with pytest.raises(WorldError, match="unknown mode 'scal': did you mean 'scale'"):
        Change("scal", 0, 1)
