"""Run every Python block of the README, the documentation and the benchmarks' READMEs, each page in its own folder.

The blocks of one page run in order and share their names, as a reader would run them.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(page: Path) -> int:
    """Run a page's blocks; return how many there were."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        code = compile("\n" * line + block[1], str(page), "exec")
        exec(code, names)
    return len(blocks)


def main() -> None:
    """Run all pages, or those named on the command line."""
    sys.path.insert(0, str(ROOT))  # a benchmark's README imports the benchmark
    every = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("benchmarks/*/README.md"))]
    pages = [Path(name).resolve() for name in sys.argv[1:]] or every
    total = 0
    for page in pages:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            count = run(page)
            os.chdir(ROOT)
        total += count
        print(f"{page.relative_to(ROOT)}: {count} blocks, {time.perf_counter() - started:.1f} s", flush=True)
    print(f"{total} passed, 0 failed")


if __name__ == "__main__":
    main()
