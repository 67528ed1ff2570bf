"""The command line: ``sim2real-cat demo | run | gap | rank | check | query | report | engines``.

Exit codes: 0 all holds, 1 a law is violated, 2 bad input or something missing (one line to stderr).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sim2real_cat
from sim2real_cat.acsets.engines import ENGINES, EngineName
from sim2real_cat.errors import ExchangeError, GapError, SchemaError, Sim2RealError, listed, unknown_name
from sim2real_cat.toml_table import TomlTable

if TYPE_CHECKING:
    from rich.table import Table

    from sim2real_cat.acsets.query.engine import QueryEngine
    from sim2real_cat.gaps.estimate import Estimate
    from sim2real_cat.recordings.trajectories import Trajectories
    from sim2real_cat.study.study import Study
    from sim2real_cat.transfer.instance import TransferInstance
    from sim2real_cat.transfer.laws.measured_laws import Recompute
    from sim2real_cat.transfer.laws.report import LawReport

_WIDTH = 10_000
"""Characters in a line of a file or pipe, more than any table needs."""

OK, VIOLATED, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode shows "?" rather than a traceback
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()
        return code
    except Sim2RealError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has gone, and Python would complain again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; files already written are whole", file=sys.stderr)
        return INTERRUPTED
    return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sim2real-cat",
        description="Does a robot policy transfer from simulation to reality, by how much not, and why?",
    )
    parser.add_argument("--version", action="version", version=f"sim2real-cat {sim2real_cat.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train and deploy six policies on two of Gymnasium's MuJoCo robots")
    demo.set_defaults(command=_demo)
    run = commands.add_parser("run", help="run a study described in TOML")
    run.add_argument("study", type=Path, metavar="STUDY.toml")
    run.set_defaults(command=_run)
    for command in (demo, run):
        command.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: NAME_study)")
        command.add_argument("--threads", type=_count, default=0, help="physics threads (default: one per core)")
        _add_engine(command)

    gap = commands.add_parser("gap", help="estimate KL(P_real || P_sim) from two recordings")
    gap.add_argument("real", type=Path, metavar="REAL.parquet")
    gap.add_argument("sim", type=Path, nargs="?", metavar="SIM.parquet")
    gap.add_argument("--policy", help="only the episodes of this policy in REAL; with --study: of the study")
    gap.add_argument("--method", help="with SIM: gaussian, knn or ratio (default: what the samples allow)")
    gap.add_argument("--level", help="with SIM: transition, occupancy or trajectory (default: transition)")
    gap.add_argument("--study", type=Path, metavar="STUDY.toml", help="instead of SIM: ask the worlds of this study")
    gap.add_argument("--gap-of", choices=["randomization", "fibre"], help="with --study: the worlds (default: its own)")
    gap.add_argument("--randomization", type=Path, metavar="FILE.toml", help="with --study: instead of its own")
    gap.add_argument("--noise", help="with --study: given, or fitted where sensors have none")
    gap.add_argument("--states", help="with --study: recorded, or hidden behind the readings")
    gap.add_argument("--state-deviation", type=float, help="with --study: error of the recorded states")
    gap.set_defaults(command=_gap)

    rank = commands.add_parser("rank", help="does simulation rank policies as reality does?")
    rank.add_argument("policies", type=Path, metavar="POLICIES", help="a .csv of policies, or an instance .json")
    rank.add_argument("--robot", help="with an instance: rank the policies of this robot by their returns")
    rank.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    rank.add_argument("--json", action="store_true", help="print the ranking as JSON")
    rank.set_defaults(command=_rank)

    check = commands.add_parser("check", help="check the laws of an instance")
    check.add_argument("instance", type=Path, metavar="INSTANCE.json")
    check.add_argument("--epsilon", type=float, help="bound in nats (default: that of the study beside it, else 0.5)")
    check.add_argument("--laws", help="names separated by commas (default: all)")
    check.add_argument(
        "--recompute", action="store_true", help="measure the gaps again from the recordings beside (gap-recomputes)"
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    _add_engine(check, "both")
    check.set_defaults(command=_check)

    query = commands.add_parser("query", help="read columns along paths, or answer a conjunctive query")
    query.add_argument("instance", type=Path, metavar="INSTANCE.json")
    query.add_argument(
        "asked",
        metavar="QUERY",
        help="paths from one object, 'policy_name, deploy.real_name, kl_gap', "
        "or atoms, 'SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)'",
    )
    query.add_argument("--where", help="with atoms: comparisons joined by and, such as 'g > 0.1'")
    query.add_argument("--out", help="with atoms: variables to print, separated by commas (default: all)")
    query.add_argument("--distinct", action="store_true", help="with atoms: leave out repeated rows")
    query.add_argument("--explain", action="store_true", help="with atoms: say how they would be joined, and do not")
    query.add_argument("--json", action="store_true", help="print rows as JSON")
    _add_engine(query)
    query.set_defaults(command=_query)

    report = commands.add_parser("report", help="write report.html of a study's folder again")
    report.add_argument("folder", type=Path, metavar="DIR")
    report.add_argument("--picture", type=Path, metavar="FILE", help="save the picture too, as .png, .svg or .pdf")
    report.set_defaults(command=_report)

    engines = commands.add_parser("engines", help="what is here, what is missing and how to get it")
    engines.add_argument("--install", choices=["catlab"], help="download Julia and Catlab and compile them")
    engines.set_defaults(command=_engines)
    return parser


def _add_engine(command: argparse.ArgumentParser, *more: str) -> None:
    """Add the option for the engine that holds the instance."""
    command.add_argument(
        "--engine",
        choices=[*ENGINES, *more],
        default="embedded",
        help="embedded: numpy; catlab: Catlab.jl in Julia" + ("; both, which must agree" if more else ""),
    )


def _count(text: str) -> int:
    """Return a whole number from 1 on, as argparse reads it."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs to be a whole number >= 1, got '{text}'")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    from sim2real_cat.study.study import Study

    return _run_study(Study.demo(), options)


