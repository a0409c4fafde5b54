"""Readers of published lists, of prepared videos, of a run's answers and of mixtures: the rest of `readers.READERS`.

A file takes the place of one of a small release. Where a list names few rows, what is wrong with one leaves out more
than a tenth; that is allowed, so that what stands behind it is reached as well.
"""

import contextlib
import functools
import io
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from data_trees import encoded, write_images
from face_detectors import picture_of, write_network
from mutations import mutated, retyped, rewritten
from releases import write_ckplus, write_fairface, write_ferplus, write_rafdb, write_rafdb_repack
from videos import write_video

from hf_hmtl import recipe as recipes
from hf_hmtl.data.faces.cutting import Cutting
from hf_hmtl.data.faces.prepare import begun, earlier
from hf_hmtl.data.faces.record import RECORD
from hf_hmtl.data.faces.shards import Method
from hf_hmtl.data.faces.videos import prepare_videos
from hf_hmtl.data.sources import aff_wild, affectnet, ckplus, clips, fairface, fer2013, ferplus, rafdb
from hf_hmtl.results import calibration
from hf_hmtl.results.groups import by_groups, group_table
from hf_hmtl.results.predictions import NAME as PREDICTIONS
from hf_hmtl.results.predictions import confusion, of_split, read_predictions
from hf_hmtl.run.mixing import load_further
from hf_hmtl.run.source_entry import load_source

FAIRFACE, RAFDB = "fairface_label_train.csv", "basic/EmoLabel/list_patition_label.txt"
EMOTION = "Emotion/S005/001/S005_001_00000004_emotion.txt"
LANDMARKS = "Landmarks/S005/001/S005_001_00000004_landmarks.txt"
SHARD, PREPARED = "faces/train-00000-of-00002.parquet", f"faces/{RECORD}"
FEW = ["missing_file", "no_code", "no_annotation", "no_box", "not_in_table"]
FACE = (4, 5, 4, 6, 204)


def write_affectnet(root):
    """AffectNet's lists of nine columns, the second of them without a header."""
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    names = [f"1/{number}.jpg" for number in range(8)]
    write_images(root / "Manually_Annotated_Images", *names)
    rows = [f"{name},1,2,30,40,1.5;2.5,{code},0.25,-0.5" for code, name in enumerate(names)]
    for name, lines in (("training.csv", [header, *rows]), ("validation.csv", rows)):
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def write_prepared(root):
    """Faces of two videos as `hf-hmtl prepare` leaves them, and a table of labels beside them."""
    (root / "videos").mkdir()
    for name in ("1.mov", "2.mov"):
        write_video(root / "videos" / name, [picture_of(FACE) for _ in range(3)])
    weights = write_network(root / "maps.onnx")
    prepare_videos(root / "videos", root / "faces", Method(Cutting(margin=0.1), weights=weights))
    (root / "labels.csv").write_text("clip,frame,valence,person\n" + "".join(LABELS_OF_FRAMES))
    return root


def write_fer2013(root):
    """FER2013 as parquet files, one a split."""
    for split, content in zip(("train", "validation", "test"), pictures_of_classes(), strict=False):
        (root / f"{split}.parquet").write_bytes(content)


def pictures_of_classes():
    """Parquet files of images and their class by name and by number; the others are such as nobody publishes."""
    images = [{"bytes": encoded(number, "PNG", 48), "path": None} for number in range(7)]
    described = {"image": {"_type": "Image"}, "label": {"names": list(fer2013.NAMES), "_type": "ClassLabel"}}
    features = {b"huggingface": json.dumps({"info": {"features": described}}).encode()}
    numbers, odd = list(range(7)), [[["x"]] * 7, [None] * 7, [1.5] * 7, [b"x"] * 7, [{"a": 1}] * 7, [7] * 7]
    tables = [pa.table({"image": images, "label": numbers}).replace_schema_metadata(features)]
    tables += [pa.table({"image": images, "label": labels}) for labels in (numbers, list(fer2013.NAMES), *odd)]
    tables += [pa.table({"image": values, "emotion": numbers}) for values in odd]
    found = []
    for table in tables:
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file)
        found.append(file.getvalue())
    return found


LABELS_OF_FRAMES = [f"{clip},{frame},0.{frame},p{clip}\n" for clip in (1, 2) for frame in range(3)]


@functools.cache
def release(write):
    """A small release, which lies there until the process ends."""
    folder = tempfile.TemporaryDirectory()
    write(Path(folder.name))
    return folder


def file_of(write, name):
    """The bytes of a file of a release."""
    return [(Path(release(write).name) / name).read_bytes()]


