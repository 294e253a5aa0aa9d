"""Several labels a clip: a list of them, training, the maximum over views, mAP."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from test_evaluation import Scores, scored
from training_script import one_thread

from slowfast_edu import cli
from slowfast_edu.checkpoints import About, load_model
from slowfast_edu.cli import clips as cli_clips
from slowfast_edu.cli import main
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.annotations import Annotations, LabelledVideo, labels_csv
from slowfast_edu.data.batches import collate_clips
from slowfast_edu.data.datasets import VideoClips, VideoViews
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import ACTIONS, Crowd, MovingFigures
from slowfast_edu.data.formats import detect_format, read_annotations
from slowfast_edu.data.lines import AnnotationError
from slowfast_edu.data.transforms import EvalTransform, TrainTransform
from slowfast_edu.training import Predictions, evaluate

CLIP = ClipConfig(T=2, tau=4, alpha=2)
LIST = "path,labels\na.mp4,wave;clap\nb/c.mp4,\nb/d.mp4, clap ; clap\n"


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


# The list


def test_a_list_gives_each_video_its_labels_sorted_and_once(tmp_path):
    path = write(tmp_path / "list.csv", LIST)
    found = labels_csv(path)
    assert found == read_annotations(path) == read_annotations(path, "labels", tmp_path)
    assert detect_format(path) == "labels"
    assert found.root == tmp_path and found.classes == ("clap", "wave")
    assert [tuple(v) for v in found.videos] == [
        ("a.mp4", (0, 1)),
        ("b/c.mp4", ()),
        ("b/d.mp4", (0,)),
    ]
    assert found.several_labels


def test_other_columns_are_passed_over_and_given_classes_keep_their_places(tmp_path):
    text = "labels,seconds,path\nwave,3,a.mp4\nclap;wave,2,b c.mp4\n"
    found = labels_csv(write(tmp_path / "list.csv", text), "/videos", ["wave", "x", "clap"])
    assert [v.label for v in found.videos] == [(0,), (0, 2)]
    assert found.classes == ("wave", "x", "clap") and str(found.root) == "/videos"
    assert [v.name for v in found.videos] == ["a.mp4", "b c.mp4"]


@pytest.mark.parametrize(
    "text,problem",
    [
        ("path,labels\n", ": lists no video"),
        ("path,label\na.mp4,wave\n", ", line 1: misses the column 'labels'"),
        ("path,labels\na.mp4,\n", ": no video has a label; column 'labels': clap;wave"),
        ("path,labels\na.mp4,wave,clap\n", ", line 2: has 3 columns, but the header 2"),
        ("path,labels\na.mp4,wave;\n", ", line 2: path='a.mp4' and labels='wave;' must be"),
        ("path,labels\n,wave\n", ", line 2: path='' and labels='wave' must be: 1.mp4,clap"),
        ("path,labels\na.mp4,wave\na.mp4,clap\n", ", line 3: repeats 'a.mp4' of line 2"),
        ("path,labels\n../a.mp4,wave\n", ", line 2: .* does not lie below the root"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, problem):
    with pytest.raises(AnnotationError, match=rf"list\.csv{problem}"):
        labels_csv(write(tmp_path / "list.csv", text))


def test_a_name_that_training_did_not_have_is_refused_with_the_nearest(tmp_path):
    path = write(tmp_path / "val.csv", "path,labels\na.mp4,wave\nb.mp4,clap;wvae\n")
    with pytest.raises(AnnotationError, match=r"line 3: 'wvae' is none of the 2 classes; "):
        labels_csv(path, classes=["clap", "wave"])
    with pytest.raises(AnnotationError, match=r"the nearest is 'wave'$"):
        labels_csv(path, classes=["clap", "wave"])
    with pytest.raises(AnnotationError, match=r"'wave' is none of the 1 classes$"):
        labels_csv(path, classes=["jump"])


# Samples


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Eight encoded crowds with a list of what they do, and a broken file."""
    root = tmp_path_factory.mktemp("crowds")
    figures = MovingFigures(Crowd(), 8, ClipConfig(T=4, tau=16, alpha=4), size=48)
    lines = ["path,labels"]
    for index in range(8):
        scene = figures.render(index, np.arange(70))
        write_video(scene.frames, root / f"{index}.mp4")
        lines.append(f"{index}.mp4,{';'.join(sorted(named(ACTIONS, scene.label)))}")
    write(root / "list.csv", "\n".join(lines))
    return root, figures


def test_decoded_clips_and_views_carry_a_1_for_each_label(videos):
    root, figures = videos
    listed = labels_csv(root / "list.csv", classes=tuple(ACTIONS))
    transform = TrainTransform(size=32, least=32, most=36)
    train = VideoClips(listed, CLIP, transform=transform)
    test = VideoViews(listed, CLIP, clips=3, transform=EvalTransform(size=32, crops=1))
    for index in range(8):
        expected = torch.from_numpy(figures.scene(index).label)
        for sample in (train[index], test[index]):
            assert sample.label.dtype == torch.float32
            assert torch.equal(sample.label, expected)
    batch = collate_clips([test[0], test[1]])
    assert batch.clips.shape == (2, 3, 3, 4, 32, 32) and batch.labels.shape == (2, 10)


