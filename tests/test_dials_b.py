"""Widgets of notebooks 00 and 06 to 09: what their pictures and sentences say."""

import math
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from slowfast_edu.analysis.seeds import STUDENT_95
from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.training import Schedule
from slowfast_edu.training.detection_metrics import average_precision
from slowfast_edu.viz.dials.detections import (
    count_statements,
    precision_recall,
    threshold_explorer,
    threshold_figure,
)
from slowfast_edu.viz.dials.schedule import (
    EPOCHS,
    GPUS,
    Planned,
    rate_and_way,
    schedule_explorer,
)
from slowfast_edu.viz.dials.seeds import (
    Difference,
    seed_explorer,
    seeds_figure,
    supposed_seeds,
)
from slowfast_edu.viz.dials.start import ORDERS, clip_answer, clip_explorer
from slowfast_edu.viz.dials.views import PICTURES, Views, view_sampler, views_figure

CLIP = ClipConfig(T=4, tau=16, alpha=4)


def turn(widget, description, value):
    """Turn one dial; returns the sentence, and whether the picture changed."""
    row, note, picture = widget.children
    (dial,) = (dial for dial in row.children if dial.description == description)
    before = bytes(picture.value)
    dial.value = value
    return note.value, bytes(picture.value) != before


def rectangles(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


# 00: what a model says of a clip


def numbered(count, size=6):
    """Frames whose every byte is their number."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, size, size, 3), dtype=np.uint8
    )


def test_the_model_is_asked_about_the_frames_that_the_dials_choose():
    asked = []

    def classify(frames):
        asked.append(frames[:, 0, 0, 0].tolist())
        return {"low": 0.25, "high": 0.7, "other": 0.05}

    videos = {"one": numbered(90), "two": numbered(100)[10:]}
    widget = clip_explorer(videos, classify, CLIP)
    said = "Of one, as filmed, the model says high (70%), then low (25%)."
    assert widget.children[1].value == said
    for description, value in (("start", 24), ("video", "two"), ("frames", "backwards")):
        assert turn(widget, description, value)[1]
    sentence, changed = turn(widget, "frames", "one held")
    assert changed and sentence.startswith("Of two, one held, the model says high")
    assert asked == [
        list(range(0, 64, 4)),
        list(range(24, 88, 4)),
        list(range(34, 98, 4)),
        list(range(34, 98, 4))[::-1],
        [34] * 16,
    ]


def test_the_starts_are_those_at_which_every_clip_fits():
    widget = clip_explorer(
        {"a": numbered(90), "b": numbered(64 + 9)}, lambda f: {"x": 0.5, "y": 0.5}, CLIP
    )
    video, start, order = widget.children[0].children
    assert start.options == (("0.00 s", 0), ("0.13 s", 4), ("0.27 s", 8))
    assert (video.options, order.options) == (("a", "b"), ORDERS)


def test_the_answer_shows_each_frame_and_a_bar_a_class():
    chances = {"a": 0.125, "b": 0.75, "c": 0.125}
    seen, said = clip_answer(numbered(16), chances, alpha=4).axes
    tiles = seen.images[0].get_array()[::8, ::8, 0]  # 6 pixels and a gap
    assert tiles.ravel().tolist() == list(range(16))
    (box,) = rectangles(seen)  # Slow's: 0, 4, 8 and 12, the first column
    assert (box.get_width(), box.get_height()) == (8, 4 * 8)
    assert [bar.get_width() for bar in rectangles(said)] == list(chances.values())
    weights = {text.get_text(): text.get_weight() for text in said.texts}
    assert weights == {"12%": "normal", "75%": "bold"}


def test_a_short_video_no_video_and_no_class_are_refused():
    with pytest.raises(ValueError, match=r"b has 63 frames, must have T \* tau = 64"):
        clip_explorer({"a": numbered(64), "b": numbered(63)}, dict, CLIP)
    with pytest.raises(ValueError, match="videos is empty"):
        clip_explorer({}, dict, CLIP)
    with pytest.raises(ValueError, match="chances is empty"):
        clip_answer(numbered(4), {})


# 06: the schedule


def cosine(epoch, epochs=196, full=0.1):
    return full * 0.5 * (math.cos(math.pi * epoch / epochs) + 1)


def test_the_schedule_s_sentence_is_the_formula_s():
    widget = schedule_explorer(Schedule)
    assert cosine(34) == pytest.approx(0.0928, abs=5e-5)
    assert widget.children[1].value == (
        "64 clips a step, the rate scaled with them: 3,750 iterations an epoch, 735,000 "
        "in all. Rate 0.01 at the start, 0.0928 after 34 epochs of warm-up, 6.42e-06 "
        "when the last epoch begins. All steps together go 1.00 times as far as where "
        "the dials began."
    )
    sentence, changed = turn(widget, "GPUs, 8 each", 128)
    assert changed
    assert sentence.startswith("1,024 clips a step, the rate scaled with them: 234 it")
    assert f"{16 * cosine(34):.3g} after 34 epochs" in sentence
    assert sentence.endswith("1.00 times as far as where the dials began.")
    sentence, _ = turn(widget, "linear rule", False)
    assert "the rate not scaled" in sentence
    assert f"{cosine(34):.3g} after" in sentence and "go 0.06 times" in sentence  # 1/16
    turn(widget, "warm-up", 0)
    sentence, _ = turn(widget, "rate at 64", 0.4)
    assert "Rate 0.4 at the start, 2.57e-05 when the last epoch begins." in sentence


def test_a_warm_up_longer_than_training_keeps_the_picture():
    widget = schedule_explorer(Schedule)
    sentence, changed = turn(widget, "epochs", 20)
    assert not changed and "warmup_epochs=34 must lie in 0 to epochs=20" in sentence
    sentence, changed = turn(widget, "warm-up", 4)
    assert changed and "75,000 in all" in sentence


@pytest.mark.parametrize(("batch", "linear"), [(8, True), (64, False), (128, False)])
def test_the_way_is_the_sum_of_the_rates_of_all_iterations(batch, linear):
    schedule = Schedule(epochs=12, warmup_epochs=3, base_rate=0.2, warmup_rate=0.02)
    plan = Planned(schedule=schedule, batch=batch, clips=12_900, linear=linear)
    steps = 12_900 // batch
    scale = batch / 64 if linear else 1
    rates = []
    for step in range(12 * steps):
        epoch = step / steps
        top = cosine(3, 12, 0.2)
        line = 0.02 + (top - 0.02) * epoch / 3
        rates.append(scale * (line if epoch < 3 else cosine(epoch, 12, 0.2)))
    assert plan.way == pytest.approx(sum(rates), rel=0.002)


def test_the_linear_rule_keeps_the_way_of_an_epoch():
    plans = {
        str(gpus): Planned(schedule=Schedule(), batch=8 * gpus, clips=8 * 128 * 100)
        for gpus in (GPUS[0], GPUS[-1])
    }
    rates, ways = rate_and_way(plans).axes
    one, many = (line.get_ydata() for line in rates.lines if len(line.get_xdata()) > 2)
    assert many == pytest.approx(128 * one)
    one, many = (line.get_ydata() for line in ways.lines)
    assert many == pytest.approx(one)
    assert {line.get_linestyle() for line in ways.lines} == {"-", "--"}
    assert ways.lines[0].get_xdata()[-1] == 196 in EPOCHS


def test_fewer_clips_than_a_step_are_refused():
    with pytest.raises(ValueError, match="clips=1000 must be a whole number of at least"):
        schedule_explorer(Schedule, clips=1000)
    with pytest.raises(ValueError, match="clips=7"):
        Planned(schedule=Schedule(), batch=8, clips=7)


# 07: the views


@pytest.mark.parametrize("frames", [30, 64, 65, 300, 1800])
@pytest.mark.parametrize("clips", [1, 2, 3, 10])
def test_coverage_in_time_is_counted_frame_by_frame(frames, clips):
    views = Views(clip=CLIP, video_frames=frames, clips=clips)
    last = max(0, frames - 64)
    starts = [last // 2] if clips == 1 else [i * last // (clips - 1) for i in range(clips)]
    sets = [set(range(start, start + 64)) for start in starts]
    within = set().union(*sets) & set(range(frames))
    assert views.starts == starts
    assert views.covered == pytest.approx(len(within) / frames)
    pairs = [len(a & b) / 64 for a, b in pairwise(sets)]
    assert views.shared == pytest.approx(min(pairs, default=0))


@pytest.mark.parametrize(
    ("name", "corners"),
    [  # the middle one's odd pixel goes left or above, as in PySlowFast: ceil(199 / 2)
        ("4:3", [(0, 0), (0, 42), (0, 84)]),
        ("16:9", [(0, 0), (0, 100), (0, 199)]),
        ("9:16", [(0, 0), (100, 0), (199, 0)]),
        ("1:1", [(0, 0)] * 3),
    ],
)
def test_squares_lie_where_the_crops_are_cut(name, corners):
    views = Views(clip=CLIP, video_frames=300, picture=PICTURES[name])
    assert views.squares == corners
    middle = Views(clip=CLIP, video_frames=300, crops=1, picture=PICTURES[name])
    assert middle.squares == [corners[1]]
    assert middle.pictured == pytest.approx(256 / max(PICTURES[name]))
    assert views.pictured == 1


def test_three_squares_leave_gaps_in_a_very_wide_picture():
    views = Views(clip=CLIP, video_frames=300, picture=(100, 600))
    assert views.pictured == pytest.approx(3 * 100 / 600)


def test_the_views_are_drawn_where_they_lie():
    views = Views(clip=CLIP, video_frames=300, clips=4)
    when, where = views_figure(views).axes
    bars = [patch for patch in rectangles(when) if patch.get_height() == 0.7]
    assert [bar.get_x() for bar in bars] == pytest.approx([s / 30 for s in views.starts])
    assert {round(bar.get_width(), 6) for bar in bars} == {round(64 / 30, 6)}
    squares = [patch for patch in rectangles(where) if not patch.get_fill()]
    assert [round(s.get_x() + s.get_width() / 2) for s in squares] == [128, 170, 212]
    assert len({s.get_linestyle() for s in squares}) == 3
    assert [text.get_text() for text in where.texts] == ["1", "2", "3"]


def test_thirty_views_cost_what_the_paper_prints():
    widget = view_sampler()
    assert widget.children[1].value == (
        "10 clips x 3 crops cover 100% of the video and 100% of the picture. "
        "Neighbouring clips share about 58% of their length. "  # 37 of 64 frames
        "36.1 GMACs a view, 1,083.0 for all 30."  # Table 2: 36.1 x 30
    )
    sentence, changed = turn(widget, "model", "8x8 R50")
    assert "65.7 GMACs a view" in sentence and not changed  # 8x8 spans 64 frames too
    sentence, _ = turn(widget, "video, s", 1)
    assert "The video is 34 frames too short: its last one is repeated." in sentence
    sentence, _ = turn(widget, "picture", "1:1")
    assert "All crops are one and the same." in sentence
    turn(widget, "crops", 1)
    sentence, _ = turn(widget, "clips", 1)
    assert sentence.startswith("1 clip x 1 crop cover 100% of the video")
    assert sentence.endswith("65.7 GMACs a view.")


def test_two_crops_are_refused():
    with pytest.raises(ValueError, match="crops=2 is not known; choose one of 1, 3"):
        Views(clip=CLIP, video_frames=300, crops=2)
    with pytest.raises(ValueError, match="clips=0"):
        Views(clip=PRESETS["slowfast_4x16_r50"].clip, video_frames=300, clips=0)


# 08: the threshold


@dataclass
class Frame:
    boxes: np.ndarray
    scores: np.ndarray


@pytest.fixture(scope="module")
def crowd():
    """Detections and truths of five keyframes with two to four boxes, three classes."""
    rng = np.random.default_rng(5)
    found, true = [], []
    for count in (2, 3, 4, 2, 3):
        boxes = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 4)
        found.append(Frame(boxes, rng.integers(0, 20, (count, 3)) / 20))  # with ties
        true.append(Frame(boxes, np.eye(3)[rng.integers(0, 3, count)]))
    return found, true


def by_hand(scores, true, threshold):
    found = false = missed = 0
    for score, yes in zip(scores.ravel(), true.ravel(), strict=True):
        found += score >= threshold and yes == 1
        false += score >= threshold and yes == 0
        missed += score < threshold and yes == 1
    return found, false, missed


def test_counts_precision_and_recall_are_those_of_brute_force(crowd):
    scores, true = (np.concatenate([frame.scores for frame in some]) for some in crowd)
    points = []
    for threshold in sorted(set(scores.ravel()), reverse=True):
        found, false, missed = by_hand(scores, true, threshold)
        counts = count_statements(scores, true, threshold)
        assert counts == (found, false, missed)
        assert counts.precision == found / (found + false)
        assert counts.recall == found / (found + missed)
        points.append([found / (found + missed), found / (found + false)])
    assert precision_recall(scores, true) == pytest.approx(np.array(points))
    none = count_statements(scores, true, 1.0)
    assert none[:2] == (0, 0) and math.isnan(none.precision) and none.recall == 0


def test_the_area_under_the_curve_is_the_average_precision(crowd):
    scores, true = (np.concatenate([frame.scores for frame in some]) for some in crowd)
    recall, precision = precision_recall(scores, true).T
    best = [precision[place:].max() for place in range(len(precision))]
    area = (np.diff(recall, prepend=0) * best).sum()
    right = true.ravel() == 1
    assert area == pytest.approx(average_precision(scores.ravel(), right, right.sum()))


def test_a_cell_says_what_became_of_a_statement_and_a_mark_where_we_are(crowd):
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    figure = threshold_figure(frames, *crowd, "abc", number=1, threshold=0.4)
    seen, cells, curve = figure.axes
    found, true = (some[1].scores for some in crowd)
    counted = by_hand(found, true, 0.4)
    drawn = rectangles(cells)
    looks = [
        "found" if patch.get_facecolor()[:3] != (1, 1, 1) else
        "false" if patch.get_hatch() else "missed"
        for patch in drawn
    ]  # fmt: skip
    assert tuple(map(looks.count, ("found", "false", "missed"))) == counted
    numbers = [text.get_text() for text in cells.texts]
    assert numbers == [f"{100 * score:.0f}" for score in found.ravel()]
    assert len(rectangles(seen)) == 3
    every = (np.concatenate([frame.scores for frame in some]) for some in crowd)
    found, false, missed = by_hand(*every, 0.4)
    (mark,) = (line for line in curve.lines if line.get_marker() == "o")
    place = [float(data[0]) for data in mark.get_data()]
    assert place == pytest.approx([found / (found + missed), found / (found + false)])


def test_the_threshold_turns_the_counts(crowd):
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    widget = threshold_explorer(frames, *crowd, "abc")
    sentence, changed = turn(widget, "threshold", 0.0)
    assert changed
    assert sentence == (
        "From a score of 0.00 up, frame 1: 2 found, 4 false, 0 missed. All keyframes: "
        "14 found, 28 false, 0 missed; precision 33%, recall 100%."
    )
    sentence, changed = turn(widget, "frame", 1)
    assert changed and "frame 2: 3 found, 6 false, 0 missed" in sentence
    sentence, changed = turn(widget, "threshold", 1.0)
    assert changed and "no statement, so no precision, recall 0%" in sentence


def test_detections_of_other_boxes_are_refused(crowd):
    found, true = crowd
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="2 frames, 5 detections and 4 truths"):
        threshold_explorer(frames, found, true[:4], "abc")
    with pytest.raises(ValueError, match="ask the detector about the true boxes"):
        threshold_explorer(frames, found, true[::-1], "abc")
    nothing = [Frame(frame.boxes, 0 * frame.scores) for frame in true]
    with pytest.raises(ValueError, match="there is nothing to find"):
        threshold_explorer(frames, found, nothing, "abc")


# 09: seeds


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 30])
def test_the_table_of_t_holds_95_percent_of_the_density(freedom):
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2)
    scale /= math.sqrt(freedom * math.pi)
    x = np.linspace(0, STUDENT_95[freedom - 1], 20_001)
    density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    inside = 2 * np.sum((density[1:] + density[:-1]) / 2) * (x[1] - x[0])
    assert inside == pytest.approx(0.95, abs=5e-5)


def test_the_table_of_t_falls_towards_the_normal_distribution():
    assert (
        len(STUDENT_95) == 30
        and list(STUDENT_95) == sorted(STUDENT_95, reverse=True)
        and STUDENT_95[-1] > 1.96
    )


def test_welch_s_interval_of_equal_spreads_is_student_s():
    known = Difference(first=(11, 12, 13), second=(1, 2, 3))
    assert known.mean == 10
    assert known.reach(3) == pytest.approx(2.776 * math.sqrt(2 / 3))  # 4 degrees
    assert known.reach(12) == pytest.approx(2.074 * math.sqrt(2 / 12))  # 22
    assert known.reach(20) == pytest.approx(2.042 * math.sqrt(2 / 20))  # 38, of 30
    assert known.as_far() == (2, 20)


def test_where_only_one_model_varies_the_other_s_seeds_do_not_count():
    known = Difference(first=(5, 5, 5), second=(1, 2, 3))
    assert known.reach(3) == pytest.approx(4.303 * math.sqrt(1 / 3))  # 2 degrees
    assert known.reach(6) == pytest.approx(2.571 * math.sqrt(1 / 6))  # 5


def test_deals_are_counted_as_brute_force_counts_them():
    rng = np.random.default_rng(3)
    for sizes in ((2, 2), (3, 3), (3, 4)):
        first, second = (rng.normal(90, 3, size).tolist() for size in sizes)
        runs, far, deals = first + second, 0, 0
        gap = abs(np.mean(first) - np.mean(second))
        for chosen in combinations(range(len(runs)), len(first)):
            rest = [runs[i] for i in range(len(runs)) if i not in chosen]
            other = abs(np.mean([runs[i] for i in chosen]) - np.mean(rest))
            far, deals = far + (other >= gap - 1e-9), deals + 1
        assert Difference(first=first, second=second).as_far() == (far, deals)


def test_enough_seeds_are_the_first_whose_interval_leaves_zero():
    known = Difference(first=(90, 91, 92), second=(91, 92, 93))
    # t * sqrt(2 / n) < 1: 9 seeds give 2.120 * 0.471 = 0.9994, 8 seeds 2.145 / 2 = 1.07
    assert known.enough == 9
    assert Difference(first=(1, 2, 3), second=(1, 2, 3.9)).enough is None


RUNS = {"a": [90, 91, 92], "b": [91, 92, 93, 97], "c": [80], "d": [7, 7, 7], "e": [8, 8]}


def test_the_sentence_names_interval_chance_and_seeds():
    widget = seed_explorer(RUNS)
    assert widget.children[1].value == (
        "Measured: a minus b is -1.0 points, 95% interval -3.3 to +1.3, which contains 0: "
        "undecided. Of 20 ways to deal the runs onto two models 10 lie as far apart: "
        "p = 0.50. From 9 seeds each of this very mean and spread the interval would leave "
        "0 out."
    )
    sentence, changed = turn(widget, "seeds", 9)
    assert changed and sentence.startswith("Supposed 9 seeds that vary like those run: a")
    sentence, changed = turn(widget, "second", "d")
    assert changed and "a minus d is +84.0 points" in sentence
    assert "which does not contain 0. Of 20 ways" in sentence and "2 lie" in sentence


def test_models_that_cannot_be_compared_keep_the_picture():
    widget = seed_explorer(RUNS)
    for name, why in (
        ("a", "both models are a; choose two different ones"),
        ("c", "other has 1 results, must have at least 2"),
    ):
        sentence, changed = turn(widget, "second", name)
        assert not changed and why in sentence
    turn(widget, "second", "d")
    sentence, changed = turn(widget, "first", "e")
    assert not changed and "no spread, no interval" in sentence
    with pytest.raises(ValueError, match="runs has 1 models"):
        seed_explorer({"a": [1, 2]})


@pytest.mark.parametrize(("seeds", "supposed"), [(2, False), (3, False), (4, True)])
def test_only_as_many_seeds_as_were_run_are_called_measured(seeds, supposed):
    difference, beyond = supposed_seeds(RUNS, ("a", "b"), seeds)
    assert beyond == supposed
    assert difference.first == RUNS["a"][:seeds]
    single, interval = seeds_figure(RUNS, ("a", "b"), seeds).axes
    marks = [line for line in single.lines if line.get_linestyle() == "None"]
    assert [line.get_xdata().tolist() for line in marks] == [
        RUNS["a"][:seeds],
        RUNS["b"][:seeds],
    ]
    assert len({line.get_marker() for line in marks}) == 2
    words = [text.get_text() for text in interval.get_legend().get_texts()]
    assert ("supposed" in words) == supposed == ("measured" not in words)
    (bar,) = interval.containers
    (low, high) = bar.lines[2][0].get_segments()[0][:, 1]
    reach = difference.reach(seeds)
    assert (low, high) == pytest.approx((difference.mean - reach, difference.mean + reach))
