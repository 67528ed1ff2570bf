# The algebra of subobjects of an instance that has its schema in its type, no attributes, and all homs defined.

"""
One operation of the algebra of subobjects of `x`: for each object named, the parts of the result.

`left_json` and `right_json` hold subobjects as the ids of their parts by object; every object has one at least.
"""
function subobject_algebra(x, operation, objects_json, left_json, right_json)
  A, B, category = subobject(x, left_json), subobject(x, right_json), category_of(x)
  # Catlab's tests csetcats/Subobjects.jl and varacsetcats/Subobjects.jl
  found = @withmodel category (∧, ∨, ⊤, ⊥, ⟹, ¬, \, ~) begin
    operation == "top" ? ⊤(x) : operation == "bottom" ? ⊥(x) :
    operation == "meet" ? A ∧ B : operation == "join" ? A ∨ B :
    operation == "implies" ? A ⟹ B : operation == "subtract" ? A \ B :
    operation == "non" ? ~A : throw(ArgumentError("unknown operation $operation"))
  end
  inclusion = hom(found)
  Tuple(Int[inclusion[o](i) for i in parts(dom(inclusion), o)] for o in names_of(objects_json))
end

subobject(x, parts_json) =
  Subobject(x; (Symbol(o) => ids for (o, ids) in JSON3.read(parts_json, Dict{String,Vector{Int}}))...)
