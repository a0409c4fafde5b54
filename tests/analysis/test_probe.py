"""Probes: features by hand, a cache that is never stale, classifiers against scikit-learn, numpy and plain counting."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.modules.batchnorm import _BatchNorm

from hf_hmtl.analysis.probe import (
    INVERSE_PENALTIES,
    NEIGHBOURS,
    PROBES,
    cached_features,
    extract_features,
    fit_probe,
    probe,
)
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification, HMTLModel
from hf_hmtl.tasks.base import Supervised
from hf_hmtl.tasks.classification import Classification

SIDE = 48
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Batches this small are slower on two threads, by far when other processes use the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def trained():
    """A network whose batch norms have seen something, in training mode."""
    torch.manual_seed(0)
    heads = {"emotion": {"kind": "linear", "shape": [8]}}
    model = HMTLForImageClassification(HMTLConfig(backbone="test_efficientnet", image_size=SIDE, heads=heads)).train()
    with torch.no_grad():
        model(torch.rand(8, 3, SIDE, SIDE))
    return model


@pytest.fixture
def model(trained):
    return copy.deepcopy(trained)


def task_of(faces, name="emotion"):
    return Classification(name=name, labels=tuple(faces["train"].features[name].names))


@pytest.fixture
def collator(faces):
    return EvaluationCollator([task_of(faces)], SIDE)


def features_by_hand(model, rows):
    """The files as Pillow reads them, normalised in numpy, through timm's own forward."""
    pictures = [np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("RGB")) for image in rows["image"]]
    pixels = (np.stack(pictures) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    backbone = copy.deepcopy(model.base_model.backbone).eval()
    with torch.no_grad():
        return backbone(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()


def test_features_are_those_of_the_backbone_on_clean_images_in_row_order(faces, model, collator):
    features, targets, broken = extract_features(model, faces["test"], collator, batch_size=10)
    assert features.dtype == np.float32 and features.shape == (32, model.hmtl.pooled_channels)
    np.testing.assert_allclose(features, features_by_hand(model, faces["test"][:]), rtol=1e-3, atol=1e-5)
    assert targets.dtype == np.int64 and targets.tolist() == faces["test"]["emotion"][:]
    alone, _, _ = extract_features(model.hmtl, faces["test"], collator)
    np.testing.assert_allclose(features, alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_torchs_random_numbers_stay_as_they_were(faces, model, collator, monkeypatch, fails):
    frozen = next(module for module in model.hmtl.modules() if isinstance(module, _BatchNorm)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    if fails:
        monkeypatch.setattr(HMTLModel, "forward", forbidden)
        with pytest.raises(AssertionError, match="must not run"):
            extract_features(model, faces["test"], collator)
    else:
        extract_features(model, faces["test"], collator)
    assert [module.training for module in model.modules()] == modes and not frozen.training and model.hmtl.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.rand(1), expected)


def test_batches_have_their_size_and_keep_no_gradient(faces, model, collator, monkeypatch):
    kept = []
    forward = HMTLModel.forward

    def watched(*arguments, **options):
        outputs = forward(*arguments, **options)
        kept.append(outputs.pooler_output.requires_grad)
        return outputs

    monkeypatch.setattr(HMTLModel, "forward", watched)
    extract_features(model, faces["test"], collator, batch_size=10)
    assert kept == [False] * 4


def test_a_half_precision_model_gives_float32(faces, model, collator):
    features, _, _ = extract_features(model.to(torch.bfloat16), faces["test"].select(range(4)), collator)
    assert features.dtype == np.float32 and np.isfinite(features).all()


def test_a_broken_image_keeps_its_row_without_a_label(faces, model, collator):
    damaged = faces["test"].map(
        lambda row, number: {"image": {"bytes": b"x", "path": None}} if number == 5 else {}, with_indices=True
    )
    features, targets, broken = extract_features(model, damaged, collator)
    whole, labels, none = extract_features(model, faces["test"], collator)
    others = np.arange(32) != 5
    assert broken.tolist() == [5] and none.tolist() == []
    assert targets[5] == -100 and np.array_equal(targets[others], labels[others])
    np.testing.assert_allclose(features[others], whole[others], rtol=1e-4, atol=1e-6)


def test_a_backbone_that_has_diverged_is_not_probed(faces, model, collator):
    with torch.no_grad():
        next(model.base_model.backbone.parameters()).fill_(torch.nan)
    message = r"features of 32 of 32 images are not finite \(the first: drawn-test-.*this backbone has diverged"
    with pytest.raises(ValueError, match=message):
        extract_features(model, faces["test"], collator)


def test_the_collator_has_one_classification(faces, model, collator):
    two = EvaluationCollator([task_of(faces), task_of(faces, "gender")], SIDE)
    with pytest.raises(ValueError, match=r"2 supervised tasks: emotion \(Classification\), gender"):
        extract_features(model, faces["test"], two)
    with pytest.raises(ValueError, match="none"):
        extract_features(model, faces["test"], EvaluationCollator([], SIDE))
    with pytest.raises(ValueError, match=r"valence \(Supervised\)"):
        extract_features(model, faces["test"], EvaluationCollator([Supervised("valence")], SIDE))


def forbidden(*arguments, **options):
    raise AssertionError("the model must not run")


@pytest.fixture
def runs(monkeypatch):
    """Counts the batches that go through a backbone."""
    counted = []
    forward = HMTLModel.forward
    monkeypatch.setattr(
        HMTLModel, "forward", lambda *arguments, **options: counted.append(1) or forward(*arguments, **options)
    )
    return counted


def assert_equal_features(first, second):
    assert list(first) == list(second)
    for split in first:
        for one, other in zip(first[split], second[split], strict=True):
            assert one.dtype == other.dtype and np.array_equal(one, other)


def test_the_second_call_does_not_run_the_model(faces, model, collator, tmp_path, monkeypatch):
    splits = {split: faces[split] for split in ("validation", "test")}
    first = cached_features(tmp_path / "new", model, splits, collator, "data-1")
    for split, (features, targets, _) in first.items():
        expected = extract_features(model, faces[split], collator)
        assert np.array_equal(features, expected[0]) and np.array_equal(targets, expected[1])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["features.npz"]
    monkeypatch.setattr(HMTLModel, "forward", forbidden)
    assert_equal_features(cached_features(tmp_path / "new", model.eval(), splits, collator, "data-1"), first)
    assert_equal_features(cached_features(tmp_path / "new", model.hmtl, splits, collator, "data-1"), first)


def few(faces):
    return {"test": faces["test"].select(range(8))}


def nudge(tensor):
    with torch.no_grad():
        tensor.view(-1)[-1] += 1


def other_statistics(model):
    model.config.pixel_mean = [0.5, 0.5, 0.5]
    model.hmtl.set_pixel_statistics()


CHANGES_OF_THE_MODEL = {
    "a weight": lambda model: nudge([*model.hmtl.parameters()][-1]),
    "a running mean": lambda model: nudge(model.hmtl.get_buffer("backbone.bn1.running_mean")),
    "pixel statistics": other_statistics,
    "a network of another name": lambda model: setattr(model.config, "backbone", "tf_test_efficientnet"),
}


@pytest.mark.parametrize("change", CHANGES_OF_THE_MODEL)
def test_another_model_is_run(faces, model, collator, tmp_path, runs, change):
    splits = few(faces)
    cached_features(tmp_path, model, splits, collator, "data-1")
    CHANGES_OF_THE_MODEL[change](model)
    found = cached_features(tmp_path, model, splits, collator, "data-1")
    assert len(runs) == 2
    assert_equal_features(found, {"test": extract_features(model, few(faces)["test"], collator)})


def test_a_head_is_no_part_of_the_key(faces, model, collator, tmp_path, runs):
    cached_features(tmp_path, model, few(faces), collator, "data-1")
    nudge(next(model.heads.parameters()))
    cached_features(tmp_path, model, few(faces), collator, "data-1")
    assert len(runs) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "data-2"},
        {"crop_fraction": 0.9},
        {"image_size": 64},
        {"task": "gender"},
        {"rows": 7},
        {"split": "validation"},
    ],
    ids=str,
)
def test_other_data_are_run(faces, model, tmp_path, runs, change):
    def features(fingerprint="data-1", task="emotion", rows=8, split="test", image_size=SIDE, **options):
        collator = EvaluationCollator([task_of(faces, task)], image_size, **options)
        return cached_features(tmp_path, model, {split: faces[split].select(range(rows))}, collator, fingerprint)

    features()
    (targets,) = (found.targets for found in features(**change).values())
    assert len(runs) == 2
    expected = faces[change.get("split", "test")][change.get("task", "emotion")][: change.get("rows", 8)]
    assert targets.tolist() == expected


