from hf_hmtl.results.free_record import free_record


def test_places_are_kept_by_their_last_part_however_they_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights" / "first").mkdir(parents=True)
    for given in ("weights/first", "./weights/first", str(tmp_path / "weights" / "first"), "first"):
        record = {"recipe.pretrained": given, "recipe.mixed_with": [{"name": "custom", "data_dir": given}]}
        of_others = {"recipe.pretrained": "first", "recipe.mixed_with": [{"name": "custom", "data_dir": "first"}]}
        assert free_record(record) == of_others


def test_names_numbers_and_classes_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "custom" / "supervised").mkdir(parents=True)
    record = {
        "recipe.name": "custom/supervised",
        "recipe.pretrained": "user/model",
        "recipe.image_size": 48,
        "labels.label": ["custom/supervised", "sad"],
        "version": 3,
    }
    assert free_record(record) == record
