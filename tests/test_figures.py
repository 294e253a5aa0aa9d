"""The renderer: brush, body, actions and scene against closed forms."""

import numpy as np
import pytest
from helpers import rng
from hypothesis import given
from hypothesis import strategies as st

from slowfast_edu.data.figures import (
    ACTIONS,
    Actions,
    Crowd,
)
from slowfast_edu.data.figures import tasks as tasks_module
from slowfast_edu.data.figures.body import (
    FOOT,
    FOREARM,
    HIP_WIDTH,
    NECK_TO_HEAD,
    SHIN,
    SHOULDER_WIDTH,
    THIGH,
    TORSO,
    UPPER_ARM,
    Limb,
    Pose,
    joints,
)
from slowfast_edu.data.figures.draw import Capsule, paint
from slowfast_edu.data.figures.scene import (
    PARTS,
    Camera,
    draw_clothes,
    draw_performer,
    paint_background,
    paint_performer,
)

# The brush


def painted(start, end, radius, size=40, background=0, color=(255, 255, 255)):
    video = np.full((1, size, size, 3), background, dtype=np.uint8)
    paint(video, [Capsule(np.array([start]), np.array([end]), radius, np.array(color))])
    return video[0]


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7))
@pytest.mark.parametrize("radius", [1.5, 3.0, 5.2])
def test_a_capsule_covers_its_area(angle, radius):
    way = 9 * np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([20.3, 19.6])
    image = painted(middle - way, middle + way, radius)
    area = np.pi * radius**2 + 2 * radius * 18
    assert image[..., 0].sum() / 255 == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("shift", [0.1, 0.25, 0.5, 0.9])
def test_a_fraction_of_a_pixel_moves_the_picture_by_that_fraction(shift):
    place = np.arange(40) + 0.5
    image = painted((20 + shift, 20), (20 + shift, 20), 4)[..., 0].astype(float)
    assert (image * place).sum() / image.sum() == pytest.approx(20 + shift, abs=0.02)


@pytest.mark.parametrize("move", [(-18, 0), (17, 3), (0, -19), (15, 21)])
def test_the_borders_cut_and_do_not_bend(move):
    small = painted((20 + move[0], 20 + move[1]), (27 + move[0], 24 + move[1]), 3)
    large = painted((60 + move[0], 60 + move[1]), (67 + move[0], 64 + move[1]), 3, size=120)
    assert np.array_equal(small, large[40:80, 40:80])


def test_a_capsule_beside_the_picture_changes_nothing():
    assert not painted((-30, 90), (-20, 80), 5).any()


def test_each_frame_is_painted_as_if_alone():
    starts, ends = rng().uniform(-5, 45, size=(2, 12, 2))
    together = np.zeros((12, 40, 40, 3), dtype=np.uint8)
    paint(together, [Capsule(starts, ends, 2.3, np.array([200, 100, 50]))])
    for frame, start, end in zip(together, starts, ends, strict=True):
        assert np.array_equal(frame, painted(start, end, 2.3, color=(200, 100, 50)))


def test_a_picture_need_not_be_square():
    line = Capsule(np.array([[-3.0, 4]]), np.array([[31.0, 17]]), 2.5, np.full(3, 255))
    wide, square = (np.zeros((1, rows, 40, 3), dtype=np.uint8) for rows in (14, 40))
    paint(wide, [line])
    paint(square, [line])
    assert np.array_equal(wide, square[:, :14])


def test_opacity_mixes_and_rounds():
    video = np.full((1, 20, 20, 3), 100, dtype=np.uint8)
    middle = np.array([[10.0, 10.0]])
    paint(video, [Capsule(middle, middle, 5, np.array([200, 201, 203]), opacity=0.25)])
    assert video[0, 10, 10].tolist() == [125, 125, 126]  # 125, 125.25 and 125.75
    assert video[0, 0, 0].tolist() == [100, 100, 100]


# The body


