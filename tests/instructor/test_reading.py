"""What students hand in: read and mended, or a reason in a line; never a traceback."""

import copy
import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_edu.instructor import reading
from slowfast_edu.instructor.course import Course, check_student
from slowfast_edu.instructor.grading import enter_students, folders
from slowfast_edu.instructor.reading import CannotGrade, find_notebook, read_submission

RIGHT = "def nyquist(fps, stride, cycles_per_second):\n    return 1.0"
CELLS = ["02_frames", "02_nyquist"]
GRADED = [*CELLS, *(f"{c}_{kind}" for c in CELLS for kind in ("visible", "hidden"))]
GRADED += ["02_why_tau"]


@pytest.fixture
def work(release):
    """A submission as a dictionary."""
    handed = copy.deepcopy(release)
    of(handed, "02_nyquist")["source"] = RIGHT
    return handed


@pytest.fixture
def read(release, tmp_path):
    """Reads a submission: of a dictionary, a text or bytes."""

    def reads(content):
        if not isinstance(content, bytes):
            text = content if isinstance(content, str) else json.dumps(content)
            content = text.encode()
        path = tmp_path / "hw1.ipynb"
        path.write_bytes(content)
        return read_submission(path, release)

    return reads


def of(book, name):
    [cell] = [cell for cell in book["cells"] if cell["id"] == name]
    return cell


def graded(found, release):
    """{cell: its own metadata} of those that count; they must be as released."""
    own = {}
    for cell in found.notebook.cells:
        if "nbgrader" in cell.metadata:
            name = cell.metadata.nbgrader.grade_id
            assert name not in own, "a name twice ends nbgrader"
            assert cell.metadata.nbgrader == of(release, name).metadata.nbgrader
            own[name] = cell
    assert [name for name in GRADED if of(release, name).metadata.nbgrader.grade] == [
        name for name in GRADED if name in own and name not in CELLS
    ]
    return own


def test_what_was_handed_out_comes_back_as_it_was(read, work, release):
    found = read(work)
    assert found.notes == []
    assert [cell.id for cell in found.notebook.cells] == [cell.id for cell in release.cells]
    assert graded(found, release)["02_nyquist"].source == RIGHT


# Reasons


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "the file is not UTF-8 (at byte 0)"),
        ("ab\xe9".encode("latin-1"), "the file is not UTF-8 (at byte 2)"),
        ("{", "the file is not JSON: JSONDecodeError"),
        ("[" * 100_000, "the file is not JSON: RecursionError"),
        ("[]", "the file is JSON, but no notebook"),
        ("null", "the file is JSON, but no notebook"),
        ('{"metadata": {}}', "the file is JSON, but no notebook: it has no cells"),
        ('{"cells": 5, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not a valid"),
        ('{"cells": [5], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not a"),
        ('{"cells": [], "nbformat": 4, "nbformat_minor": 5}', "not a valid notebook"),
        ('{"cells": [], "metadata": {}, "nbformat_minor": 5}', "not a valid notebook"),
        (
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "none of the assignment's cells is in it: is it another notebook?",
        ),
    ],
)
def test_what_cannot_be_read_has_a_reason(read, content, reason):
    with pytest.raises(CannotGrade) as refused:
        read(content)
    assert reason in str(refused.value) and "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_file_that_is_too_large_is_not_read(read, work, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 2**20)
    work["cells"][0]["source"] = "x" * 2**20
    with pytest.raises(CannotGrade, match="has 1 MiB, at most 1 are read; clear its outp"):
        read(work)


# Mending


def test_a_byte_order_mark_and_outputs_do_not_matter(read, work, release):
    cell = of(work, "02_nyquist")
    cell["outputs"], cell["execution_count"] = [{"output_type": "no such"}, 5], "x"
    found = read(b"\xef\xbb\xbf" + json.dumps(work).encode())
    assert found.notes == []
    assert graded(found, release)["02_nyquist"].outputs == []


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda own: own.clear(), "metadata of 02_nyquist_hidden missing: put back"),
        (
            lambda own: own["nbgrader"].update(points=99),
            "02_nyquist_hidden edited: put back",
        ),
        (lambda own: own["nbgrader"].update(grade=False), "_hidden edited: put back"),
        (lambda own: own["nbgrader"].update(grade_id="x"), "_hidden renamed: put back"),
        (lambda own: own.update(nbgrader=5), "02_nyquist_hidden missing: put back"),
    ],
)
def test_metadata_that_were_changed_are_put_back(read, work, release, change, note):
    change(of(work, "02_nyquist_hidden")["metadata"])
    found = read(work)
    graded(found, release)
    assert len(found.notes) == 1 and note in found.notes[0]