def instead_of(write, name, load, path):
    """Load a release in which a file stands in the place of one of its own."""
    root = Path(release(write).name)
    kept = (root / name).read_bytes()
    try:
        shutil.copyfile(path, root / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of counts that differ from the published ones
            load(root)
    finally:
        (root / name).write_bytes(kept)


def official(source):
    return functools.partial(source.load, allow_left_out=FEW)


def read_fer2013(path):
    instead_of(write_fer2013, "train.parquet", official(fer2013), path)


def load_clips(root):
    clips.load(root / "faces", str(root / "labels.csv"), allow_left_out=FEW)


def go_on(root):
    """The record of a pass says how it was made."""
    for read in (earlier, begun):
        with contextlib.suppress(FileExistsError):  # made with other options, as it says
            read(root / "faces", {"margin": 0.1})


def answers():
    """Tables of answers: classes, numbers, and such as no run has written."""
    rows = {"_id": ["a", "b", "c", "d"], "split": ["test", "test", "validation", "test"], "age": [3.0, None, 5.0, 90.0]}
    words = {"emotion_label": ["happy", "sad", None, "sad"], "emotion_answer": ["happy", "happy", "sad", None]}
    shares = {f"emotion_probability_{name}": [0.25, 0.5, 0.75, None] for name in ("happy", "sad")}
    numbers = {"valence_label": [0.5, -0.5, 0.0, None], "valence_answer": [0.25, 0.25, None, 0.0]}
    whole = rows | words | shares | numbers
    odd = [
        {name: values for name, values in whole.items() if name != missing}
        for missing in ("split", "emotion_label", "emotion_answer", "emotion_probability_sad", "valence_label", "age")
    ]
    odd += [whole | {name: [[1], [2], [3], None]} for name in ("split", "age", "emotion_label", "valence_answer")]
    odd += [whole | {name: ["x", "y", "", None]} for name in ("age", "emotion_probability_sad", "valence_label")]
    found = []
    for table in (whole, *odd):
        file = io.BytesIO()
        pyarrow.parquet.write_table(pa.table(table), file)
        found.append(file.getvalue())
    return found


def read_answers(path):
    """As `hf-hmtl groups` and the pooled answers of folds do."""
    rows = of_split(read_predictions(path.parent), "test")
    group_table(by_groups(rows, ["age", "emotion"], ["emotion", "valence"]))
    calibration.calibration_of(rows, {"emotion": ["happy", "sad"]})
    confusion(rows, "emotion", ["happy", "sad"])


MIXED = """\
rows:
  mixed:
    source: {name: custom, share: 2, fold: [1, 2]}
    mixed_with:
      - {name: custom, labels: none, share: 0.5}
    supervised: {label: {task: classification}}
    backbone: test_resnet
    image_size: 48
"""


def write_faces(root):
    """Two classes of three faces."""
    write_images(root / "a", *[f"{number}.jpg" for number in range(3)])
    write_images(root / "b", *[f"{number + 3}.jpg" for number in range(3)])


def read_mixed(path):
    """A recipe of folds and mixtures, its sources included, as long as these are files."""
    recipe, folder = recipes.load(str(path)), release(write_faces).name
    if {recipe.source.get("name"), *(entry.get("name") for entry in recipe.mixed_with)} <= {"custom"}:
        load_source({key: value for key, value in recipe.source.items() if key != "share"}, recipe, folder)
        load_further(recipe, folder)


def of_release(write, name, load):
    """The first and the third value of a `Reader`: the bytes of a file of a release, and what reads it."""
    return functools.partial(file_of, write, name), functools.partial(instead_of, write, name, load)


SOURCE_READERS = {
    name: (files, change, read, milliseconds, (suffix,))
    for name, change, (files, read), milliseconds, suffix in (
        ("FairFace's list", retyped, of_release(write_fairface, FAIRFACE, official(fairface)), 16, ".csv"),
        ("FER+'s votes", retyped, of_release(write_ferplus, "fer2013new.csv", official(ferplus)), 10, ".csv"),
        ("RAF-DB's list", retyped, of_release(write_rafdb, RAFDB, official(rafdb)), 14, ".txt"),
        ("RAF-DB's repack", retyped, of_release(write_rafdb_repack, "train_labels.csv", official(rafdb)), 14, ".csv"),
        ("CK+'s label", retyped, of_release(write_ckplus, EMOTION, official(ckplus)), 24, ".txt"),
        ("CK+'s landmarks", retyped, of_release(write_ckplus, LANDMARKS, official(ckplus)), 24, ".txt"),
        ("AffectNet's list", retyped, of_release(write_affectnet, "training.csv", official(affectnet)), 12, ".csv"),
        ("AffectNet, bare", retyped, of_release(write_affectnet, "validation.csv", official(affectnet)), 12, ".csv"),
        ("Aff-Wild's list", retyped, (lambda: [b"0.25\n-0.5\n-5\n"], aff_wild._numbers), 2, ".txt"),
        ("FER2013's parquet", mutated, (pictures_of_classes, read_fer2013), 15, ""),
        ("labels of videos", retyped, of_release(write_prepared, "labels.csv", load_clips), 25, ".csv"),
        ("faces of a video", mutated, of_release(write_prepared, SHARD, load_clips), 25, ""),
        ("prepared.json", rewritten, of_release(write_prepared, PREPARED, load_clips), 30, ""),
        ("prepared.json of a pass", rewritten, of_release(write_prepared, PREPARED, go_on), 8, ""),
        ("recipes of mixtures", retyped, (lambda: [MIXED.encode()], read_mixed), 24, ".yaml"),
        ("predictions.parquet", mutated, (answers, read_answers), 3, PREDICTIONS),
    )
}
"""{name: the values of a `readers.Reader`}."""
