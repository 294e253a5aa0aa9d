"""The claims ledger: every mean from its runs, every run from its seed, nothing lost."""

import json
import math
import re
import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import scipy.stats
import torch

import slowfast_edu.claims.running as running
from slowfast_edu.analysis import closed_form_macs
from slowfast_edu.analysis.seeds import STUDENT_95, difference_interval, permutation_p
from slowfast_edu.claims import CLAIMS, RUNS, Data, Run, kept_runs, ledger_rows, read_ledger
from slowfast_edu.claims.comparing import differing_settings, results, settings
from slowfast_edu.claims.ledger import COLUMNS, as_csv, as_text
from slowfast_edu.claims.running import execute, run_all
from slowfast_edu.cli import main
from slowfast_edu.data.figures import Actions, FigureViews, MovingFigures
from slowfast_edu.training import Schedule, loop

ROOT = Path(running.__file__).parent.parent
RECORDS = kept_runs()
LEDGER = read_ledger()
PAPER_TABLE_5 = ROOT / "results" / "paper_ablations.csv"


def tiny(name="slow", **changes):
    """A run of two seconds."""
    run = RUNS["actions", "slow"]
    data = Data(task=Actions(style="bright"), size=32, train=32, val=7, test=20, **changes)
    schedule = Schedule(
        epochs=2, warmup_epochs=1, base_rate=0.05, base_batch=16, warmup_rate=0.005
    )
    recipe = replace(run.recipe, schedule=schedule, precise_bn_batches=1)
    return Run(name=name, data=data, model=replace(run.model, width=4), recipe=recipe)


def row_of(claim, model):
    return next(r for r in LEDGER if claim in r["claim"] and r["model"] == model)


def mean(task, model, metric="top1"):
    """In percent, of the ledger."""
    rows = [
        r for r in LEDGER if (r["task"], r["model"], r["metric"]) == (task, model, metric)
    ]
    assert rows, (task, model)
    assert len({r["ours_mean"] for r in rows}) == 1
    return float(rows[0]["ours_mean"])


def test_every_claim_s_models_are_runs():
    asked = {(claim.task, model) for claim in CLAIMS for model in claim.models}
    assert asked == set(RUNS)


def test_a_run_s_name_says_what_differs():
    base = RUNS["actions", "slowfast"].model
    assert RUNS["actions", "slowfast_beta_1_8"].model == replace(base, beta=1 / 8)
    assert RUNS["actions", "slowfast_no_lateral"].model == replace(base, fusion="none")
    assert RUNS["actions", "slow_8x8"].model.clip.fast_frames == 32
    assert RUNS["actions", "slowfast_no_warmup"].recipe.schedule.warmup_epochs == 0
    assert RUNS["actions", "slowfast_dropout"].recipe.dropout == 0.5
    binding = [run for (task, name), run in RUNS.items() if task == "binding"]
    two = [run.model for run in binding if run.model.pathways != "slow"]
    assert {model.fast_input for model in two} == {"gray"}
    for task in ("spin", "hue", "binding", "actions"):  # all see the same seconds
        spans = {
            run.model.clip.raw_frames for (name, _), run in RUNS.items() if name == task
        }
        assert len(spans) == 1


