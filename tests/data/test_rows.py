"""Datasets of every kind as rows: image columns, formats, decoded images, torch datasets, plain loaders."""

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Image
from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.columns import check_dataset
from hf_hmtl.data.rows import GivenRows, RowReader, image_column
from hf_hmtl.model.image_processing_hmtl import decode
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.puzzle import Puzzle

KEYS = [(2, 5), (2, 0), (2, 7)]


class Dictionaries(torch.utils.data.Dataset):
    """What a torch user writes: PIL images and numbers."""

    def __init__(self, faces):
        self.faces = faces

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, row):
        return {"image": decode(self.faces[row]["image"]), "emotion": self.faces[row]["emotion"]}


def emotion(faces):
    return Classification.of(faces["train"], "emotion")


def kinds(faces):
    train = faces["train"]
    decoded = train.cast_column("image", Image())
    return {
        "encoded": train,
        "decoded": decoded,
        "with a format": decoded.with_format("torch"),
        "with chosen columns": decoded.with_format("numpy", columns=["emotion"]),
        "with a transform": decoded.with_transform(lambda rows: {**rows, "emotion": rows["emotion"]}),
        "subset": Subset(decoded, range(len(decoded))),
        "dictionaries": Dictionaries(train),
        "arrays": [{**row, "image": np.asarray(decode(row["image"]))} for row in train.select(range(8))],
    }


