# Tests of the Julia side, for a machine with Julia: julia --project=. julia/runtests.jl
using Test
using ACSets, Catlab, JSON3
using Sim2RealCat

const STUDY_TYPES = TransferStudy{Float64,String,String,Float64,Int,Bool}

# Two policies on one robot: the first in three worlds and over ε, the second in one and under it, which took over.
function example()
  x = STUDY_TYPES()
  add_parts!(x, :Observation, 2)
  add_parts!(x, :RealEnv, 1; observe_real=[1])
  add_parts!(x, :Policy, 2; deploy=[1, 1], kl_gap=[0.9, 0.1], policy_name=["plain", "wide"])
  set_subpart!(x, [1, 2], :transfer, [2, 2])
  add_parts!(x, :SimEnv, 4; train=[1, 1, 2, 1], observe_sim=[2, 2, 2, 2], sim_weight=[1.0, 1.0, 1.0, 2.0])
  x
end

"""
What an error says; nothing where there is none.
"""
function said(f)
  try
    f()
    ""
  catch error
    sprint(showerror, error)
  end
end

rows(x; kw...) = [(w.law, w.verdict, w.ob, w.id) for w in check(x; kw...)]

@testset "Sim2RealCat" begin
  @testset "fibres and mixtures" begin
    x = example()
    @test fibre(x, 1) == [1, 2, 4]
    @test fibre(x, 2) == [3]
    @test mixture_weights(x, 1) == [0.25, 0.25, 0.5]
    set_subpart!(x, 4, :sim_weight, NaN)
    @test mixture_weights(x, 1) == [1 / 3, 1 / 3, 1 / 3]
    set_subpart!(x, 4, :sim_weight, -2.0)
    @test occursin("sim_weight of policy 1 is [1.0, 1.0, -2.0]", said(() -> mixture_weights(x, 1)))
    set_subpart!(x, 3, :sim_weight, 0.0)
    @test occursin("a mixture needs weights >= 0 with a positive sum", said(() -> mixture_weights(x, 2)))
    @test occursin("there is no policy 99: the instance has 2", said(() -> fibre(x, 99)))
    @test occursin("there is no policy 0", said(() -> mixture_weights(x, 0)))
  end

  @testset "the equalizer of transfer and the identity" begin
    x = example()
    @test fixed_points(x) == [2]
    clear_subpart!(x, 1, :transfer)
    @test fixed_points(x) == [2]
    @test fixed_points(STUDY_TYPES()) == []
  end

  @testset "laws" begin
    @test rows(example()) == []
    @test rows(example(); epsilon=0.05) == [(Symbol("transfer-identity"), :violated, :Policy, 2)]
    @test rows(example(); epsilon=2.0) == [(Symbol("transfer-identity"), :violated, :Policy, 1)]

    @test occursin("there is no law 'nope': there are functor, gap-valid", said(() -> check(example(); laws=["nope"])))
    @test occursin("epsilon must be a positive number of nats, got -1.0", said(() -> check(example(); epsilon=-1.0)))

    x = example()
    clear_subpart!(x, 3, :train)
    @test rows(x) == [(:functor, :violated, :SimEnv, 3)]

    x = example()
    set_subpart!(x, 1, :kl_gap, -0.1)
    @test (Symbol("gap-valid"), :violated, :Policy, 1) in rows(x)

    x = example()
    set_subpart!(x, 1, :gap_low, 0.3)
    @test rows(x) == [(Symbol("transfer-identity"), :undecided, :Policy, 1)]

    x = example()
    set_subpart!(x, 2, :gap_reliable, false)
    @test rows(x) == [(Symbol("transfer-identity"), :undecided, :Policy, 2)]

    x = example()
    set_subpart!(x, 2, :transfer, 1)
    @test Set(rows(x; laws=["transfer-idempotent"])) ==
          Set([(Symbol("transfer-idempotent"), :violated, :Policy, id) for id in 1:2])

    x = example()
    add_parts!(x, :RealEnv, 1; observe_real=[1])
    set_subpart!(x, 1, :deploy, 2)
    @test rows(x) == [(Symbol("transfer-deploy"), :violated, :Policy, 1)]
  end

  @testset "JSON" begin
    path = tempname()
    x = example()
    clear_subpart!(x, 1, :transfer)
    write_instance(x, path)
    @test !occursin("null", read(path, String))
    y = read_instance(path)
    @test (y[:kl_gap], y[:transfer], y[:train]) == ([0.9, 0.1], [0, 2], [1, 1, 2, 1])
    @test y == x
  end

  @testset "the calls of the Python engine" begin
    S = Sim2RealCat
    graph = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
               "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
               "AttrType":[{"name":"T"}],"Attr":[{"name":"name","codom":"T","dom":"V"}],"equations":[]}"""
    x = S.empty_instance(graph, """{"T":"str"}""")
    S.add_sizes(x, """{"V":3,"E":3,"T":1}""")
    S.set_hom(x, "src", [1, 2, 0])
    S.set_hom(x, "tgt", [2, 3, 1])
    S.set_attr(x, "name", """["ä","",""]""", [-1, 1, 0])
    @test S.follow_homs(x, """["src"]""", [1, 2, 3, 0]) == [1, 2, 0, 0]
    @test S.attr_values(x, "name", [3, 2, 1, 0]) == ("""["","","ä",""]""", [0, 1, -1, 0])
    @test S.preimages_of_parts(x, """["tgt"]""", [1, 2, 3]) == ([3, 1, 2], [1, 2, 3])
    @test S.preimages_of_values(x, """["tgt","name"]""", """["ä",""]""", [-1, 1]) == ([3, 1], [1, 2])
    @test JSON3.read(S.json_text(x))[:E][3] == Dict(:_id => 3, :tgt => 1)

    x = S.empty_instance(graph, """{"T":"str"}""")
    S.add_sizes(x, """{"V":3,"E":3,"T":0}""")
    S.set_hom(x, "src", [1, 2, 2])
    S.set_hom(x, "tgt", [2, 3, 1])
    S.set_attr(x, "name", """["ä","ö","ü"]""", [-1, -1, -1])
    @test S.answer_query(x, """[["E",[["_id","e"],["tgt","v"]]]]""", """["e"]""", """[["v","id",3]]""") == ([2],)
    y = deepcopy(x)
    @test S.remove_cascading(y, "V", [1], """["V","E"]""") == ([3, 2], [2])
    y = deepcopy(x)
    S.remove_parts(y, "V", [1])
    @test S.follow_homs(y, """["src"]""", [1, 2, 3]) == [0, 2, 2]

    names, plain = """["V","E"]""", """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
                   "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
                   "AttrType":[],"Attr":[],"equations":[]}"""
    y, z, none = (S.empty_instance(plain, "{}", true) for _ in 1:3)
    S.add_sizes(y, """{"V":3,"E":2}""")
    S.set_hom(y, "src", [1, 2])
    S.set_hom(y, "tgt", [2, 3])
    S.add_sizes(z, """{"V":1,"E":0}""")
    options = """{"monic":[],"iso":["V"],"initial":{"V":[[1,1]]}}"""
    @test S.count_all_homomorphisms(y, y, options) == 1
    @test S.find_homomorphisms(y, y, names, options, true) == (1, ([1, 2, 3], [1, 2]))
    apex, left, right = S.coproduct_of(y, y, names)
    @test (nparts(apex, :V), left, right) == (6, [1, 2, 3, 1, 2], [4, 5, 6, 3, 4])
    apex, left, right = S.pushout_of(y, y, z, names, [1], [2])
    @test (nparts(apex, :V), nparts(apex, :E), left[1]) == (5, 4, right[2])
    apex, left, right = S.pushout_of(y, z, none, names, Int[], Int[])
    @test (nparts(apex, :V), nparts(apex, :E)) == (4, 2)
    apex, leg = S.coequalizer_of(z, y, names, [1], [2])
    @test (nparts(apex, :V), nparts(apex, :E), leg[1]) == (2, 2, leg[2])
  end

  @testset "functions of finite sets" begin
    S = Sim2RealCat
    pairs_of(f, g, n) = Set(zip(S.pullback_of_sets(f, g, n)...))
    @test pairs_of([1, 2, 2], [2, 3], 3) == Set([(2, 1), (3, 1)])
    @test pairs_of([1], [1, 3, 1], 3) == Set([(1, 1), (1, 3)])  # a function from one element takes a road of its own
    @test pairs_of([1, 3, 1], [1], 3) == Set([(1, 1), (3, 1)])
    @test pairs_of([2], [2], 2) == Set([(1, 1)])
    @test pairs_of([1, 1], [1, 1, 1], 1) == Set((i, j) for i in 1:2 for j in 1:3)
    @test isempty(pairs_of([1, 1], [2, 2], 2))
    @test S.equalizer_of_sets([1, 2, 2], [1, 1, 2], 2) == [1, 3]
    @test S.equalizer_of_sets([1, 2], [2, 1], 2) == []
  end

  # Three vertices and the edges 1 → 2, 2 → 3, 2 → 1; `folded` sends the third vertex to the first.
  S, names = Sim2RealCat, """["V","E"]"""
  plain = """{"version":{"ACSets":"0.0.0","ACSetSchema":"0.0.1"},"Ob":[{"name":"V"},{"name":"E"}],
             "Hom":[{"name":"src","codom":"V","dom":"E"},{"name":"tgt","codom":"V","dom":"E"}],
             "AttrType":[],"Attr":[],"equations":[]}"""
  g = S.empty_instance(plain, "{}", true)
  S.add_sizes(g, """{"V":3,"E":3}""")
  S.set_hom(g, "src", [1, 2, 2])
  S.set_hom(g, "tgt", [2, 3, 1])
  same, folded = [1, 2, 3, 1, 2, 3], [1, 2, 1, 1, 3, 3]

  @testset "limits" begin
    apex, left, right = S.product_of(g, g, names)
    @test (nparts(apex, :V), nparts(apex, :E)) == (9, 9)
    @test Set(zip(left[1:9], right[1:9])) == Set((i, j) for i in 1:3 for j in 1:3)
    @test all(left[subpart(apex, e, :src)] == [1, 2, 2][left[9+e]] for e in 1:9)
    apex, left, right = S.pullback_of(g, g, g, names, folded, same)
    @test Set(zip(left[1:3], right[1:3])) == Set([(1, 1), (2, 2), (3, 1)])
    @test Set(zip(left[4:6], right[4:6])) == Set([(1, 1), (2, 3), (3, 3)])
    apex, inclusion = S.equalizer_of(g, g, names, same, folded)
    @test (sort(inclusion[1:2]), sort(inclusion[3:4])) == ([1, 2], [1, 3])

    t = S.Sim2RealTransfer{Int}()  # gaps by their codes
    add_parts!(t, :Observation, 1)
    add_parts!(t, :RealEnv, 1; observe_real=[1])
    add_parts!(t, :Policy, 2; deploy=[1, 1], transfer=[2, 2], kl_gap=[7, 8])
    apex, left, right, ((one, other),) = S.loose_product_of(t, t, """["Policy"]""", """["kl_gap"]""")
    @test Set(zip(left, right, one, other)) == Set([(1, 1, 7, 7), (2, 1, 8, 7), (1, 2, 7, 8), (2, 2, 8, 8)])
    @test S.loose_product_of(g, g, names, "[]") === nothing
  end

  @testset "subobjects" begin
    algebra(operation) =
      S.subobject_algebra(g, operation, names, """{"V":[1,2],"E":[1]}""", """{"V":[2,3],"E":[2]}""")
    @test algebra("top") == ([1, 2, 3], [1, 2, 3])
    @test algebra("bottom") == ([], [])
    @test algebra("meet") == ([2], [])
    @test algebra("join") == ([1, 2, 3], [1, 2])
    @test algebra("implies") == ([2, 3], [2])
    @test algebra("subtract") == ([1, 2], [1])
    @test S.subobject_algebra(g, "non", names, """{"V":[2,3],"E":[2]}""", """{"V":[2,3],"E":[2]}""") ==
          ([1, 2], [1, 3])
  end

  @testset "migration" begin
    objects, backwards = """{"V":"V","E":"E"}""", """{"src":["tgt"],"tgt":["src"]}"""
    y = S.pull_back(g, S.empty_instance(plain, "{}", true), objects, backwards)
    @test (S.follow_homs(y, """["src"]""", [1, 2, 3]), S.follow_homs(y, """["tgt"]""", [1, 2, 3])) ==
          ([2, 3, 1], [1, 2, 2])
    y = S.pull_back(g, S.empty_instance(plain, "{}", true), """{"V":"E","E":"E"}""", """{"src":[],"tgt":[]}""")
    @test (nparts(y, :V), S.follow_homs(y, """["src"]""", [1, 2, 3])) == (3, [1, 2, 3])
    y = S.push_forward(g, S.empty_instance(plain, "{}", true), plain, plain, objects, backwards)
    @test (nparts(y, :V), nparts(y, :E)) == (3, 3)
    @test (length(Set(subpart(y, :src))), length(Set(subpart(y, :tgt)))) == (3, 2)
  end

  @testset "what is compiled ahead runs: $workload" for workload in Sim2RealCat.WORKLOADS
    @test (workload(); true)
  end
end