def test_figures_of_the_paper_are_those_of_its_tables():
    lines = PAPER_TABLE_5.read_text(encoding="utf-8").splitlines()
    printed = {tuple(line.split(",")[:2]): line for line in lines}

    def table(letter, *words):
        found = [v for v in lines if v.startswith(letter) and all(w in v for w in words)]
        assert len(found) == 1, found
        return next(cell for cell in found[0].split(",") if cell.replace(".", "").isdigit())

    assert printed
    expected = {
        ("two pathways", "slow"): table("5a", "Slow-only"),
        ("two pathways", "fast"): table("5a", "Fast-only"),
        ("fusion", "slowfast_no_lateral"): table("5a", "no lateral"),
        ("fusion", "slowfast_ttoc_sum"): table("5a", "sum"),
        ("fusion", "slowfast_ttoc_concat"): table("5a", "concat"),
        ("fusion", "slowfast_t_sample"): table("5a", "T-sample"),
        ("fusion", "slowfast"): table("5a", "T-conv"),
        ("beta", "slowfast_beta_1_8"): table("5b", "beta=1/8"),
        ("beta", "slowfast_beta_1_16"): table("5b", "beta=1/16"),
        ("Fast input", "slowfast_gray"): table("5c", "gray"),
        ("Fast input", "slowfast_half"): table("5c", "half"),
        ("Fast input", "slowfast_time_difference"): table("5c", "time diff"),
    }
    assert {key: row_of(*key)["paper"] for key in expected} == expected
    assert all(r["paper"] == "" for r in LEDGER if r["kind"] == "mechanism")


def test_a_row_is_mean_and_deviation_of_its_seeds():
    runs = [
        {
            "task": "spin",
            "model": "fast",
            "top1": top1,
            "epochs": 8,
            "cpu_seconds": seconds,
            "machine": "m",
        }
        for top1, seconds in ((0.5, 10), (0.7, 20), (0.9, 60))
    ]
    (row,) = ledger_rows(runs, "the command")
    assert tuple(row) == COLUMNS
    assert (row["claim"], row["kind"]) == ("only Fast sees the turn", "mechanism")
    assert (row["ours_mean"], row["ours_std"]) == ("70.00", "20.00")  # of a sample
    assert (row["seeds"], row["epochs"], row["cpu_seconds"]) == ("3", "8", "30")
    (single,) = ledger_rows(runs[:1], "the command")
    assert (single["ours_mean"], single["ours_std"]) == ("50.00", "")
    assert ledger_rows([], "the command") == []


def test_every_kept_mean_can_be_recomputed_from_the_runs():
    for row in LEDGER:
        found = [
            r for r in RECORDS if (r["task"], r["model"]) == (row["task"], row["model"])
        ]
        values = [100 * r[row["metric"]] for r in found]
        assert f"{np.mean(values):.2f}" == row["ours_mean"]
        assert f"{np.std(values, ddof=1):.2f}" == row["ours_std"]
        assert str(len(found)) == row["seeds"] and int(row["seeds"]) >= 3
        assert sorted(r["seed"] for r in found) == list(range(len(found)))
        seconds = statistics.fmean(r["cpu_seconds"] for r in found)
        assert f"{seconds:.0f}" == row["cpu_seconds"]


def test_the_kept_table_is_what_the_runs_give_in_order_and_whole():
    command = "slowfast-edu claims --full"
    kept = (ROOT / "results" / "claims.csv").read_text(encoding="utf-8")
    assert as_csv(ledger_rows(RECORDS, command)) == kept
    assert len(LEDGER) == sum(len(claim.models) for claim in CLAIMS)


def test_kept_runs_are_of_today_s_settings():
    for record in RECORDS:
        run = RUNS[record["task"], record["model"]]
        assert record["config"] == repr(run.model)
        assert record["data"] == repr(run.data)
        assert record["recipe"] == repr(run.recipe)
        epochs = run.recipe.schedule.epochs
        assert [row["epoch"] for row in record["curve"]] == list(range(1, epochs + 1))


def test_every_run_is_short_enough_for_a_laptop():
    assert max(record["cpu_seconds"] for record in RECORDS) <= 240


def test_what_the_mechanisms_must_reach():
    assert mean("spin", "slow") <= 32
    assert mean("spin", "fast") >= 95
    assert mean("spin", "slowfast") >= 97
    assert mean("hue", "slow") >= 95
    assert mean("hue", "fast_gray") <= 25 + 5  # four hues
    assert mean("hue", "fast_rgb") >= 85
    assert mean("binding", "slowfast_t_conv") >= 90
    assert mean("binding", "slowfast_no_lateral") <= 60
    epochs = {r["epochs"] for r in LEDGER if r["task"] == "binding"}
    assert len(epochs) == 1  # compared at equal length


