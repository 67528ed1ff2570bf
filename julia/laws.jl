"""
One row that breaks a law (`:violated`) or leaves it open (`:undecided`).
"""
struct Witness
  law::Symbol
  verdict::Symbol
  ob::Symbol
  id::Int
end

# Each law is the twin of one in Python, whose statement it repeats; Python's is the one to change.

"""
Every arrow but transfer is defined on every part; transfer is undefined only where no policy took over.

    train, deploy, observe_sim, observe_real total; transfer partial
"""
function functor_witnesses(x, ε)
  [Witness(:functor, :violated, domain, id)
   for (f, domain, _) in homs(acset_schema(x)) if f != :transfer
   for (id, target) in enumerate(subpart(x, f)) if target == 0]
end

"""
A measured gap is finite and not negative; a policy that was not evaluated has none.

    0 <= kl_gap(π) < ∞
"""
function gap_valid_witnesses(x, ε)
  [Witness(Symbol("gap-valid"), :violated, :Policy, id)
   for (id, gap) in enumerate(subpart(x, :kl_gap)) if gap isa Real && !(isfinite(gap) && gap >= 0)]
end

"""
A policy is its own transfer exactly when its gap is under epsilon.

    transfer(π) = π ⇔ kl_gap(π) < ε

The equalizer of `transfer` and the identity is the set of policies under ε. Undecided where the interval straddles ε,
the estimate is called unreliable, or a policy that was not measured has a transfer.
"""
function transfer_identity_witnesses(x, ε)
  gaps, lows, highs = intervals(x)
  reliable = optional(x, :gap_reliable)
  fixed = Set(fixed_points(x))
  found = Witness[]
  for (id, target) in enumerate(subpart(x, :transfer))
    gap, low, high = gaps[id], lows[id], highs[id]
    verdict = if isnan(gap)
      target == 0 ? :holds : :undecided
    elseif (low < ε && high >= ε) || reliable[id] === false
      :undecided
    else
      (gap < ε) == (id in fixed) ? :holds : :violated
    end
    verdict == :holds || push!(found, Witness(Symbol("transfer-identity"), verdict, :Policy, id))
  end
  found
end

"""
A policy that took over transfers itself.

    transfer·transfer = transfer, where defined
"""
function transfer_idempotent_witnesses(x, ε)
  [Witness(Symbol("transfer-idempotent"), :violated, :Policy, id)
   for id in disagreements(x, :Policy, (:transfer, :transfer), (:transfer,); both=false)]
end

"""
A policy that takes over runs on the same robot.

    transfer·deploy = deploy, where defined
"""
function transfer_deploy_witnesses(x, ε)
  [Witness(Symbol("transfer-deploy"), :violated, :Policy, id)
   for id in disagreements(x, :Policy, (:transfer, :deploy), (:deploy,); both=true)]
end

"""
The laws by name: functions from an instance and ε to witnesses. Laws that are not here are evaluated in Python for both
engines, and say there why.
"""
const LAWS = Dict(
  "functor" => functor_witnesses,
  "gap-valid" => gap_valid_witnesses,
  "transfer-identity" => transfer_identity_witnesses,
  "transfer-idempotent" => transfer_idempotent_witnesses,
  "transfer-deploy" => transfer_deploy_witnesses,
)

"""
Every row that breaks a law or leaves it open; all laws hold where there is none.

`epsilon` is the bound under which a policy transfers, in the unit of `kl_gap`; `laws` are names of `LAWS`.
"""
function check(instance; epsilon=0.5, laws=law_names())
  isfinite(epsilon) && epsilon > 0 ||
    throw(ArgumentError("epsilon must be a positive number of nats, got $epsilon"))
  reduce(vcat, (law_named(law)(instance, epsilon) for law in laws); init=Witness[])
end

law_names() = sort!(collect(keys(LAWS)))

function law_named(name)
  haskey(LAWS, name) || throw(ArgumentError("there is no law '$name': there are $(join(law_names(), ", "))"))
  LAWS[name]
end

"""
An attribute of the policies where the schema has it, `nothing` for each of them where it does not.
"""
optional(x, attribute) = attribute in attrs(acset_schema(x); just_names=true) ?
  values_at(x, collect(parts(x, :Policy)), attribute) : fill(nothing, nparts(x, :Policy))

"""
Gap, lower and upper end of every policy, NaN where the gap was not measured. A gap without an interval is taken at
its word; a lower end without an upper one reaches to infinity.
"""
function intervals(x)
  number(value) = value isa Real ? Float64(value) : NaN
  gaps = Float64[number(value) for value in optional(x, :kl_gap)]
  lows, highs = number.(optional(x, :gap_low)), number.(optional(x, :gap_high))
  highs = Float64[isnan(high) && !isnan(low) ? Inf : high for (low, high) in zip(lows, highs)]
  pick(end_, gap) = isnan(end_) ? gap : end_
  gaps, Float64[pick(l, g) for (l, g) in zip(lows, gaps)], Float64[pick(h, g) for (h, g) in zip(highs, gaps)]
end

"""
The rows that one law finds, as JSON for the Python package.
"""
law_rows(x, law, ε) = JSON3.write([(String(w.verdict), String(w.ob), w.id) for w in law_named(law)(x, ε)])
