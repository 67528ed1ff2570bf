"""The worker process, for real, with a juliacall that the tests give it: what crosses, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from acset_strategies import refused, study
from fake_juliacall import write_juliacall
from rich.console import Console
from rich.progress import Progress

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.errors import EngineError

SUPPORT = Path(__file__).parents[2] / "support"
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def prescribed(monkeypatch, tmp_path):
    """A Julia that is there, whose juliacall can be changed before it starts; ended after the test."""
    for variable in (julia.SECONDS, "PYTHON_JULIACALL_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "Project.toml").touch()
    monkeypatch.setenv(julia.EXE, sys.executable)
    monkeypatch.setenv(julia.PROJECT, str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(julia, "_worker", None)
    write_juliacall(tmp_path)
    yield tmp_path
    julia._end()


def is_running(pid):
    """Whether a process is there and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


# What crosses


VALUES = [
    None,
    True,
    7,
    -(2**62),
    2**70,
    1.5,
    float("inf"),
    "",
    "ä→🤖\0\n",
    (),
    (1, ("a", (None, 2.5))),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_went(prescribed, value):
    (found,) = julia.call("same", value)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, -(2**63), 2**63 - 1]),
        np.array([np.nan, -0.0, np.inf, 5e-324]),
        np.array([True, False]),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.arange(20)[::3],
    ],
    ids=lambda array: f"{array.dtype}{len(array)}",
)
def test_an_array_comes_back_bit_by_bit_and_is_ours_to_write(prescribed, array):
    (found,) = julia.call("same", array)
    assert (found.dtype, found.tobytes()) == (array.dtype, array.tobytes())
    found[:1] = 0


def test_arrays_arrive_as_arrays(prescribed):
    sent = ("ä", 1, 1.5, True, None, np.arange(3), np.zeros(2), np.ones(1, bool))
    assert julia.call("describe", *sent) == (
        "str:ä int:1 float:1.5 bool:True NoneType:None ndarray:int64(3,) ndarray:float64(2,) ndarray:bool(1,)"
    )


def test_ten_million_numbers_cross(prescribed):
    array = np.arange(10**7)
    begun = time.monotonic()
    (found,) = julia.call("same", array)
    assert np.array_equal(found, array)
    assert time.monotonic() - begun < 10


def test_other_objects_stay_in_julia_and_are_let_go_with_the_next_call(prescribed):
    handle, other = julia.call("make", "one"), julia.call("make", "two")
    assert (julia.call("value", handle), julia.call("value", other)) == ("one", "two")
    assert julia.lives(handle)
    del handle
    gc.collect()
    assert julia.call("freed") == 1
    assert julia.call("value", other) == "two"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(other)


@pytest.mark.parametrize("function", ["texts", "small"])
def test_vectors_of_other_types_stay_in_julia(prescribed, function):
    assert isinstance(julia.call(function), julia.Handle)


def test_a_handle_in_a_tuple_crosses(prescribed):
    number, (handle,) = julia.call("same", 1, (julia.call("make", "inside"),))
    assert (number, julia.call("value", handle)) == (1, "inside")


def test_what_cannot_cross_is_refused_and_nothing_is_lost(prescribed):
    handle = julia.call("make", "x")
    pid = julia.call("pid")
    del handle
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        julia.call("describe", lambda: None)
    assert julia.call("freed") == 1
    assert julia.call("pid") == pid


def test_what_julia_prints_and_reads_breaks_nothing(prescribed, capfd):
    assert julia.call("say", "noise\n") == ""
    assert julia.call("double", 21) == 42
    assert capfd.readouterr() == ("", "")


def test_julia_runs_in_a_process_and_session_of_its_own_with_one_thread(prescribed):
    assert julia.call("pid") != os.getpid()
    assert julia.call("session") == julia.call("pid")
    assert julia.call("threads") == "1"
    assert julia.call("folders") == (str(julia.folder()),), "what is put on the load path"
    assert "juliacall" not in sys.modules