def test_a_run_tests_once_at_the_end_and_gives_its_curve():
    record = execute(tiny(views=2), seed=3)
    assert [row["epoch"] for row in record["curve"]] == [1, 2]
    assert {"train_loss", "train_top1", "val_top1"} < set(record["curve"][0])
    assert 0 <= record["top1"] <= 1 and 0 <= record["top1_views"] <= 1
    assert record["top1"] * 20 == pytest.approx(round(record["top1"] * 20))  # of 20 clips
    assert (record["seed"], record["epochs"], record["task"]) == (3, 2, "actions")
    assert json.loads(json.dumps(record)) == record


def test_another_test_seed_gives_other_test_clips_and_no_others():
    clip = tiny().model.clip
    for split in ("train", "val", "test"):
        one, other = (
            running._rendered(tiny(test_seed=seed).data, clip, split) for seed in (0, 1)
        )
        same = all(torch.equal(one[i].clip, other[i].clip) for i in range(len(one)))
        assert same == (split != "test")
        assert len(one) == len(other) == {"train": 32, "val": 7, "test": 20}[split]


def test_a_run_validates_on_its_validation_clips_and_is_tested_on_the_others(monkeypatch):
    """Of which three of seven and one of twenty are right here, whatever the model."""
    asked = []

    def found(model, loader, **_):
        asked.append(len(loader.dataset))
        return SimpleNamespace(summary=lambda: {"top1": {7: 3 / 7, 20: 1 / 20}[asked[-1]]})

    monkeypatch.setattr(loop, "evaluate", found)
    monkeypatch.setattr(running, "evaluate", found)
    record = execute(tiny(), seed=0)
    assert [row["val_top1"] for row in record["curve"]] == [3 / 7, 3 / 7]
    assert record["top1"] == 1 / 20 and asked == [7, 7, 20]


def test_a_seed_is_of_order_and_dropout_too(monkeypatch):
    def look(model, loader, epochs, *, execution, **_):
        raise StopIteration(loader.batch_sampler.seed, execution.seed)

    monkeypatch.setattr(running, "train_slowfast", look)
    with pytest.raises(StopIteration) as seeds:
        execute(tiny(), seed=5)
    assert seeds.value.args == (5, 5)


def test_a_run_is_the_same_again_and_another_seed_is_another_run():
    first, again, other = (execute(tiny(), seed) for seed in (0, 0, 1))
    timeless = [{k: v for k, v in r.items() if k != "cpu_seconds"} for r in (first, again)]
    assert timeless[0] == timeless[1]
    losses = [[row["train_loss"] for row in r["curve"]] for r in (first, other)]
    assert losses[0] != losses[1]


def test_runs_are_kept_one_by_one_and_only_missing_ones_are_made(tmp_path, monkeypatch):
    runs = [tiny(), replace(tiny("other"), recipe=replace(tiny().recipe, dropout=0.5))]
    records = run_all(runs, range(1), tmp_path, processes=1)
    assert [record["model"] for record in records] == ["slow", "other"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"actions-slow-0.json", "actions-other-0.json"}

    monkeypatch.setattr(running, "ProcessPoolExecutor", Refuses)
    assert run_all(runs, range(1), tmp_path) == records  # nothing left to train
    (tmp_path / "actions-other-0.json").write_text('{"damaged')
    with pytest.raises(RuntimeError, match="other"):
        run_all(runs, range(1), tmp_path)
    for change in (
        {"model": replace(tiny().model, width=8)},
        {"data": replace(tiny().data, test_seed=1)},
        {"recipe": replace(tiny().recipe, momentum=0.8)},
    ):
        with pytest.raises(RuntimeError, match="slow"):
            run_all([replace(tiny(), **change)], range(1), tmp_path)
    monkeypatch.setattr(running, "machine", lambda: "another")
    with pytest.raises(RuntimeError, match="slow"):
        run_all([tiny()], range(1), tmp_path)


