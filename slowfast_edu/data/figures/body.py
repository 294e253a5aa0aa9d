"""A body of thirteen parts: joint angles in, places of its joints in space out.

Lengths are in body heights. The body looks along x, its left is y, z is up.
"""

from typing import NamedTuple

import numpy as np

Angles = np.ndarray | float  # radians, one a frame or one for all

HIP_WIDTH, SHOULDER_WIDTH = 0.055, 0.105  # from the middle to one side
THIGH, SHIN, FOOT = 0.235, 0.235, 0.075
TORSO, NECK_TO_HEAD = 0.30, 0.115
UPPER_ARM, FOREARM = 0.165, 0.175


class Limb(NamedTuple):
    """Where an arm or a leg points; all zero is straight down.

    ``pitch`` turns forward (pi/2 is horizontal), ``spread`` sideways, away from the body.
    """

    upper_pitch: Angles = 0.0
    upper_spread: Angles = 0.0
    lower_pitch: Angles = 0.0
    lower_spread: Angles = 0.0


class Pose(NamedTuple):
    """A body at each moment: four limbs, how far it leans forward, how high it flies."""

    left_arm: Limb
    right_arm: Limb
    left_leg: Limb
    right_leg: Limb
    lean: Angles = 0.0
    flight: Angles = 0.0


def _direction(pitch: Angles, spread: Angles, side: int) -> np.ndarray:
    """Unit vectors (T, 3); ``side`` is 1 on the left and -1 on the right."""
    x = np.sin(pitch) * np.cos(spread)
    y = side * np.sin(spread)
    z = -np.cos(pitch) * np.cos(spread)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def joints(pose: Pose, frames: int) -> dict[str, np.ndarray]:
    """Places of all joints, with the lower foot on the ground (z = 0).

    Args:
        pose: angles, each one number or ``frames`` of them.
        frames: T.

    Returns:
        {"hip": (T, 3), "neck": ..., "left_knee": ...}, in body heights.
    """
    zero = np.zeros((frames, 3))
    up = _direction(np.pi - pose.lean, 0.0, 1)  # leaning turns the head forward
    found = {"hip": zero, "neck": zero + TORSO * up}
    found["head"] = found["neck"] + NECK_TO_HEAD * up
    for name, side in (("left", 1), ("right", -1)):
        arm, leg = getattr(pose, f"{name}_arm"), getattr(pose, f"{name}_leg")
        shoulder = found["neck"] - 0.03 * up + np.array([0, side * SHOULDER_WIDTH, 0])
        elbow = shoulder + UPPER_ARM * _direction(arm.upper_pitch, arm.upper_spread, side)
        hand = elbow + FOREARM * _direction(arm.lower_pitch, arm.lower_spread, side)
        hip = zero + np.array([0, side * HIP_WIDTH, 0])
        knee = hip + THIGH * _direction(leg.upper_pitch, leg.upper_spread, side)
        ankle = knee + SHIN * _direction(leg.lower_pitch, leg.lower_spread, side)
        toe_pitch = np.minimum(leg.lower_pitch, 0.0) * 0.8 + np.pi / 2
        toe = ankle + FOOT * _direction(toe_pitch, 0.15, side)
        places = (shoulder, elbow, hand, hip, knee, ankle, toe)
        parts = ("shoulder", "elbow", "hand", "hip", "knee", "ankle", "toe")
        found |= {f"{name}_{p}": place for p, place in zip(parts, places, strict=True)}
    feet = [found[f"{side}_{p}"] for side in ("left", "right") for p in ("ankle", "toe")]
    ground = np.min([foot[:, 2] for foot in feet], axis=0)
    rise = np.stack([0 * ground, 0 * ground, pose.flight - ground], axis=-1)
    return {joint: place + rise for joint, place in found.items()}
