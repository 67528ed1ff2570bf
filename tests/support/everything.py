"""A model that has a part of every kind, so that nearly every field of it has elements."""

from __future__ import annotations

import mujoco

from sim2real_cat.worlds.engine_log import compiling

EVERYTHING = """
<mujoco model="everything">
  <option timestep="0.002" density="1" viscosity="0.1"/>
  <size nuserdata="2" nuser_body="1" nuser_jnt="1" nuser_geom="1" nuser_site="1" nuser_cam="1" nuser_tendon="1"
    nuser_actuator="1" nuser_sensor="1"/>
  <asset>
    <texture name="checks" type="2d" builtin="checker" width="4" height="4"/>
    <material name="paint" texture="checks" rgba="1 0 0 1"/>
    <mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
    <hfield name="hills" nrow="2" ncol="2" size="1 1 1 1" elevation="0 1 0 1"/>
  </asset>
  <worldbody>
    <light name="sun" pos="0 0 3"/>
    <camera name="eye" pos="0 -2 1"/>
    <geom name="floor" type="plane" size="5 5 1"/>
    <body name="shelf" pos="3 0 1"><geom name="board" type="box" size="0.1 0.1 0.1"/></body>
    <body name="target" mocap="true"/>
    <geom name="hill" type="hfield" hfield="hills" pos="9 9 0"/>
    <geom name="block" type="mesh" mesh="wedge" pos="9 0 0"/>
    <body name="trunk" pos="0 0 2">
      <freejoint name="root"/>
      <geom name="hull" type="box" size="0.2 0.1 0.1" mass="3" material="paint"/>
      <site name="imu"/>
      <body name="left arm" pos="0.3 0 0">
        <joint name="left shoulder" axis="0 1 0" damping="0.4" armature="0.02" frictionloss="0.1" stiffness="2"
          limited="true" range="-1 1"/>
        <geom name="left hand" type="ellipsoid" size="0.05 0.05 0.1" mass="0.5" fluidshape="ellipsoid"/>
        <site name="left tip" pos="0 0 -0.1"/>
      </body>
      <body name="right arm" pos="-0.3 0 0">
        <joint name="right shoulder" type="slide" axis="0 0 1" damping="0.6" armature="0.03" frictionloss="0.2"/>
        <geom name="right hand" type="capsule" size="0.05 0.1" mass="0.7"/>
        <site name="right tip" pos="0 0 -0.1"/>
      </body>
      <body name="head" pos="0 0 0.3">
        <joint name="neck" type="ball" damping="0.5"/>
        <geom name="skull" size="0.1" mass="1"/>
      </body>
    </body>
    <flexcomp name="rope" type="grid" count="4 1 1" spacing="0.1 0.1 0.1" radius="0.01" mass="0.1" dim="1" pos="0 3 1">
      <edge stiffness="10" damping="0.1"/>
    </flexcomp>
    <flexcomp name="cloth" type="grid" count="3 3 1" spacing="0.1 0.1 0.1" radius="0.01" mass="0.1" dim="2" pos="0 5 1">
      <elasticity young="1000" poisson="0.2" thickness="0.01" elastic2d="both"/>
    </flexcomp>
    <flexcomp name="jelly" type="grid" count="3 3 3" spacing="0.1 0.1 0.1" radius="0.01" mass="1" dim="3" pos="0 7 1"
      dof="trilinear"><elasticity young="1000" poisson="0.2"/></flexcomp>
  </worldbody>
  <contact>
    <pair name="touch" geom1="left hand" geom2="right hand"/>
    <exclude name="apart" body1="trunk" body2="head"/>
  </contact>
  <tendon>
    <spatial name="cord" stiffness="3" damping="0.2" armature="0.01" frictionloss="0.05">
      <site site="left tip"/><site site="right tip"/>
    </spatial>
  </tendon>
  <equality><connect name="latch" body1="left arm" body2="trunk" anchor="0 0 0" active="false"/></equality>
  <actuator>
    <motor name="push" joint="right shoulder" gear="2" nsample="50"/>
    <intvelocity name="turn" joint="left shoulder" kp="3" actrange="-1 1" nsample="50"/>
    <position name="hold" joint="left shoulder" kp="50" kv="2" nsample="50"/>
  </actuator>
  <sensor>
    <jointpos name="encoder" joint="left shoulder" cutoff="10" nsample="50"/>
    <gyro name="rates" site="imu" nsample="50"/>
  </sensor>
  <custom>
    <numeric name="number" data="1 2"/><text name="note" data="hello"/>
    <tuple name="pair of things"><element objtype="body" objname="trunk" prm="1"/></tuple>
  </custom>
  <keyframe><key name="home"/></keyframe>
</mujoco>
"""


def everything() -> mujoco.MjModel:
    with compiling():
        return mujoco.MjModel.from_xml_string(EVERYTHING)
