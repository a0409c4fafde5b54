"""Everything that reads what others wrote, with small valid files of each kind."""

import asyncio
import base64
import functools
import io
import json
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import scipy.io
import torch
from data_trees import encoded, picture
from mutations import mutated, retyped, rewritten
from safetensors.torch import save as safetensors
from source_readers import SOURCE_READERS
from starlette.requests import Request
from videos import write_video

from hf_hmtl import recipe as recipes
from hf_hmtl.compare import rows as comparisons
from hf_hmtl.data import video
from hf_hmtl.data.decode import decode_for_training
from hf_hmtl.data.faces.given import GivenFaces
from hf_hmtl.data.faces.given_frames import face_of_points
from hf_hmtl.data.own_faces.text_tables import read_text_table
from hf_hmtl.data.sources import afew_va, custom, fer2013
from hf_hmtl.data.sources._affectnet_npy import _label
from hf_hmtl.data.sources._pose_mat import _face
from hf_hmtl.model.backbone_hmtl import new_backbone, weights_from_file
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.configuration_sequence_hmtl import HMTLSequenceConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor, decode
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.results import card
from hf_hmtl.results import result as results
from hf_hmtl.serving.server.bodies import asked
from hf_hmtl.serving.server.limits import Limits, Refused
from hf_hmtl.serving.server.wishes import parsed, wishes_of
from hf_hmtl.training import checkpoint as checkpoints

HERE = Path(__file__).parent


@dataclass
class Reader:
    """Something that reads what others wrote.

    Attributes:
        files: gives the bytes of valid files.
        change: one of `mutations`.
        read: reads a file at a path, in an empty folder of its own.
        cost: milliseconds of an example, about.
        suffixes: what the file may be called.
    """

    files: Callable[[], list[bytes]]
    change: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], object]
    cost: float = 1.0
    suffixes: tuple[str, ...] = ("",)


def images():
    kinds = (
        "JPEG",
        "PNG",
        "GIF",
        "BMP",
        "WEBP",
        "TIFF",
        "PPM",
        "ICO",
        "PCX",
        "TGA",
        "JPEG2000",
        "SGI",
        "DDS",
        "ICNS",
        "MPO",
    )
    found = [encoded(number, kind, 16) for number, kind in enumerate(kinds)]
    for options in (
        {"progressive": True},
        {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},
    ):
        file = io.BytesIO()
        picture(3, 16).save(file, "JPEG", **options)
        found.append(file.getvalue())
    file = io.BytesIO()
    picture(4, 16).convert("P").save(file, "PNG", transparency=0)
    return [*found, file.getvalue()]


def read_image(path):
    content = path.read_bytes()
    for read in (lambda: decode_for_training(content, 8), lambda: decode(content)):
        try:
            read()
        except ValueError as error:
            told(error)


CSV = b'file_name,label,age\n0.jpg,happy,3\n1.jpg,"sad, very",4.5\n2.jpg,,NA\n'
TSV = "image\tlabel\n0.jpg\tfröhlich\n1.jpg\tsad\n".encode()
JSON_TABLE = b'[{"file_name": "0.jpg", "label": "happy"}, {"file_name": "1.jpg", "label": null, "age": 3}]'
JSON_COLUMNS = b'{"file_name": ["0.jpg", "1.jpg"], "label": ["a", "b"]}'
JSON_LINES = b'{"file_name": "0.jpg", "label": "happy"}\n{"file_name": "1.jpg", "label": 4}\n'
BOXES = b"file,left,top,right,bottom,score,landmarks\na.jpg,1,2,30,40,0.9,1 2 3 4 5 6 7 8 9 10\n"
POINTS = b"version: 1\nn_points: 2\n{\n10.5 20.5\n110.5 120.5\n}\n"


def folder_of_faces(path):
    """The file becomes the table of a folder of faces."""
    folder = path.parent / "faces"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(encoded(number))
    shutil.copyfile(path, folder / f"metadata{path.suffix}")
    custom.load(folder)


def parquet(images_are="bytes"):
    image = {"bytes": encoded(0), "path": None} if images_are == "bytes" else {"bytes": None, "path": "x.jpg"}
    table = pa.table({"image": [image] * 12, "label": ["happy", "sad"] * 6})
    features = {"image": {"_type": "Image"}, "label": {"dtype": "string", "_type": "Value"}}
    described = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    found = []
    for each, options in ((table, {}), (described, {"compression": "gzip"}), (table, {"use_dictionary": False})):
        file = io.BytesIO()
        pyarrow.parquet.write_table(each, file, **options)
        found.append(file.getvalue())
    return found


