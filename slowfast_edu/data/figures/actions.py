"""Ten actions: each turns a phase (1 is a whole cycle) into a pose of the body.

They follow KTH's (walk, run, box, wave, clap) and common exercises. Each is one small
function of sines, so that a reader can write an eleventh.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from slowfast_edu.data.figures.body import Limb, Pose

ARM_DOWN, LEG_DOWN = Limb(0.0, 0.15, 0.1, 0.1), Limb(0.0, 0.06, 0.0, 0.04)


def _sine(phase: np.ndarray, shift: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * (phase + shift))


def _bump(phase: np.ndarray, middle: float, width: float) -> np.ndarray:
    """0, and once a cycle a smooth hill of height 1 around ``middle``."""
    away = (phase - middle + 0.5) % 1 - 0.5
    return np.where(np.abs(away) < width, 0.5 + 0.5 * np.cos(np.pi * away / width), 0.0)


def _stride(phase: np.ndarray, swing: float, knee: float, stance: float) -> Limb:
    """One leg of a gait: it swings, and bends while it comes forward."""
    thigh = swing * _sine(phase)
    bend = stance + knee * np.maximum(0, _sine(phase, 0.22))
    return Limb(thigh, 0.02, thigh - bend, 0.02)


def walk(phase: np.ndarray) -> Pose:
    """Legs scissor, arms swing against them; one foot is always on the ground."""
    swings = -0.45 * _sine(phase), 0.45 * _sine(phase)
    arms = [Limb(swing, 0.08, swing + 0.3, 0.05) for swing in swings]
    legs = [_stride(phase + half, 0.45, 0.85, 0.05) for half in (0, 0.5)]
    return Pose(*arms, *legs, lean=0.05)


def run(phase: np.ndarray) -> Pose:
    """Long strides, knees and heels high, elbows bent, both feet off the ground twice."""
    swings = -0.9 * _sine(phase), 0.9 * _sine(phase)
    arms = [Limb(swing, 0.1, swing + 1.6, 0.0) for swing in swings]
    legs = [_stride(phase + half, 0.85, 1.7, 0.25) for half in (0, 0.5)]
    flight = 0.16 * np.abs(_sine(phase))  # highest where the stride is widest
    return Pose(*arms, *legs, lean=0.3, flight=flight)


def jump(phase: np.ndarray) -> Pose:
    """Crouch, arms back; fly, arms up; land in the knees."""
    crouch = _bump(phase, 0.2, 0.2) + 0.7 * _bump(phase, 0.85, 0.15)
    in_flight = np.clip((phase % 1 - 0.34) / 0.42, 0, 1)
    flight = 0.9 * in_flight * (1 - in_flight)  # a parabola
    arm = -0.9 * _bump(phase, 0.2, 0.2) + 2.7 * _bump(phase, 0.5, 0.3)
    arms = [Limb(arm, 0.15, arm + 0.2, 0.1)] * 2
    legs = [Limb(1.15 * crouch, 0.08, -0.75 * crouch, 0.06)] * 2
    return Pose(*arms, *legs, lean=0.7 * crouch, flight=flight)


def jumping_jack(phase: np.ndarray) -> Pose:
    """Legs spread while the arms go up sideways, and close while they come down."""
    open_ = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    arm, leg = (Limb(0.0, s, 0.0, s) for s in (0.2 + 2.65 * open_, 0.05 + 0.5 * open_))
    return Pose(arm, arm, leg, leg, flight=0.05 * np.abs(_sine(phase)))


def wave_one_hand(phase: np.ndarray) -> Pose:
    """One forearm, held up, swings from side to side; the other arm hangs."""
    waving = Limb(0.0, 1.9, 0.0, 2.85 + 0.65 * _sine(phase))
    return Pose(ARM_DOWN, waving, LEG_DOWN, LEG_DOWN)


def wave_two_hands(phase: np.ndarray) -> Pose:
    """Both arms up, both forearms swing, away from each other and back."""
    waving = Limb(0.0, 1.9, 0.0, 2.85 + 0.65 * _sine(phase))
    return Pose(waving, waving, LEG_DOWN, LEG_DOWN)


def clap(phase: np.ndarray) -> Pose:
    """The hands meet before the chest and part again."""
    apart = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    hand = Limb(1.0, 0.25 + 0.35 * apart, 2.0, -0.92 + 1.5 * apart)
    return Pose(hand, hand, LEG_DOWN, LEG_DOWN)


def windmill(phase: np.ndarray) -> Pose:
    """Both arms, straight and opposite, turn like the sails of a mill."""
    turn = 2 * np.pi * phase
    left, right = Limb(0.0, turn, 0.0, turn), Limb(0.0, np.pi - turn, 0.0, np.pi - turn)
    legs = Limb(0.0, 0.3, 0.0, 0.3)
    return Pose(left, right, legs, legs)


def box(phase: np.ndarray) -> Pose:
    """Fists up, knees bent; left and right punch forward in turns."""
    out = [_bump(phase, middle, 0.24) for middle in (0.25, 0.75)]  # 1: arm stretched
    arms = [Limb(0.3 + 1.25 * o, 0.15 * (1 - o), 2.5 - 0.95 * o, 0.0) for o in out]
    legs = Limb(0.5, 0.1, 0.1, 0.1), Limb(-0.15, 0.1, -0.6, 0.1)
    return Pose(*arms, *legs, lean=0.12 + 0.06 * (out[0] + out[1]))


def squat(phase: np.ndarray) -> Pose:
    """Down until the thighs are level, the arms forward for balance, and up again."""
    depth = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    arm = Limb(0.1 + 1.4 * depth, 0.05, 0.1 + 1.45 * depth, 0.0)
    leg = Limb(1.5 * depth, 0.1, -0.65 * depth, 0.08)
    return Pose(arm, arm, leg, leg, lean=0.6 * depth)


class Action(NamedTuple):
    """How an action is performed and from where it is best seen.

    ``cycle_seconds`` is its usual period; ``yaw`` by how much the body is turned away from
    the camera, in radians (0: it faces us); ``travel`` the way along x in body heights a
    cycle.
    """

    pose: Callable[[np.ndarray], Pose]
    cycle_seconds: float
    yaw: float
    travel: float = 0.0


# In alphabetical order, as folders of clips are: labels agree.
ACTIONS = MappingProxyType(
    {
        "box": Action(box, 0.8, 1.1),
        "clap": Action(clap, 0.6, 0.15),
        "jump": Action(jump, 1.3, 0.95),
        "jumping_jack": Action(jumping_jack, 1.0, 0.0),
        "run": Action(run, 0.7, 1.35, travel=1.50),
        "squat": Action(squat, 1.9, 1.0),
        "walk": Action(walk, 1.1, 1.35, travel=0.80),
        "wave_one_hand": Action(wave_one_hand, 0.7, 0.0),
        "wave_two_hands": Action(wave_two_hands, 0.7, 0.0),
        "windmill": Action(windmill, 1.2, 0.0),
    }
)
