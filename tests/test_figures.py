"""The renderer: geometry against closed forms, and what each task promises of its cues."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_edu.config import LUMA, PRESETS, ClipConfig
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import (
    ACTIONS,
    HUES,
    Actions,
    Binding,
    Crowd,
    Hue,
    Spin,
    equal_luma,
    tasks,
    wheels,
)
from slowfast_edu.data.figures import scene as scene_module
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
    draw_camera,
    draw_clothes,
    draw_performer,
    paint_background,
    paint_performer,
)
from slowfast_edu.data.video import read_frames
from slowfast_edu.sampling import fast_indices, slow_indices

CLIP = PRESETS["slowfast_4x16_r50"].clip
TASKS = [Actions(), Actions(style="point_light"), Spin(), Hue(), Binding(), Crowd()]
ids = [repr(task) for task in TASKS]


def rng(seed=0):
    return np.random.default_rng(seed)


def grey(frames):
    """What a grey Fast pathway gets, in levels of 0 to 255."""
    return frames @ np.array(LUMA)


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


@pytest.fixture
def brushes(monkeypatch):
    """What is handed to the brush, in order."""
    found = []
    for module in (scene_module, wheels):
        monkeypatch.setattr(module, "paint", lambda _, parts: found.extend(parts))
    return found


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


# Every task


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_a_generator_decides_everything(task):
    first, again = (task.render(1, rng(5), np.arange(6), 48).frames for _ in range(2))
    other = task.render(1, rng(6), np.arange(6), 48).frames
    assert first.dtype == np.uint8
    assert first.shape == (6, 48, 48, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_only_the_frames_asked_for_are_rendered_and_they_are_the_same(task):
    times = fast_indices(CLIP)
    every = task.render(0, rng(5), np.arange(CLIP.raw_frames), 32).frames
    assert np.array_equal(task.render(0, rng(5), times, 32).frames, every[times])


def digests():
    clips = (task.render(1, rng(5), np.arange(6), 48).frames for task in TASKS)
    return " ".join(hashlib.sha256(clip.tobytes()).hexdigest() for clip in clips)


def test_another_process_renders_the_same_bytes():
    code = "from tests.test_figures import digests; print(digests())"
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == digests(), run.stderr


@pytest.mark.parametrize("task", TASKS, ids=ids)
def test_frames_look_like_pictures_and_move(task):
    frames = task.render(1, rng(3), np.arange(0, 16, 2), 64).frames.astype(int)
    assert frames.max() - frames.min() > 60
    moved = np.abs(np.diff(frames, axis=0)).max(axis=(1, 2, 3))
    assert (moved > 20).all()


# Actions


def test_who_acts_does_not_depend_on_the_action():
    people = [draw_performer(action, rng(8)) for action in ACTIONS]
    for who in people[1:]:
        for field in ("phase", "mirrored", "x", "ground", "height"):
            assert getattr(who, field) == getattr(people[0], field)
        for part, color in who.clothes.items():
            assert np.array_equal(color, people[0].clothes[part])
    pairs = [(who, ACTIONS[who.action]) for who in people]
    speeds = {round(who.cycle_frames / usual.cycle_seconds, 9) for who, usual in pairs}
    turns = {round(who.yaw - usual.yaw, 9) for who, usual in pairs}
    assert len(speeds) == len(turns) == 1


def test_people_and_cameras_vary():
    people = [draw_performer("walk", rng(seed)) for seed in range(40)]
    for field in ("phase", "cycle_frames", "yaw", "x", "height"):
        assert len({getattr(who, field) for who in people}) == 40, field
    assert {who.mirrored for who in people} == {True, False}
    assert len({draw_camera(rng(seed)) for seed in range(40)}) == 40


def test_the_background_moves_by_fractions_of_a_pixel():
    shift = np.array([0, 0.25, 1, 2]) / 256  # in widths
    still, quarter, one, two = paint_background(rng(2), shift, 256).astype(float)
    assert np.array_equal(one[:, 1:], still[:, :-1])
    assert np.array_equal(two[:, 2:], still[:, :-2])
    changes = [np.abs(moved - still).sum() for moved in (quarter, one)]
    assert changes[0] / changes[1] == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_wall_behind_a_walker_moves_the_other_way(painted_figures, mirrored):
    seed = next(s for s in range(99) if draw_performer("walk", rng(s)).mirrored == mirrored)
    task, times, size = Actions(), np.arange(0, 12), 128
    frames = task.render(task.classes.index("walk"), rng(seed), times, size).frames
    who = painted_figures[0][0]
    way = (who.way(times[-1:]) - who.way(times[:1]))[0] * size  # to the right, in pixels
    assert (way < 0) == mirrored
    band = frames[:, size // 8 : size // 4].astype(float)  # above the head
    errors = {}
    for move in range(-30, 31):
        columns = slice(max(0, move), size + min(0, move))
        source = slice(max(0, -move), size + min(0, -move))
        errors[move] = np.abs(band[-1][:, columns] - band[0][:, source]).mean()
    seen = min(errors, key=errors.get)
    assert seen == pytest.approx(-way, abs=0.07 * size)  # but for the camera's sway


def test_walls_and_floors_have_many_colours():
    pictures = [paint_background(rng(seed), np.zeros(1), 32)[0] for seed in range(30)]
    walls, floors = (np.array([p[row, 0] for p in pictures]) for row in (0, -1))
    assert len(np.unique(walls, axis=0)) == len(np.unique(floors, axis=0)) == 30
    assert walls.std(axis=0).min() > 15 < floors.std(axis=0).min()


def test_a_camera_that_follows_a_walker_moves_the_world_the_other_way():
    who = draw_performer("walk", rng(1))._replace(mirrored=False, yaw=np.pi / 2)
    per_cycle = who.way(np.array([who.cycle_frames]))
    assert per_cycle == pytest.approx(ACTIONS["walk"].travel * who.height)
    assert who._replace(mirrored=True).way(np.array([10.0])) == -who.way(np.array([10.0]))


def test_a_point_light_walker_is_thirteen_dots_on_black():
    frames = Actions(style="point_light").render(6, rng(1), np.arange(4), 112).frames
    assert set(np.unique(frames[..., 0] == frames[..., 1])) == {True}
    assert 0.9 < (frames == 0).mean() < 0.995
    who, times = draw_performer("walk", rng(1)), np.arange(1)
    dots = np.zeros((1, 400, 400, 3), dtype=np.uint8)
    paint_performer(dots, who, draw_camera(rng(2)), times, point_light=True)
    area = 13 * np.pi * (0.022 * who.height * 400) ** 2
    assert dots[..., 0].sum() / 255 == pytest.approx(area, rel=0.25)  # some overlap


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="clothed"):
        Actions(style="naked")


# Spin

spins = st.builds(
    Spin,
    k=st.lists(st.integers(-7, 8), min_size=2, max_size=5, unique=True).map(tuple),
    tau=st.just(16),
    arms=st.integers(1, 3),
    marked=st.booleans(),
)


@settings(max_examples=25)
@given(spins, st.integers(0, 99), st.integers(1, 3))
def test_slow_sees_the_same_bytes_in_every_class(task, seed, first):
    clip = ClipConfig(T=3, tau=16, alpha=8)
    times = slow_indices(clip, start_frame=16 * first)
    clips = [task.render(case, rng(seed), times, 32).frames for case in range(task.cases)]
    assert all(np.array_equal(frames, clips[0]) for frames in clips)
    assert np.array_equal(clips[0][0], clips[0][-1])


@settings(max_examples=40)
@given(spins, st.sampled_from([1, 2, 4, 8, 16]))
def test_fast_sees_as_many_kinds_of_clip_as_the_ceiling_says(task, alpha):
    times = fast_indices(ClipConfig(T=1, tau=16, alpha=alpha))
    kinds = []  # clips that differ by more than the rounding of a coinciding arm
    for case in range(task.cases):
        frames = task.render(case, rng(4), times, 48).frames.astype(int)
        if all(np.abs(frames - kind).max() > 8 for kind in kinds):
            kinds.append(frames)
    assert task.ceiling(alpha) == len(kinds) / task.cases
    assert bool(task.aliases(alpha)) == (len(kinds) < task.cases)


def test_the_known_ceilings():
    assert [Spin().ceiling(alpha) for alpha in (1, 2, 4, 8)] == [0.25, 0.5, 1, 1]
    unmarked = Spin(marked=False)  # two equal arms halve what Fast can tell
    assert [unmarked.ceiling(alpha) for alpha in (4, 8)] == [0.5, 1]
    three = Spin(arms=3, marked=False, k=(0, 1, 2, 3), tau=18)
    assert three.ceiling(9) == 0.75  # 0 and 3 coincide: a third of nine


@pytest.fixture
def painted_pictures(monkeypatch):
    """(pictures, capsules) of each call of the brush."""
    seen = []

    def paint_and_tell(pictures, capsules):
        seen.append((pictures, capsules))
        paint(pictures, capsules)

    monkeypatch.setattr(wheels, "paint", paint_and_tell)
    return seen


@pytest.mark.parametrize("task", [Spin(tau=12), Binding(tau=12)])
def test_only_tau_pictures_are_painted_and_then_picked(painted_pictures, task):
    frames = task.render(1, rng(2), np.arange(0, 120, 3), 32).frames
    assert all(len(pictures) == 12 for pictures, _ in painted_pictures)
    known = {picture.tobytes() for picture in painted_pictures[0][0]}
    assert {frame.tobytes() for frame in frames} <= known


def test_a_spinner_is_off_the_middle_by_up_to_three_pixels_of_64(painted_pictures):
    for seed in range(80):
        Spin().render(seed % 4, rng(seed), [0], 64)
    hubs = np.array([capsules[-1].start[0] for _, capsules in painted_pictures]) - 32
    assert np.abs(hubs).max() <= 3
    assert (hubs.max(axis=0) > 2.5).all()
    assert (hubs.min(axis=0) < -2.5).all()


def turn_per_frame(frames):
    """By what share of a turn the marked arm moves between frames, from grey alone."""
    size = frames.shape[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    disc = np.hypot(x, y) < 0.42 * size
    image = grey(frames)
    moving = (image - np.median(image, axis=0)) * disc
    moment = (moving * (x + 1j * y)).sum(axis=(1, 2))
    return np.angle((moment[1:] * moment[:-1].conj()).sum()) / (2 * np.pi)


def guess_k(frames):
    """The class that turns most like the clip, by the first moment about the centre."""
    if np.abs(np.diff(frames.astype(int), axis=0)).max() == 0:
        return 0
    turn = turn_per_frame(frames)
    return min((1, -1, 2), key=lambda k: abs((turn - k / 8 + 0.5) % 1 - 0.5))


def test_grey_fast_frames_tell_every_class_and_slow_ones_none():
    task = Spin()
    fast, slow = fast_indices(CLIP), slow_indices(CLIP)
    for seed in range(12):
        for case, k in enumerate(task.k):
            assert guess_k(task.render(case, rng(seed), fast, 64).frames) == k
            assert guess_k(task.render(case, rng(seed), slow, 64).frames) == 0


def test_a_mirror_reverses_the_turn():
    task, fast = Spin(), fast_indices(CLIP)
    assert task.flipped_labels == (0, 2, 1, -1)
    for case, mirrored in ((0, 0), (1, 2), (2, 1)):
        frames = task.render(case, rng(2), fast, 64).frames
        assert guess_k(frames[:, :, ::-1]) == task.k[mirrored]


def test_an_encoder_would_tell_the_classes_apart(tmp_path):
    task, slow = Spin(), slow_indices(CLIP)
    decoded = []
    for case in (0, 1):
        path = tmp_path / f"{case}.mp4"
        write_video(task.render(case, rng(0), np.arange(64), 64).frames, path)
        decoded.append(read_frames(path, slow))
    assert not np.array_equal(*decoded)


@pytest.mark.parametrize(
    ("task", "clip", "message"),
    [
        (Spin(), {"alpha": 2}, r"k = 0 and 2, 1 and -1 look the same .* 50% .* alpha=4"),
        (Spin(marked=False), {"alpha": 4}, r"symmetry s=2: .*alpha=8 tells"),
        (Spin(k=(0, 8), marked=False), {"alpha": 8}, "choose other k"),
        (Spin(), {"tau": 8}, r"tau=8 and the task tau=16.*Spin\(tau=8\)"),
        (Spin(), {"frame_rule": "linspace"}, "needs 'stride'"),
        (Binding(), {"tau": 8}, r"Binding\(tau=8\)"),
        (Binding(), {"frame_rule": "linspace"}, "needs 'stride'"),
        (Binding(), {"alpha": 1}, "whole turns only"),
        (Binding(k=8), {"alpha": 4}, "k=8 shows Fast whole turns only at alpha=4"),
    ],
)
def test_a_clip_under_which_the_task_would_lie_is_refused(task, clip, message):
    with pytest.raises(ValueError, match=message):
        task.check(ClipConfig(**{"T": 4, "tau": 16, "alpha": 8} | clip))


@pytest.mark.parametrize("task", [Spin(), Spin(marked=False), Binding()])
def test_the_clip_of_4x16_will_do(task):
    task.check(CLIP)


@pytest.mark.parametrize("task", [Spin(), Binding()])
def test_a_start_between_two_slow_frames_is_refused(task):
    with pytest.raises(ValueError, match="must start at a multiple of tau=16"):
        task.render(0, rng(), np.arange(3, 40), 32)


@pytest.mark.parametrize("task", TASKS, ids=ids)
@pytest.mark.parametrize("case", [-1, 10])
def test_a_case_that_is_not_there_is_refused(task, case):
    with pytest.raises(ValueError, match=f"case={case} must be one of 0 to"):
        task.render(case, rng(), [0], 32)


def test_a_fraction_of_a_turn_is_no_class():
    with pytest.raises(ValueError, match=r"k=0\.5 must be a whole number"):
        Spin(k=(0, 0.5))


@pytest.mark.parametrize("k", [(1,), (1, 1), (0, 16), (-8, 8)])
def test_turns_that_nothing_can_tell_apart_are_refused(k):
    with pytest.raises(ValueError, match="differ modulo tau=16"):
        Spin(k=k)


@pytest.mark.parametrize(
    ("kind", "field"), [(Spin, "tau"), (Binding, "tau"), (Spin, "arms")]
)
def test_wheels_that_cannot_turn_are_refused(kind, field):
    least = {"tau": 2, "arms": 1}[field]
    with pytest.raises(ValueError, match=f"{field}={least - 1} "):
        kind(**{field: least - 1})


def test_arms_begin_at_any_angle(brushes):
    found = set()
    for seed in range(30):
        brushes.clear()
        Spin().render(0, rng(seed), [0], 64)
        x, y = (brushes[2].end - brushes[2].start)[0]  # behind body and face
        found.add((bool(x > 0), bool(y > 0)))
    assert len(found) == 4


# Hue


@given(st.sampled_from(list(HUES)), st.floats(65, 180))
def test_hues_have_one_luma_and_fit_into_bytes(hue, luma):
    color = equal_luma(hue, luma)
    assert color @ np.array(LUMA) == pytest.approx(luma)
    assert color.min() >= 0
    assert color.max() <= 255
    assert np.ptp(color) > 50  # far from grey
    differences = (color[[2, 0]] - luma) / (2 * (1 - np.array(LUMA)[[2, 0]]))
    assert differences == pytest.approx(36 * np.array(HUES[hue]), abs=1e-9)  # Cb and Cr


def test_all_but_the_hue_is_drawn_anew_for_each_clip(brushes, monkeypatch):
    drawn, brightest = [], []

    def noted(action, *rest):
        drawn.append(action)
        return draw_performer(action, *rest)

    monkeypatch.setattr(tasks_module, "draw_performer", noted)
    for seed in range(80):
        brushes.clear()
        Hue().render(seed % 4, rng(seed), [0], 32)
        assert len({tuple(part.color) for part in brushes}) > 8  # no two clothes alike
        brightest.append(max(grey(part.color) for part in brushes))
    assert set(drawn) == set(ACTIONS)
    assert 65 <= min(brightest) < 95 and 150 < max(brightest) <= 180  # 80 to 165, and 15


@pytest.mark.parametrize("task", [Actions(), Crowd()], ids=repr)
def test_walls_differ_from_clip_to_clip(task):
    corners = [task.render(0, rng(seed), [0], 32).frames[0, 0, 0] for seed in range(20)]
    assert len({tuple(corner) for corner in corners}) == 20


def test_hues_differ_by_rounding_alone_in_grey_and_brightness_by_far_more():
    levels = []  # of the figure alone, not of the wall behind it
    for seed in range(30):
        clips = [Hue().render(case, rng(seed), [0, 5], 32).frames for case in range(4)]
        lumas = np.stack([grey(frames) for frames in clips])
        assert np.ptp(lumas, axis=0).max() <= 2  # rounded once for each layer of paint
        assert np.ptp(np.stack(clips).astype(int), axis=0).max() > 60
        figure = np.ptp(np.stack(clips).astype(int), axis=0).max(axis=-1) > 60
        levels.append(lumas[0][figure].mean())
    assert np.std(levels) > 15  # uniform over 85 levels would give 25, darkened limbs less


def ridge_accuracy(features, labels, classes):
    """A linear probe: least squares on one half, accuracy on the other."""
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    half = len(x) // 2
    targets = np.eye(classes)[labels]
    penalty = 1e-3 * np.trace(x[:half].T @ x[:half]) / x.shape[1] * np.eye(x.shape[1])
    weights = np.linalg.solve(x[:half].T @ x[:half] + penalty, x[:half].T @ targets[:half])
    return float((np.argmax(x[half:] @ weights, axis=1) == labels[half:]).mean())


def pooled(images, cells=4):
    """Means over a grid of cells: (N, S, S, C) -> (N, cells * cells * C)."""
    count, size, _, channels = images.shape
    blocks = images.reshape(count, cells, size // cells, cells, size // cells, channels)
    return blocks.mean(axis=(2, 4)).reshape(count, -1)


def test_a_linear_probe_finds_hue_in_colour_and_chance_in_grey():
    labels = np.arange(800) % 4
    scenes = [Hue().render(case, rng(seed), [0], 32) for seed, case in enumerate(labels)]
    frames = np.concatenate([scene.frames for scene in scenes])
    spread = 3 * np.sqrt(0.25 * 0.75 / 400)  # three standard errors
    assert ridge_accuracy(pooled(frames), labels, 4) > 0.9
    assert abs(ridge_accuracy(pooled(grey(frames)[..., None]), labels, 4) - 0.25) < spread
    assert abs(ridge_accuracy(grey(frames).reshape(800, -1), labels, 4) - 0.25) < spread


def fractions(frames):
    """A histogram of the fractional part of luma, which rounding to bytes leaves."""
    parts = (grey(frames) * 1000).round().astype(int) % 1000 // 20
    return np.stack([np.bincount(part.ravel(), minlength=50) for part in parts]) / 100


@pytest.mark.parametrize("grain", [True, False])
def test_grain_hides_what_rounding_leaves(monkeypatch, grain):
    if not grain:
        monkeypatch.setattr(tasks, "add_grain", lambda video, rng: None)
    labels = np.arange(400) % 4
    scenes = [Hue().render(case, rng(seed), [0], 64) for seed, case in enumerate(labels)]
    features = fractions(np.concatenate([scene.frames for scene in scenes]))
    accuracy = ridge_accuracy(features, labels, 4)
    if grain:
        assert abs(accuracy - 0.25) < 3 * np.sqrt(0.25 * 0.75 / 200)
    else:
        assert accuracy > 0.9  # the probe finds it where it is


# Binding


@pytest.mark.parametrize("hues", [("blue", "yellow"), ("red", "green", "blue")])
def test_sides_and_pairs_are_balanced(hues):
    task = Binding(hues=hues)
    cases = [task.case(number) for number in range(task.cases)]
    assert len(set(cases)) == len(set(task.case_names)) == task.cases
    for pair, turning in cases:
        assert pair[0] != pair[1]
        assert (pair[::-1], turning) in cases
        assert (pair, 1 - turning) in cases
    labels = [task.render(n, rng(), [0], 32).label for n in range(task.cases)]
    assert labels == [hues.index(pair[turning]) for pair, turning in cases]
    assert {labels.count(label) for label in range(len(hues))} == {task.cases // len(hues)}


def test_slow_sees_hues_and_no_turn_and_grey_sees_turns_and_no_hue():
    task, fast = Binding(), fast_indices(CLIP)
    clips = {task.case(n): task.render(n, rng(3), fast, 64).frames for n in range(4)}
    pairs = sorted({pair for pair, _ in clips})
    for pair in pairs:
        left, right = clips[pair, 0], clips[pair, 1]
        assert np.array_equal(left[::8], right[::8])
        assert not np.array_equal(left, right)
    for side in (0, 1):
        one, other = clips[pairs[0], side], clips[pairs[1], side]
        assert np.abs(grey(one) - grey(other)).max() <= 2
        assert np.abs(one[::8].astype(int) - other[::8]).max() > 60
        motion = np.abs(np.diff(grey(one), axis=0)).sum(axis=(0, 1))
        halves = motion[:32].sum(), motion[32:].sum()
        assert halves[1 - side] == 0 < halves[side]


def test_grey_shows_the_wheels_and_their_turn_even_at_two_frames_a_turn():
    task, clip = Binding(), ClipConfig(T=2, tau=16, alpha=2)
    task.check(clip)
    for seed in range(10):
        frames = grey(task.render(0, rng(seed), fast_indices(clip), 64).frames)
        assert frames.max() - frames[0, 0, 0] > 55  # the wall is 45 below, an arm 15 above
        assert 25 < np.abs(frames[1] - frames[0]).max() < 35  # one arm for the other


@given(*[st.floats(-1e3, 1e3)] * 4)
def test_added_scores_are_right_in_at_most_three_of_four_cases(s0, s1, f0, f1):
    slow, fast = (s0, s1), (f0, f1)
    right = 0
    for hue_on_the_left in (0, 1):
        for turning in (0, 1):
            label = hue_on_the_left ^ turning  # the hue of the wheel that turns
            score = slow[hue_on_the_left] + fast[turning]
            right += score > 0 if label else score < 0
    assert right <= 3


def test_a_probe_that_adds_stays_near_one_half_and_a_product_solves_it():
    task, fast = Binding(), fast_indices(ClipConfig(T=2, tau=16, alpha=8))
    slow_part, fast_part, labels = [], [], []
    for seed in range(240):
        scene = task.render(seed % 4, rng(seed), fast, 32)
        blue = scene.frames[0] @ np.array([-1, 0, 1]) / 100
        motion = np.abs(np.diff(grey(scene.frames), axis=0)).sum(axis=(0, 1)) / 1e4
        slow_part.append(blue[:, :16].mean() - blue[:, 16:].mean())
        fast_part.append(motion[:16].mean() - motion[16:].mean())
        labels.append(scene.label)
    slow, moving = np.array(slow_part), np.array(fast_part)
    added = np.stack([slow, moving, slow**2, moving**2], axis=1)
    product = (np.sign(slow) * np.sign(moving))[:, None]
    order = rng(0).permutation(240)
    labels = np.array(labels)[order]
    assert abs(ridge_accuracy(added[order], labels, 2) - 0.5) < 3 * np.sqrt(0.25 / 120)
    assert ridge_accuracy(product[order], labels, 2) == 1.0


def test_a_faster_wheel_turns_k_times_between_slow_s_frames():
    times = np.arange(16)
    one, three = (Binding(k=k).render(0, rng(1), times, 48).frames for k in (1, 3))
    assert np.array_equal(three, one[3 * times % 16])


@pytest.mark.parametrize("hues", [("blue",), ("blue", "blue"), ("blue", "pink")])
def test_hues_that_are_not_there_are_refused(hues):
    with pytest.raises(ValueError, match="two or more different ones of blue, red"):
        Binding(hues=hues)


# Crowd


@pytest.fixture
def painted_figures(monkeypatch):
    """Who was painted, in order, with the box that each got."""
    seen = []

    def paint_and_tell(video, who, camera, times, **style):
        box = paint_performer(video, who, camera, times, **style)
        seen.append((who, box))
        return box

    monkeypatch.setattr(tasks, "paint_performer", paint_and_tell)
    return seen


def test_boxes_and_actions_belong_to_the_same_figures(painted_figures):
    own_actions = 0
    for seed in range(12):
        painted_figures.clear()
        scene = Crowd().render(2, rng(seed), np.arange(4), 64)
        names = [who.action for who, _ in painted_figures]
        assert [Crowd.classes[action] for action in scene.actions] == names
        for number, (_, box) in enumerate(painted_figures):
            assert np.allclose(scene.boxes[:, number], np.clip(box / 64, 0, 1), atol=1e-6)
        heights = [who.height for who, _ in painted_figures]
        assert np.mean(np.diff(heights)) > 0  # those painted last, in front, are larger
        own_actions += len(set(names)) > 2
    assert own_actions >= 8  # each has its own action: four of ten rarely coincide


def test_a_crowd_s_label_boxes_and_actions_agree():
    for case, count in enumerate((2, 3, 4)):
        scene = Crowd().render(case, rng(case), np.arange(10), 64)
        assert scene.boxes.shape == (10, count, 4)
        assert scene.actions.shape == (count,)
        assert set(np.flatnonzero(scene.label)) == set(scene.actions)
        assert scene.label.max() == 1
        assert (scene.boxes >= 0).all()
        assert (scene.boxes <= 1).all()
        assert (scene.boxes[..., 2:] > scene.boxes[..., :2]).all()
        assert np.abs(np.diff(scene.boxes, axis=0)).max() < 0.2  # one identity, one place


def test_a_crowd_stands_side_by_side_and_the_small_ones_behind(monkeypatch):
    painted, orders = [], set()

    def noted(video, who, *rest):
        painted.append(who)
        return paint_performer(video, who, *rest)

    monkeypatch.setattr(tasks_module, "paint_performer", noted)
    for seed in range(30):
        painted.clear()
        scene = Crowd().render(2, rng(seed), np.array([0]), 64)
        assert [list(ACTIONS)[a] for a in scene.actions] == [w.action for w in painted]
        places = np.array([who.x for who in painted])
        order = np.argsort(places)
        assert places[order] == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8], abs=0.0601)
        middles = scene.boxes[0, :, [0, 2]].mean(axis=0)
        assert middles == pytest.approx(places, abs=0.2)
        grounds = [who.ground for who in painted]
        assert grounds == sorted(grounds) and max(grounds) < 1  # the nearest last
        heights = np.array([who.height for who in painted])
        asked = (np.array(grounds) - 0.62) / 0.6 + 0.25
        assert np.all((heights / asked > 0.849) & (heights / asked < 1.101))
        orders.add(tuple(order))
    assert len(orders) > 10


@pytest.mark.parametrize("action", ACTIONS)
def test_a_box_holds_its_figure_and_little_more(action):
    video = np.full((9, 200, 200, 3), 255, dtype=np.uint8)
    who = draw_performer(action, rng(1))._replace(ground=0.9, height=0.6)
    who = who._replace(clothes=dict.fromkeys(who.clothes, np.full(3, 20.0)))
    boxes = paint_performer(video, who, draw_camera(rng(2)), np.arange(0, 27, 3))
    for frame, (x1, y1, x2, y2) in zip(video, boxes, strict=True):
        rows, columns = np.nonzero((frame < 130).any(axis=-1))  # without the shadow
        assert columns.min() >= x1 - 1
        assert columns.max() <= x2
        assert rows.min() >= y1 - 1
        assert rows.max() <= y2
        assert columns.min() - x1 < 2 > x2 - 1 - columns.max()
        assert rows.min() - y1 < 2 > y2 - 1 - rows.max()
