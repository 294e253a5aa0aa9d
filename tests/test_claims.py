"""The claims ledger: every mean from its runs, every run from its seed, nothing lost."""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import slowfast_edu.claims.running as running
from slowfast_edu.claims import CLAIMS, RUNS, Data, Run, kept_runs, ledger_rows, read_ledger
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
