# What Python asks of Catlab, asked once where the module is precompiled, so that no first call waits for the compiler.
# Schemas are values, so one small instance stands for all; what is compiled for every schema anew is compiled here for
# the machinery under it. Each function that Python calls stands in here, with arguments of the types that it sends: a
# function for each area, by its name in WORKLOADS. `tests/acsets/catlab/test_precompile.py` reads them as Python and
# runs them over the stand-in for Julia; so they are plain: calls, literals, and `for` on one line.

const STUDY_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},
  "Ob":[{"name":"SimEnv"},{"name":"RealEnv"},{"name":"Policy"},{"name":"Observation"}],
  "Hom":[{"name":"train","codom":"Policy","dom":"SimEnv"},{"name":"deploy","codom":"RealEnv","dom":"Policy"},
         {"name":"observe_sim","codom":"Observation","dom":"SimEnv"},
         {"name":"observe_real","codom":"Observation","dom":"RealEnv"},
         {"name":"transfer","codom":"Policy","dom":"Policy"}],
  "AttrType":[{"name":"TransferGap"},{"name":"Name"},{"name":"Count"},{"name":"Flag"}],
  "Attr":[{"name":"kl_gap","codom":"TransferGap","dom":"Policy"},{"name":"policy_name","codom":"Name","dom":"Policy"},
          {"name":"episodes","codom":"Count","dom":"Observation"},
          {"name":"gap_reliable","codom":"Flag","dom":"Policy"}],
  "equations":[]}"""
const STUDY_TYPES_JSON = """{"TransferGap":"float","Name":"str","Count":"int","Flag":"bool"}"""
const TRANSFER_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},
  "Ob":[{"name":"SimEnv"},{"name":"RealEnv"},{"name":"Policy"},{"name":"Observation"}],
  "Hom":[{"name":"train","codom":"Policy","dom":"SimEnv"},{"name":"deploy","codom":"RealEnv","dom":"Policy"},
         {"name":"observe_sim","codom":"Observation","dom":"SimEnv"},
         {"name":"observe_real","codom":"Observation","dom":"RealEnv"},
         {"name":"transfer","codom":"Policy","dom":"Policy"}],
  "AttrType":[{"name":"TransferGap"}],
  "Attr":[{"name":"kl_gap","codom":"TransferGap","dom":"Policy"}],"equations":[]}"""

const GRAPH_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
  "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
  "AttrType":[],"Attr":[],"equations":[]}"""
const CODED_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
  "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
  "AttrType":[{"name":"T"}],"Attr":[{"name":"code","codom":"T","dom":"V"}],"equations":[]}"""
const GRAPH_OBJECTS_JSON = """["V","E"]"""
const IDENTITY = [1, 2, 3, 1, 2]
const SEARCHES_JSON = ("""{"monic":[],"iso":[],"initial":{}}""",
                       """{"monic":["V"],"iso":[],"initial":{"V":[[1,1]]}}""",
                       """{"monic":[],"iso":["V","E"],"initial":{}}""")
const OPERATIONS = ("top", "bottom", "meet", "join", "implies", "subtract", "non")

"""
A study of two policies: the second has neither a gap nor a transfer, and a variable for its name.
"""
function small_study()
  x = empty_instance(STUDY_JSON, STUDY_TYPES_JSON)
  add_sizes(x, """{"SimEnv":3,"RealEnv":1,"Policy":2,"Observation":2,"TransferGap":0,"Name":1,"Count":0,"Flag":0}""")
  set_hom(x, "train", [1, 1, 2])
  set_hom(x, "deploy", [1, 1])
  set_hom(x, "observe_sim", [2, 2, 2])
  set_hom(x, "observe_real", [1])
  set_hom(x, "transfer", [1, 0])
  set_attr(x, "kl_gap", [0.2, NaN], [VALUE, NOTHING])
  set_attr(x, "policy_name", """["wide",""]""", [VALUE, 1])
  set_attr(x, "episodes", [4, 0], [VALUE, NOTHING])
  set_attr(x, "gap_reliable", [true, false], [VALUE, NOTHING])
  return x
end

"""
A policy with a code for its gap.
"""
function coded_transfers()
  x = empty_instance(TRANSFER_JSON, """{"TransferGap":"int"}""")
  add_sizes(x, """{"SimEnv":1,"RealEnv":1,"Policy":1,"Observation":1,"TransferGap":0}""")
  set_hom(x, "train", [1])
  set_hom(x, "deploy", [1])
  set_hom(x, "observe_sim", [1])
  set_hom(x, "observe_real", [1])
  set_hom(x, "transfer", [1])
  set_attr(x, "kl_gap", [1], [VALUE])
  return x
end

