"""The page, by Gradio: a picture goes in, HTML comes out."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio
from PIL import Image

from hf_hmtl.serving.demo.markup import STYLE
from hf_hmtl.serving.demo.showing import Showing, drawn_examples

_SECONDS_KEPT = 600
"""An upload lies in a temporary folder so long, and until the page ends at most."""
_LARGEST_FILE = "15mb"

ABOUT = (
    "A network was trained on faces together with puzzles made of them (arXiv 2105.06421). What does it see? "
    "What you upload stays on the machine that runs this page, in a temporary folder that is emptied within minutes."
)

class Photograph(gradio.Image):
    """An image whose file comes as it is, so that damaged ones get a sentence and others the one way of decoding."""

    def preprocess(self, payload):
        """The path of the file."""
        return None if payload is None else payload.path
    from collections.abc import Callable, Sequence
    from typing import TYPE_CHECKING, Any, Literal

    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

def page(showing: Showing, name: str, folder: Path) -> gradio.Blocks:
    """The page of a network.

    Args:
        showing: what is shown of a picture.
        name: of the network.
        folder: where the drawings are written that are offered as examples.
    """
    with gradio.Blocks(title=f"{name} - HMTL", delete_cache=(60, _SECONDS_KEPT)) as blocks:
        gradio.Markdown(f"# {name}\n\n{ABOUT}")
        with gradio.Row():
            with gradio.Column(scale=1, min_width=280):
                picture = Photograph(type="filepath", sources=["upload", "webcam", "clipboard"], label="Photograph")
                cropped = gradio.Checkbox(label="The picture is one face, cut out closely")
                again = gradio.Button("Shuffle the puzzle again")
                gradio.Examples(
                    [[str(path), True] for path in _examples(folder)], [picture, cropped], label="Drawn faces"
                )
            with gradio.Column(scale=3, min_width=280):
                shown = gradio.HTML(showing.html(None, False, 0))
        seed = gradio.State(0)

        def show(path: str | None, is_cropped: bool, number: int) -> str:
            return showing.html(path, is_cropped, number)

        for event in (picture.change, cropped.change, seed.change):
            event(show, [picture, cropped, seed], shown, show_progress="minimal")
        again.click(lambda number: number + 1, seed, seed)
    return blocks

def launch(blocks: gradio.Blocks, host: str, port: int, **options) -> None:
    """Serve the page until the process ends.

    Raises:
        OSError: the port is taken.
    """
    blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        css=STYLE,
        theme=_theme(),
        max_file_size=_LARGEST_FILE,
        footer_links=[],
        **options,
    )

def temporary_folder() -> tempfile.TemporaryDirectory:
    """Where uploads lie, and which is removed at the end; to be made before `page`."""
    folder = tempfile.TemporaryDirectory(prefix="hf_hmtl_demo_")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder

def _theme() -> gradio.Theme:
    """No font is asked of anybody's server."""
    return gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])

def _examples(folder: Path) -> list[Path]:
    paths = []
    for number, face in enumerate(drawn_examples()):
        paths.append(folder / f"drawn_face_{number}.png")
        Image.fromarray(face).save(paths[-1])
    return paths
