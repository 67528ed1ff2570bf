"""An instance of the transfer schema with named accessors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Ids, Var
from sim2real_cat.acsets.engines import EngineName
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import ExchangeError, InstanceError, unknown_name
from sim2real_cat.files import write_text
from sim2real_cat.ranking.table import PolicyTable
from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON, Law
from sim2real_cat.transfer.laws.measured_laws import Recompute
from sim2real_cat.transfer.laws.report import LawReport, check
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

if TYPE_CHECKING:
    import networkx

NAME_ATTRIBUTES = {
    "SimEnv": "sim_name",
    "RealEnv": "real_name",
    "Policy": "policy_name",
    "Observation": "observation_name",
}
"""The attribute that names the parts of an object, in `SchTransferStudy`."""


def part_name(acset: ACSet, ob: str, part: int) -> str:
    """Return the name of a part of any instance: its own where the schema has one, else ``Policy 3``."""
    if NAME_ATTRIBUTES.get(ob) in acset.schema.attrs:
        value = acset.subpart(NAME_ATTRIBUTES[ob], part)
        if isinstance(value, str):
            return value
    return f"{ob} {part}"


class TransferInstance:
    """Policies, where they were trained and deployed, what was observed and how large the gap is.

    Args:
        acset: an ACSet whose schema is `SchSim2RealTransfer` or extends it.

    Raises:
        InstanceError: the ACSet has another schema.
    """

    def __init__(self, acset: ACSet) -> None:
        if not acset.schema.extends(SchSim2RealTransfer):
            raise InstanceError(
                f"schema '{acset.schema.name}' does not extend SchSim2RealTransfer, so it holds no transfer instance"
            )
        self.acset = acset

    def __repr__(self) -> str:
        return f"TransferInstance({self.acset!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TransferInstance) and self.acset == other.acset

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def read(
        cls, path: str | Path, schema: Schema | None = None, *, engine: EngineName = "embedded"
    ) -> TransferInstance:
        """Read an instance from ACSets.jl's JSON.

        Args:
            path: the file.
            schema: the schema it is an instance of; `SchTransferStudy` or `SchSim2RealTransfer`, whichever the
                file's tables fit, where none is given.
            engine: where the instance is built, "embedded" or "catlab".

        Raises:
            ExchangeError: the file is missing, truncated, or no instance of the schema.
            EngineError: for an engine that is not known, or not installed.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ExchangeError(f"{path}: no such instance; give the path of an instance.json") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ExchangeError(
                f"{path}: cannot be read as text ({error}); give the path of an instance.json"
            ) from None
        if schema is None:
            study_only = (ob for ob in SchTransferStudy.obs if ob not in SchSim2RealTransfer.obs)
            schema = SchTransferStudy if any(f'"{ob}"' in text for ob in study_only) else SchSim2RealTransfer
        return cls(ACSet.from_json(schema, text, str(path), engine))

    def write(self, path: str | Path) -> None:
        """Write the instance as ACSets.jl's JSON, whole or not at all."""
        write_text(Path(path), self.acset.to_json())

    def to_engine(self, engine: EngineName) -> TransferInstance:
        """Return the same instance in an engine, "embedded" or "catlab".

        Raises:
            EngineError: for an engine that is not known, or not installed.
        """
        return TransferInstance(self.acset.to_engine(engine))

    def name(self, ob: str, part: int) -> str:
        """Return the name of a part: its own where the schema has one, else ``Policy 3``."""
        return part_name(self.acset, ob, part)

    def policy(self, policy: int | str) -> int:
        """Return the id of a policy given by id or name.

        Raises:
            InstanceError: there is no such policy.
        """
        if isinstance(policy, str):
            known = [self.name("Policy", int(part)) for part in self.acset.parts("Policy")]
            if policy not in known:
                raise InstanceError(unknown_name("policy", policy, known))
            return known.index(policy)
        if not 0 <= policy < self.acset.nparts("Policy"):
            raise InstanceError(f"there is no policy {policy}: the instance has {self.acset.nparts('Policy')}")
        return policy

    def fibre(self, policy: int | str) -> Ids:
        """Return the simulated worlds that trained a policy: its preimage under `train`, sorted."""
        return np.asarray(self.acset.incident(self.policy(policy), "train"))

    def transferring(self) -> Ids:
        """Return the policies that `transfer` sends to themselves: the equalizer of `transfer` and the identity."""
        parts = self.acset.parts("Policy")
        return np.asarray(parts[self.acset.column_ids("transfer") == parts])

    def failing(self) -> Ids:
        """Return the policies that were measured and that `transfer` does not send to themselves."""
        parts = self.acset.parts("Policy")
        measured = ~np.isnan(np.ma.filled(self.acset.column("kl_gap"), np.nan))
        return np.asarray(parts[measured & (self.acset.column_ids("transfer") != parts)])

    def check(
        self,
        epsilon: float = DEFAULT_EPSILON,
        laws: Sequence[str | Law] | None = None,
        *,
        recompute: Recompute | None = None,
    ) -> LawReport:
        """Check laws, all of `sim2real_cat.laws.ALL` where none are named.

        Args:
            epsilon: bound under which a policy transfers, in the unit of `kl_gap`.
            laws: names of laws, or your own laws.
            recompute: measures a policy's gap again, for the law `gap-recomputes`; `sim2real_cat.study.recompute_gaps`
                makes one of a study's folder.

        Raises:
            LawError: an unknown law, or an epsilon that is not a positive number.
        """
        return check(self.acset, epsilon, laws, recompute=recompute)

    def returns(self, robot: str | None = None) -> tuple[PolicyTable, tuple[str, ...]]:
        """Return the mean returns of the policies deployed on one robot, to be ranked; those of others do not compare.

        Args:
            robot: the robot's name; may be left out where there is only one.

        Returns:
            The policies that have both returns, and the names of those that lack one.

        Raises:
            InstanceError: the instance records no returns, the robot is not known or not said, or fewer than two
                policies have returns.
        """
        acset = self.acset
        if "return_sim" not in acset.schema.attrs:
            raise InstanceError(
                f"an instance of {acset.schema.name} records no returns: give one of SchTransferStudy, or a CSV of "
                "policies"
            )
        robots = [self.name("RealEnv", part) for part in map(int, acset.parts("RealEnv"))]
        if robot is None and len(robots) != 1:
            raise InstanceError(f"policies are ranked on one robot: say which of {', '.join(robots) or '(none)'}")
        if robot is not None and robot not in robots:
            raise InstanceError(unknown_name("robot", robot, robots))
        place = 0 if robot is None else robots.index(robot)
        numbers = [np.asarray(np.ma.filled(acset.column(name), np.nan)) for name in ("return_real", "return_sim")]
        names, real, sim, lacking = [], [], [], []
        for policy in map(int, acset.incident(place, "deploy")):
            name, scores = self.name("Policy", policy), [float(column[policy]) for column in numbers]
            if np.isfinite(scores).all():
                names.append(name)
                real.append(scores[0])
                sim.append(scores[1])
            else:
                lacking.append(name)
        if len(names) < 2:
            raise InstanceError(
                f"{robots[place]} has {len(names)} policies with a real and a simulated return: ranking needs at "
                "least 2"
            )
        return PolicyTable.of_scores(names, real, sim), tuple(lacking)

    def along(self, paths: Sequence[str]) -> dict[str, list[object]]:
        """Return the values of one object's parts along paths, e.g. ``policy_name`` and ``deploy.real_name``.

        Returns:
            A column of plain values for ``id`` (0-based) and every path, None where undefined.

        Raises:
            SchemaError: a path that does not exist or does not compose.
            InstanceError: no path, paths that start at different objects, or one text instead of a list of paths.
        """
        if isinstance(paths, str):
            raise InstanceError(f"paths is a list, not the text {paths!r}: write [{paths!r}]")
        routes = [self.acset.schema.path(path) for path in paths]
        objects = dict.fromkeys(route.dom for route in routes)
        if len(objects) != 1:
            starts = ", ".join(f"'{path}' at {route.dom}" for path, route in zip(paths, routes, strict=True))
            raise InstanceError(f"a query's paths start at one object, but here {starts or 'there is no path'}")
        parts = [int(part) for part in self.acset.parts(next(iter(objects)))]
        columns = {path: [_plain(self.acset.subpart(path, part)) for part in parts] for path in paths}
        return {"id": list(parts), **columns}

    def transfer_graph(self) -> networkx.MultiDiGraph[Any]:
        """Return the graph of worlds, policies and robots ``(object, id)``, with train, deploy and transfer as edges.

        Nodes carry `label` and the attributes that are defined, edges are keyed by the arrow's name.
        """
        elements = self.acset.to_networkx()
        shown = {"SimEnv", "Policy", "RealEnv"}
        graph = elements.subgraph([node for node in elements if node[0] in shown]).copy()
        for ob, part in graph:
            graph.nodes[ob, part]["label"] = self.name(ob, part)
        return graph


def _plain(value: object) -> object:
    """Return a value to be read: an attribute variable as its text."""
    return repr(value) if isinstance(value, Var) else value
