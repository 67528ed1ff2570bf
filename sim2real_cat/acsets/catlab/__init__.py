"""The Catlab engine: instances that live in Julia, about which Catlab.jl answers what is asked.

Only :mod:`sim2real_cat.acsets.catlab.worker` imports juliacall, in a process of its own that starts when an instance of
this engine is first made. Input is checked in Python before Catlab sees it, so both engines raise the same errors.
"""
