"""What earns which points, for the person who marks."""

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.instructor.course import Assignment
from slowfast_edu.instructor.published import Published

HEAD = """\
# Rubric of {name}

For who marks; it tells solutions, so keep it from students. {points:g} points in all.

A function earns half of its points by the visible test and half by the hidden one: each
test all or nothing, decided by the answers alone. An answer in prose is marked by hand, in
nbgrader's formgrader: a third for the right claim, a third for the evidence that it names
(a figure, a cell, a table of the paper), a third for what it does *not* claim, unless the
question itself says what counts. Below each stands what a good answer says; another one
that is right and argued for earns as much.
"""


def rubric(
    assignment: Assignment, texts: dict[str, Published], worth: dict[str, float]
) -> str:
    """The rubric of an assignment, in Markdown."""
    parts = [HEAD.format(name=assignment.name, points=sum(worth.values()))]
    for name in assignment.exercises:
        parts.append(f"## {name}: {EXERCISES[name].title} ({worth[name]:g} points)\n")
        if texts[name].stub:
            half = f"{worth[name] / 2:g}"
            parts.append(f"Visible test {half}, hidden test {half}. Known wrong answers:\n")
            causes = [mistake.cause for mistake in EXERCISES[name].mistakes]
            parts.append("\n".join(f"- {cause}" for cause in causes) + "\n")
        else:
            if worth[name] != EXERCISES[name].points:
                was, now = EXERCISES[name].points, worth[name]
                parts.append(f"Points named below are out of {was}; here it is {now:g}.\n")
            parts.append(_unfolded(texts[name].solution) + "\n")
    return "\n".join(parts)


def _unfolded(answer: str) -> str:
    """What a good answer says, without what folds it up in the notebook."""
    lines = answer.splitlines()
    kept = [line for line in lines if not line.startswith(("<details>", "</details>"))]
    return "\n".join(kept).strip()
