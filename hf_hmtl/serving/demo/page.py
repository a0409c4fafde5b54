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
                picture = gradio.Image(type="filepath", sources=["upload", "webcam", "clipboard"], label="Photograph")
                picture.preprocess = _content  # type: ignore[method-assign]
                cropped = gradio.Checkbox(label="The picture is one face, cut out closely")
                again = gradio.Button("Shuffle the puzzle again")
                drawings = gradio.Examples(_examples(folder), picture, label="Drawn faces")
            with gradio.Column(scale=3, min_width=280):
                shown = gradio.HTML(showing.html(None, False, 0))
        seed = gradio.State(0)

        # The last event has the last word: a drawing changes the picture, and then the tick.
        gradio.on(
            [picture.change, cropped.change, seed.change],
            showing.html,
            [picture, cropped, seed],
            shown,
            show_progress="minimal",
            trigger_mode="always_last",
        )
        again.click(lambda number: number + 1, seed, seed)
        drawings.dataset.click(lambda: True, None, cropped)
    return blocks


def launch(blocks: gradio.Blocks, host: str, port: int) -> None:
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
    )


def temporary_folder() -> tempfile.TemporaryDirectory:
    """Where uploads lie, and which is removed at the end; to be made before `page`."""
    folder = tempfile.TemporaryDirectory(prefix="hf_hmtl_demo_")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder


def _content(payload: gradio.data_classes.FileData | None) -> bytes | None:
    """The file as it came, so that a damaged one gets a sentence and every other is decoded in the one way."""
    return None if payload is None else Path(payload.path).read_bytes()


def _theme() -> gradio.Theme:
    """No font is asked of anybody's server."""
    return gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def _examples(folder: Path) -> list[str]:
    paths = []
    for number, face in enumerate(drawn_examples()):
        paths.append(str(folder / f"drawn_face_{number}.png"))
        Image.fromarray(face).save(paths[-1])
    return paths
