# Limits of instances that have their schema in their type and in which every hom is defined: the apex, and for each leg
# the images of all its parts, as in `morphisms.jl`. All but the last are of instances without attributes. Catlab's test
# csetcats/Limits.jl.

"""
The product of `x` and `y`.
"""
product_of(x, y, objects_json) = cone_of(product[category_of(x)](x, y), objects_json)

"""
The pullback of f: x -> z and g: y -> z.
"""
function pullback_of(x, y, z, objects_json, f, g)
  category, names = category_of(x), names_of(objects_json)
  cone_of(pullback[category](morphism_from(x, z, names, f), morphism_from(y, z, names, g)), objects_json)
end

"""
The equalizer of f, g: x -> y.
"""
function equalizer_of(x, y, objects_json, f, g)
  category, names = category_of(x), names_of(objects_json)
  cone_of(equalizer[category](morphism_from(x, y, names, f), morphism_from(x, y, names, g)), objects_json)
end

"""
The apex of a limit, and for each leg the images of all parts.
"""
cone_of(found, objects_json) = (ob(found), (images_of(leg, ob(found), objects_json) for leg in legs(found))...)

"""
The product of `x` and `y`, of any type, where attribute values become pairs: the apex, its legs, and for each attribute
named the first and the second values; `nothing` for a schema of which there is no type. Values are integers.
"""
function loose_product_of(x, y, objects_json, attributes_json)
  X, Y = typed(x), typed(y)
  (X === nothing || Y === nothing) && return nothing
  # Catlab's test looseacsetcats/Limits.jl
  found = product[ACSetCategory(LooseACSetCat(X))](X, Y)
  values = Tuple((Int[v[1] for v in subpart(ob(found), a)], Int[v[2] for v in subpart(ob(found), a)])
                 for a in names_of(attributes_json))
  (cone_of(found, objects_json)..., values)
end

"""
The same instance in the type that was made for its schema, or `nothing`. A limit changes the types of attributes, which
an `AnonACSet` cannot do.
"""
function typed(x)
  for y in (Sim2RealTransfer{Int}(), TransferStudy{Int,Int,Int,Int,Int,Int}())
    one, other = acset_schema(x), acset_schema(y)
    all(Set(part(one)) == Set(part(other)) for part in (ob, homs, attrtypes, attrs)) && return (copy_parts!(y, x); y)
  end
  nothing
end
