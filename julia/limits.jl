# Limits of instances that have their schema in their type and in which every hom is defined: the apex, and the legs as
# components of the objects named. All but the last are of instances without attributes. Catlab's test csetcats/Limits.jl.

"""
The product of `x` and `y`.
"""
function product_of(x, y, objects_json)
  found = product[category_of(x)](x, y)
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The pullback of f: x -> z and g: y -> z, which are given by the images of the parts of each object.
"""
function pullback_of(x, y, z, f_json, g_json, objects_json)
  found = pullback[category_of(x)](transformation(x, z, f_json), transformation(y, z, g_json))
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The equalizer of f and g: x -> y.
"""
function equalizer_of(x, y, f_json, g_json, objects_json)
  found = equalizer[category_of(x)](transformation(x, y, f_json), transformation(x, y, g_json))
  apex = ob(found)
  (apex, components_of(found, (apex,), objects_json))
end

function transformation(x, y, images_json)
  images = JSON3.read(images_json, Dict{String,Vector{Int}})
  # by keyword, as Catlab takes components too, an object named `cat` would be the category
  ACSetTransformation((; (Symbol(o) => ids for (o, ids) in images)...), x, y; cat=category_of(x))
end

"""
The legs of a limit, which start in `sources`: for each the components of the objects named.
"""
components_of(cone, sources, objects_json) =
  Tuple(Tuple(Int[leg[o](i) for i in parts(source, o)] for o in names_of(objects_json))
        for (leg, source) in zip(legs(cone), sources))

"""
The product of `x` and `y`, of any type, where attribute values become pairs: the apex, its legs, and for each attribute
named the first and the second values; `nothing` for a schema of which there is no type. Values are integers.
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