def flipped_in_the_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def with_pickled_key(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {"key": np.array([str(arrays["key"])], dtype=object)})


def without_targets(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{name: array for name, array in arrays.items() if not name.endswith("y")})


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "one bit of the features": flipped_in_the_middle,
    "no archive": lambda path: path.write_text("not an archive"),
    "pickled": with_pickled_key,
    "incomplete": without_targets,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_anew(faces, model, collator, tmp_path, runs, damage):
    splits = few(faces)
    first = cached_features(tmp_path, model, splits, collator, "data-1")
    DAMAGES[damage](tmp_path / "features.npz")
    assert_equal_features(cached_features(tmp_path, model, splits, collator, "data-1"), first)
    assert len(runs) == 2
    assert_equal_features(cached_features(tmp_path, model, splits, collator, "data-1"), first)
    assert len(runs) == 2  # what was made anew is whole


def blobs(rows, seed, noise=1.0, classes=4, channels=6, scale=1.0):
    """Rows around one random centre a class, channels of very different sizes."""
    centres = np.random.default_rng(99).normal(size=(classes, channels))
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, rows)
    features = centres[targets] + noise * generator.normal(size=(rows, channels))
    sizes = scale * 10.0 ** np.arange(channels)
    return (features * sizes + 3 * sizes).astype(np.float32), targets