class Refuses:
    """A pool in which no run may start."""

    def __init__(self, *_arguments, **_settings):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def submit(self, _work, run, *_rest):
        raise RuntimeError(run.name)

    def shutdown(self, **_settings):
        pass


def test_a_folder_that_cannot_be_written_to_is_told_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["claims", "--folder", str(tmp_path / "file" / "runs")]) == 1
    assert "cannot be written to" in capsys.readouterr().err


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """Results in another folder, and runs that take no time."""
    asked = []

    def at_once(runs, seeds, folder, processes):
        asked.append(([(run.task, run.name) for run in runs], list(seeds)))
        wanted = set(asked[-1][0])
        return [
            r for r in RECORDS if (r["task"], r["model"]) in wanted and r["seed"] in seeds
        ]

    monkeypatch.setattr(running, "run_all", at_once)
    monkeypatch.setattr("slowfast_edu.cli.claims.files", lambda _package: tmp_path)
    return tmp_path, asked


def test_quick_is_one_seed_of_the_first_claims_and_keeps_nothing(recorded, capsys):
    folder, asked = recorded
    assert main(["claims", "--quick"]) == 0
    names, seeds = asked[0]
    assert seeds == [0] and {task for task, _ in names} == {
        "spin",
        "hue",
        "binding",
        "actions",
    }
    assert len(names) < len(RUNS) / 2
    assert list(folder.iterdir()) == []
    assert "only Fast sees the turn" in capsys.readouterr().out


def test_full_keeps_the_table_and_the_runs(recorded):
    folder, asked = recorded
    assert main(["claims", "--full"]) == 0
    assert (set(asked[0][0]), asked[0][1]) == (set(RUNS), [0, 1, 2])
    for name in ("claims.csv", "claims_runs.jsonl"):
        kept = (ROOT / "results" / name).read_bytes()
        assert (folder / name).read_bytes() == kept


def test_one_task_alone_keeps_nothing(recorded):
    folder, asked = recorded
    assert main(["claims", "--full", "--only", "hue"]) == 0
    assert {task for task, _ in asked[0][0]} == {"hue"}
    assert list(folder.iterdir()) == []


def test_an_unknown_task_is_refused(capsys):
    assert main(["claims", "--only", "blue"]) == 1
    message = capsys.readouterr().err
    assert "--only='blue'" in message and "'binding'" in message


def test_the_printed_table_has_a_line_a_row():
    lines = as_text(LEDGER).splitlines()
    assert len(lines) == len(LEDGER) + 1
    paper = next(i for i, row in enumerate(LEDGER) if row["paper"] and row["ours_std"])
    told = [LEDGER[paper][n] for n in ("metric", "paper", "ours_mean", "ours_std", "seeds")]
    assert lines[1 + paper].split()[-6:-1] == told
    assert lines[0].split()[-7:-2] == ["metric", "paper", "ours", "std", "seeds"]
    assert lines[1].split()[-3:] == [LEDGER[0]["ours_std"], "3", LEDGER[0]["cpu_seconds"]]


def test_views_are_clips_of_the_same_video_from_first_to_last():
    figures = MovingFigures(Actions(), 10, RUNS["actions", "slow"].model.clip, size=32)
    views = FigureViews(figures, views=3, video_frames=124)
    sample = views[4]
    assert sample.clip.shape == (3, 3, 16, 32, 32) and len(views) == 10
    assert (sample.label, sample.name) == (figures[4].label, "train/4")
    for view, start in zip(sample.clip, (0, 30, 60), strict=True):  # 124 - 64 = 60
        frames = figures.render(4, np.arange(start, start + 64, 4)).frames
        assert np.array_equal(view.permute(1, 2, 3, 0).numpy(), frames)
    assert np.array_equal(sample.clip[0], figures[4].clip)


