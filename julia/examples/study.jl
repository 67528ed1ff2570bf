# Ask a study in Julia, change it, and write it for Python to check again; in the checkout:
#   julia --project=. julia/examples/study.jl demo_study/instance.json changed.json
using Sim2RealCat
using ACSets, Catlab
using Catlab.CategoricalAlgebra
import Base: collect  # Catlab exports one of its own; from Julia 1.12.5 on the name is ambiguous

source, target = ARGS
x = read_instance(source)
println(nparts(x, :Policy), " policies, trained in ", nparts(x, :SimEnv), " worlds")

for policy in parts(x, :Policy)
  weights = mixture_weights(x, policy)
  println(subpart(x, policy, :policy_name), ": ", length(fibre(x, policy)), " worlds, the largest weight ",
          maximum(weights; init=0.0), ", gap ", subpart(x, policy, :kl_gap))
end

println("their own transfer: ", fixed_points(x))
println("rows that break a law or leave it open: ", length(check(x; epsilon=0.5)))

defined = findall(>(0), subpart(x, :transfer))  # 0 is undefined
heir = FinFunction(collect(Int, subpart(x, defined, :transfer)), nparts(x, :Policy))
train = FinFunction(collect(Int, subpart(x, :train)), nparts(x, :Policy))
pairs_of = pullback[SkelFinSet()](heir, train)
left, right = proj1(pairs_of), proj2(pairs_of)
worlds = zeros(Int, nparts(x, :Policy))
for pair in 1:length(ob(pairs_of))
  worlds[defined[left(pair)]] += 1
end
println("worlds that trained the heir of each policy: ", worlds)

set_subpart!(x, 1, :transfer, 1)  # the first policy is used as it is, whatever its gap
for row in check(x; epsilon=0.5)
  println(row.law, " is ", row.verdict, " at ", row.ob, " ", row.id)
end
write_instance(x, target)
