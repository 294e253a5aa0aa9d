"""Evaluation: what is asked, averaged, gathered and kept; by direct loops over clips."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import small_model
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from slowfast_edu.data.batches import Batch, Problem, Sample
from slowfast_edu.data.transforms import normalize
from slowfast_edu.training import metrics
from slowfast_edu.training.evaluation import Predictions, evaluate, evaluation_loader

SHAPE = (3, 16, 32, 32)  # of a clip of SMALL
WAYS = ("float32", "bytes", "views", "labels")
GONE = Problem("clip 99", "no such file")


def some_clips(count, way="float32", bad=()):
    """Samples of noise, the last one first, so that their order is not that of names."""
    samples = []
    for number in reversed(range(count)):
        draw = torch.Generator().manual_seed(number)
        shape = (3, *SHAPE) if way == "views" else SHAPE
        clip = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
        if way == "labels":
            label = (torch.rand(5, generator=draw) < 0.4).float()
        else:
            label = number % 5
        if way == "float32":
            clip = normalize(clip)
        sample = Sample(clip, label, f"clip {number}")
        samples.append(Problem(sample.name, "bad") if number in bad else sample)
    return samples


@pytest.fixture(autouse=True)
def one_thread():
    """Results differ between one and two, and these tensors are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_same(one, other, rtol=0.0):
    assert one.names == other.names and one.problems == other.problems
    assert one.labels.dtype == other.labels.dtype
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.probabilities.dtype == other.probabilities.dtype == np.float32
    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=rtol, atol=rtol)


class Scores(nn.Module):
    """Gives a clip's first numbers as scores."""

    def __init__(self, classes=3):
        super().__init__()
        self.classes, self.asked = classes, []

    def forward(self, clips):
        assert clips.is_floating_point() and torch.is_inference_mode_enabled()
        self.asked.append(len(clips))
        return clips.flatten(1)[:, : self.classes]