# Comparing two models: slowfast_edu/claims/comparing.py.

PAIRS = [  # with what each changes
    ("binding", "slowfast_t_conv", "slowfast_no_lateral", ("t_conv", "none")),
    ("actions", "slowfast", "slow", ("slowfast", "slow")),
    ("crowd", "slow", "slowfast", ("slow", "slowfast")),
]


def both_results(task, one, other):
    metric = "frame_map" if task == "crowd" else "top1"
    return results(task, one, metric), results(task, other, metric)


def test_results_are_percents_in_the_order_of_seeds():
    assert results("actions", "slow") == pytest.approx([93.85, 93.3, 93.3])
    four = [96.15, 96.35, 96.1]  # of the same networks, four clips a video
    assert results("actions", "slow", "top1_views") == pytest.approx(four)


def test_results_that_nobody_measured_are_refused():
    with pytest.raises(ValueError, match="model='slow', metric='top1': no kept run"):
        results("crowd", "slow")


@pytest.mark.parametrize("task, one, other, values", PAIRS)
def test_fair_comparisons_of_the_ledger_differ_in_one_setting(task, one, other, values):
    changed = differing_settings(RUNS[task, one], RUNS[task, other])
    assert list(changed.values()) == [values]


def test_settings_are_told_apart_wherever_they_are():
    four, eight = RUNS["actions", "slow"], RUNS["actions", "slow_8x8"]
    assert differing_settings(four, eight) == {
        "model.clip.T": (4, 8),
        "model.clip.tau": (16, 8),
    }
    assert differing_settings(four, four) == {}
    spin_only = differing_settings(RUNS["actions", "fast"], RUNS["spin", "fast"])
    assert spin_only["data.task"] == ("Actions", "Spin")
    assert spin_only["data.task.marked"] == (None, True)  # only one of them has it
    assert spin_only["recipe.schedule.epochs"] == (8, 10)


def test_every_field_of_a_run_is_compared():
    flat = {name.rsplit(".", 1)[-1] for name in settings(RUNS["spin", "slow"])}
    record = RECORDS[0]["config"] + RECORDS[0]["recipe"]  # reprs name all fields
    assert set(re.findall(r"(\w+)=", record)) - {"clip", "schedule", "augmentation"} <= flat


@pytest.mark.parametrize("size", range(2, 7))
def test_nothing_is_rarer_than_two_deals(size):
    """The limit that notebook 09 prints: 2 of C(2n, n), whatever the numbers are."""
    apart = permutation_p([100.0] * size, range(size))
    assert apart == pytest.approx(2 / math.comb(2 * size, size))


@pytest.mark.parametrize("one, other", [(3, 3), (2, 5), (4, 3), (2, 6)])
def test_permutations_agree_with_scipy(one, other):
    rng = np.random.default_rng(10 * one + other)
    groups = rng.normal(size=one), rng.normal(1, 2, size=other)
    found = scipy.stats.permutation_test(
        groups, lambda a, b: abs(np.mean(a) - np.mean(b)), alternative="greater"
    )
    assert permutation_p(*groups) == pytest.approx(found.pvalue)


def test_equal_runs_are_still_two_runs():
    """By hand: of 6 deals of 1, 1, 2, 2 two are as far apart as 1, 1 and 2, 2."""
    assert permutation_p([1, 1], [2, 2]) == pytest.approx(2 / 6)
    assert permutation_p([1, 2], [1, 2]) == 1


