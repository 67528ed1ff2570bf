"""
Where a path of homs sends parts: `ids` are 1-based or 0, and so is the answer, 0 where any arrow is undefined.
"""
function along(x, ids::AbstractVector{Int}, path)
  for f in path
    defined = findall(>(0), ids)
    targets = zeros(Int, length(ids))
    targets[defined] = subpart(x, ids[defined], f)
    ids = targets
  end
  ids
end

"""
What an attribute holds at parts: a value, an `AttrVar`, or `nothing` where it is undefined or the part is 0.
"""
function values_at(x, ids::AbstractVector{Int}, attribute::Symbol)
  defined = findall(>(0), ids)
  found = Vector{Any}(nothing, length(ids))
  found[defined] = subpart(x, ids[defined], attribute)
  found
end

"""
The parts of `ob` at which two parallel paths of homs are both defined and differ, or, unless `both`, at which the
right one is defined and the left one is not the same.
"""
function disagreements(x, ob::Symbol, left, right; both::Bool)
  ids = collect(parts(x, ob))
  one, other = along(x, ids, left), along(x, ids, right)
  [i for i in ids if other[i] > 0 && one[i] != other[i] && (one[i] > 0 || !both)]
end
