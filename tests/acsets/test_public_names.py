"""What `sim2real_cat.acsets` gives out."""

import subprocess
import sys

from sim2real_cat import acsets


def test_every_public_name_is_there_and_hides_no_module():
    for name in acsets.__all__:
        assert type(getattr(acsets, name)).__name__ != "module", name
    assert {"ACSet", "Schema", "Var", "Morphism", "homomorphisms", "Limit", "Colimit", "initial", "terminal"} <= {
        *acsets.__all__
    }


def test_nothing_is_imported_before_it_is_used():
    code = "import sys, sim2real_cat.acsets; print([m for m in sys.modules if m.startswith('sim2real_cat.acsets.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