@pytest.mark.parametrize("task, one, other, _", PAIRS[1:])
def test_intervals_agree_with_scipy_but_for_whole_degrees_of_freedom(task, one, other, _):
    groups = both_results(task, one, other)
    peer = scipy.stats.ttest_ind(*groups, equal_var=False)
    points, low, high = difference_interval(*groups)
    assert points == pytest.approx(np.mean(groups[0]) - np.mean(groups[1]))
    doubt = points / peer.statistic
    wanted = scipy.stats.t.ppf(0.975, int(peer.df + 1e-9)) * doubt
    assert (high - points, points - low) == pytest.approx((wanted, wanted), rel=1e-3)
    theirs = peer.confidence_interval()
    assert low <= theirs.low + 1e-9 and theirs.high - 1e-9 <= high


def test_the_table_is_students():
    wanted = [scipy.stats.t.ppf(0.975, free) for free in range(1, len(STUDENT_95) + 1)]
    assert pytest.approx(wanted, abs=5e-4) == STUDENT_95


def test_many_runs_take_the_last_row_of_the_table():
    rng = np.random.default_rng(0)
    groups = rng.normal(size=40), rng.normal(size=40)
    low, high = difference_interval(*groups)[1:]
    peer = scipy.stats.ttest_ind(*groups, equal_var=False).confidence_interval()
    assert low < peer.low and peer.high < high
    assert high - low < 1.15 * (peer.high - peer.low)


@pytest.mark.parametrize(
    "one, other, message",
    [
        ([], [1], "one has 0 results, must have at least"),
        ([1, 2], [3], "other has 1 results, must have at least 2; train with more"),
        ([3, 3], [3, 3], "no two results that differ"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(one, other, message):
    with pytest.raises(ValueError, match=message):
        difference_interval(one, other)
    if not one:
        with pytest.raises(ValueError, match=message):
            permutation_p(one, other)


def test_figures_quoted_in_notebook_09_are_recomputed():
    """Each figure of the two worked pages, formatted as it is written there."""
    path = ROOT.parent / "notebooks" / "09_capstone.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    solved = difference_interval(*both_results("binding", *PAIRS[0][1:3]))
    order = difference_interval(*both_results("actions", "slowfast", "slow"))
    spreads = [statistics.stdev(results("actions", name)) for name in ("slow", "slowfast")]
    ten = scipy.stats.t.ppf(0.975, 9) * math.hypot(*spreads) / math.sqrt(10)
    costs = {  # MMACs of a clip
        (task, name): closed_form_macs(RUNS[task, name].model, RUNS[task, name].data.size)
        / 1e6
        for task, name in RUNS
    }
    narrow = difference_interval(*both_results("actions", "slowfast_beta_1_16", "slowfast"))
    fives = (narrow.high - narrow.points) * (2.447 / 3.182) * math.sqrt(3 / 5)
    assert round(fives) == 3  # "about three points either way", t of 6 degrees, not 3
    bound, free = (costs["binding", f"slowfast_{n}"] for n in ("t_conv", "no_lateral"))
    quoted = [
        f"is {solved.points:.1f} points, 95% from {solved.low:.1f} to {solved.high:.1f}",
        f"is −{-order.points:.1f} points, 95% from −{-order.low:.1f} to +{order.high:.1f}",
        f"about ±{ten:.1f}",
        f"{bound:.1f} against {free:.1f} MMACs",
        f"(a success rate of {0.05 ** (1 / 3):.0%} would",
        f"are {-order.points / 100 * 2000:.0f} clips",
        f"({costs['actions', 'slowfast'] / costs['actions', 'slow']:.1f} times, section 4)",
        f"Four can give {2 / math.comb(8, 4):.3f}, five {2 / math.comb(10, 5):.4f}",
    ]
    for task, one, other, metric in (
        ("actions", "slowfast_no_lateral", "slowfast", "top1"),
        ("crowd", "slowfast", "slow", "frame_map"),
    ):
        means = (statistics.fmean(results(task, n, metric)) for n in (one, other))
        quoted.append("{:.1f} against {:.1f}".format(*means))
    assert [figure for figure in quoted if figure not in text] == []