"""
A path of two edges.
"""
function plain_graph(compiled)
  x = empty_instance(GRAPH_JSON, "{}", compiled)
  add_sizes(x, """{"V":3,"E":2}""")
  set_hom(x, "src", [1, 2])
  set_hom(x, "tgt", [2, 3])
  return x
end

"""
A path of two edges, with a code for each vertex, of which the last is a variable.
"""
function coded_graph()
  x = empty_instance(CODED_JSON, """{"T":"int"}""", true)
  add_sizes(x, """{"V":3,"E":2,"T":1}""")
  set_hom(x, "src", [1, 2])
  set_hom(x, "tgt", [2, 3])
  set_attr(x, "code", [1, 2, 0], [VALUE, VALUE, 1])
  return x
end

function workload_instances()
  x = small_study()
  size_of(x, "Policy")
  follow_homs(x, """["train","deploy"]""", [1, 2, 0])
  attr_values(x, "kl_gap", [1, 2, 0])
  attr_values(x, "policy_name", [1, 2])
  attr_values(x, "episodes", [1, 2])
  attr_values(x, "gap_reliable", [1, 2])
  preimages_of_parts(x, """["train","deploy"]""", [1])
  preimages_of_values(x, """["train","kl_gap"]""", [0.2, NaN], [VALUE, VALUE])
  preimages_of_values(x, """["policy_name"]""", """["wide",""]""", [VALUE, 1])
  json_text(x)
  union_of(x, x)
end

function workload_removal()
  remove_parts(small_study(), "SimEnv", [1])
  remove_cascading(small_study(), "RealEnv", [1], """["SimEnv","RealEnv","Policy","Observation"]""")
end

function workload_laws()
  for law in keys(LAWS)
    law_rows(small_study(), law, 0.5)
  end
end

function workload_sets()
  pullback_of_sets([1, 2, 2], [2, 3], 3)
  equalizer_of_sets([1, 2, 2], [1, 1, 2], 3)
end

function workload_homomorphisms()
  x = plain_graph(false)
  for search_json in SEARCHES_JSON
    find_homomorphisms(x, x, GRAPH_OBJECTS_JSON, search_json, false)
    find_homomorphisms(x, x, GRAPH_OBJECTS_JSON, search_json, true)
    count_all_homomorphisms(x, x, search_json)
  end
end

function workload_colimits()
  x = plain_graph(true)
  coproduct_of(x, x, GRAPH_OBJECTS_JSON)
  pushout_of(x, x, x, GRAPH_OBJECTS_JSON, IDENTITY, IDENTITY)
  coequalizer_of(x, x, GRAPH_OBJECTS_JSON, IDENTITY, IDENTITY)
end

function workload_limits()
  x = plain_graph(true)
  product_of(x, x, GRAPH_OBJECTS_JSON)
  pullback_of(x, x, x, GRAPH_OBJECTS_JSON, IDENTITY, IDENTITY)
  equalizer_of(x, x, GRAPH_OBJECTS_JSON, IDENTITY, IDENTITY)
  loose_product_of(coded_transfers(), coded_transfers(), """["SimEnv","RealEnv","Policy","Observation"]""",
                   """["kl_gap"]""")
end

function workload_subobjects()
  for operation in OPERATIONS
    subobject_algebra(plain_graph(true), operation, GRAPH_OBJECTS_JSON,
                      """{"V":[1,2],"E":[1]}""", """{"V":[2,3],"E":[2]}""")
  end
end

function workload_migration()
  plain, coded = empty_instance(GRAPH_JSON, "{}", true), empty_instance(CODED_JSON, """{"T":"int"}""", true)
  pull_back(plain_graph(true), plain, """{"V":"V","E":"E"}""", """{"src":["tgt"],"tgt":["src"]}""")
  add_sizes(coded, """{"T":1}""")
  pull_back(coded_graph(), coded, """{"V":"V","E":"E","T":"T"}""", """{"src":["tgt"],"tgt":["src"],"code":["code"]}""")
  push_forward(plain_graph(true), empty_instance(GRAPH_JSON, "{}", true), GRAPH_JSON, GRAPH_JSON,
               """{"V":"V","E":"E"}""", """{"src":["tgt"],"tgt":["src"]}""")
end

const WORKLOADS = (workload_instances, workload_removal, workload_laws, workload_sets, workload_homomorphisms,
                   workload_colimits, workload_limits, workload_subobjects, workload_migration)

# A workload that raises would keep the module from being loaded at all, and all that it does is save time. So it is
# only named here; `runtests.jl` runs each, and fails with it.
@setup_workload begin
  @compile_workload begin
    for workload in WORKLOADS
      try
        workload()
      catch error
        @warn "not compiled ahead" workload error
      end
    end
  end
end
