"""
The simulated environments that trained a policy: its preimage under `train`, sorted.
"""
function fibre(instance, policy)
  n = nparts(instance, :Policy)
  policy in 1:n || throw(ArgumentError("there is no policy $policy: the instance has $n, counted from 1"))
  sort!(collect(Int, incident(instance, policy, :train)))
end

"""
The weights of a policy's mixture: for each environment of its fibre `sim_weight` over their sum, and equal weights
where the schema has none or one is missing. A mixture has weights >= 0 with a positive sum.
"""
function mixture_weights(instance, policy)
  envs = fibre(instance, policy)
  given = :sim_weight in attrs(acset_schema(instance); just_names=true) ?
    values_at(instance, envs, :sim_weight) : fill(nothing, length(envs))
  weights = all(is_number, given) ? Float64[w for w in given] : ones(length(envs))
  isempty(envs) || (all(>=(0), weights) && sum(weights) > 0) ||
    throw(ArgumentError("sim_weight of policy $policy is $weights: a mixture needs weights >= 0 with a positive sum"))
  weights ./ sum(weights; init=0.0)
end

is_number(value) = value isa Real && !isnan(value)

"""
The policies that `transfer` sends to themselves: the equalizer of `transfer` and the identity in finite sets.
Where `transfer` is undefined it goes to one more element, which is no policy.
"""
function fixed_points(instance)
  n = nparts(instance, :Policy)
  transfer = Int[target == 0 ? n + 1 : target for target in subpart(instance, :transfer)]
  equal = equalizer[SkelFinSet()](FinFunction(transfer, n + 1), FinFunction(collect(1:n), n + 1))
  collect(Int, collect(incl(equal)))
end

"""
The JSON text of an instance as the Python package reads and writes it: what is undefined is left out.
"""
function json_text(instance)
  arrows = Set(homs(acset_schema(instance); just_names=true))
  undefined(name, value) = value === nothing || (name in arrows && value == 0)
  row(cells) = string("{", join((string(JSON3.write(String(name)), ":", JSON3.write(value))
                                 for (name, value) in pairs(cells) if !undefined(name, value)), ","), "}")
  tables = (string(JSON3.write(String(name)), ":[", join((row(cells) for cells in rows), ","), "]")
            for (name, rows) in pairs(generate_json_acset(instance)))
  string("{", join(tables, ","), "}")
end

"""
An instance of `SchTransferStudy` from the JSON that the Python package writes.
"""
read_instance(path) = read_json_acset(TransferStudy{Float64,String,String,Float64,Int,Bool}, path)

"""
Write an instance as JSON that the Python package reads.
"""
write_instance(instance, path) = open(file -> print(file, json_text(instance)), path, "w")
