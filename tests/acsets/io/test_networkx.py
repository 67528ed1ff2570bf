from acset_strategies import FIXED, acsets, study
from hypothesis import given

from sim2real_cat.acsets.columns import Var


def test_parts_are_nodes_and_homs_are_edges():
    graph = study().to_networkx()
    assert graph.number_of_nodes() == 9
    assert graph.nodes["Policy", 0] == {"kl_gap": 0.02, "policy_name": "ours"}
    assert graph.nodes["Policy", 2] == {"kl_gap": Var(1), "policy_name": "naïve"}
    assert graph.nodes["SimEnv", 1] == {"seed": 8}
    assert list(graph.edges(("Policy", 0), keys=True)) == [
        (("Policy", 0), ("RealEnv", 1), "deploy"),
        (("Policy", 0), ("Policy", 0), "transfer"),
    ]
    assert graph.out_degree(("Policy", 2)) == 0


@FIXED
@given(acsets())
def test_every_defined_value_is_there_once(x):
    graph = x.to_networkx()
    assert set(graph) == {(ob, part) for ob in x.schema.obs for part in range(x.nparts(ob))}
    edges = [
        ((dom, part), (codom, target), name)
        for name, (dom, codom) in x.schema.homs.items()
        for part, target in enumerate(x.column(name).tolist())
        if target is not None
    ]
    assert sorted(graph.edges(keys=True)) == sorted(edges)
    for ob, part in graph:
        values = {name: x.subpart(name, part) for name in x.schema.attrs_from(ob)}
        assert graph.nodes[ob, part] == {name: value for name, value in values.items() if value is not None}