@given(st.sampled_from(list(ACTIONS)), st.floats(-3, 3))
def test_limbs_keep_their_length_and_feet_stay_above_ground(action, phase):
    pose = ACTIONS[action].pose(np.array([phase, phase + 0.13]))
    body = joints(pose, 2)
    for side in ("left", "right"):
        chain = {
            ("hip", "knee"): THIGH,
            ("knee", "ankle"): SHIN,
            ("shoulder", "elbow"): UPPER_ARM,
            ("elbow", "hand"): FOREARM,
        }
        for (a, b), length in chain.items():
            way = body[f"{side}_{a}"] - body[f"{side}_{b}"]
            assert np.linalg.norm(way, axis=1) == pytest.approx([length] * 2)
    trunk = np.linalg.norm(body["hip"] - body["neck"], axis=1)
    assert trunk == pytest.approx([TORSO] * 2)
    feet = [body[f"{s}_{p}"][:, 2] for s in ("left", "right") for p in ("ankle", "toe")]
    assert np.min(feet, axis=0) == pytest.approx(np.broadcast_to(pose.flight, 2), abs=1e-12)


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_repeat_after_a_cycle_and_not_before(action):
    phase = np.arange(12) / 12
    body, later, half = (joints(ACTIONS[action].pose(phase + by), 12) for by in (0, 3, 0.5))
    for joint in body:
        assert np.allclose(body[joint], later[joint])
    assert any(np.abs(body[joint] - half[joint]).max() > 0.05 for joint in body)


def test_labels_agree_with_folders_in_alphabetical_order():
    assert list(Actions().classes) == sorted(ACTIONS)
    assert len(ACTIONS) == 10


def test_a_standing_body_is_about_one_height_tall():
    body = joints(ACTIONS["squat"].pose(np.zeros(1)), 1)
    assert body["head"][0, 2] + 0.068 == pytest.approx(1, abs=0.1)


QUARTER = np.pi / 2


def test_angles_turn_limbs_forward_and_away_from_the_body():
    """x is forward, y the body's left, z up; quarters of a turn, so that each is exact."""
    arms = Limb(QUARTER, 0, 0, QUARTER), Limb(0, QUARTER, QUARTER, 0)
    legs = Limb(QUARTER, 0, 0, 0), Limb(0, 0, -QUARTER, 0)
    body = joints(Pose(*arms, *legs, lean=QUARTER), 1)
    ways = {
        ("hip", "neck"): (TORSO, 0, 0),
        ("neck", "head"): (NECK_TO_HEAD, 0, 0),
        ("right_shoulder", "left_shoulder"): (0, 2 * SHOULDER_WIDTH, 0),
        ("left_shoulder", "left_elbow"): (UPPER_ARM, 0, 0),
        ("left_elbow", "left_hand"): (0, FOREARM, 0),
        ("right_shoulder", "right_elbow"): (0, -UPPER_ARM, 0),
        ("right_elbow", "right_hand"): (FOREARM, 0, 0),
        ("right_hip", "left_hip"): (0, 2 * HIP_WIDTH, 0),
        ("left_hip", "left_knee"): (THIGH, 0, 0),
        ("left_knee", "left_ankle"): (0, 0, -SHIN),
        ("right_hip", "right_knee"): (0, 0, -THIGH),
        ("right_knee", "right_ankle"): (-SHIN, 0, 0),
    }
    for (start, end), way in ways.items():
        assert body[end][0] - body[start][0] == pytest.approx(way, abs=1e-12), end
    assert 0 < body["left_shoulder"][0, 0] - body["hip"][0, 0] < TORSO  # below the neck


def test_toes_point_forward_and_hang_from_a_foot_that_is_behind():
    shins = np.array([0, 1.0, -1.0])
    limb = Limb(0, 0, shins, 0)
    body = joints(Pose(limb, limb, limb, limb), 3)
    for side in ("left", "right"):
        x, _, z = (body[f"{side}_toe"] - body[f"{side}_ankle"]).T
        assert x[:2] == pytest.approx([FOOT] * 2, rel=0.02)  # turned out a little
        assert z[:2] == pytest.approx([0, 0], abs=1e-12)
        assert x[2] > 0 > z[2]


def test_bodies_have_the_proportions_of_people():
    assert 0.9 < (UPPER_ARM + FOREARM) / TORSO < 1.3
    assert 0.9 < THIGH / SHIN < 1.1 and 0.9 < UPPER_ARM / FOREARM < 1.1
    assert SHOULDER_WIDTH > HIP_WIDTH


# What the actions' docstrings say

EIGHTHS = np.arange(8) / 8


def acted(action, phases=EIGHTHS):
    phases = np.atleast_1d(phases)
    return joints(ACTIONS[action].pose(phases), len(phases))


