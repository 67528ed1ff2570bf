import numpy as np
import pytest
from acset_strategies import refused, study

from sim2real_cat.acsets.query.engine import query
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.errors import SchemaError

BODY = "Policy(_id=p, kl_gap=g, policy_name=n)"


@pytest.fixture
def table():
    x = study()
    x.set("Policy", 1, policy_name="<b>")
    return query(x, BODY)


def test_columns_rows_and_length(table):
    assert len(table) == 2
    assert list(table.columns) == ["p", "g", "n"]
    assert table["g"].tolist() == [0.02, 0.7]
    assert list(table) == [(0, 0.02, "ours"), (1, 0.7, "<b>")]
    assert [type(value) for value in next(iter(table))] == [int, float, str]
    with refused(SchemaError, "unknown column 'h'", "p, g, n"):
        table["h"]


def test_a_table_never_changes(table):
    with pytest.raises(ValueError, match="read-only"):
        table["g"][0] = 1.0
    with pytest.raises(TypeError):
        table.columns["x"] = table["g"]
    with pytest.raises(AttributeError, match="never changes"):
        table.columns = {}


def test_equality_sees_names_order_values_and_nan(table):
    assert table == Table({name: array.copy() for name, array in table.columns.items()}, 2)
    assert table != Table(dict(reversed(table.columns.items())), 2)
    assert Table({}, 1) != Table({}, 2)
    nan = Table({"x": np.array([np.nan])}, 1)
    assert nan == Table({"x": np.array([np.nan])}, 1) != Table({"x": np.array([1.0])}, 1)
    assert table != 3


def test_other_libraries_get_the_same_columns(table):
    arrow = table.to_arrow()
    assert arrow.to_pydict() == table.to_dict()
    assert [str(field.type) for field in arrow.schema] == ["int64", "double", "string"]
    empty = query(study(), BODY, where="g > 9").to_arrow()
    assert [str(field.type) for field in empty.schema] == ["int64", "double", "string"]
    pandas = pytest.importorskip("pandas")
    assert isinstance(table.to_pandas(), pandas.DataFrame)
    assert table.to_pandas().to_dict("list") == table.to_dict()
    assert len(Table({}, 3).to_pandas()) == 3


def test_a_person_can_read_it(table):
    assert repr(table) == "<Table of 2 rows>\np     g     n\n0  0.02  ours\n1   0.7   <b>"
    html = table._repr_html_()
    assert "<th>p</th><th>g</th><th>n</th>" in html
    assert "<td>&lt;b&gt;</td>" in html
    many = query(study(), "SimEnv(_id=e), SimEnv(_id=f)")
    assert repr(many).count("\n") == 12
    assert repr(many).endswith("\n...  ...")
    assert repr(Table({}, 1)).startswith("<Table of 1 row>")
