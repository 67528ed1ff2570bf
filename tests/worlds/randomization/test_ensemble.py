"""Ensembles are tables: written and read whole, and joined with the instance that they trained."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import made, members

from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import MeasuredGap
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization

RANDOMIZATION = Randomization(
    {
        "body_mass[torso]": Change("scale", 0.8, 1.2),
        "joint damping of leg_*": Change("set", 0.1, 2.0, "loguniform"),
        "opt.gravity[2]": Change.discrete("shift", [-0.1, 0.0, 0.1]),
    }
)
DRAWN = RANDOMIZATION.at(0.5).draw(6, rng=0)


def same(one: Ensemble, other: Ensemble) -> bool:
    return (
        (one.parameters, one.modes, one.level) == (other.parameters, other.modes, other.level)
        and np.array_equal(one.values, other.values)
        and np.array_equal(one.weights, other.weights)
    )


def test_a_row_for_each_world_and_a_column_for_each_parameter():
    table = DRAWN.to_arrow("wide")
    assert table.column_names == ["sim_name", "member", "weight", "level", *DRAWN.parameters]
    assert table["sim_name"].to_pylist() == [f"wide/{i}" for i in range(6)]
    assert table["level"].to_pylist() == [0.5] * 6
    np.testing.assert_array_equal(table["body_mass[torso]"].to_numpy(), DRAWN.values[:, 0])
    assert [table.schema.field(name).metadata[b"change"] for name in DRAWN.parameters] == [b"scale", b"set", b"shift"]


@pytest.mark.parametrize("policy", [None, "wide", "with/slash"])
@pytest.mark.parametrize("ensemble", [DRAWN, Ensemble.nominal(), Ensemble.single({"a": {"set": 1e-300}})])
def test_what_is_written_is_read(tmp_path, ensemble, policy):
    path = tmp_path / "deep" / "fibre.parquet"
    ensemble.to_parquet(path, policy)
    assert same(Ensemble.from_parquet(path), ensemble)
    first = path.read_bytes()
    ensemble.to_parquet(path, policy)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["fibre.parquet"]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=4),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.floats(0, 1),
)
def test_any_table_goes_there_and_back(parameters, n, seed, level):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n))
    values = rng.standard_normal((n, len(parameters))) * 10.0 ** rng.integers(-300, 300)
    modes = tuple(rng.choice(["scale", "shift", "set"], len(parameters)).tolist())
    ensemble = Ensemble(tuple(parameters), modes, values, weights, level)
    assert same(Ensemble.from_arrow(ensemble.to_arrow()), ensemble)


def test_the_same_seed_gives_the_same_file(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        RANDOMIZATION.draw(20, rng=seed).to_parquet(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() != (tmp_path / "other").read_bytes()


def test_every_cut_is_noticed(tmp_path):
    path = tmp_path / "fibre.parquet"
    RANDOMIZATION.draw(200, rng=0).to_parquet(path, "wide")
    whole = path.read_bytes()
    for end in (0, 1, 4, 100, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ExchangeError, match="not a whole Parquet file") as caught:
            Ensemble.from_parquet(path)
        assert "\n" not in str(caught.value)


def test_a_damaged_bit_is_noticed_or_changes_nothing(tmp_path):
    """Pages carry checksums and the content a digest; what is left are words about pages that nobody reads."""
    path, drawn = tmp_path / "fibre.parquet", RANDOMIZATION.draw(200, rng=0)
    drawn.to_parquet(path, "wide")
    whole, messages = path.read_bytes(), []
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(len(whole), size=100), rng.integers(8, size=100), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            assert same(Ensemble.from_parquet(path), drawn), place
        except ExchangeError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


def test_another_name_or_number_does_not_match_the_digest(tmp_path):
    field = DRAWN.to_arrow().schema.field("opt.gravity[2]")
    renamed = replaced("opt.gravity[2]", pa.array(DRAWN.values[:, 2]), field.with_name("opt.gravity[1]"))
    other = replaced("body_mass[torso]", pa.array([1.0] * 6))
    for changed in (renamed, other):
        pq.write_table(changed, tmp_path / "fibre.parquet")
        with pytest.raises(ExchangeError, match="do not match their digest, so it was changed"):
            Ensemble.from_parquet(tmp_path / "fibre.parquet")


def replaced(name, column, field=None):
    """The table with another column under a name."""
    table = DRAWN.to_arrow("wide")
    place = table.column_names.index(name)
    field = table.schema.field(name).with_type(column.type) if field is None else field
    return table.set_column(place, field, column)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"member": [0]}), "not a table of an ensemble written by sim2real_cat"),
        (DRAWN.to_arrow().drop_columns(["weight"]), "unknown column 'weight'"),
        (replaced("body_mass[torso]", pa.array([1.0, 1.0, float("nan"), 1.0, 1.0, 1.0])), "holds nan in row 2"),
        (replaced("body_mass[torso]", pa.array([1.0, None, 1.0, 1.0, 1.0, 1.0])), "holds None in row 1"),
        (replaced("body_mass[torso]", pa.array([1.0, 1.0, 1.0, 1.0, 1.0, float("inf")])), "holds inf in row 5"),
        (replaced("body_mass[torso]", pa.array(["1"] * 6)), r"'body_mass\[torso\]' holds string, not double"),
        (replaced("body_mass[torso]", pa.array([1] * 6)), r"'body_mass\[torso\]' holds int64, not double"),
        (
            replaced("body_mass[torso]", pa.array([1.0] * 6), pa.field("body_mass[torso]", pa.float64())),
            "unknown change ''.*Valid: scale, shift, set",
        ),
        (
            replaced("body_mass[torso]", pa.array([1.0] * 6), pa.field("x", pa.float64(), metadata={"change": "scal"})),
            "'x': unknown change 'scal': did you mean 'scale'",
        ),
        (replaced("member", pa.array([0, 1, 2, 4, 3, 5])), "'member' does not count its 6 rows from 0"),
        (replaced("member", pa.array([0.0] * 6)), "'member' holds double, not int64"),
        (replaced("weight", pa.array([0.5] * 6)), "sum to 1, they sum to 3"),
        (replaced("weight", pa.array([-1.0, 1.0, 1.0, 0.0, 0.0, 0.0])), "need to be >= 0"),
        (replaced("level", pa.array([0.5] * 5 + [0.6])), "one level from 0 to 1"),
        (replaced("level", pa.array([1.5] * 6)), "one level from 0 to 1"),
        (replaced("sim_name", pa.array(["wide/0"] * 6)), "holds 'wide/0' in row 1, not 'wide/1'"),
        (replaced("sim_name", pa.array([None] * 6, pa.string())), "holds None in row 0"),
        (replaced("sim_name", pa.array([1] * 6)), "'sim_name' holds int64, not string"),
        (DRAWN.to_arrow().slice(0, 0), "does not count its 0 rows"),
        (DRAWN.to_arrow().slice(1), "does not count its 5 rows from 0"),
    ],
)
def test_what_is_no_ensemble(tmp_path, table, message):
    path = tmp_path / "fibre.parquet"
    pq.write_table(table, path)
    with pytest.raises(ExchangeError, match=message) as caught:
        Ensemble.from_parquet(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ExchangeError, match="no such table of an ensemble"):
        Ensemble.from_parquet(tmp_path / "nothing")
    with pytest.raises(ExchangeError, match="no such table of an ensemble"):
        Ensemble.from_parquet(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExchangeError, match=r"cannot be written .*; choose another place"):
        DRAWN.to_parquet(tmp_path / "file" / "fibre.parquet")


@pytest.mark.parametrize("parameters", [("a", "a"), ("a", "weight"), ("member", "b")])
def test_columns_that_would_clash(parameters):
    ensemble = Ensemble(parameters, ("scale", "scale"), np.ones((1, 2)), np.ones(1))
    with pytest.raises(WorldError, match="cannot be a table with two columns"):
        ensemble.to_arrow()


def instance_of(fibres):
    """An instance with a policy for each fibre."""
    deployments = []
    for policy, fibre in fibres.items():
        sim = made([3] * len(fibre), members=range(len(fibre)), policies=[policy] * len(fibre))
        deployments.append(Deployment(policy, "robot", policy, None, fibre, sim, made([3], policies=[policy])))
    return build_instance(deployments, [MeasuredGap(None, None, "none")] * len(fibres), 0.5)


def test_the_draws_of_an_instance_are_the_table():
    """From the instance to the ensemble, by the rows of `Draw`; and to the table, by the name of the SimEnv."""
    other = RANDOMIZATION.draw(3, rng=7)
    instance = instance_of({"narrow": DRAWN, "wide": other, "plain": Ensemble.nominal()})
    acset = instance.acset
    for policy, fibre in (("narrow", DRAWN), ("wide", other)):
        worlds = instance.fibre(policy)
        draws = np.flatnonzero(np.isin(acset.column("drawn_in"), worlds))
        rebuilt = Ensemble.from_draws(
            member_index=np.searchsorted(worlds, acset.column("drawn_in")[draws]),
            parameters=[acset.subpart("parameter", int(draw)) for draw in draws],
            changes=[acset.subpart("change", int(draw)) for draw in draws],
            values=acset.column("drawn_value")[draws],
            weights=acset.column("sim_weight")[worlds],
            level=fibre.level,
        )
        assert same(rebuilt, fibre)
        names = [acset.subpart("sim_name", int(world)) for world in worlds]
        assert fibre.to_arrow(policy)["sim_name"].to_pylist() == names


def test_the_table_joins_with_the_instance_in_arrow():
    instance = instance_of({"narrow": DRAWN, "wide": RANDOMIZATION.draw(3, rng=7)})
    worlds = pa.table({"sim_name": [instance.name("SimEnv", int(e)) for e in instance.acset.parts("SimEnv")]})
    joined = worlds.join(DRAWN.to_arrow("narrow"), "sim_name", join_type="inner").sort_by("member")
    np.testing.assert_array_equal(joined["joint damping of leg_*"].to_numpy(), DRAWN.values[:, 1])


@pytest.mark.parametrize(
    ("members", "parameters", "changes", "message"),
    [
        ([0, 0], ["a", "a"], ["scale", "scale"], "world 0 has two draws of 'a'"),
        ([0, 1], ["a", "a"], ["scale", "set"], "'a' is both scale and set"),
        ([0, 1], ["a", "b"], ["scale", "scale"], "world 0 has no draw of 'b', which other worlds have"),
    ],
)
def test_draws_that_are_no_table(members, parameters, changes, message):
    with pytest.raises(WorldError, match=message):
        Ensemble.from_draws(members, parameters, changes, [1.0, 2.0], [0.5, 0.5])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_need_to_be_finite(number):
    with pytest.raises(WorldError, match=rf"'body_mass\[cart\]' is {number} in member 1, not finite"):
        Ensemble(("body_mass[cart]",), ("scale",), np.array([[1.0], [number]]), np.ones(2) / 2)


def test_the_table_is_whole():
    with pytest.raises(WorldError, match=r"2 worlds and 1 parameters needs .* \(2, 1\), got 1 and \(3, 1\)"):
        Ensemble(("body_mass",), ("scale",), np.ones((3, 1)), np.ones(2) / 2)
    with pytest.raises(WorldError, match="it has one world at least"):
        Ensemble((), (), np.ones((0, 0)), np.ones(0))


def test_some_of_the_worlds():
    whole = members("gear", "scale", [1.0, 2.0, 3.0])
    some = whole.select([2, 0])
    assert some.values[:, 0].tolist() == [3.0, 1.0]
    np.testing.assert_allclose(some.weights, 1 / 3)
    assert (some.parameters, some.modes, some.level) == (whole.parameters, whole.modes, whole.level)
