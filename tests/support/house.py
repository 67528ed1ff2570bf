"""Read the structure of a Python package from its source: who imports whom, and what docstrings say."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

RIDDLE = re.compile(r"(What|Who|Where|Whether|How|Which|Why)\b")
"""How a title begins that has to be decoded."""


class House:
    """The modules of a package, read from its folder without importing it.

    Args:
        folder: the folder of the package; its name is the package's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {_name(folder, path): path for path in sorted(folder.rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.files.items()}
        self.packages = {name for name, path in self.files.items() if path.name == "__init__.py"}
        self.rooms = set(self.files) - self.packages

    def imports(self, module: str) -> Iterator[tuple[str, str | None]]:
        """Yield every module of the package that a module imports, with the name that it takes from it.

        Imports at module level, inside functions and under TYPE_CHECKING count alike.
        """
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in self.files:
                        yield alias.name, None
            elif isinstance(node, ast.ImportFrom):
                source = self._source(module, node)
                for alias in node.names:
                    if f"{source}.{alias.name}" in self.files:
                        yield f"{source}.{alias.name}", None
                    elif source in self.files:
                        yield source, alias.name

    def _source(self, module: str, node: ast.ImportFrom) -> str:
        """Return the absolute name of the module that an import takes its names from."""
        if not node.level:
            return node.module or ""
        parts = module.split(".") if module in self.packages else module.split(".")[:-1]
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, node.module] if node.module else parts)

    def graph(self) -> nx.DiGraph:
        """Return the modules with an edge from each to every one that it imports."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.files)
        graph.add_edges_from((module, found) for module in self.files for found, _ in self.imports(module))
        graph.remove_edges_from(list(nx.selfloop_edges(graph)))
        return graph

    def circles(self) -> list[list[str]]:
        """Return the modules of every import circle."""
        return [sorted(part) for part in nx.strongly_connected_components(self.graph()) if len(part) > 1]

    def single_importers(self) -> dict[str, str]:
        """Return, by module, its only importer; re-exports of an ``__init__`` are no importers."""
        importers: defaultdict[str, set[str]] = defaultdict(set)
        for module in self.rooms:
            for found, _ in self.imports(module):
                importers[found].add(module)
        return {room: next(iter(importers[room])) for room in sorted(self.rooms) if len(importers[room]) == 1}

    def crowded(self, most: int) -> dict[str, int]:
        """Return the number of modules of every folder that has more than `most`."""
        counts: defaultdict[str, int] = defaultdict(int)
        for room in self.rooms:
            counts[room.rpartition(".")[0]] += 1
        return {folder: count for folder, count in sorted(counts.items()) if count > most}

    def private_imports(self) -> list[str]:
        """Return every import of an underscored name from another module, or use of one as its attribute."""
        found = []
        for module, tree in self.trees.items():
            known = set()
            for source, name in self.imports(module):
                if name is None:
                    known.add(source.rpartition(".")[2])
                if _private(name or "") or any(map(_private, source.split("."))):
                    found.append(f"{module}: {source} {name or ''}".strip())
            found += [
                f"{module}: {node.value.id}.{node.attr}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in known
                and _private(node.attr)
            ]
        return found

    def through_a_package(self) -> list[str]:
        """Return every import inside the package of a name from an ``__init__``, which only re-exports it."""
        return [
            f"{module}: from {source} import {name}"
            for module in self.rooms
            for source, name in self.imports(module)
            if source in self.packages and name is not None and not name.startswith("__")
        ]

    def titles(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the first line of every docstring, public and private."""
        for module, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text:
                        yield f"{module}.{getattr(node, 'name', '')}".rstrip("."), text.splitlines()[0]

    def classes_named_twice(self) -> dict[str, list[str]]:
        """Return the public classes whose name two modules or more give."""
        homes: defaultdict[str, list[str]] = defaultdict(list)
        for module in sorted(self.rooms):
            for node in self.trees[module].body:
                if isinstance(node, ast.ClassDef) and not _private(node.name):
                    homes[node.name].append(module)
        return {name: modules for name, modules in sorted(homes.items()) if len(modules) > 1}


def _name(folder: Path, path: Path) -> str:
    """Return the dotted name of a file of a package."""
    parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
