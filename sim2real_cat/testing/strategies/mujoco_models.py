"""Strategies of small MuJoCo worlds: a random tree of bodies, actuators on some joints, and noisy sensors."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.files import write_text
from sim2real_cat.testing.strategies.text_table import LazyText
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

_AXES = ("1 0 0", "0 1 0", "0 0 1")


@dataclass(frozen=True)
class Model:
    """A model as text, and what is observed of it.

    Attributes:
        xml: the MJCF text.
        observe: the observed channels.
        substeps: physics steps per control step.
        timestep: seconds of a physics step.
        noise: standard deviation of every channel's noise, in its own unit.
    """

    xml: str
    observe: tuple[str, ...]
    substeps: int
    timestep: float
    noise: float

    def write(self, folder: str | Path, steps: int = 100) -> World:
        """Write the model to a folder, under a name made from its content, and return its world.

        Args:
            folder: where the file goes.
            steps: control steps of an episode.
        """
        path = Path(folder) / f"random_{hashlib.sha256(self.xml.encode()).hexdigest()[:12]}.xml"
        if not path.exists():
            write_text(path, self.xml)
        task = QuadraticTask(observe=self.observe, steps=steps, start_noise=0.1, alive=1.0)
        return World.from_xml(path, task, self.substeps * self.timestep, noise=self.noise)


@st.composite
def models(draw: st.DrawFn, *, max_bodies: int = 4) -> Model:
    """Draw trees of slide and hinge joints, damped and without contacts, so that small actions keep them bounded.

    Every joint has damping, the bodies weigh from 0.5 to 2 kg, motors act on one joint at least with up to 1 N or N m,
    and every joint's position is observed, and perhaps its velocity, by noisy sensors.

    Args:
        draw: given by Hypothesis.
        max_bodies: there is one at least.
    """
    n = draw(st.integers(1, max_bodies))
    parents = [draw(st.integers(-1, body - 1)) for body in range(n)]
    kinds = [draw(st.sampled_from(["slide", "hinge"])) for _ in range(n)]
    driven = draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    timestep = draw(st.sampled_from([0.01, 0.005]))
    bodies = [_body(draw, body, kinds[body]) for body in range(n)]
    gears = [draw(st.sampled_from([1.0, 0.5])) for _ in driven]
    motors = "\n".join(
        f'    <motor name="motor{joint}" joint="joint{joint}" gear="{gear}" ctrlrange="-1 1"/>'
        for joint, gear in zip(driven, gears, strict=True)
    )
    speeds = draw(st.booleans())
    sensed = "\n".join(f'    <jointvel name="speed{joint}" joint="joint{joint}"/>' for joint in range(n))
    gravity = draw(st.sampled_from([0, -9.81]))
    xml = (
        f'<mujoco model="random">\n  <option timestep="{timestep}" gravity="0 0 {gravity}"/>\n'
        '  <default><geom type="capsule" size="0.04" contype="0" conaffinity="0"/></default>\n'
        f"  <worldbody>\n{_tree(bodies, parents, -1, '    ')}  </worldbody>\n"
        f"  <actuator>\n{motors}\n  </actuator>\n" + f"  <sensor>\n{sensed}\n  </sensor>\n" * speeds + "</mujoco>\n"
    )
    observe = [f"qpos[joint{joint}]" for joint in range(n)]
    observe += [f"sensordata[speed{joint}]" for joint in range(n)] * speeds
    noise = draw(st.sampled_from([0.01, 0.02, 0.005]))
    return Model(xml, tuple(observe), draw(st.integers(1, 4)), timestep, noise)


@st.composite
def worlds(draw: st.DrawFn, folder: str | Path | None = None, *, max_bodies: int = 4, steps: int = 100) -> World:
    """Draw worlds of random `models`, ready for `sim2real_cat.rollout`. A test that fails shows the model's text.

    Args:
        draw: given by Hypothesis.
        folder: where the models' files go; a temporary folder that lasts as long as this process where none is given.
        max_bodies: bodies at most.
        steps: control steps of an episode.
    """
    model = draw(models(max_bodies=max_bodies))
    note(LazyText(lambda: model.xml))
    return model.write(_scratch() if folder is None else folder, steps)


@st.composite
def randomizations(draw: st.DrawFn, world: World, *, width: float = 0.3, max_parameters: int = 3) -> Randomization:
    """Draw ranges of parameters that a simulation may have wrong: masses, dampings and the strength of motors.

    Args:
        draw: given by Hypothesis.
        world: one of `worlds`, or any whose bodies, hinge or slide joints and motors have names.
        width: factors are from 1 - width to 1 + width.
        max_parameters: there is one at least.
    """
    model = world.compile()
    names = [f"actuator_gear[{model.actuator(i).name}, 0]" for i in range(model.nu)]
    names += [f"body_inertial[{model.body(i).name}]" for i in range(1, model.nbody)]
    names += [f"dof_damping[{model.joint(i).name}]" for i in range(model.njnt)]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=max_parameters, unique=True))
    return Randomization({name: Change("scale", 1 - width, 1 + width) for name in chosen})


@functools.cache
def _scratch() -> Path:
    """Make a folder that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="sim2real_cat_worlds_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _body(draw: st.DrawFn, body: int, kind: str) -> tuple[str, str]:
    """Draw a body's joint, and a capsule that is not on the joint's axis."""
    axis = draw(st.sampled_from(_AXES))
    damping = draw(st.sampled_from([0.5, 0.2, 1.0]))
    stiffness = draw(st.sampled_from([0, 5]))
    mass = draw(st.sampled_from([1.0, 0.5, 2.0]))
    return (
        f'<joint name="joint{body}" type="{kind}" axis="{axis}" damping="{damping}" stiffness="{stiffness}" '
        'armature="0.01"/>',
        f'<geom fromto="0 0 0 0.15 0.1 0.2" mass="{mass}"/>',
    )


def _tree(bodies: list[tuple[str, str]], parents: list[int], parent: int, indent: str) -> str:
    """Return the XML of the bodies attached to a parent, each with those attached to it."""
    text = ""
    for body, on in enumerate(parents):
        if on == parent:
            place = "0.3 0.2 0.4" if parent >= 0 else f"{body} 0 0"
            text += f'{indent}<body name="body{body}" pos="{place}">\n'
            text += "".join(f"{indent}  {part}\n" for part in bodies[body])
            text += f"{_tree(bodies, parents, body, indent + '  ')}{indent}</body>\n"
    return text
