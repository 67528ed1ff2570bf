import networkx
import numpy as np
from acset_strategies import FIXED
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.maps.partitions import classes, on_classes


@st.composite
def pairs(draw):
    n = draw(st.integers(0, 8))
    members = st.integers(0, n - 1)
    found = draw(st.lists(st.tuples(members, members), max_size=8)) if n else []
    left, right = np.array(found, np.int64).reshape(-1, 2).T
    return n, left, right


@FIXED
@given(pairs())
def test_classes_are_connected_components_in_the_order_of_their_first_members(drawn):
    n, left, right = drawn
    graph = networkx.Graph(zip(left.tolist(), right.tolist(), strict=True))
    graph.add_nodes_from(range(n))
    expected = np.full(n, -1)
    for number, members in enumerate(sorted(networkx.connected_components(graph), key=min)):
        expected[list(members)] = number
    assert classes(n, left, right).tolist() == expected.tolist()


@FIXED
@given(pairs(), st.data())
def test_a_column_on_classes_is_that_of_the_first_defined_members(drawn, data):
    class_of = classes(*drawn)
    column = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=len(class_of), max_size=len(class_of))), np.int64)
    size = len(set(class_of.tolist()))
    merged, differing = on_classes(column, class_of, size)
    expected = [next((c for c in column[class_of == number].tolist() if c != -1), -1) for number in range(size)]
    assert merged.tolist() == expected
    members = [i for i, c in enumerate(column.tolist()) if c not in (-1, expected[class_of[i]])]
    assert differing.tolist() == members
