"""The rendered tasks: what each promises of the cues in it."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import grey, rng
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
from slowfast_edu.data.figures import tasks as tasks_module
from slowfast_edu.data.figures.draw import paint
from slowfast_edu.data.figures.scene import (
    draw_camera,
    draw_performer,
    paint_background,
    paint_performer,
)
from slowfast_edu.data.video import read_frames
from slowfast_edu.sampling import fast_indices, slow_indices

CLIP = PRESETS["slowfast_4x16_r50"].clip
TASKS = [Actions(), Actions(style="point_light"), Spin(), Hue(), Binding(), Crowd()]
ids = [repr(task) for task in TASKS]


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


@pytest.mark.parametrize("action", ACTIONS)
def test_a_frame_does_not_depend_on_those_rendered_with_it(action):
    task = Actions()
    case = task.classes.index(action)
    for seed in range(8):
        every = task.render(case, rng(seed), np.arange(40), 32).frames
        for time in (0, 7, 33):
            alone = task.render(case, rng(seed), np.array([time]), 32).frames
            assert np.array_equal(alone[0], every[time])


def digests():
    clips = (task.render(1, rng(5), np.arange(6), 48).frames for task in TASKS)
    return " ".join(hashlib.sha256(clip.tobytes()).hexdigest() for clip in clips)


def test_another_process_renders_the_same_bytes():
    code = "from test_tasks import digests; print(digests())"
    root = Path(__file__).parent
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
        (Spin(), {"tau": 8}, r"tau=8 and the task tau=16.*replace\(task, tau=8\)"),
        (Spin(), {"frame_rule": "linspace"}, "needs 'stride'"),
        (Binding(), {"tau": 8}, r"replace\(task, tau=8\)"),
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


@pytest.mark.parametrize("k", [3, [0, 1]])
def test_turns_that_are_no_tuple_are_refused(k):
    with pytest.raises(ValueError, match=r"must be a tuple, such as \(0, 1, -1, 2\)"):
        Spin(k=k)


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