def arrays():
    found = []
    for value in (np.array("-0.392238"), np.array(3), np.zeros((2, 3), np.float32)):
        file = io.BytesIO()
        np.save(file, value)
        found.append(file.getvalue())
    file = io.BytesIO()
    np.savez(file, value=np.array(3))
    return [*found, file.getvalue()]


def mats():
    found = []
    for options in ({}, {"do_compression": True}, {"format": "4"}):
        file = io.BytesIO()
        values = {"Pose_Para": np.array([[0.1, 0.2, 0.3, 4.0]]), "pt2d": np.random.default_rng(0).random((2, 21)) * 90}
        scipy.io.savemat(file, values, **options)
        found.append(file.getvalue())
    file = io.BytesIO()
    scipy.io.savemat(file, {"Pose_Para": {"a": "text", "b": np.array([[1.0, "x"]], dtype=object)}, "pt2d": "words"})
    return [*found, file.getvalue()]


def videos():
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name in ("a.mp4", "a.mkv", "a.avi"):
            path = Path(folder, name)
            with av.open(str(path), "w") as container:
                stream = container.add_stream("mpeg4", rate=10)
                stream.height = stream.width = 16
                for number in range(3):
                    frame = av.VideoFrame.from_image(picture(number, 16))
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            found.append(path.read_bytes())
        path = write_video(Path(folder, "b.mov"), [np.asarray(picture(number, 16)) for number in range(2)])
        return [*found, path.read_bytes()]


def read_video(path):
    video.count(path)
    for number, _ in enumerate(video.frames(path)):
        if number == 8:
            break


def recipe_files():
    return [(recipes.FOLDER / f"{name}.yaml").read_bytes() for name in ("quickstart", "drawn-paper", "custom")]


def comparison_files():
    return [(comparisons.FOLDER / f"{name}.yaml").read_bytes() for name in ("drawn", "fer2013-labels")]


def golden(*names):
    return [(HERE / "golden" / "version_0_3_0" / name).read_bytes() for name in names]


def configurations():
    return golden(*(f"{kind}/config.json" for kind in ("classification", "decoder", "numbers", "several", "mlp")))


def sequence_configurations():
    frame = HMTLConfig(backbone="test_resnet", image_size=32)
    return [HMTLSequenceConfig(frame_config=frame, num_labels=3).to_json_string().encode()]


def processors():
    return golden("classification/preprocessor_config.json")


def read_configuration(kind, path):
    kind.from_pretrained(path.parent)


def read_processor(path):
    HMTLImageProcessor.from_pretrained(path.parent)


def model_of_configuration(path):
    """The configuration stands beside weights."""
    shutil.copyfile(HERE / "golden/version_0_3_0/classification/model.safetensors", path.parent / "model.safetensors")
    HMTLForImageClassification.from_pretrained(path.parent)


def model_of_weights(path):
    shutil.copyfile(HERE / "golden/version_0_3_0/classification/config.json", path.parent / "config.json")
    HMTLForImageClassification.from_pretrained(path.parent)


def weights():
    return golden("classification/model.safetensors")