def way(body, start, end):
    """From one joint to another: x, y, z, each (T,)."""
    return (body[end] - body[start]).T


@pytest.mark.parametrize("action", ACTIONS)
def test_knees_bend_backward_and_elbows_forward(action):
    pose = ACTIONS[action].pose(np.linspace(0, 1, 50))
    for leg in (pose.left_leg, pose.right_leg):
        assert np.all(np.subtract(leg.lower_pitch, leg.upper_pitch) <= 1e-12)
    for arm in (pose.left_arm, pose.right_arm):
        assert np.all(np.subtract(arm.lower_pitch, arm.upper_pitch) >= -1e-12)
    assert np.all(np.asarray(pose.lean) >= 0)  # forward


@pytest.mark.parametrize("action", ["walk", "run"])
def test_legs_alternate_and_arms_swing_against_them(action):
    body, later = acted(action), acted(action, EIGHTHS + 0.5)
    for limb in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow")):
        left, right = (way(b, *(f"{s}_{j}" for j in limb)) for b, s in
                       ((body, "left"), (later, "right")))  # fmt: skip
        assert left[0] == pytest.approx(right[0], abs=1e-12)
    for side in ("left", "right"):
        leg = way(body, f"{side}_hip", f"{side}_knee")[0]
        arm = way(body, f"{side}_shoulder", f"{side}_elbow")[0]
        assert np.corrcoef(leg, arm)[0, 1] == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("action", ["walk", "run"])
def test_a_cycle_takes_them_as_far_as_two_steps(action):
    swing = ACTIONS[action].pose(np.array([0.25])).left_leg.upper_pitch[0]
    steps = 4 * (THIGH + SHIN) * np.sin(swing)  # each from as far behind to as far before
    assert ACTIONS[action].travel == pytest.approx(steps, rel=0.1)


def test_runners_fly_where_the_stride_is_widest_and_walkers_never():
    pose = ACTIONS["run"].pose(EIGHTHS)
    stride = np.abs(pose.left_leg.upper_pitch)
    assert pose.flight == pytest.approx(pose.flight.max() * stride / stride.max(), abs=1e-9)
    assert pose.flight.max() > 0.1
    assert np.all(ACTIONS["walk"].pose(EIGHTHS).flight == 0)


