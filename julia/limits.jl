# Limits of instances in which every hom is defined: the apex, and the legs as components of the objects named. All but
# the last are of instances without attributes. Catlab's test csetcats/Limits.jl.

"""
The product of x and y.
"""
function product_of(x, y, objects_json)
  X, Y = static(x), static(y)
  found = product[ACSetCategory(X)](X, Y)
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The pullback of f: x -> z and g: y -> z, which are given by the images of the parts of each object.
"""
function pullback_of(x, y, z, f_json, g_json, objects_json)
  X, Y, Z = static(x), static(y), static(z)
  f, g = transformation(X, Z, images_from(f_json)), transformation(Y, Z, images_from(g_json))
  found = pullback[ACSetCategory(X)](f, g)
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The equalizer of f and g: x -> y.
"""
function equalizer_of(x, y, f_json, g_json, objects_json)
  X, Y = static(x), static(y)
  f, g = transformation(X, Y, images_from(f_json)), transformation(X, Y, images_from(g_json))
  found = equalizer[ACSetCategory(X)](f, g)
  apex = ob(found)
  (apex, components_of(found, (apex,), objects_json))
end

images_from(json) = JSON3.read(json, Dict{String,Vector{Int}})

"""
The product of `x` and `y` where attribute values become pairs: the apex, its legs, and for each attribute named the
first and the second values; `nothing` for a schema of which there is no type. Values of attributes are integers.
"""
function loose_product_of(x, y, objects_json, attributes_json)
  X, Y = typed(x), typed(y)
  (X === nothing || Y === nothing) && return nothing
  # Catlab's test looseacsetcats/Limits.jl
  found = product[ACSetCategory(LooseACSetCat(X))](X, Y)
  apex = ob(found)
  values = Tuple((Int[v[1] for v in subpart(apex, a)], Int[v[2] for v in subpart(apex, a)])
                 for a in names_of(attributes_json))
  (apex, components_of(found, (apex, apex), objects_json), values)
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