# How it ends


def test_a_time_limit_ends_the_worker_and_the_next_call_starts_another(prescribed, monkeypatch):
    pid = julia.call("pid")
    monkeypatch.setenv(julia.SECONDS, "0.3")
    begun = time.monotonic()
    with refused(EngineError, "Catlab did not answer within 0.3 s (hang)", julia.SECONDS, "embedded engine"):
        julia.call("hang")
    assert time.monotonic() - begun < 5
    assert not is_running(pid)
    monkeypatch.delenv(julia.SECONDS)
    assert julia.call("pid") != pid


def test_a_start_has_a_longer_limit_of_its_own(prescribed, monkeypatch):
    write_juliacall(prescribed, "\nLOAD = lambda: time.sleep(0.5)\n")
    monkeypatch.setenv(julia.SECONDS, "0.2")
    assert julia.call("double", 1) == 2
    julia._end()
    monkeypatch.setattr(julia, "START_SECONDS", 0.1)
    with refused(EngineError, "Julia did not start within 0.2 s and was stopped", "add PythonCall"):
        julia.call("double", 1)
    assert julia._worker is None


@pytest.mark.parametrize(
    ("function", "arguments", "parts"),
    [
        ("die", (), ["by SIGKILL, as when memory runs out"]),
        ("end", (3, "one\nno more room\n\n"), ["with exit code 3 (its last line: no more room)"]),
        ("end", (0,), ["with exit code 0"]),
    ],
)
def test_a_worker_that_ends_in_a_call_is_an_error_and_another_starts(prescribed, function, arguments, parts):
    with refused(EngineError, f"ended in a call ({function})", *parts, "ask again", "embedded engine"):
        julia.call(function, *arguments)
    assert julia.call("double", 2) == 4


def test_a_worker_that_ends_between_calls_is_not_missed(prescribed):
    handle, pid = julia.call("make", "x"), julia.call("pid")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not julia.lives(handle))
    assert julia.call("double", 2) == 4
    with refused(EngineError, "an object in Julia was lost", "ask again"):
        julia.call("value", handle)
    assert julia.call("double", 3) == 6


def test_an_instance_is_sent_again_to_a_new_worker(prescribed, monkeypatch):
    write_juliacall(
        prescribed,
        textwrap.dedent("""
            module.empty_instance = lambda *_: Instance({})
            module.add_sizes = lambda *_: None
            module.set_hom = lambda x, f, targets: x.value.__setitem__(f, targets)
            module.set_attr = module.add_sizes
            module.follow_homs = lambda x, path, ids: Vector(x.value["train"][ids - 1])
        """),
    )
    x = study().to_engine("catlab")
    expected = study().subpart("train").tolist()
    assert x.subpart("train").tolist() == expected
    reader, handle = x.reader, x.reader.twin(x)
    assert reader.twin(x) is handle
    os.kill(julia.call("pid"), signal.SIGKILL)
    wait_until(lambda: not julia.lives(handle))
    assert x.subpart("train").tolist() == expected
    assert reader.twin(x) is not handle


def test_an_error_in_julia_leaves_the_worker(prescribed):
    pid = julia.call("pid")
    with refused(EngineError, "(fail: ErrorException: no)") as caught:
        julia.call("fail", "ErrorException: no\nStacktrace:\n [1] f")
    assert str(caught.value.__cause__).endswith(" [1] f")
    with refused(EngineError, "(fail: TypeError:", "fault of sim2real_cat", "Catlab 0.17.4"):
        julia.call("fail")
    with refused(EngineError, "(no_such_function: AttributeError", "fault of sim2real_cat"):
        julia.call("no_such_function")
    assert julia.call("pid") == pid


