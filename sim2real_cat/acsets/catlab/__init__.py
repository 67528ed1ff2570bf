"""The Catlab engine: instances that live in Julia, and whatever is asked of them computed by Catlab.jl.

Only :mod:`sim2real_cat.acsets.catlab.julia` imports juliacall, when an instance of this engine is first made. Input is
checked in Python before Catlab sees it, so both engines raise the same errors.
"""
