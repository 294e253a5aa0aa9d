"""Readers of annotation files: each format's tiny example, and its wrong lines."""

import pytest

from slowfast_edu.data.annotations import (
    folder_per_class,
    kinetics_csv,
    pyslowfast_csv,
    ucf101_split,
)
from slowfast_edu.data.ava import Keyframe, Person, ava_csv
from slowfast_edu.data.formats import FORMATS, detect_format, read_annotations
from slowfast_edu.data.lines import AnnotationError, csv_rows, videos_below

KINETICS_HEADER = "label,youtube_id,time_start,time_end,split\n"


def touch(root, *names):
    """Empty files: no reader opens a video."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def pairs(annotations):
    return [tuple(video) for video in annotations.videos]


def test_folders_are_classes_in_sorted_order(tmp_path):
    touch(tmp_path, "walk/2.avi", "clap/b.mp4", "clap/a.MP4", "clap/deep/c.webm")
    touch(tmp_path, "notes.txt", "top.mp4", "walk/.hidden.mp4", "empty/readme.md")
    annotations = folder_per_class(tmp_path)
    assert annotations.root == tmp_path
    assert annotations.classes == ("clap", "walk")
    names = ["clap/a.MP4", "clap/b.mp4", "clap/deep/c.webm", "walk/2.avi"]
    assert pairs(annotations) == list(zip(names, (0, 0, 0, 1), strict=True))


def test_given_classes_keep_their_labels(tmp_path):
    touch(tmp_path, "walk/1.mp4", "clap/1.mp4", "run/1.mp4")
    annotations = folder_per_class(tmp_path, classes=["walk", "clap"])
    assert pairs(annotations) == [("walk/1.mp4", 0), ("clap/1.mp4", 1)]
    with pytest.raises(AnnotationError, match=r"fly: holds no video"):
        folder_per_class(tmp_path, classes=["walk", "fly"])


def test_a_folder_without_classes_is_refused(tmp_path):
    touch(tmp_path, "1.mp4")
    with pytest.raises(AnnotationError, match="none of its folders holds a video"):
        folder_per_class(tmp_path)
    with pytest.raises(AnnotationError, match="no such folder"):
        folder_per_class(tmp_path / "nowhere")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_kinetics_finds_ids_of_any_kind_wherever_they_are(tmp_path, encoding):
    touch(tmp_path, "-a_b-1_000003_000013.mp4", "walk_the_dog/_x_000010_000020.mkv")
    touch(tmp_path, "other/_x_000010_000020.mkv")
    rows = (
        'walk the dog,_x,10,20,train\nclap,-a_b-1,3,13,train\n\n"clap",gone,100,110,train\n'
    )
    path = write(tmp_path / "list.csv", KINETICS_HEADER + rows, encoding)
    annotations = kinetics_csv(path, tmp_path)
    assert annotations.classes == ("clap", "walk the dog")
    assert pairs(annotations) == [
        ("walk_the_dog/_x_000010_000020.mkv", 1),
        ("-a_b-1_000003_000013.mp4", 0),
        ("gone_000100_000110.mp4", 0),
    ]


@pytest.mark.parametrize(
    "text,problem",
    [
        ("", "line 1: misses the column 'label'"),
        ("youtube_id,time_start,time_end,split\nx,1,2,test\n", "line 1: misses .* 'label'"),
        (KINETICS_HEADER, "lists no video"),
        (KINETICS_HEADER + "clap,x,1,2\n", "line 2: has 4 columns, but the header 5"),
        (
            KINETICS_HEADER + "clap,x,1,2,t\nclap,y,1.5,2,t\n",
            "line 3: a time='1.5'",
        ),
        (KINETICS_HEADER + "clap,x,-1,2,t\n", "line 2: a time='-1' must be a whole number"),
        (KINETICS_HEADER + "clap,x,,2,t\n", "line 2: a time='' must be a whole number"),
        (KINETICS_HEADER + "clap,../x,1,2,t\n", "line 2: youtube_id='../x'"),
        (KINETICS_HEADER + "clap,,1,2,t\n", "line 2: youtube_id=''"),
        (KINETICS_HEADER + "clap,x,1,2,t\n\nrun,x,1,2,t\n", "line 4: repeats .* line 2"),
        (KINETICS_HEADER + 'clap,"x"y,1,2,t\n', "line 2: is no CSV"),
    ],
)
def test_kinetics_names_the_wrong_line(tmp_path, text, problem):
    path = write(tmp_path / "list.csv", text)
    with pytest.raises(AnnotationError, match=rf"list\.csv(, |: ){problem}"):
        kinetics_csv(path, tmp_path)


def test_kinetics_refuses_a_class_that_training_did_not_have(tmp_path):
    path = write(tmp_path / "list.csv", KINETICS_HEADER + "clap,x,1,2,t\nrun,y,1,2,t\n")
    assert kinetics_csv(path, tmp_path, ["run", "a", "clap"]).videos[0].label == 2
    with pytest.raises(AnnotationError, match="line 3: 'run' is none of the 1 classes"):
        kinetics_csv(path, tmp_path, ["clap"])


def test_pyslowfast_takes_spaces_and_commas(tmp_path):
    text = f"a.mp4 2\nb c/d.mp4 0\r\ne,f.mp4,1\n{tmp_path}/whole.mp4 0\n-x.mp4, 0\n"
    path = write(tmp_path / "train.csv", text)
    annotations = pyslowfast_csv(path)
    assert annotations.classes == ("0", "1", "2")
    assert pairs(annotations) == [
        ("a.mp4", 2),
        ("b c/d.mp4", 0),
        ("e,f.mp4", 1),
        ("whole.mp4", 0),
        ("-x.mp4", 0),
    ]
    named = pyslowfast_csv(path, tmp_path, classes=["x", "y", "z"])
    assert named.classes == ("x", "y", "z")


@pytest.mark.parametrize(
    "text,problem",
    [
        ("", "lists no video"),
        ("\n \n", "lists no video"),
        ("a.mp4 0\nb.mp4\n", "line 2: 'b.mp4' must be a path and a label"),
        ("a.mp4 clap\n", "line 1: label='clap' must be a whole number"),
        ("a.mp4 -1\n", "line 1: label='-1' must be a whole number"),
        ("a.mp4 1.0\n", "line 1: label='1.0' must be a whole number"),
        ("a.mp4 0\nb.mp4 3\n", "line 2: label=3 names none of 3 classes"),
        ("a.mp4 0\n./a.mp4 1\n", "line 2: repeats 'a.mp4' of line 1"),
        ("../a.mp4 0\n", r"line 1: '\.\./a\.mp4' does not lie below the root"),
        ("x/../../a.mp4 0\n", "line 1: .* does not lie below the root"),
        ("x/.. 0\n", "line 1: .* does not lie below the root"),
        ("/elsewhere/a.mp4 0\n", "line 1: .* does not lie below the root"),
    ],
)
def test_pyslowfast_names_the_wrong_line(tmp_path, text, problem):
    path = write(tmp_path / "train.csv", text)
    with pytest.raises(AnnotationError, match=rf"train\.csv(, |: ){problem}"):
        pyslowfast_csv(path, classes=["x", "y", "z"])


@pytest.fixture
def class_index(tmp_path):
    return write(tmp_path / "classInd.txt", "1 Archery\n2 HandstandPushups\n3 YoYo\n")


@pytest.mark.parametrize("numbers", [True, False])
def test_ucf101_reads_training_and_testing_lists(tmp_path, class_index, numbers):
    lines = [
        "YoYo/v_YoYo_g01_c01.avi 3",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi 2",
    ]
    text = "\r\n".join(lines if numbers else [line[:-2] for line in lines])
    annotations = ucf101_split(write(tmp_path / "l.txt", text), class_index, tmp_path)
    assert annotations.classes == ("Archery", "HandstandPushups", "YoYo")
    assert pairs(annotations) == [(lines[0][:-2], 2), (lines[1][:-2], 1)]


@pytest.mark.parametrize(
    "text,problem",
    [
        ("", "lists no video"),
        ("YoYo/a.avi 2\n", "line 1: has the number '2', but in classInd.txt YoYo is 3"),
        ("YoYo/a.avi\nFly/a.avi\n", "line 2: 'Fly' is none of the 3 classes"),
        ("YoYo/a.avi\nYoYo/a.avi\n", "line 2: repeats 'YoYo/a.avi' of line 1"),
        ("YoYo/../../a.avi\n", "line 1: .* does not lie below the root"),
    ],
)
def test_ucf101_names_the_wrong_line(tmp_path, class_index, text, problem):
    path = write(tmp_path / "l.txt", text)
    with pytest.raises(AnnotationError, match=rf"l\.txt(, |: ){problem}"):
        ucf101_split(path, class_index, tmp_path)


@pytest.mark.parametrize("text", ["1 A\n3 B\n", "1 A\nB\n", "1 A\n2\n"])
def test_ucf101_wants_classes_numbered_from_1(tmp_path, text):
    path = write(tmp_path / "classInd.txt", text)
    split = write(tmp_path / "l.txt", "A/a.avi\n")
    with pytest.raises(AnnotationError, match=r"classInd\.txt, line 2: .* be '2 Class'"):
        ucf101_split(split, path, tmp_path)


AVA_ROWS = """-5K,0902,0.1,0.2,0.5,0.9,12,0
-5K,0902,0.1,0.2,0.5,0.9,80,0
-5K,0902,0.1,0.2,0.5,0.9,12,0
-5K,0902,0.6,0.2,1,0.9,,1
_y,0903,,,,,,
-5K,0903,0.1,0.2,0.5,0.9,3
z,904
"""


def test_a_first_second_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="first_second=nan must be a number"):
        ava_csv(write(tmp_path / "ava.csv", AVA_ROWS), tmp_path, first_second=float("nan"))


def test_ava_groups_actions_by_person_and_people_by_keyframe(tmp_path):
    touch(tmp_path, "-5K.mkv", "deep/_y.mp4")
    annotations = ava_csv(write(tmp_path / "ava.csv", AVA_ROWS), tmp_path, first_second=900)
    left, right = (0.1, 0.2, 0.5, 0.9), (0.6, 0.2, 1.0, 0.9)
    assert annotations.keyframes == (
        Keyframe("-5K.mkv", 2, (Person(left, (11, 79)), Person(right, ()))),
        Keyframe("deep/_y.mp4", 3, ()),
        Keyframe("-5K.mkv", 3, (Person(left, (2,)),)),
        Keyframe("z.mp4", 4, ()),
    )
    assert len(annotations.classes) == 80


@pytest.mark.parametrize(
    "row,problem",
    [
        ("x,902,0.1,0.2,0.5,0.9", "has 6 columns, must have 8: video_id"),
        ("x,902,0.1,0.2,1.5,0.9,1,0", r"x2=1.5 must lie in \[0, 1\]"),
        ("x,902,-0.1,0.2,0.5,0.9,1,0", r"x1=-0.1 must lie in \[0, 1\]"),
        ("x,902,0.1,nan,0.5,0.9,1,0", r"y1=nan must lie in \[0, 1\]"),
        ("x,902,0.1,,0.5,0.9,1,0", "y1='' must be a number"),
        ("x,902,0.5,0.2,0.1,0.9,1,0", "x1 <= x2 and y1 <= y2 must hold"),
        ("x,902,0.1,0.9,0.5,0.2,1,0", "x1 <= x2 and y1 <= y2 must hold"),
        ("x,902,0.1,0.2,0.5,0.9,0,0", "action_id=0 must be 1 to 80"),
        ("x,902,0.1,0.2,0.5,0.9,81,0", "action_id=81 must be 1 to 80"),
        ("x,902,0.1,0.2,0.5,0.9,walk,0", "action_id='walk' must be a whole number"),
        ("x,902,0.1,0.2,0.5,0.9,1,0.98", "person_id='0.98' must be a whole number"),
        ("x,soon,0.1,0.2,0.5,0.9,1,0", "timestamp='soon' must be a number"),
        ("x,inf,0.1,0.2,0.5,0.9,1,0", "timestamp=inf must be seconds from 0"),
        ("x,-1,0.1,0.2,0.5,0.9,1,0", "timestamp=-1 must be seconds from 0"),
        ("x,3,0.1,0.2,0.5,0.9,1,0", "timestamp=3 is before first_second=900"),
    ],
)
def test_ava_names_the_wrong_line(tmp_path, row, problem):
    path = write(tmp_path / "ava.csv", f"x,902,0.1,0.2,0.5,0.9,1,0\n{row}\n")
    with pytest.raises(AnnotationError, match=rf"ava\.csv, line 2: {problem}"):
        ava_csv(path, tmp_path, first_second=900)


def test_ava_takes_the_outermost_values_and_other_classes(tmp_path):
    touch(tmp_path, "v1.5.mkv")  # a name with a dot keeps it
    path = write(tmp_path / "ava.csv", "v1.5,900,0,1,0,1,9,7\nv1.5,900,0,1,0,1,2,7\n")
    annotations = ava_csv(path, tmp_path, classes=list("abcdefghi"), first_second=900)
    person = Person((0, 1, 0, 1), (1, 8))  # a point; its labels are sorted
    assert annotations.keyframes == (Keyframe("v1.5.mkv", 0, (person,)),)
    with pytest.raises(AnnotationError, match="line 1: action_id=9 must be 1 to 2"):
        ava_csv(path, tmp_path, classes=["a", "b"])


def test_an_ava_list_without_a_keyframe_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match="lists no keyframe"):
        ava_csv(write(tmp_path / "ava.csv", "\n"), tmp_path)


@pytest.mark.parametrize("read", [pyslowfast_csv, lambda path: ava_csv(path, path.parent)])
def test_what_is_no_text_is_refused(tmp_path, read):
    (tmp_path / "list.csv").write_bytes(b"a.mp4 0\n\xff\xfe.mp4 1\n")
    with pytest.raises(AnnotationError, match=r"list\.csv: is not UTF-8 text \(byte 8\)"):
        read(tmp_path / "list.csv")
    with pytest.raises(AnnotationError, match=r"none\.csv: cannot be read: No such file"):
        read(tmp_path / "none.csv")


def test_cells_lose_the_blanks_around_them_and_blank_rows_are_left_out(tmp_path):
    path = write(tmp_path / "list.csv", " a , b c\n\n , \nd,\n")
    assert list(csv_rows(path)) == [(1, ["a", "b c"]), (4, ["d", ""])]


def test_videos_behind_a_link_to_a_folder_are_found(tmp_path):
    touch(tmp_path, "disk/walk/1.mp4", "root/clap/1.mp4")
    (tmp_path / "root" / "walk").symlink_to(tmp_path / "disk" / "walk")
    assert videos_below(tmp_path / "root") == ["clap/1.mp4", "walk/1.mp4"]


EXAMPLES = {
    "kinetics": KINETICS_HEADER + "clap,x,1,2,train\n",
    "pyslowfast": "clap/x.mp4 0\n",
    "ucf101": "Archery/x.avi\n",
    "ava": AVA_ROWS,
    "labels": "path,labels\nclap/x.mp4,clap;wave\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_told_by_their_first_line(tmp_path, name):
    touch(tmp_path, "clap/x.mp4")
    path = tmp_path
    if name == "ucf101":
        write(tmp_path / "classInd.txt", "1 Archery\n")
    if name in EXAMPLES:
        path = write(tmp_path / "list", EXAMPLES[name], "utf-8-sig")
    assert detect_format(path) == name
    assert read_annotations(path) == read_annotations(path, name, tmp_path)


def test_ucf101_s_classes_lie_beside_its_list(tmp_path):
    touch(tmp_path, "videos/A/a.avi", "lists/split.txt")
    write(tmp_path / "lists" / "classInd.txt", "1 A\n")
    path = write(tmp_path / "lists" / "split.txt", "A/a.avi 1\n")
    assert read_annotations(path, root=tmp_path / "videos").classes == ("A",)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("label, youtube_id , time_start,time_end,split", "kinetics"),
        ("z,904", "ava"),
        ("x.mp4,1", "pyslowfast"),
        ("clap/x,1", "pyslowfast"),
    ],
)
def test_lines_that_look_alike_are_told_apart(tmp_path, line, name):
    assert detect_format(write(tmp_path / "list", f"{line}\n")) == name


@pytest.mark.parametrize("text", ["", "hello\n", "name;label\n"])
def test_a_format_that_is_not_known_is_refused_naming_all(tmp_path, text):
    path = write(tmp_path / "list.csv", text)
    with pytest.raises(AnnotationError, match=r"list\.csv: .* none of folders, kinetics"):
        read_annotations(path)
    with pytest.raises(ValueError, match="format='csv' is not known"):
        read_annotations(path, "csv")


def test_a_root_that_is_not_there_is_refused(tmp_path):
    path = write(tmp_path / "list.csv", "a.mp4 0\n")
    with pytest.raises(AnnotationError, match="nowhere: no such folder"):
        read_annotations(path, root=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is for lists"):
        read_annotations(tmp_path, root=tmp_path / "other")


@pytest.mark.parametrize("header", ["path,label", "path, label", "path,class,labels"])
def test_a_header_of_paths_is_that_of_labels_even_if_the_rest_is_wrong(tmp_path, header):
    path = write(tmp_path / "list.csv", f"{header}\n1.mp4,clap\n")
    assert detect_format(path) == "labels"
    with pytest.raises(AnnotationError, match=r"misses the column 'labels'|has 2 columns"):
        read_annotations(path)