def _run(options: argparse.Namespace) -> int:
    from sim2real_cat.study.study import Study

    return _run_study(Study.from_toml(options.study), options)


def _run_study(study: Study, options: argparse.Namespace) -> int:
    from rich.console import Console

    from sim2real_cat.report.page import write_page
    from sim2real_cat.report.summary import summaries
    from sim2real_cat.report.terminal import policies_table, progress_bars

    name = study.description.name
    out = options.out or Path(f"{name}_study")
    with progress_bars(Console(stderr=True)) as show:
        result = study.run(out, show, options.threads, options.engine)
    write_page(out / "report.html", f"Study {name}", result.instance, result.report)
    _show(policies_table(summaries(result.instance, result.report)))
    print()
    code = _print_report(result.instance, result.report)
    diverged = sum(int(part.diverged.sum()) for d in result.deployments for part in (d.sim, d.real))
    if diverged:
        print(f"{diverged} episodes diverged; they are marked in the recordings and left out of the gaps")
    print(f"\nwritten to {out}/: instance.json, laws.json, trajectories/ and a report, {out / 'report.html'}")
    return code


def _gap(options: argparse.Namespace) -> int:
    from sim2real_cat.gaps.kl_gap import gap
    from sim2real_cat.recordings.logs.reader import read_log

    if (options.sim is None) == (options.study is None):
        raise GapError("give either SIM.parquet or --study STUDY.toml, which says what the simulated side is")
    misplaced = (
        ("method", "level")
        if options.sim is None
        else (
            "noise",
            "states",
            "state_deviation",
            "gap_of",
            "randomization",
        )
    )
    for option in misplaced:
        if getattr(options, option) is not None:
            raise GapError(
                f"--{option.replace('_', '-')} does not go with {'--study' if options.study else 'SIM.parquet'}"
            )
    real = read_log(options.real)
    if options.policy is not None and any(real.policies):
        if options.policy not in real.policies:
            raise GapError(f"{options.real}: " + unknown_name("policy", options.policy, dict.fromkeys(real.policies)))
        real = real.of_policy(options.policy)
    if options.study is None:
        estimate = gap(real, read_log(options.sim), method=options.method, level=options.level)
        print(estimate)
    else:
        estimate = _predictive(options, real)
    for note in estimate.why:
        print(f"note: {note}")
    return OK