def test_an_answer_without_room_is_an_error(prescribed):
    write_juliacall(
        prescribed,
        textwrap.dedent("""
            def shout():
                for stream in range(3, 16):  # one of these takes the answers: a frame of 2^64 - 1 pieces
                    try:
                        os.write(stream, bytes([255] * 64))
                    except OSError:
                        pass
                hang()
            module.shout = shout
        """),
    )
    with refused(EngineError, "ended in a call (shout) by SIGKILL, as when memory runs out"):
        julia.call("shout")
    assert julia.call("double", 2) == 4


# Starts that fail


def test_a_juliacall_that_does_not_come_up(prescribed):
    write_juliacall(prescribed, "\nraise OSError('libjulia.so: cannot open')\n")
    with refused(EngineError, "Julia could not be started (OSError: libjulia.so: cannot open)", "add PythonCall"):
        julia.start()
    write_juliacall(prescribed)
    assert julia.call("double", 1) == 2


def test_a_process_that_ends_while_it_starts(prescribed):
    write_juliacall(prescribed, "\nend(7, 'no libjulia here\\n')\n")
    with refused(EngineError, "its process ended with exit code 7 (its last line: no libjulia here)", "add PythonCall"):
        julia.start()


def test_a_python_that_is_not_there(prescribed, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/python")
    with refused(EngineError, "Catlab's process could not be started", "/no/python"):
        julia.start()


@pytest.mark.parametrize(
    ("text", "says", "is_fault"),
    [
        ("ArgumentError: Package Catlab not found in current path.", ["Package Catlab not found"], False),
        ("Failed to precompile ACSets [227ef7b5] to ...", ["Failed to precompile ACSets"], False),
        ("UndefVarError: `x` not defined in `Sim2RealCat`", ["UndefVarError", "report it"], True),
        (
            "Failed to precompile Sim2RealCat [a3c9c465] to ...",
            ["Failed to precompile Sim2RealCat", "ERROR: LoadError: syntax"],
            True,
        ),
    ],
)
def test_a_module_that_cannot_be_loaded(prescribed, text, says, is_fault):
    write_juliacall(
        prescribed,
        textwrap.dedent(rf"""
            def LOAD():
                os.write(2, b"ERROR: LoadError: syntax\n [1] top\n")
                raise JuliaError({text!r})
        """),
    )
    with refused(EngineError, "Julia could not load Catlab", *says, "add PythonCall") as caught:
        julia.start()
    assert ("fault of sim2real_cat" in str(caught.value)) == is_fault
    assert str(caught.value.__cause__) == text


# Threads, forks, and the end of Python


def test_threads_take_turns(prescribed):
    found, pids = {}, set()

    def ask(number):
        for step in range(20):
            found[number, step] = julia.call("double", 1000 * number + step)
            pids.add(julia.call("pid"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {(number, step): 2 * (1000 * number + step) for number in range(8) for step in range(20)}
    assert len(pids) == 1


@FORKS
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_starts_its_own(prescribed):
    handle, pid = julia.call("make", "x"), julia.call("pid")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def ask():
        answers.put((julia.lives(handle), julia.call("pid"), julia.call("double", 4)))

    child = context.Process(target=ask)
    child.start()
    lives, other, found = answers.get(timeout=20)
    child.join(10)
    assert child.exitcode == 0
    assert not lives
    assert (other != pid, found) == (True, 8)
    wait_until(lambda: not is_running(other))
    assert (julia.call("pid"), julia.call("value", handle)) == (pid, "x")


@FORKS
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_is_not_held_up_by_a_call_of_its_parent(prescribed):
    julia.start()
    thread = threading.Thread(target=julia.call, args=("wait", 1.5))
    thread.start()
    time.sleep(0.2)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0 if julia.call("double", 1) == 2 and time.monotonic() - begun < 1.2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert julia.call("double", 1) == 2


SCRIPT = """
import sys, time
sys.path[:0] = [{support!r}, {home!r}]
from sim2real_cat.acsets.catlab import julia
print(julia.call("pid"), flush=True)
"""


def script(prescribed, *lines):
    """Start a Python script that prints the number of its worker, then does more; return it and the number."""
    text = SCRIPT.format(support=str(SUPPORT), home=str(prescribed)) + "\n".join(lines)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    return process, int(process.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
class TestTheEnd:
    def test_python_ends_and_leaves_nothing(self, prescribed):
        process, pid = script(prescribed)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0
        assert not is_running(pid)

    def test_ctrl_c_stops_a_call_that_hangs(self, prescribed):
        process, pid = script(prescribed, "julia.call('hang')")
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        begun = time.monotonic()
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - begun < 2
        assert process.returncode == -signal.SIGINT
        assert err.strip().splitlines()[-1] == "KeyboardInterrupt"
        assert (out, is_running(pid)) == ("", False)

    def test_after_ctrl_c_the_next_call_starts_another(self, prescribed):
        process, pid = script(
            prescribed,
            "try: julia.call('hang')",
            "except KeyboardInterrupt: print(julia.call('pid'), julia.call('double', 4))",
        )
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        other, found = map(int, out.split())
        assert (other != pid, found, err) == (True, 8, "")
        assert not is_running(pid)
        assert not is_running(other)

    def test_ctrl_c_stops_a_start(self, prescribed):
        write_juliacall(
            prescribed,
            textwrap.dedent(f"""
                def LOAD():
                    print(os.getpid(), file=open({str(prescribed / "pid")!r}, "w"), flush=True)
                    hang()
            """),
        )
        text = SCRIPT.format(support=str(SUPPORT), home=str(prescribed))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.PIPE, text=True, env=environment)
        wait_until(lambda: (prescribed / "pid").exists() and (prescribed / "pid").read_text())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert err.strip().splitlines()[-1] == "KeyboardInterrupt"
        assert not is_running(int((prescribed / "pid").read_text()))

    def test_the_worker_ends_with_a_python_that_is_killed(self, prescribed):
        process, pid = script(prescribed, "julia.call('hang')")
        time.sleep(0.3)
        assert is_running(pid)
        process.kill()
        process.communicate(timeout=20)
        wait_until(lambda: not is_running(pid))

    def test_a_call_in_a_thread_does_not_keep_its_worker(self, prescribed):
        # As on systems where a process cannot be told to end with its parent
        write_juliacall(prescribed, "\nimport ctypes\nctypes.CDLL(None).prctl(1, 0)\n")
        process, pid = script(
            prescribed,
            "import threading",
            "threading.Thread(target=julia.call, args=('hang',), daemon=True).start()",
            "time.sleep(0.3)",
        )
        assert process.communicate(timeout=20)[0] == ""
        assert process.returncode == 0
        assert not is_running(pid)


# What a terminal shows


def test_terminals_hear_what_to_expect_and_stdout_nothing(prescribed, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(julia, "_spinner", lambda note: shown.append(note) or contextlib.nullcontext())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    write_juliacall(prescribed, "\nLOAD = lambda: time.sleep(0.4)\n")
    assert julia.call("double", 1) == 2
    assert shown == ["starting Catlab ..."]
    julia.call("wait", 0.5)
    assert len(shown) == 1
    julia.call("wait", 1.5)
    assert shown[1:] == ["Catlab computes (wait) ..."]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"Catlab: {julia.expected_start()}; a first query or coproduct takes 5 to 15 s more\n"


def test_beside_a_progress_bar_there_is_no_spinner(prescribed, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(julia, "_spinner", lambda note: shown.append(note) or contextlib.nullcontext())
    console = Console(stderr=True, force_terminal=True)
    with Progress(console=console, auto_refresh=False):
        monkeypatch.setattr(sys.stderr.rich_proxied_file, "isatty", lambda: True, raising=False)
        write_juliacall(prescribed, "\nLOAD = lambda: time.sleep(0.4)\n")
        assert julia.call("double", 1) == 2
    assert shown == []
    assert julia.expected_start() in capsys.readouterr().err


def test_elsewhere_nothing_is_shown(prescribed, capsys):
    assert julia.call("double", 1) == 2
    assert capsys.readouterr() == ("", "")