def test_without_ids_cells_are_known_by_their_metadata(read, work, release):
    """As of a notebook that an older program has saved."""
    for cell in work["cells"]:
        del cell["id"]
    work["nbformat_minor"] = 4
    assert graded(read(work), release)["02_nyquist"].source == RIGHT


@pytest.mark.parametrize("name", ["02_nyquist", "02_nyquist_visible"])
@pytest.mark.parametrize("same_id", [True, False])
def test_of_a_cell_twice_one_counts(read, work, release, name, same_id):
    copied = copy.deepcopy(of(work, name))
    copied["source"] = "copy"
    copied["id"] = name if same_id else "another"
    work["cells"].insert(-1, copied)
    found = read(work)
    assert graded(found, release)[name].source == of(work_before(work), name)["source"]
    assert "copy" in [cell.source for cell in found.notebook.cells]
    assert any(name in note for note in found.notes) or same_id


def work_before(work):
    """Without the copy."""
    return {"cells": [cell for cell in work["cells"] if cell["source"] != "copy"]}


@pytest.mark.parametrize("name", GRADED)
def test_a_deleted_cell_is_noted(read, work, release, name):
    work["cells"].remove(of(work, name))
    found = read(work)
    assert f"cell {name} was deleted" in found.notes
    graded(found, release)


def test_another_kernel_is_noted_and_python_taken(read, work, release):
    work["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    found = read(work)
    assert found.notes == ["was made for a kernel of R; graded with Python"]
    assert found.notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("spec", [5, None, [], {"language": 5}, {"language": None}])
def test_any_kernel_s_description_is_read(read, work, spec):
    work["metadata"]["kernelspec"] = spec
    assert read(work).notebook.metadata.kernelspec.name == "python3"


def places(node, path=()):
    yield path
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(part, (*path, key))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["code", "markdown", "raw", "02_nyquist", "python", "\ud800", "a\0"]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def handed_out(everything):
    """A release that is small: the first cells, each kind among them."""
    book = nbformat.read(everything[0].release("all"), 4)
    book.cells = book.cells[:6] + [c for c in book.cells if c.id.startswith("01_analogy")]
    return book


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_stands_in_a_notebook_it_is_read_or_refused(
    handed_out, tmp_path_factory, data
):
    """Any part of the JSON is replaced by any value, three times over."""
    book = json.loads(nbformat.writes(handed_out))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(list(places(book))[1:]))
        part = book
        for key in way:
            part = part[key]
        part[last] = data.draw(VALUES)
    path = tmp_path_factory.getbasetemp() / "any.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    try:
        found = read_submission(path, handed_out)
    except CannotGrade as refused:
        assert str(refused) and "\n" not in str(refused)
        return
    nbformat.validate(found.notebook)
    names = [c.metadata.nbgrader.grade_id for c in found.notebook.cells if c.metadata]
    assert len(names) == len(set(names))
    assert {c.id for c in handed_out.cells if c.metadata.nbgrader.grade} <= set(names)


# Files


def test_the_right_name_is_preferred_and_another_noted(tmp_path):
    with pytest.raises(CannotGrade, match=r"no notebook was handed in; hw1\.ipynb is exp"):
        find_notebook(tmp_path, "hw1")
    (tmp_path / "Homework (1).ipynb").touch()
    path, notes = find_notebook(tmp_path, "hw1")
    assert path.name == "Homework (1).ipynb"
    assert notes == ["was called Homework (1).ipynb, not hw1.ipynb"]
    (tmp_path / "two.ipynb").touch()
    with pytest.raises(CannotGrade, match=r"2 notebooks \(Homework .* none called hw1\.ip"):
        find_notebook(tmp_path, "hw1")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "hw1.ipynb").touch()
    assert find_notebook(tmp_path, "hw1") == (tmp_path / "deep" / "hw1.ipynb", [])
    (tmp_path / "hw1.ipynb").touch()
    path, notes = find_notebook(tmp_path, "hw1")
    assert path == tmp_path / "hw1.ipynb"
    assert notes == ["2 files hw1.ipynb; took the uppermost"]


