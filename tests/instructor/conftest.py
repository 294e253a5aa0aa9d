"""Courses with an assignment, made once; and submissions written by hand."""

import shutil

import nbformat
import pytest

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.instructor.assignment import assign
from slowfast_edu.instructor.course import Course

HW1 = ("02.frames", "02.nyquist", "02.why_tau")
SEED = 20_261


@pytest.fixture(scope="session")
def new_course(tmp_path_factory):
    """What makes a course in a folder; nbgrader takes seconds to make each gradebook."""
    blank = Course(tmp_path_factory.mktemp("blank"))
    with blank.open_gradebook():
        pass

    def make(folder):
        course = Course(folder)
        course.root.mkdir(parents=True, exist_ok=True)
        shutil.copy(blank.gradebook, course.gradebook)
        return course

    return make


@pytest.fixture(scope="session")
def everything(new_course, tmp_path_factory):
    """A course with all exercises in one assignment, and what was assigned."""
    course = new_course(tmp_path_factory.mktemp("everything"))
    return course, assign(course, "all", list(EXERCISES), SEED)


@pytest.fixture(scope="session")
def _hw1(new_course, tmp_path_factory):
    course = new_course(tmp_path_factory.mktemp("first") / "course")
    assign(course, "hw1", HW1, SEED)
    return course


@pytest.fixture
def course(_hw1, tmp_path):
    """A course of its own with hw1: two functions and an answer in prose."""
    return Course(shutil.copytree(_hw1.root, tmp_path / "course"))


@pytest.fixture
def release(course):
    """What students get of hw1."""
    return nbformat.read(course.release("hw1"), 4)


@pytest.fixture
def source(course):
    """Hw1 with its solutions and hidden tests."""
    return nbformat.read(course.source("hw1"), 4)
