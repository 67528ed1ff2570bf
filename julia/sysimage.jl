# Write a system image with Catlab, from which Julia starts sooner. Run by hand, on a machine with a C compiler:
#
#   julia -e 'using Pkg; Pkg.add("PackageCompiler")'
#   julia --project=ENVIRONMENT julia/sysimage.jl FILE.so
#   export PYTHON_JULIACALL_SYSIMAGE=FILE.so
#
# ENVIRONMENT is the folder that `sim2real-cat engines` names, or that of PYTHON_JULIACALL_PROJECT; the julia is that of
# the engine, too. The image holds the packages that Sim2RealCat is made of. It is not in there itself, so a new version
# of it needs no new image, only its next start compiles again.
using PackageCompiler

length(ARGS) == 1 || error("usage: julia --project=ENVIRONMENT julia/sysimage.jl FILE.so")
create_sysimage(["ACSets", "Catlab", "JSON3", "PrecompileTools"];
                sysimage_path=abspath(ARGS[1]), project=dirname(Base.active_project()))