def small_weights():
    return [safetensors({"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.int64)}, {"format": "pt"})]


@functools.cache
def backbone():
    return new_backbone("test_resnet", 32)


def read_weights(path):
    weights_from_file(path, backbone())


MORE_OF_A_RESULT = {
    "heads": {
        "emotion": {"kind": "linear", "labels": ["happy", "sad", "contempt"]},
        "affect": {"kind": "regression", "names": ["valence", "arousal"], "range": [-1, 1], "unit": "points"},
        "signs": {"kind": "multilabel", "labels": ["au1", "au2"]},
    },
    "fold": {"number": 1, "of": 10},
    "started_from": {"name": "earlier", "base_model": "timm/resnet10t", "sources": ["affectnet"]},
    "left_out": {"folder": {"not_image": {"count": 3, "names": ["a.txt"], "what": "files that are no images"}}},
    "left_out_steps": [7],
    "calibration": {
        "emotion": {
            "expected_error": 0.05, "brier": 0.2, "confidence": 0.8, "count": 20,
            "reliability": [{"low": 0.9, "high": 1.0, "rows": 20, "confidence": 0.95, "accuracy": None}],
        }
    },
    "groups": {
        "emotion": {
            "gender": {
                "female": {"accuracy": 0.7, "rows": 12, "low": 0.5, "high": 0.8, "few": False},
                "male": {"accuracy": 0.5, "rows": 8, "low": None, "high": None, "few": True},
            }
        }
    },
    "seconds_an_image": 0.02,
}  # fmt: skip


def results_of_runs():
    contents = [(HERE / "results" / f"version_{number}.json").read_bytes() for number in (1, 2)]
    return [*contents, json.dumps(json.loads(contents[-1]) | MORE_OF_A_RESULT).encode()]


def read_result(path):
    card.render(results.read(path))


STATE = {
    "best_metric": 0.5, "best_model_checkpoint": "run/checkpoint-2", "epoch": 1.0, "global_step": 2, "max_steps": 4,
    "num_train_epochs": 2, "log_history": [{"loss": 1.5, "step": 1, "epoch": 0.5}, {"eval_loss": 1.0, "step": 2}],
    "stateful_callbacks": {
        "EarlyStoppingCallback": {"args": {}, "attributes": {"early_stopping_patience_counter": 1}},
        "TrainerControl": {"args": {"should_training_stop": True}, "attributes": {}},
    },
}  # fmt: skip
OUR_STATE = {
    "seconds": 12.5, "calibrated_weights": {"inpainting": 130.25}, "sums": {"loss": [1.0, 2.0]}, "sums_since": 2,
    "past_losses": {"epoch": 1, "current": {"a": 0.5}, "last": {"a": 1.0}, "before_last": {}}, "broken_rows": [3],
    "left_out_steps": [1],
}  # fmt: skip


def as_json(value):
    return [json.dumps(value).encode()]


def read_trainer_state(path):
    checkpoints.is_over(checkpoints.trainer_state(path.parent), 8, 3)


def read_our_state(path):
    checkpoints.HybridState.read(path.parent)


def torch_states():
    found = []
    states = (
        {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"params": [0]}]},
        {"last_epoch": 3, "_last_lr": [0.1]},
        {
            "python": random.Random(0).getstate(),
            "numpy": np.random.RandomState(0).get_state(),
            "cpu": torch.get_rng_state(),
        },
    )
    for state in states:
        file = io.BytesIO()
        torch.save(state, file)
        found.append(file.getvalue())
    return found


def checkpoint_of_state(path):
    """The file is each of the three states in turn."""
    folder = path.parent / "checkpoint-2"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
    for name, content in zip(names, torch_states_once(), strict=True):
        (folder / name).write_bytes(content)
    (folder / "trainer_state.json").write_text(json.dumps(STATE))
    (folder / "hmtl_state.json").write_text(json.dumps(OUR_STATE))
    (folder / "model.safetensors").write_bytes(small_weights()[0])
    content = path.read_bytes()
    for name in names:
        (folder / name).write_bytes(content)
        args = SimpleNamespace(output_dir=str(path.parent), world_size=1, precision="float32")
        try:
            checkpoints.resume_point(str(folder), args)
        except ValueError as error:
            told(error)


torch_states_once = functools.cache(torch_states)


def bodies():
    picture_in_text = base64.b64encode(encoded(0)).decode()
    return [json.dumps({"image": picture_in_text, "margin": 0.2, "heads": ["emotion"], "detect": False}).encode()]


def forms():
    lines = (
        b"--XX", b'Content-Disposition: form-data; name="image"; filename="a.jpg"', b"Content-Type: image/jpeg", b"",
        encoded(0), b"--XX", b'Content-Disposition: form-data; name="detect"', b"", b"false", b"--XX--", b"",
    )  # fmt: skip
    return [b"\r\n".join(lines)]


def read_body(kind, path):
    content = path.read_bytes()

    async def receive():
        return {"type": "http.request", "body": content, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind)]}
    limits = Limits()
    try:
        given = asyncio.run(asked(Request(scope, receive), limits))
        parsed(wishes_of(("emotion",), True), given.wishes, given.as_text)
    except Refused as error:
        told(error)