def test_links_folders_and_spare_copies_are_not_followed(tmp_path):
    secret, own = tmp_path / "secret", tmp_path / "own"
    (own / ".ipynb_checkpoints").mkdir(parents=True)
    secret.mkdir()
    (secret / "hw1.ipynb").touch()
    (own / "hw1.ipynb").symlink_to(secret / "hw1.ipynb")
    (own / "linked").symlink_to(secret)
    (own / "folder.ipynb").mkdir()
    (own / ".ipynb_checkpoints" / "hw1.ipynb").touch()
    with pytest.raises(CannotGrade, match="no notebook was handed in"):
        find_notebook(own, "hw1")


# Who


def test_folders_are_students_in_natural_order(tmp_path):
    with pytest.raises(NotADirectoryError, match="is no folder; it should have one a stud"):
        folders(tmp_path / "none")
    with pytest.raises(ValueError, match="has no folders"):
        folders(tmp_path)
    for name in ("s10", "s9", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "s9")
    assert list(folders(tmp_path)) == ["s9", "s10"]


@pytest.mark.parametrize("name", ["s001", "Ann.Lee", "a-b_c", "_x", "ann@uni.example", "7"])
def test_ids_of_students(name):
    check_student(name, "here")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a b", "a/b", "a\n", "é", "a+b"]
)
def test_what_cannot_be_a_folder_is_no_id(name):
    with pytest.raises(ValueError, match="cannot be a student's id") as refused:
        check_student(name, "roster.csv, line 2")
    assert "\n" not in str(refused.value)


def roster_of(tmp_path, content):
    (tmp_path / "roster.csv").write_bytes(content)
    return Course(tmp_path).roster()


@pytest.mark.parametrize(
    ("content", "students"),
    [
        (b"id\ns1\ns2\n", {"s1": ("", ""), "s2": ("", "")}),
        (b"\xef\xbb\xbfid,first_name\r\ns1,Ann\r\n\r\n", {"s1": ("Ann", "")}),
        (b"first_name, last_name, id, group\nAnn, Lee ,s1,4", {"s1": ("Ann", "Lee")}),
        (
            b'id,first_name,last_name\ns1,"Ann ""A""","Lee, Dr."',
            {"s1": ('Ann "A"', "Lee, Dr.")},
        ),
        (b'id,last_name\ns1,"Lee\nDr."\ns2,Wu', {"s1": ("", "Lee Dr."), "s2": ("", "Wu")}),
        ("id,last_name\ns1,Ñandú\u2028x".encode(), {"s1": ("", "Ñandú x")}),
        (b"id,first_name,last_name\ns1\n", {"s1": ("", "")}),
        (b"id\n", {}),
    ],
)
def test_rosters(tmp_path, content, students):
    found = roster_of(tmp_path, content)
    assert {
        student: (row["first_name"], row["last_name"]) for student, row in found.items()
    } == students


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"",
            "roster.csv has no column id; its first line must be id,first_name,last_name",
        ),
        (b"id;first_name\ns1;Ann\n", "has no column id"),
        (b"student,first_name\ns1,Ann\n", "has no column id"),
        ("id\n".encode("utf-16"), "roster.csv is not UTF-8; save it as that"),
        (b"id,last_name\ns1,\xe9\n", "roster.csv is not UTF-8"),
        (b"id\ns1\ns2\ns1\n", "roster.csv, line 4: s1 again"),
        (b"id,email\ns1,\n,x\n", "roster.csv, line 3: '' cannot be a student's id"),
        (b"id\n../s1\n", "roster.csv, line 2: '../s1' cannot be"),
        (b'id,last_name\ns1,"Lee\ns2,Wu\n', "roster.csv, line 3: unexpected end of data"),
        (b'id,last_name\ns1,"Lee" Wu\n', "roster.csv, line 2: ',' expected after '\"'"),
    ],
)
def test_rosters_that_are_refused(tmp_path, content, told):
    with pytest.raises(ValueError) as refused:
        roster_of(tmp_path, content)
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_there_may_be_no_roster(tmp_path):
    assert Course(tmp_path).roster() == {}


def test_names_enter_the_gradebook_so_that_nbgrader_s_export_stays_whole(course):
    rows = 'id,first_name,last_name\ns1,"A,n","""Lee"\ns2,Bo,"x\ny"\n'
    course.roster_file.write_text(rows, encoding="utf-8")
    enter_students(course, "hw1")
    with course.open_gradebook() as gradebook:
        found = {s.id: (s.first_name, s.last_name) for s in gradebook.students}
    assert found == {"s1": ("A n", " Lee"), "s2": ("Bo", "x y")}