def _predictive(options: argparse.Namespace, real: Trajectories) -> Estimate:
    """Estimate and print the predictive gap of a policy of a study."""
    from sim2real_cat.errors import WorldError
    from sim2real_cat.predictive.gap import predictive_gap
    from sim2real_cat.report.summary import gap_lines
    from sim2real_cat.study.study import Study
    from sim2real_cat.toml_table import TomlTable
    from sim2real_cat.worlds.randomization.randomization import Randomization

    names = dict.fromkeys(real.policies)
    if options.policy is None and len(names) > 1:
        raise GapError(f"{options.real} holds several policies: choose one of {listed(names)} with --policy")
    name = next(iter(names)) if options.policy is None else options.policy
    if not name:
        raise GapError(f"{options.real} does not name its policy: say with --policy which policy of the study it is")
    study = Study.from_toml(options.study)
    world, fibre = study.fibre(name)
    randomization = study.randomization(name)
    if options.randomization is not None:
        table = TomlTable.read(options.randomization, "randomization", WorldError)
        randomization = Randomization.from_table(table.values, str(options.randomization))
    asked = options.gap_of or ("randomization" if options.randomization else study.description.gap_of)
    if asked == "fibre" and options.randomization is not None:
        raise GapError("--randomization does not go with --gap-of fibre: leave one out")
    found = predictive_gap(
        world,
        real,
        **({"fibre": fibre} if asked == "fibre" or randomization is None else {"randomization": randomization}),
        noise=options.noise or "given",
        states=options.states or "recorded",
        state_deviation=options.state_deviation or 0.0,
    )
    print(found.estimate)
    for line in gap_lines(found, fibre):
        print(line)
    print("by sensor: " + listed(f"{sensor} {gap:.3g}" for sensor, gap in found.by_sensor.items()))
    return found.estimate


def _rank(options: argparse.Namespace) -> int:
    from sim2real_cat.ranking.ranking import rank
    from sim2real_cat.ranking.table import read_policy_table

    lacking: tuple[str, ...] = ()
    if options.policies.suffix == ".json":
        from sim2real_cat.transfer.instance import TransferInstance

        table, lacking = TransferInstance.read(options.policies).returns(options.robot)
    elif options.robot is not None:
        raise SchemaError("--robot goes with an instance, a .json file; a CSV holds the policies of one robot")
    else:
        table = read_policy_table(options.policies)
    found = rank(table, confidence=options.confidence)
    if options.json:
        print(json.dumps(found.to_table() | {"left_out": list(lacking)}, indent=2))
        return OK
    from sim2real_cat.report.terminal import ranking_table, scores_table

    _show(scores_table(found))
    print()
    _show(ranking_table(found))
    print()
    if found.worst is not None:
        print(f"most costly mistake: '{found.worst[0]}' is better than '{found.worst[1]}', simulation does not say so")
    if lacking:
        print(f"left out, for want of a return: {', '.join(lacking)}")
    for number, note in enumerate(found.why):
        print(f"{'unreliable' if number == 0 and not found.reliable else 'note'}: {note}")
    return OK


def _check(options: argparse.Namespace) -> int:
    from sim2real_cat.transfer.instance import TransferInstance
    from sim2real_cat.transfer.laws.report import check_in_both

    here: EngineName = "embedded" if options.engine == "both" else options.engine
    instance = TransferInstance.read(options.instance, engine=here)
    epsilon = _epsilon_beside(options.instance) if options.epsilon is None else options.epsilon
    laws = None if options.laws is None else _names(options.laws)
    again = options.recompute or (laws is not None and "gap-recomputes" in laws)
    recompute = _recompute_beside(options.instance) if again else None
    if options.engine == "both":
        report = check_in_both(instance.acset, epsilon, laws, recompute=recompute)
    else:
        report = instance.check(epsilon, laws, recompute=recompute)
    if options.json:
        print(json.dumps(report.to_table(), indent=2))
        return VIOLATED if report.verdict == "violated" else OK
    return _print_report(instance, report)


def _epsilon_beside(instance: Path) -> float:
    """Return the epsilon of the study in whose folder an instance lies; the default outside of one.

    Raises:
        ExchangeError: the description beside the instance is damaged.
    """
    from sim2real_cat.transfer.laws.law import DEFAULT_EPSILON

    head = _study_head(instance.parent)
    if head is None or not head.has("epsilon"):
        return DEFAULT_EPSILON
    return head.number("epsilon")


def _recompute_beside(instance: Path) -> Recompute | None:
    """Return a function that measures the gaps of an instance again; None outside the folder of a study."""
    if not (instance.parent / "study.toml").is_file():
        return None
    from sim2real_cat.study.folder import recompute_gaps

    return recompute_gaps(instance.parent)


def _study_name(folder: Path) -> str:
    """Return the name of the study in a folder; that of the folder where the study has no description.

    Raises:
        ExchangeError: its description is damaged.
    """
    head = _study_head(folder)
    return folder.resolve().name if head is None else head.text("name", folder.resolve().name)


def _study_head(folder: Path) -> TomlTable | None:
    """Return the table [study] of the description in a folder, the rest unchecked; None where there is none."""
    path = folder / "study.toml"
    if not path.is_file():
        return None
    root = TomlTable.read(path, "study", ExchangeError)
    if not root.has("study"):
        raise root.refusal("the table [study] is missing; write the description again")
    return root.table("study")