def read_clip(path):
    folder = path.parent / "clips"
    (folder / "001").mkdir(parents=True, exist_ok=True)
    (folder / "001" / "00000.png").write_bytes(encoded(0, "PNG"))
    shutil.copyfile(path, folder / "001" / "001.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of counts that differ from the published ones
        afew_va.load(folder)


CLIP = {
    "video_id": "001", "actor": "A",
    "frames": {"00000": {"valence": 1.0, "arousal": -2.0, "landmarks": [[1.0, 2.0], [30.0, 40.0]]}},
}  # fmt: skip


def fer2013_tables():
    pixels = " ".join(["7"] * 2304)
    lines = [f"{number},{pixels},{usage}" for number, usage in enumerate(fer2013.USAGES)]
    return ["\n".join(["emotion,pixels,Usage", *lines, ""]).encode()]


def read_fer2013(path):
    folder = path.parent / "fer2013"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / "fer2013.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of counts that differ from the published ones
        fer2013.load(folder)


CONFIG, PROCESSOR = ("config.json",), ("preprocessor_config.json",)
JSON_FORM, FORM = b"application/json", b"multipart/form-data; boundary=XX"
READERS = {
    "images": Reader(images, mutated, read_image),
    "CSV": Reader(lambda: [CSV, TSV], retyped, read_text_table, suffixes=(".csv", ".tsv", ".txt")),
    "JSON tables": Reader(lambda: [JSON_TABLE, JSON_COLUMNS], rewritten, read_text_table, suffixes=(".json",)),
    "JSON lines": Reader(lambda: [JSON_LINES], retyped, read_text_table, suffixes=(".jsonl", ".json")),
    "folders with a table": Reader(lambda: [CSV], retyped, folder_of_faces, 10, (".csv",)),
    "parquet": Reader(parquet, mutated, folder_of_faces, 10, (".parquet",)),
    "boxes": Reader(lambda: [BOXES], retyped, GivenFaces, suffixes=(".csv",)),
    "points": Reader(lambda: [POINTS], retyped, face_of_points, suffixes=(".pts",)),
    "npy": Reader(arrays, mutated, _label, suffixes=(".npy",)),
    "mat": Reader(mats, mutated, _face, suffixes=(".mat",)),
    "labels of clips": Reader(lambda: as_json(CLIP), rewritten, read_clip, 5),
    "FER2013's table": Reader(fer2013_tables, retyped, read_fer2013, 3),
    "videos": Reader(videos, mutated, read_video, 5, (".mp4", ".mkv", ".avi")),
    "recipes": Reader(recipe_files, retyped, lambda path: recipes.load(str(path)), 20, (".yaml",)),
    "comparisons": Reader(comparison_files, retyped, lambda path: comparisons.preset(str(path)), 10, (".yaml",)),
    "config.json": Reader(configurations, rewritten, partial(read_configuration, HMTLConfig), 2, CONFIG),
    "config.json of clips": Reader(
        sequence_configurations, rewritten, partial(read_configuration, HMTLSequenceConfig), 2, CONFIG
    ),
    "config.json of weights": Reader(configurations, rewritten, model_of_configuration, 20, CONFIG),
    "preprocessor_config.json": Reader(processors, rewritten, read_processor, 1, PROCESSOR),
    "result.json": Reader(results_of_runs, rewritten, read_result, 40, ("result.json",)),
    "model.safetensors": Reader(weights, mutated, model_of_weights, 30, ("model.safetensors",)),
    "files of weights": Reader(small_weights, mutated, read_weights, suffixes=(".safetensors",)),
    "trainer_state.json": Reader(lambda: as_json(STATE), rewritten, read_trainer_state, 1, ("trainer_state.json",)),
    "hmtl_state.json": Reader(lambda: as_json(OUR_STATE), rewritten, read_our_state, 1, ("hmtl_state.json",)),
    "states of torch": Reader(torch_states, mutated, checkpoint_of_state, 5),
    "JSON bodies": Reader(bodies, rewritten, partial(read_body, JSON_FORM)),
    "forms": Reader(forms, mutated, partial(read_body, FORM)),
    **{name: Reader(*values) for name, values in SOURCE_READERS.items()},
}


def told(error):
    """What is raised says in one bounded sentence what is wrong, and not as another library says it."""
    assert str(error).strip(), type(error)
    assert len(str(error)) < 5_000, f"{type(error).__name__} of {len(str(error)):,} characters"
    assert not isinstance(error, (UnicodeError, json.JSONDecodeError)), repr(error)


def attempt(reader, content, place):
    """Read this content; what is wrong with it is told, or it is read.

    Args:
        reader: of `READERS`.
        content: bytes.
        place: an empty folder.
    """
    suffix = reader.suffixes[len(content) % len(reader.suffixes)]
    path = place / (suffix if suffix and not suffix.startswith(".") else f"given{suffix}")
    path.write_bytes(content)
    try:
        reader.read(path)
    except (ValueError, OSError) as error:
        told(error)