def test_labels_of_two_kinds_or_out_of_range_are_refused(tmp_path):
    def listed(*labels):
        videos = [LabelledVideo(f"{i}.mp4", label) for i, label in enumerate(labels)]
        return Annotations(tmp_path, ("a", "b"), tuple(videos))

    with pytest.raises(ValueError, match=r"1.mp4 has label=1; give a tuple to all videos"):
        VideoClips(listed((0,), 1), CLIP)
    with pytest.raises(ValueError, match=r"1.mp4 has label=\(0, 2\), must be 0 to 1"):
        VideoViews(listed((0,), (0, 2)), CLIP)


def test_a_flip_that_would_change_labels_is_refused_for_several(videos):
    listed = labels_csv(videos[0] / "list.csv")
    mirror = (1, 0, *range(2, len(listed.classes)))
    transform = TrainTransform(size=32, least=32, most=32, flipped_labels=mirror)
    with pytest.raises(ValueError, match="labels of shape"):
        VideoClips(listed, CLIP, transform=transform)[0]


# Evaluation


def test_of_several_labels_the_highest_sigmoid_of_all_views_counts():
    scores = [[[3.0, -1, 0], [-2, -1, 5], [0, -4, 0]], [[0.0, 0, 0]] * 3]
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    found = evaluate(Scores(), [scored(scores, labels)])
    expected = 1 / (1 + np.exp(-np.array([[3.0, -1, 5], [0, 0, 0]])))
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-6)
    one = evaluate(Scores(), [scored(scores, [0, 1])])  # of one label: the mean of softmax
    softmax = F.softmax(torch.tensor(scores), dim=2).mean(dim=1)
    np.testing.assert_allclose(one.probabilities, softmax, rtol=1e-6)


@pytest.mark.parametrize("views", [1, 12])  # more than are asked at once
def test_the_summary_is_scikit_learn_s_map_of_the_maximum(views):
    random = np.random.default_rng(views)
    scores = torch.from_numpy(random.normal(size=(40, views, 6)).astype(np.float32))
    labels = torch.from_numpy((random.random((40, 6)) < 0.3).astype(np.float32))
    found = evaluate(Scores(6), [scored(scores, labels)]).summary()
    expected = average_precision_score(labels, scores.amax(dim=1), average="macro")
    assert found == {"mean_average_precision": pytest.approx(expected, abs=1e-6)}


# The command


SMALL = ["--preset", "slowfast_tiny", "--size", "32", "--batch", "4", "--workers", "0"]
ONCE = ["--epochs", "1", "--set", "bn_clips=4", "precise_bn_batches=0"]


def named(classes, row):
    return {name for name, there in zip(classes, row, strict=True) if there}


def run(*arguments):
    return main(["train", *SMALL, *map(str, arguments)])


def test_it_trains_on_a_list_of_several_labels(videos, tmp_path, capsys):
    root, figures = videos
    lists = ["--data", root / "list.csv", "--val", root / "list.csv", "--views", "2x3"]
    assert run(*lists, *ONCE, "--output", tmp_path / "run") == 0
    found = Predictions.load(tmp_path / "run" / "predictions.npz")
    classes = labels_csv(root / "list.csv").classes
    for index, row in enumerate(found.labels):
        assert named(classes, row) == named(ACTIONS, figures.scene(index).label)
    expected = average_precision_score(found.labels, found.probabilities, average="macro")
    name, value = capsys.readouterr().out.splitlines()[-1].split()
    assert name == "mean_average_precision"
    assert float(value) == pytest.approx(expected, abs=1e-4)
    about = load_model(tmp_path / "run" / "final.safetensors").about
    assert about == About(classes=classes, size=37, several_labels=True)


def test_it_trains_on_rendered_crowds_with_views(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli_clips, "VAL_FIGURES", 4)
    monkeypatch.setattr(cli_clips, "TEST_FIGURES", 12)
    options = ["--clips", 8, "--views", "3x1", "--output", tmp_path / "run"]
    assert run("--data", "figures:crowd", *options, *ONCE) == 0
    found = Predictions.load(tmp_path / "run" / "predictions.npz")
    unseen = MovingFigures(
        Crowd(), 12, ClipConfig(T=4, tau=16, alpha=4), size=32, split="test"
    )
    np.testing.assert_array_equal(found.labels, [unseen[i].label for i in range(12)])
    assert "mean_average_precision" in capsys.readouterr().out
    about = load_model(tmp_path / "run" / "final.safetensors").about
    assert about == About(
        classes=tuple(ACTIONS), size=32, frames_per_second=30, several_labels=True
    )


def test_one_label_and_several_do_not_mix(videos, tmp_path, capsys):
    root, _ = videos
    write(tmp_path / "val.csv", "".join(f"{i}.mp4 {i % 2}\n" for i in range(4)))
    lists = ["--data", root / "list.csv", "--val", tmp_path / "val.csv", "--root", root]
    assert run(*lists, *ONCE) == 1
    assert "must be of one kind: a label a video, or several" in capsys.readouterr().err


def test_inspect_counts_each_label(videos, capsys):
    root, figures = videos
    assert cli.main(["inspect", str(root / "list.csv"), "--preset", "slowfast_tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "format: labels"
    labels = sum(figures.scene(index).label for index in range(8))
    counts = {name: int(n) for name, n in zip(ACTIONS, labels, strict=True) if n}
    printed = dict(line.split() for line in lines[4 : 4 + len(counts)])
    assert {name: int(number) for name, number in printed.items()} == counts