def test_a_jump_is_a_crouch_a_parabola_with_straight_legs_and_a_landing_in_the_knees():
    pose = ACTIONS["jump"].pose(np.arange(100) / 100)
    flying = np.flatnonzero(pose.flight)
    assert np.all(np.diff(flying) == 1)
    bends = np.diff(pose.flight[flying], 2)
    assert bends == pytest.approx(np.full(len(bends), bends[0]))
    assert bends[0] < 0 < pose.flight.max() - 0.15
    knee = np.subtract(pose.left_leg.upper_pitch, pose.left_leg.lower_pitch)
    assert knee[flying[len(flying) // 2]] < 0.1
    assert knee[: flying[0]].max() > 1 < knee[flying[-1] :].max()


def test_arms_and_legs_of_a_jumping_jack_open_together():
    body = acted("jumping_jack")
    for side, sign in (("left", 1), ("right", -1)):
        hand, foot = body[f"{side}_hand"][:, 2], sign * body[f"{side}_ankle"][:, 1]
        assert np.argmax(hand) == np.argmax(foot) == 4
        assert np.argmin(foot) == 0
    assert body["left_hand"][4, 2] > body["head"][4, 2]
    assert body["left_hand"][0, 2] < body["left_elbow"][0, 2]


def test_one_hand_or_two_wave_above_the_head():
    one, two = acted("wave_one_hand"), acted("wave_two_hands")
    still = way(one, "left_shoulder", "left_hand")
    assert np.all(np.ptp(still, axis=1) == 0) and np.all(still[2] < 0)
    for body, side in ((one, "right"), (two, "right"), (two, "left")):
        _, y, z = way(body, f"{side}_shoulder", f"{side}_hand")
        assert np.ptp(y) > 0.1 and np.all(z > 0)
    assert two["left_hand"][:, 1] == pytest.approx(-two["right_hand"][:, 1])


def test_hands_meet_in_a_clap_and_part():
    radius = 0.036  # of a hand: closer than two of them, and they touch
    gap = np.linalg.norm(way(acted("clap"), "left_hand", "right_hand"), axis=0)
    assert gap.argmin() == 0 and gap.argmax() == 4
    assert gap[0] < radius < 6 * radius < gap[4]


def test_sails_are_straight_and_opposite():
    body = acted("windmill")
    left, right = (way(body, f"{s}_shoulder", f"{s}_hand") for s in ("left", "right"))
    assert left == pytest.approx(-right, abs=1e-12)
    length = UPPER_ARM + FOREARM
    assert np.linalg.norm(left, axis=0) == pytest.approx([length] * 8)
    assert left[1] == pytest.approx(length * np.sin(2 * np.pi * EIGHTHS), abs=1e-12)


def test_fists_punch_in_turns_with_a_straight_arm():
    body = acted("box")
    reach = {s: way(body, f"{s}_shoulder", f"{s}_hand") for s in ("left", "right")}
    for side, other, out in (("left", "right", 2), ("right", "left", 6)):
        assert reach[side][0, out] == pytest.approx(UPPER_ARM + FOREARM, rel=0.01)
        assert np.linalg.norm(reach[other][:, out]) < 0.7 * (UPPER_ARM + FOREARM)


def test_a_squat_goes_down_until_the_thighs_are_level():
    body = acted("squat")
    thigh = way(body, "left_hip", "left_knee")[2] / THIGH
    assert thigh[0] == pytest.approx(-1, abs=0.01)
    assert thigh[4] == pytest.approx(0, abs=0.1)
    x, _, z = way(body, "left_shoulder", "left_hand")
    assert x[4] == pytest.approx(UPPER_ARM + FOREARM, rel=0.01)
    assert z[0] < -0.3


# A figure on the picture


STILL = Camera(elevation=0.0, sway=0.0, period_frames=100.0, start=0.0)


def walker(**changes):
    plain = {"yaw": QUARTER, "mirrored": False, "phase": 0.25, "cycle_frames": 40.0}
    place = {"x": 0.5, "ground": 0.9, "height": 0.5}
    return draw_performer("walk", rng())._replace(**(plain | place | changes))


def dots(brushes, camera=STILL, times=(0,), **changes):
    """Places of the joints, in the order of the joints' names: (13, T, 2)."""
    brushes.clear()
    video = np.zeros((len(times), 100, 100, 3), dtype=np.uint8)
    paint_performer(video, walker(**changes), camera, np.array(times), point_light=True)
    return np.array([dot.start for dot in brushes])


LIGHTS = ("shoulder", "elbow", "hand", "hip", "knee", "ankle")
NAMES = ["head", *(f"{side}_{light}" for side in ("left", "right") for light in LIGHTS)]


def body_of(phase=0.25):
    body = acted("walk", phase)
    return np.array([body[name] for name in NAMES])[:, 0]


def test_a_side_view_shows_x_and_z_and_a_front_view_y_and_z(brushes):
    x, y, z = body_of().T
    for yaw, right in ((QUARTER, x), (0.0, y)):
        expected = 100 * np.stack([0.5 + 0.5 * right, 0.9 - 0.5 * z], axis=-1)
        assert dots(brushes, yaw=yaw)[:, 0] == pytest.approx(expected)
    mirrored = dots(brushes, mirrored=True)[:, 0]
    assert mirrored == pytest.approx(dots(brushes)[:, 0] * [-1, 1] + [100, 0])


def test_from_above_what_is_nearer_is_lower(brushes):
    x, _, z = body_of().T
    height = z * np.cos(0.2) - x * np.sin(0.2)  # facing us, forward is near
    above = dots(brushes, STILL._replace(elevation=0.2), yaw=0.0)
    assert above[:, 0, 1] == pytest.approx(100 * (0.9 - 0.5 * height))


def test_a_cycle_takes_its_frames(brushes):
    later = dots(brushes, times=(0, 10, 40), phase=0.0)
    assert later[:, 1] == pytest.approx(dots(brushes, phase=0.25)[:, 0])
    assert later[:, 2] == pytest.approx(later[:, 0])


def test_the_camera_sways_and_takes_figure_and_wall_along(brushes, monkeypatch):
    camera = Camera(elevation=0.0, sway=0.05, period_frames=80.0, start=0.25)
    times = np.array([0, 20, 40, 60, 80])
    sway = 0.05 * np.array([1, 0, -1, 0, 1])
    assert camera.shift(times) == pytest.approx(sway, abs=1e-12)
    moved, still = dots(brushes, camera, times), dots(brushes, STILL, times)
    offset = np.stack([100 * sway, 0 * sway], axis=-1)
    assert moved - still == pytest.approx(np.broadcast_to(offset, moved.shape), abs=1e-9)

    asked = []

    def background(_, shift, size):
        asked.append(shift)
        return np.zeros((len(shift), size, size, 3), dtype=np.uint8)

    who = walker(cycle_frames=40.0, height=0.5)
    monkeypatch.setattr(tasks_module, "paint_background", background)
    monkeypatch.setattr(tasks_module, "draw_camera", lambda _: camera)
    monkeypatch.setattr(tasks_module, "draw_performer", lambda *_: who)
    Actions().render(6, rng(), times, 32)
    way = 0.5 * ACTIONS["walk"].travel * times / 40  # half a picture's height a body
    assert asked[0] == pytest.approx(sway - way)  # who goes right sees the wall go left
    Crowd().render(0, rng(), times, 32)
    assert asked[1] == pytest.approx(sway, abs=1e-12)


def test_what_is_near_covers_what_is_far_and_is_lighter(brushes):
    """A walker to the right shows us its right side; what it wears has a colour each."""
    lit = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    clothes = {p: 100.0 * np.array(c) for p, c in zip(PARTS, lit, strict=True)}
    video = np.zeros((1, 100, 100, 3), dtype=np.uint8)
    paint_performer(video, walker(clothes=clothes), STILL, np.zeros(1))
    shadow, *parts = brushes
    worn = [PARTS[lit.index(tuple((part.color > 0).astype(int)))] for part in parts]
    counts = {"skin": 3, "hair": 1, "shirt": 3, "sleeve": 2, "trousers": 2}
    assert {p: worn.count(p) for p in PARTS} == counts | {"stocking": 2, "shoe": 2}
    shades = [part.color.max() for part in parts]
    assert shades[:6] == [72] * 6 and shades[-6:] == [100] * 6  # limbs: far and near
    thigh = parts[worn.index("trousers")]  # the far one, and the left leg swings forward
    assert thigh.end[0, 0] > thigh.start[0, 0] + 5
    assert sorted(worn[6:9]) == ["hair", "shirt", "skin"]
    assert worn.index("hair") < worn.index("skin", 6)  # before the face
    assert shadow.color.max() == 0 < shadow.opacity < 1
    assert shadow.start[0, 1] == shadow.end[0, 1] == pytest.approx(90)


def test_sleeves_and_trouser_legs_are_long_or_short():
    wardrobes = [draw_clothes(rng(seed)) for seed in range(40)]
    for lower, upper in (("sleeve", "shirt"), ("stocking", "trousers")):
        long = [np.array_equal(c[lower], c[upper]) for c in wardrobes]
        bare = [np.array_equal(c[lower], c["skin"]) for c in wardrobes]
        assert 10 < sum(long) < 30 and sum(long) + sum(bare) == 40


def test_figures_stand_in_the_middle_of_the_picture():
    for seed in range(40):
        who = draw_performer("walk", rng(seed))
        assert who.ground - who.height / 2 == pytest.approx(0.53, abs=0.0301)
        assert 0.6 < who.height < 0.8


def test_a_floor_is_plain_below_a_wall_with_boards_and_goes_round_after_two_widths():
    for seed in range(5):
        shifts = np.array([0, 1, 2])  # in widths
        still, one, two = paint_background(rng(seed), shifts, 128).astype(int)
        assert np.array_equal(still, two) and not np.array_equal(still, one)
        floor = still[round(0.82 * 128) :]
        assert np.ptp(floor, axis=(0, 1)).max() == 0
        around = np.concatenate([one, still], axis=1)  # the wall, whole
        edges = np.abs(np.diff(around, axis=1)).max(axis=2)[: round(0.7 * 128)]
        assert len(np.unique(np.nonzero(edges)[1])) >= 8  # of 12, some side by side
        wall = around[round(0.7 * 128)]  # below all boards
        assert np.ptp(wall, axis=0).max() == 0
        assert np.abs(wall[0] - floor[0, 0]).max() > 3
        changes = np.flatnonzero(np.abs(np.diff(still[:, 0], axis=0)).max(axis=1))
        assert 0.7 * 128 < changes[-1] + 1 < 0.82 * 128  # the horizon
