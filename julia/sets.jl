# Limits of functions of finite sets. A function is the vector of its values, ids from 1 to the size of its codomain.

"""
The pairs of elements that f and g: -> 1:n send to one element: those of the domain of f, and of that of g, in the order
that Catlab finds them. Of two functions to 1:1 these are all pairs.
"""
function pullback_of_sets(f, g, n)
  # Catlab's test setcats/SkelFinSetCat/Limits.jl, and its function `tuples`
  pairs_of = pullback[SkelFinSet()](FinFunction(collect(Int, f), n), FinFunction(collect(Int, g), n))
  left, right = proj1(pairs_of), proj2(pairs_of)
  elements_of = 1:length(ob(pairs_of))
  (Int[left(i) for i in elements_of], Int[right(i) for i in elements_of])
end

"""
The elements that f and g: -> 1:n send to one element.
"""
function equalizer_of_sets(f, g, n)
  # As in `fixed_points`; Catlab's test setcats/SkelFinSetCat/Limits.jl
  equal = equalizer[SkelFinSet()](FinFunction(collect(Int, f), n), FinFunction(collect(Int, g), n))
  collect(Int, collect(incl(equal)))
end