def scored(scores, labels, names=None):
    """Clips (B, C, T, H, W) of which ``Scores`` gives these scores."""
    scores = torch.as_tensor(scores)
    clips = torch.zeros(*scores.shape[:-1], *SHAPE)
    clips.view(*scores.shape[:-1], -1)[..., : scores.shape[-1]] = scores
    names = names or [f"clip {i}" for i in range(len(scores))]
    return Batch(clips, torch.as_tensor(labels), names, [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_clip_s_probabilities_are_those_of_a_direct_loop_over_views(way, batch_size):
    model, samples = small_model(), some_clips(4, way)
    found = evaluate(model, evaluation_loader(samples, batch_size))
    assert found.names == [f"clip {i}" for i in range(4)]
    for row, sample in enumerate(reversed(samples)):
        views = sample.clip if way == "views" else sample.clip[None]
        chances = []
        for view in views:
            view = view[None].float().div(255).sub(0.45).div(0.225)
            clip = sample.clip[None] if way == "float32" else view
            with torch.no_grad():
                scores = model(clip)[0].double().numpy()
            expected = 1 / (1 + np.exp(-scores))
            if way != "labels":
                expected = np.exp(scores) / np.exp(scores).sum()
            chances.append(expected)
        np.testing.assert_allclose(
            found.probabilities[row], np.mean(chances, axis=0), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_array_equal(found.labels[row], sample.label)
    assert found.labels.dtype == (np.float32 if way == "labels" else np.int64)
    assert found.probabilities.dtype == np.float32 and found.problems == []


def test_softmax_is_averaged_over_views_not_scores():
    batch = scored([[[3.0, 0, 0], [0, 1.0, 0]]], [1])
    e = np.e
    expected = [e**3 / (e**3 + 2) + 1 / (e + 2), 1 / (e**3 + 2) + e / (e + 2)]
    found = evaluate(Scores(), [batch]).probabilities[0]
    np.testing.assert_allclose(found[:2], np.array(expected) / 2, rtol=1e-6)


@pytest.mark.parametrize("views,passes", [(1, [2]), (10, [10, 10]), (30, [10] * 6)])
def test_views_are_asked_about_ten_at_a_time(views, passes):
    model, scores = Scores(), torch.randn(2, views, 3)
    found = evaluate(model, [scored(scores, [0, 1])])
    assert model.asked == passes
    expected = scores.softmax(dim=2).mean(dim=1)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_autocast_reaches_the_model_and_not_the_softmax(dtype):
    class Linear(nn.Linear):
        def forward(self, clips):
            scores = super().forward(clips.flatten(1)[:, :3])
            self.seen = scores.dtype
            return scores

    model = Linear(3, 4)
    found = evaluate(model, [scored([[1.0, 2, 3]], [0])], autocast_dtype=dtype)
    assert model.seen == (dtype or torch.float32)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_names_are_sorted_as_people_do_and_equal_ones_stay_in_order():
    names = ["b", "a10", "a9", "a", "a9", "a09", "٣"]
    scores = np.eye(7)
    batches = [
        scored(scores[:4], range(4), names[:4]),
        scored(scores[4:], range(4, 7), names[4:]),
    ]
    found = evaluate(Scores(7), batches)
    assert found.names == ["a", "a09", "a9", "a9", "a10", "b", "٣"]
    assert found.labels.tolist() == [3, 5, 2, 4, 1, 0, 6]
    assert found.probabilities.argmax(axis=1).tolist() == [3, 5, 2, 4, 1, 0, 6]


@pytest.mark.parametrize("kind", [tuple, list])
def test_plain_pairs_are_named_by_number(kind):
    scores = torch.randn(11, 3)
    clips, labels = scored(scores, torch.arange(11) % 3)[:2]
    pairs = [kind((clips[:4], labels[:4])), kind((clips[4:], labels[4:]))]
    found = evaluate(Scores(), pairs)
    assert found.names == [str(i) for i in range(11)]
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.probabilities, scores.softmax(dim=1), rtol=1e-6)
    loader = DataLoader(TensorDataset(clips, labels), batch_size=4)
    assert_same(evaluate(Scores(), loader), found)


@pytest.mark.parametrize(
    "labels,kept",
    [
        (torch.tensor([2, 1], dtype=torch.int32), np.int64),
        (np.array([2, 1], dtype=np.uint8), np.int64),
        ([2, 1], np.int64),
        (np.eye(3)[1:], np.float32),
    ],
)
def test_labels_of_any_width_are_taken_and_kept_in_one(labels, kept):
    clips = scored(torch.randn(2, 3), [0, 0]).clips
    found = evaluate(Scores(), [(clips, labels)]).labels
    assert found.dtype == kept
    np.testing.assert_array_equal(found, labels)


def test_problems_and_empty_batches_are_kept_and_skipped():
    samples = some_clips(6, bad=(0, 1, 5))
    found = evaluate(small_model(), evaluation_loader(samples, 2))  # the last is empty
    assert found.names == ["clip 2", "clip 3", "clip 4"]
    assert found.problems == [Problem(f"clip {i}", "bad") for i in (0, 1, 5)]
    whole = evaluate(small_model(), evaluation_loader(some_clips(6), 1))
    np.testing.assert_allclose(found.probabilities, whole.probabilities[2:5], rtol=1e-4)


class HalfFrozen(Scores):
    """Partly in eval mode, with a module that ignores train()."""

    def __init__(self):
        super().__init__()
        self.bn, self.frozen, self.drop = nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.Dropout()
        self.frozen.eval()
        self.drop.train = lambda mode=True: self.drop  # stays as it is

    def forward(self, clips):
        assert not (self.training or self.bn.training or self.frozen.training)
        return self.frozen(self.bn(super().forward(clips)))


@pytest.mark.parametrize("score", [1.0, torch.nan])
@pytest.mark.parametrize("training", [True, False])
def test_each_module_gets_its_mode_back_also_after_an_error(score, training):
    model = HalfFrozen()
    model.training = training
    before = {name: module.training for name, module in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        evaluate(model, [scored([[score, 0, 0]], [0])])
    except ValueError:
        assert score != 1
    assert {name: module.training for name, module in model.named_modules()} == before
    assert before["bn"] and not before["frozen"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_the_model_can_be_trained_afterwards_and_no_random_number_was_drawn():
    model, state = small_model().train(), torch.get_rng_state()
    evaluate(model, evaluation_loader(some_clips(1), 1))
    assert torch.equal(torch.get_rng_state(), state)
    model(some_clips(1)[0].clip[None].repeat(2, 1, 1, 1, 1)).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_model_moves_to_the_device():
    class Moved(Scores):
        def to(self, device):
            self.device = device
            return self

    model = Moved()
    evaluate(model, [scored([[1.0, 0, 0]], [0])], device="cpu")
    assert model.device == torch.device("cpu")


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("several", [False, True])
def test_an_output_that_is_not_finite_names_the_clip(wrong, several):
    labels = torch.eye(3) if several else torch.arange(3)
    batch = scored([[1.0, 0, 0], [0, wrong, 0], [0, 0, 1]], labels)
    with pytest.raises(ValueError, match="clip 1: the model's output is not finite"):
        evaluate(Scores(), [batch])


def without(batch):
    return Batch(batch.clips[:0], batch.labels[:0], [], [GONE])


@pytest.mark.parametrize(
    "batches,message",
    [
        ([], "the loader gives no clip$"),
        ([without(scored([[1.0]], [0]))], "the first clip 99: no such file"),
        ([torch.zeros(1, *SHAPE)], "gives a Tensor, must give a Batch or"),
        ([{"clip": 1}], "gives a dict.*collate_fn=collate_clips"),
        ([some_clips(1)[0]], "gives a Sample"),
        ([scored([[1.0, 0, 0]], [0, 1])], r"labels are torch.int64 of shape \(2,\) for 1"),
        ([scored([[1.0, 0, 0]], [[0, 1, 0]])], "must be whole numbers"),
        ([scored([[1.0, 0, 0]], [0.5])], "labels are torch.float32 of shape"),
        ([scored([[1.0, 0, 0]], [[0.0, 1]])], "3 classes, labels of clip 0 2"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(batches, message):
    with pytest.raises(ValueError, match=message) as caught:
        evaluate(Scores(), batches)
    assert "\n" not in str(caught.value)


def test_a_model_that_gives_features_is_refused():
    with pytest.raises(ValueError, match=r"gives \(1, 3, 16, 32, 32\), must give \(clips,"):
        evaluate(nn.Identity(), [scored([[1.0, 0, 0]], [0])])


def test_the_loader_gives_each_clip_once_and_workers_change_nothing():
    samples = some_clips(5, bad=(2,))
    loaders = [evaluation_loader(samples, 2, workers) for workers in (0, 2)]
    assert [loader.num_workers for loader in loaders] == [0, 2]
    kept = [list(loader) for loader in loaders]
    for one, other in zip(*kept, strict=True):
        assert one.names == other.names and one.problems == other.problems
        assert torch.equal(one.clips, other.clips)
    names = [name for batch in kept[0] for name in batch.names]
    assert names == [f"clip {i}" for i in (4, 3, 1, 0)]


@pytest.mark.parametrize("progress", [True, False])
def test_the_bar_is_shown_on_request(progress, capsys):
    evaluate(Scores(), [scored([[1.0, 0, 0]], [0])], progress=progress)
    out, err = capsys.readouterr()
    assert (out, "1/1" in err) == ("", progress)


def predictions(several=False):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 3).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[:3] if several else np.arange(3)
    problems = [GONE, Problem("d/ü.mp4", "cut, 'short'")]
    return Predictions(["a b.mp4", "ü/2.mp4", "日.mp4"], labels, probabilities, problems)


def test_the_summary_names_the_metrics():
    falling = np.tile(np.arange(8, 0, -1, dtype=np.float32) / 36, (8, 1))  # 8/36, 7/36, ...
    found = Predictions(list("abcdefgh"), np.arange(8), falling, []).summary()
    assert found == {
        "top1": 1 / 8,
        "top5": 5 / 8,
        "mean_class": 1 / 8,
        "calibration_error": pytest.approx(8 / 36 - 1 / 8, abs=1e-7),
    }
    assert all(type(value) is float for value in found.values())
    several = predictions(several=True)
    expected = metrics.mean_average_precision(several.probabilities, several.labels)
    assert several.summary() == {"mean_average_precision": expected}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("problems", [True, False])
def test_what_was_saved_is_loaded(tmp_path, several, problems):
    saved = predictions(several)
    saved = saved if problems else replace(saved, problems=[])
    path = saved.save(tmp_path / "of run 1.npz")
    assert os.listdir(tmp_path) == ["of run 1.npz"]
    loaded = Predictions.load(path)
    assert_same(loaded, saved)
    assert all(type(name) is str for name in loaded.names)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a.csv must end in .npz: a.npz"):
        predictions().save(tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


def test_a_failed_write_keeps_the_file_before(tmp_path, monkeypatch):
    path = predictions().save(tmp_path / "a.npz")
    before = path.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        predictions(several=True).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


def test_damage_is_noticed_wherever_it_is(tmp_path):
    """Some bytes of a zip file say nothing; all others are covered by check sums."""
    saved, path = predictions(), tmp_path / "a.npz"
    content = saved.save(path).read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"a.npz: damaged, or not saved by"):
            Predictions.load(path)
    noticed, places = 0, range(0, len(content), 3)
    for place in places:
        changed = bytes([content[place] ^ 16])
        path.write_bytes(content[:place] + changed + content[place + 1 :])
        try:
            assert_same(Predictions.load(path), saved)
        except ValueError as error:
            assert str(error).startswith(f"{path}: damaged, or not saved by")
            noticed += 1
    assert noticed > 0.7 * len(places)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    one = predictions()
    known = {"names": one.names, "labels": one.labels, "problems": np.zeros((0, 2), str)}
    for content in (
        {"clips": np.zeros(3)},
        known,
        {**known, "probabilities": one.probabilities[:2]},
        {**known, "probabilities": one.probabilities, "names": np.array([None] * 3)},
    ):
        np.savez(path, **content)
        with pytest.raises(ValueError, match=r"not saved by Predictions\.save"):
            Predictions.load(path)
    torch.save({"a": 1}, path)
    with pytest.raises(ValueError, match=r"not saved by Predictions\.save"):
        Predictions.load(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(ValueError, match=r"not saved by Predictions\.save"):
        Predictions.load(path.with_suffix(".npy"))
    with pytest.raises(FileNotFoundError):
        Predictions.load(tmp_path / "gone.npz")


CASES = {  # two processes: shares of 3 and 2, of 1 and 0, with problems, of views
    "uneven": some_clips(5),
    "one": some_clips(1),
    "problems": some_clips(5, bad=(0, 1, 4)),
    "labels": some_clips(12, "labels"),
    "views": some_clips(3, "views"),
    "same name": [sample._replace(name="a") for sample in some_clips(5)],
}

# As torchrun starts them, but out of one process that has imported everything.
TWO_PROCESSES = """
import sys
from pathlib import Path
import pytest
import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from helpers import small_model
from test_evaluation import CASES, GONE
from torch.nn.parallel import DistributedDataParallel
from slowfast_edu.training.distributed import process_group, rank, world_size
from slowfast_edu.training.evaluation import evaluate, evaluation_loader

def work(folder):
    with process_group():
        evaluate_all(folder)


def evaluate_all(folder):
    assert world_size() == 2
    model = small_model()
    for name, samples in CASES.items():
        if name == "uneven":  # the wrapper would wait for a pass that never comes
            wrapped = DistributedDataParallel(model)
            wrapped.forward = None  # so it must not be called
            found = evaluate(wrapped, evaluation_loader(samples, 1), device="cpu")
        else:
            found = evaluate(model, evaluation_loader(samples, 1), device="cpu")
        found.save(Path(folder) / f"{name} {rank()}.npz")
    clips = torch.stack([sample.clip for sample in CASES["uneven"][rank()::2]])
    pairs = [(clips, [0, 1, 2][rank():])]
    assert evaluate(model, pairs, device="cpu").names == list("01234")
    with pytest.raises(ValueError, match="all 1 are problems, the first clip 99"):
        evaluate(model, evaluation_loader([GONE], 1), device="cpu")


torch.set_num_threads(1)
two = {"min_nodes": 1, "max_nodes": 1, "nproc_per_node": 2, "start_method": "fork"}
place = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "two"}
elastic_launch(LaunchConfig(**two, **place), work)(sys.argv[1])
"""


def test_two_processes_say_the_same_as_one_bit_for_bit(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    command = [sys.executable, str(script), str(tmp_path)]
    folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    run = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    model = small_model()
    for name, samples in CASES.items():
        alone = evaluate(model, evaluation_loader(samples, 1), device="cpu")
        for rank in (0, 1):
            assert_same(Predictions.load(tmp_path / f"{name} {rank}.npz"), alone)