def _query(options: argparse.Namespace) -> int:
    from sim2real_cat.report.terminal import query_table
    from sim2real_cat.transfer.instance import TransferInstance

    if options.explain and "(" in options.asked:
        acset = TransferInstance.read(options.instance).acset  # nothing is asked of Catlab, so Julia may be missing
        engine: QueryEngine = "catlab" if options.engine == "catlab" else "auto"
        print(acset.explain(options.asked, _out(options), where=options.where, engine=engine))
        return OK
    instance = TransferInstance.read(options.instance, engine=options.engine)
    columns = _atoms(instance, options) if "(" in options.asked else _paths(instance, options)
    if options.json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]))
    else:
        _show(query_table(columns))
    return OK


def _atoms(instance: TransferInstance, options: argparse.Namespace) -> dict[str, list[object]]:
    """Return the answer to a conjunctive query, by column."""
    found = instance.acset.query(options.asked, _out(options), where=options.where, distinct=options.distinct)
    return found.to_dict()


def _out(options: argparse.Namespace) -> list[str] | None:
    """Return the variables to print; None for all."""
    return None if options.out is None else _names(options.out)


def _paths(instance: TransferInstance, options: argparse.Namespace) -> dict[str, list[object]]:
    """Return columns along paths that start at one object."""
    for option in ("where", "out", "distinct", "explain"):
        if getattr(options, option):
            raise SchemaError(f"--{option} goes with atoms, such as 'Policy(_id=p, kl_gap=g)', not with paths")
    return instance.along(_names(options.asked))


def _names(text: str) -> list[str]:
    """Return the names in a list that is separated by commas."""
    return [name.strip() for name in text.split(",")]


def _report(options: argparse.Namespace) -> int:
    from sim2real_cat.report.figure import draw_policies, save_figure
    from sim2real_cat.report.page import write_page
    from sim2real_cat.report.summary import summaries
    from sim2real_cat.transfer.instance import TransferInstance
    from sim2real_cat.transfer.schema import SchTransferStudy

    path = options.folder / "instance.json"
    instance = TransferInstance.read(path, SchTransferStudy)
    report = instance.check(_epsilon_beside(path))
    write_page(options.folder / "report.html", f"Study {_study_name(options.folder)}", instance, report)
    print(f"written: {options.folder / 'report.html'}")
    if options.picture is not None:
        save_figure(draw_policies(summaries(instance, report), report.epsilon), options.picture)
        print(f"written: {options.picture}")
    return OK


def _engines(options: argparse.Namespace) -> int:
    if options.install is not None:
        from sim2real_cat.acsets.catlab import julia

        julia.install(lambda text: print(text, file=sys.stderr))
    for engine in installed_engines():
        print(f"{engine.name:10} {'here   ' if engine.here else 'missing'}  {engine.detail}")
    return OK


@dataclass(frozen=True)
class InstalledEngine:
    """An engine, and whether it can be used here.

    Attributes:
        name: its name on the command line.
        here: whether it can be used on this machine, by this version of the package.
        detail: its version, or what is missing and how to get it.
    """

    name: str
    here: bool
    detail: str


def installed_engines() -> list[InstalledEngine]:
    """Return every engine, also those that are missing; this starts none of them."""
    from sim2real_cat.acsets.catlab import julia

    numpy, mujoco, missing = _version("numpy"), _version("mujoco"), julia.missing()
    catlab = missing or f"Catlab by Julia: {julia.found()}; {julia.expected_start()}"
    return [
        InstalledEngine(
            "embedded", numpy is not None, f"ACSets as numpy {numpy} columns" if numpy else "pip install numpy"
        ),
        InstalledEngine(
            "mujoco", mujoco is not None, f"physics by MuJoCo {mujoco}" if mujoco else "pip install 'mujoco>=4,<5'"
        ),
        InstalledEngine("catlab", missing is None, catlab),
    ]


def _version(package: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_report(instance: TransferInstance, report: LawReport) -> int:
    """Print the verdicts of the laws and return the exit code that goes with them."""
    from sim2real_cat.report.terminal import laws_table

    _show(laws_table(instance, report))
    if report.verdict == "undecided":
        print("\nsome laws are undecided: no law is violated, but the intervals are too wide to say that all hold")
    return VIOLATED if report.verdict == "violated" else OK


def _show(table: Table) -> None:
    """Print a table, in its full width where the output is not a terminal."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with console.capture() as captured:
        console.print(table)
    print(captured.get(), end="")


if __name__ == "__main__":
    sys.exit(main())