def standardised(train, rows):
    return (rows - train.mean(0, dtype=np.float64)) / train.std(0, dtype=np.float64)


def test_the_linear_probe_is_logistic_regression_on_standardised_features():
    train, test = blobs(120, seed=0), blobs(80, seed=1)
    found = fit_probe("linear", *train, None, NAMES, seed=0)
    assert found[-1].C == 1
    by_hand = LogisticRegression(C=1.0, max_iter=1000).fit(standardised(train[0], train[0]), train[1])
    np.testing.assert_allclose(
        found.predict_proba(test[0]), by_hand.predict_proba(standardised(train[0], test[0])), atol=2e-3
    )


def accuracies_by_hand(train, validation, penalties):
    fitted = [LogisticRegression(C=c, max_iter=1000).fit(standardised(train[0], train[0]), train[1]) for c in penalties]
    return [accuracy_score(validation[1], model.predict(standardised(train[0], validation[0]))) for model in fitted]


def weak_signal(seed, rows):
    """A third of a deviation between the classes in each of 50 channels: few rows teach it better when penalised."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 2, rows)
    return (generator.normal(size=(rows, 50)) + 0.15 * (2 * targets[:, None] - 1)).astype(np.float32), targets


def small_difference(seed, rows):
    """Two channels nearly alike, whose difference decides: it takes weights that a strong penalty forbids."""
    generator = np.random.default_rng(seed)
    targets, common = generator.integers(0, 2, rows), generator.normal(size=rows)
    other = common + 0.1 * (2 * targets - 1) + 0.03 * generator.normal(size=rows)
    return np.stack([common, other], axis=1).astype(np.float32), targets


@pytest.mark.parametrize(("make", "best"), [(weak_signal, 0.1), (small_difference, 10.0)])
def test_validation_chooses_the_penalty(make, best):
    train, validation = make(0, 60), make(1, 400)
    accuracies = accuracies_by_hand(train, validation, INVERSE_PENALTIES)
    assert INVERSE_PENALTIES[int(np.argmax(accuracies))] == best and max(accuracies) > accuracies[2]
    found = probe("linear", {"train": train, "validation": validation}, ["no", "yes"], seeds=[0])
    assert found.hyperparameters == {"C": best}
    assert found.metrics["validation"][0]["accuracy"] == pytest.approx(max(accuracies))


def test_equal_accuracies_choose_the_strongest_penalty():
    separable = blobs(80, seed=0, noise=0.01)
    assert fit_probe("linear", *separable, separable, NAMES, seed=0)[-1].C == 0.01


def neighbours_by_hand(train, rows, count):
    """Sort the cosine distances, count the votes; numpy's argmax takes the first of equally frequent classes."""
    references, queries = standardised(train[0], train[0]), standardised(train[0], rows)
    references, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (references, queries))
    nearest = np.argsort(1 - queries @ references.T, axis=1)[:, :count]
    return np.array([np.bincount(votes, minlength=len(NAMES)).argmax() for votes in train[1][nearest]])


