"""Pictures and folders for the tests of the doctor."""

from data_trees import picture
from PIL import Image

from hf_hmtl.analysis.doctor.reading import of_folder


def smooth(number, side=64):
    """A picture without fine detail, as photographs are, that no other number gives."""
    return picture(number, side=7).resize((side, side), Image.Resampling.BICUBIC)


def examined_of(folder, **options):
    """A folder of the test as the doctor looks at it."""
    return of_folder(folder, **options)


def kinds(findings):
    """{kind: how many}."""
    return {finding.kind: finding.count for finding in findings}
