# What Python asks of Catlab, asked once where the module is precompiled, so that no first call waits for the compiler.
# Schemas are values, so one small instance stands for all; what is compiled for every schema anew is compiled here for
# the machinery under it. Every function that Python calls stands in here, with arguments of the types that it sends: one
# function for each area, called by its name in WORKLOADS.

const STUDY_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},
  "Ob":[{"name":"SimEnv"},{"name":"RealEnv"},{"name":"Policy"},{"name":"Observation"}],
  "Hom":[{"name":"train","codom":"Policy","dom":"SimEnv"},{"name":"deploy","codom":"RealEnv","dom":"Policy"},
         {"name":"observe_sim","codom":"Observation","dom":"SimEnv"},
         {"name":"observe_real","codom":"Observation","dom":"RealEnv"},
         {"name":"transfer","codom":"Policy","dom":"Policy"}],
  "AttrType":[{"name":"TransferGap"},{"name":"Name"},{"name":"Count"},{"name":"Flag"}],
  "Attr":[{"name":"kl_gap","codom":"TransferGap","dom":"Policy"},{"name":"policy_name","codom":"Name","dom":"Policy"},
          {"name":"episodes","codom":"Count","dom":"Observation"},{"name":"gap_reliable","codom":"Flag","dom":"Policy"}],
  "equations":[]}"""
const STUDY_TYPES_JSON = """{"TransferGap":"float","Name":"str","Count":"int","Flag":"bool"}"""

const GRAPH_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
  "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
  "AttrType":[],"Attr":[],"equations":[]}"""
const CODED_JSON = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
  "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
  "AttrType":[{"name":"T"}],"Attr":[{"name":"code","codom":"T","dom":"V"}],"equations":[]}"""
const GRAPH_OBJECTS_JSON = """["V","E"]"""

"""
A study of two policies: the second has neither a gap nor a transfer, and a variable for its name.
"""
function study_to_precompile()
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
  x
end

"""
A path of two edges, with a code for each vertex where the schema has one.
"""
function graph_to_precompile(schema_json)
  coded = schema_json == CODED_JSON
  x = empty_instance(schema_json, coded ? """{"T":"int"}""" : "{}")
  add_sizes(x, coded ? """{"V":3,"E":2,"T":0}""" : """{"V":3,"E":2}""")
  set_hom(x, "src", [1, 2])
  set_hom(x, "tgt", [2, 3])
  coded && set_attr(x, "code", [1, 2, 3], [VALUE, VALUE, VALUE])
  x
end

function workload_instances()
  x = study_to_precompile()
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
  remove_parts(study_to_precompile(), "SimEnv", [1])
  remove_cascading(study_to_precompile(), "RealEnv", [1], """["SimEnv","RealEnv","Policy","Observation"]""")
end

function workload_laws()
  for law in keys(LAWS)
    law_rows(study_to_precompile(), law, 0.5)
  end
end

function workload_sets()
  pullback_of_sets([1, 2, 2], [2, 3], 3)
  equalizer_of_sets([1, 2, 2], [1, 1, 2], 3)
end

function workload_homomorphisms()
  for schema_json in (GRAPH_JSON, CODED_JSON)
    x = graph_to_precompile(schema_json)
    for options_json in ("""{"monic":[],"iso":[],"initial":{}}""", """{"monic":["V"],"iso":[],"initial":{"V":[[1,1]]}}""",
                         """{"monic":[],"iso":["V","E"],"initial":{}}""")
      find_homomorphisms(x, x, GRAPH_OBJECTS_JSON, options_json, false)
      find_homomorphisms(x, x, GRAPH_OBJECTS_JSON, options_json, true)
      count_all_homomorphisms(x, x, options_json)
    end
  end
end

function workload_colimits()
  identity_json = """{"V":[1,2,3],"E":[1,2]}"""
  for schema_json in (GRAPH_JSON, CODED_JSON)
    x = graph_to_precompile(schema_json)
    of_pair("coproduct", x, x, GRAPH_OBJECTS_JSON)
    of_morphisms("pushout", x, x, x, identity_json, identity_json, GRAPH_OBJECTS_JSON)
    of_morphisms("coequalizer", x, x, nothing, identity_json, identity_json, GRAPH_OBJECTS_JSON)
  end
end

function workload_limits()
  x, identity_json = graph_to_precompile(GRAPH_JSON), """{"V":[1,2,3],"E":[1,2]}"""
  product_of(x, x, GRAPH_OBJECTS_JSON)
  pullback_of(x, x, x, identity_json, identity_json, GRAPH_OBJECTS_JSON)
  equalizer_of(x, x, identity_json, identity_json, GRAPH_OBJECTS_JSON)
end

function workload_subobjects()
  x = graph_to_precompile(GRAPH_JSON)
  for operation in ("top", "bottom", "meet", "join", "implies", "subtract", "non")
    subobject_algebra(x, operation, GRAPH_OBJECTS_JSON, """{"V":[1,2],"E":[1]}""", """{"V":[2,3],"E":[2]}""")
  end
end

function workload_migration()
  x, y = graph_to_precompile(GRAPH_JSON), empty_instance(GRAPH_JSON, "{}")
  objects_json = """{"V":"V","E":"E"}"""
  pull_back(x, y, GRAPH_JSON, GRAPH_JSON, objects_json, """{"src":["tgt"],"tgt":["src"]}""")
  push_forward(x, y, GRAPH_JSON, GRAPH_JSON, objects_json, """{"src":"tgt","tgt":"src"}""")
end

const WORKLOADS = (workload_instances, workload_removal, workload_laws, workload_sets, workload_homomorphisms,
                   workload_colimits, workload_limits, workload_subobjects, workload_migration)

# A workload that raises would keep the module from being loaded at all, and all that it does is save time. So it is
# only named here; the tests of the Julia side run each, and fail with it.
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