def test_nearest_neighbours_are_counted_by_cosine():
    train, validation, test = blobs(150, seed=0, noise=1.5), blobs(90, seed=1, noise=1.5), blobs(90, seed=2, noise=1.5)
    accuracies = [(neighbours_by_hand(train, validation[0], k) == validation[1]).mean() for k in NEIGHBOURS]
    best = NEIGHBOURS[int(np.argmax(accuracies))]
    found = probe("knn", {"train": train, "validation": validation, "test": test}, NAMES, seeds=[0])
    assert best != 20 and found.hyperparameters == {"n_neighbors": best}
    assert np.array_equal(found.answers["test"][0], neighbours_by_hand(train, test[0], best))
    without = probe("knn", {"train": train, "test": test}, NAMES, seeds=[0])
    assert without.hyperparameters == {"n_neighbors": 20}
    assert np.array_equal(without.answers["test"][0], neighbours_by_hand(train, test[0], 20))


def test_neighbours_are_no_more_than_rows():
    directions = np.repeat([[1, 0], [0, 1], [-1, -1]], 4, axis=0) * np.arange(1, 13)[:, None]
    train = directions.astype(np.float32), np.repeat([0, 2, 3], 4)
    assert fit_probe("knn", *train, None, NAMES, seed=0)[-1].n_neighbors == 12
    assert fit_probe("knn", *train, train, NAMES, seed=0)[-1].n_neighbors == 5


def exclusive_or(seed, rows=600):
    generator = np.random.default_rng(seed)
    features = generator.uniform(-1, 1, size=(rows, 2)).astype(np.float32)
    return features, ((features[:, 0] > 0) ^ (features[:, 1] > 0)).astype(np.int64)


def test_a_straight_line_suffices_for_one_toy_and_not_for_the_other():
    def accuracy(kind, make):
        splits = {"train": make(0), "validation": make(1), "test": make(2)}
        return probe(kind, splits, ["no", "yes", "c", "d"], seeds=[0]).metrics["test"][0]["accuracy"]

    assert accuracy("linear", lambda seed: blobs(300, seed, noise=0.1)) == 1.0
    assert accuracy("linear", exclusive_or) < 0.65
    assert accuracy("nonlinear", exclusive_or) > 0.9