KINDS = [
    "encoded", "decoded", "with a format", "with chosen columns", "with a transform", "subset", "dictionaries",
    "arrays",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_of_any_kind_gives_the_same_batch(faces, kind):
    collate = TrainingCollator([emotion(faces)], 48, pretexts=[Puzzle(grid=3)], augmentation=Augmentation.level("weak"))
    wanted = collate(RowReader(faces["train"]).__getitems__(KEYS))
    dataset = kinds(faces)[kind]
    check_dataset(dataset, [emotion(faces)], "train_dataset")
    batch = collate(RowReader(dataset).__getitems__(KEYS))
    assert torch.equal(batch["pixel_values"], wanted["pixel_values"])
    for name, target in wanted["targets"].items():
        assert torch.equal(batch["targets"][name], target)


def test_images_that_are_encoded_are_never_decoded_by_the_reader(faces):
    decoded = faces["train"].cast_column("image", Image())
    (image,) = RowReader(decoded)[3]["image"]
    assert image == faces["train"][3]["image"] and image["bytes"]
    gray = faces["train"].cast_column("image", Image(mode="L"))
    assert RowReader(gray)[3]["image"][0].mode == "L"  # a colour mode is a wish that only decoding fulfils


def test_rows_say_which_they_are(faces):
    rows = RowReader(faces["train"]).__getitems__(KEYS)
    assert (rows["epoch"], rows["row"]) == ([2, 2, 2], [5, 0, 7])
    plain = RowReader(faces["train"]).__getitems__(torch.tensor([5, 0]))
    assert (plain["epoch"], plain["row"]) == ([0, 0], [5, 0]) and {type(row) for row in plain["row"]} == {int}
    assert rows["emotion"] == [faces["train"][row]["emotion"] for row in (5, 0, 7)]
    given = GivenRows(faces["train"])
    assert given.__getitems__(KEYS) == [faces["train"][row] for row in (5, 0, 7)] and given[5] == faces["train"][5]


def test_a_column_of_another_name(faces):
    renamed = faces["train"].cast_column("image", Image()).rename_columns({"image": "face", "emotion": "Fer-Label"})
    assert image_column(renamed) == "face"
    assert image_column(renamed.add_column("image", ["a.png"] * len(renamed))) == "image"
    task = Classification.of(renamed, "Fer-Label")
    assert (task.name, task.column) == ("fer_label", "Fer-Label")
    batch = EvaluationCollator([task], 48, image_column="face")(RowReader(renamed).__getitems__(range(4)))
    plain = EvaluationCollator([emotion(faces)], 48)(RowReader(faces["train"]).__getitems__(range(4)))
    assert torch.equal(batch["pixel_values"], plain["pixel_values"])
    assert torch.equal(batch["targets"]["fer_label"], plain["targets"]["emotion"])


def test_collators_work_in_a_plain_loader(faces):
    decoded = faces["train"].cast_column("image", Image()).select(range(8))
    collate = TrainingCollator([emotion(faces)], 48, augmentation=Augmentation.level("strong"))
    loader = DataLoader(decoded, batch_size=4, collate_fn=collate)
    first, again = list(loader), list(loader)
    assert [len(batch["pixel_values"]) for batch in first] == [4, 4]
    assert torch.cat([batch["targets"]["emotion"] for batch in first]).tolist() == decoded["emotion"][:]
    assert not torch.equal(first[0]["pixel_values"], again[0]["pixel_values"])  # augmented in another way
    torch.manual_seed(0)
    one = list(loader)
    torch.manual_seed(0)
    assert torch.equal(one[0]["pixel_values"], next(iter(loader))["pixel_values"])  # torch's seed decides
    clean = DataLoader(decoded, batch_size=4, collate_fn=EvaluationCollator([emotion(faces)], 48))
    wanted = EvaluationCollator([emotion(faces)], 48)(RowReader(faces["train"]).__getitems__(range(4)))
    assert torch.equal(next(iter(clean))["pixel_values"], wanted["pixel_values"])


def test_rows_without_labels_have_missing_targets(faces):
    unlabelled = RowReader(faces["train"].select_columns("image")).__getitems__(range(3))
    for collate in (EvaluationCollator([emotion(faces)], 48), TrainingCollator([emotion(faces)], 48)):
        assert collate(unlabelled)["targets"]["emotion"].tolist() == [-100] * 3


def test_an_image_that_is_none_is_broken_and_not_fatal(faces, caplog):
    rows = [{"image": None, "emotion": 1}, Dictionaries(faces["train"])[0]]
    batch = EvaluationCollator([emotion(faces)], 48)(rows)
    assert batch["broken_rows"].tolist() == [0] and "row 0" in caplog.text
    assert batch["targets"]["emotion"][0] == -100


@pytest.mark.parametrize(
    "columns, sentence",
    [
        ({"face": Image(), "mask": Image()}, "more than one is of the type.*rename_column\\('face', 'image'\\)"),
        ({"path": datasets.Value("string")}, "none is of the type.*columns are: path.*datasets.Image\\(\\)"),
    ],
)
def test_which_column_has_the_images_is_not_guessed(columns, sentence):
    dataset = Dataset.from_dict({name: [] for name in columns}, features=datasets.Features(columns))
    with pytest.raises(ValueError, match=sentence):
        image_column(dataset)


def stream(faces):
    return faces["train"].to_iterable_dataset()


def renamed(faces, **names):
    return faces["train"].rename_columns(names)


def relabelled(faces, feature, values=None):
    values = faces["train"]["emotion"][:] if values is None else values
    return faces["train"].remove_columns("emotion").add_column("emotion", values, feature=feature)


NAMES = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
WRONG = {
    "splits": (lambda faces: faces, r"is a dictionary of splits; choose one: train_dataset=faces\['train'\]"),
    "stream": (stream, "IterableDataset does not know. Make a dataset of the stream first"),
    "generator": (lambda faces: (row for row in faces["train"]), "generator does not know"),
    "empty": (lambda faces: faces["train"].select([]), "train_dataset has no rows"),
    "other column": (lambda faces: renamed(faces, emotion="mood"), "no column 'emotion'.*it has: image, mood"),
    "tuples": (lambda faces: [(None, 3)], "row 0 is a tuple. Wrap the dataset"),
    "no image": (
        lambda faces: [{"picture": None, "emotion": 3}],
        "its image under 'image'; row 0 has: picture, emotion",
    ),
    "text in rows": (
        lambda faces: [{"image": None, "emotion": "sad"}],
        "row 0 is the text 'sad'; a class is its number",
    ),
    "other names": (
        lambda faces: relabelled(faces, ClassLabel(names=[*NAMES[1:], NAMES[0]])),
        "numbers the classes happy.*align_labels_with_mapping",
    ),
    "other classes": (
        lambda faces: relabelled(faces, ClassLabel(names=["good", *NAMES[1:]])),
        "numbers the classes good.*Make the task of the training rows",
    ),
    "text": (
        lambda faces: relabelled(faces, datasets.Value("string"), ["sad"] * 96),
        r"holds text, not class numbers. Type dataset = dataset.class_encode_column\('emotion'\)",
    ),
    "fractions": (lambda faces: relabelled(faces, datasets.Value("float32"), [0.5] * 96), "holds float32 values"),
    "truths": (lambda faces: relabelled(faces, datasets.Value("bool"), [True] * 96), "holds bool values"),
    "too large": (
        lambda faces: relabelled(faces, datasets.Value("int64"), [8] + [0] * 95),
        "holds the class 8, and the task 'emotion' has 8 classes, 0 to 7",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_dataset_that_does_not_fit_is_refused_in_a_sentence(faces, kind):
    make, sentence = WRONG[kind]
    with pytest.raises(ValueError, match=sentence):
        check_dataset(make(faces), [emotion(faces)], "train_dataset")


def test_a_transform_of_the_user_decides_what_the_rows_are(faces):
    def transform(rows):
        return {"image": rows["face"], "emotion": [7] * len(rows["face"])}

    dataset = faces["train"].rename_column("image", "face").with_transform(transform)
    check_dataset(dataset, [emotion(faces)], "train_dataset")
    rows = RowReader(dataset).__getitems__(KEYS)
    assert rows["emotion"] == [7] * 3 and rows["image"][0] == faces["train"][5]["image"]
    unnamed = dataset.remove_columns("emotion").with_transform(transform)
    check_dataset(unnamed, [emotion(faces)], "train_dataset")


def test_only_the_rows_that_there_are_count_whatever_their_format(faces):
    large = relabelled(faces, datasets.Value("int64"), [8] + [0] * 95)
    check_dataset(large.select([5, 1, 3]), [emotion(faces)], "train_dataset")
    check_dataset(relabelled(faces, datasets.Value("int64"), [None] * 96), [emotion(faces)], "train_dataset")
    with pytest.raises(ValueError, match="holds the class 8"):
        check_dataset(large.with_format("torch"), [emotion(faces)], "train_dataset")


def test_plain_class_numbers_and_what_the_sentence_proposes_are_accepted(faces):
    task = emotion(faces)
    check_dataset(relabelled(faces, datasets.Value("int8")), [task], "train_dataset")
    check_dataset(relabelled(faces, datasets.Value("int64"), [None, -1, *[7] * 94]), [task], "train_dataset")
    shuffled = relabelled(faces, ClassLabel(names=[*task.labels[1:], task.labels[0]]))
    mapping = {label: number for number, label in enumerate(task.labels)}
    check_dataset(shuffled.align_labels_with_mapping(mapping, "emotion"), [task], "train_dataset")


def test_two_datasets_have_their_images_in_one_column(faces):
    other = faces["train"].rename_column("image", "face")
    with pytest.raises(ValueError, match=r"in the column 'face', and the other dataset in 'image'.*rename_column"):
        check_dataset(other, [emotion(faces)], "eval_dataset")


def wrapped(dataset, kind):
    """The dataset in what torch wraps datasets in."""
    return {
        "subset": lambda: Subset(dataset, range(13)),
        "split": lambda: random_split(dataset, [0.5, 0.5])[0],
        "joined": lambda: ConcatDataset([dataset, dataset]),
        "joined with another": lambda: ConcatDataset([Dictionaries(dataset), dataset]),
        "part of joined": lambda: Subset(ConcatDataset([dataset, dataset]), [0, 100, 3]),
        "part of a part": lambda: Subset(Subset(dataset, range(4, 90)), [5, 2]),
        "from its end": lambda: Subset(dataset, [-1, -3]),
    }[kind]()


@pytest.mark.parametrize(
    "kind", ["subset", "split", "joined", "joined with another", "part of joined", "part of a part", "from its end"]
)
def test_what_torch_wraps_is_looked_at_as_well(faces, kind):
    check_dataset(wrapped(faces["train"], kind), [emotion(faces)], "eval_dataset")
    other = relabelled(faces, ClassLabel(names=[*NAMES[1:], NAMES[0]]))
    with pytest.raises(ValueError, match="eval_dataset: the column 'emotion' numbers the classes happy"):
        check_dataset(wrapped(other, kind), [emotion(faces)], "eval_dataset")


def test_a_wrapper_of_ones_own_may_number_the_classes_itself(faces):
    class Renumbered(Subset):
        def __getitem__(self, row):
            return super().__getitem__(row) | {"emotion": 0}

        def __getitems__(self, rows):
            return [self[row] for row in rows]

    other = relabelled(faces, ClassLabel(names=[*NAMES[1:], NAMES[0]]))
    check_dataset(Renumbered(other, range(8)), [emotion(faces)], "eval_dataset")


def test_of_what_torch_wraps_only_the_rows_that_it_shows_count(faces):
    large = relabelled(faces, datasets.Value("int64"), [0] * 50 + [8] + [0] * 45)
    both = ConcatDataset([faces["train"], large])
    check_dataset(Subset(large, [49, 51]), [emotion(faces)], "train_dataset")
    check_dataset(Subset(both, [50, 96 + 49, 96 + 51]), [emotion(faces)], "train_dataset")
    check_dataset(Subset(Subset(both, range(40, 96 + 50)), [105, 0]), [emotion(faces)], "train_dataset")
    for subset in (Subset(large, [3, 50]), Subset(both, [0, 96 + 50]), Subset(Subset(both, range(90, 150)), [56])):
        with pytest.raises(ValueError, match="holds the class 8"):
            check_dataset(subset, [emotion(faces)], "train_dataset")


def test_rows_without_labels_pass_where_they_may_and_labels_are_looked_at_there_too(faces):
    task, train = [emotion(faces)], faces["train"]
    nothing = {
        "no column": train.remove_columns("emotion"),
        "nulls": relabelled(faces, datasets.Value("null"), [None] * 96),
        "an empty column of a table": relabelled(faces, datasets.Value("float64"), [float("nan")] * 96),
        "empty texts": relabelled(faces, datasets.Value("string"), [None] * 96),
    }
    for kind, dataset in nothing.items():
        check_dataset(dataset, task, "test_dataset", unlabelled=True)
        with pytest.raises(ValueError, match="test_dataset"):
            check_dataset(dataset, task, "test_dataset"), kind
    for kind in ("other names", "text", "fractions", "truths", "too large"):
        with pytest.raises(ValueError, match=WRONG[kind][1]):
            check_dataset(WRONG[kind][0](faces), task, "test_dataset", unlabelled=True)


def test_labels_are_looked_at_without_reading_the_images(faces, monkeypatch):
    read = []
    format_of = datasets.Dataset.with_format

    def noted(self, *arguments, **options):
        read.append(self.column_names)
        return format_of(self, *arguments, **options)

    monkeypatch.setattr(datasets.Dataset, "with_format", noted)
    check_dataset(relabelled(faces, datasets.Value("int8")).shuffle(seed=0), [emotion(faces)], "train_dataset")
    assert read == [["emotion"]]