def test_the_nonlinear_probe_has_two_layers_and_stops_by_rows_set_apart():
    network = fit_probe("nonlinear", *blobs(120, seed=0), None, NAMES, seed=0)[-1]
    assert [layer.shape for layer in network.coefs_] == [(6, 512), (512, 4)]
    assert (network.activation, network.out_activation_, network.solver) == ("relu", "softmax", "adam")
    # Scores on the twelve rows set apart are multiples of 1/12.
    np.testing.assert_allclose(np.array(network.validation_scores_) * 12 % 1, 0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize(
    "counts", [(30, 30, 1), (4, 3, 3)], ids=["one row of a class", "fewer rows apart than classes"]
)
def test_classes_too_small_to_be_set_apart_are_learnt_all_the_same(counts):
    targets = np.repeat(np.arange(3), counts)
    features = np.eye(3, dtype=np.float32)[targets]
    found = fit_probe("nonlinear", features, targets, None, NAMES, seed=0)
    assert not found[-1].early_stopping and np.array_equal(found.predict(features), targets)


@pytest.mark.parametrize("kind", PROBES)
def test_scores_are_sklearns(kind):
    splits = {"train": blobs(120, seed=0), "validation": blobs(60, seed=1), "test": blobs(70, seed=2)}
    found = probe(kind, splits, NAMES, seeds=[0])
    assert list(found.metrics) == ["validation", "test"]
    for split in found.metrics:
        answers, targets = found.answers[split][0], splits[split][1]
        (metrics,) = found.metrics[split]
        assert metrics["accuracy"] == pytest.approx(accuracy_score(targets, answers))
        assert metrics["macro_f1"] == pytest.approx(f1_score(targets, answers, average="macro"))
        assert metrics["count"] == len(targets) and {"recall_a", "recall_d"} < set(metrics)
    assert list(probe(kind, {"train": splits["train"], "test": splits["test"]}, NAMES, [0]).metrics) == ["test"]


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("missing", [-1, -100])
def test_rows_without_a_label_count_nowhere(kind, missing):
    splits = {"train": blobs(120, seed=0), "validation": blobs(60, seed=1), "test": blobs(70, seed=2)}
    spoilt = {}
    for split, (features, targets) in splits.items():
        black = np.full((9, features.shape[1]), 1e9, np.float32)
        spoilt[split] = np.concatenate([black, features]), np.concatenate([np.full(9, missing), targets])
    found, expected = probe(kind, spoilt, NAMES, seeds=[0]), probe(kind, splits, NAMES, seeds=[0])
    assert found.metrics == expected.metrics and found.hyperparameters == expected.hyperparameters
    assert len(found.answers["test"][0]) == 79
    assert np.array_equal(found.answers["test"][0][9:], expected.answers["test"][0])


def test_validation_without_a_label_chooses_nothing():
    features, targets = blobs(60, seed=1)
    found = fit_probe("linear", *blobs(120, seed=0), (features, np.full_like(targets, -100)), NAMES, seed=0)
    assert found[-1].C == 1


@pytest.mark.parametrize("kind", PROBES)
def test_class_numbers_keep_their_meaning_when_a_class_has_no_training_row(kind):
    features, targets = blobs(200, seed=0, noise=0.05)
    present = targets != 1
    test = blobs(80, seed=1, noise=0.05)
    found = probe(kind, {"train": (features[present], targets[present]), "test": test}, NAMES, seeds=[0])
    others = test[1] != 1
    assert np.array_equal(found.answers["test"][0][others], test[1][others])
    (metrics,) = found.metrics["test"]
    assert (metrics["recall_a"], metrics["recall_b"], metrics["recall_c"], metrics["recall_d"]) == (1, 0, 1, 1)
    expected = f1_score(test[1], found.answers["test"][0], labels=range(4), average="macro", zero_division=0)
    assert metrics["macro_f1"] == pytest.approx(expected)


def test_only_the_nonlinear_probe_is_fitted_for_every_seed():
    splits = {"train": blobs(100, seed=0, noise=2.0), "test": blobs(100, seed=1, noise=2.0)}
    for kind in ("linear", "knn"):
        once = probe(kind, splits, NAMES, seeds=[4, 5, 6])
        assert once.deterministic and len(once.metrics["test"]) == 1
        assert once.mean("test") == once.metrics["test"][0]
        assert np.isnan(once.standard_deviation("test")["accuracy"])
    several = probe("nonlinear", splits, NAMES, seeds=[4, 5, 6])
    single = [probe("nonlinear", splits, NAMES, seeds=[seed]) for seed in (4, 5, 6)]
    assert not several.deterministic and several.hyperparameters == {}
    assert several.metrics["test"] == [one.metrics["test"][0] for one in single]
    assert np.array_equal(several.answers["test"][0], single[0].answers["test"][0])
    values = [metrics["accuracy"] for metrics in several.metrics["test"]]
    assert len(set(values)) > 1
    assert several.mean("test")["accuracy"] == pytest.approx(sum(values) / 3)
    squares = sum((value - sum(values) / 3) ** 2 for value in values)
    assert several.standard_deviation("test")["accuracy"] == pytest.approx((squares / 2) ** 0.5)


def test_unknown_probes_name_the_nearest():
    with pytest.raises(ValueError, match=r"'non-linear'\. Did you mean 'nonlinear'\? Allowed: 'linear', "):
        probe("non-linear", {"train": blobs(20, seed=0)}, NAMES, seeds=[0])
    with pytest.raises(ValueError, match="'forest'. Allowed"):
        probe("forest", {"train": blobs(20, seed=0)}, NAMES, seeds=[0])


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([2] * 8 + [-1] * 12, "all 8 have 'c'"),
        ([-100] * 20, "none has a label"),
        ([0, 7] * 10, r"without a label: \[7\]"),
        ([0, -3] * 10, r"without a label: \[-3\]"),
    ],
)
def test_targets_that_teach_nothing_raise(kind, targets, message):
    features, _ = blobs(20, seed=0)
    with pytest.raises(ValueError, match=message):
        probe(kind, {"train": (features, np.array(targets))}, NAMES, seeds=[0])


def test_a_probe_needs_training_rows_and_a_seed():
    with pytest.raises(ValueError, match="'train'"):
        probe("knn", {"test": blobs(20, seed=0)}, NAMES, seeds=[0])
    with pytest.raises(ValueError, match="at least one seed"):
        probe("nonlinear", {"train": blobs(20, seed=0)}, NAMES, seeds=[])
