"""A page in the browser: what a network sees in a face, and a puzzle of it.

    hf-hmtl demo outputs/quickstart
    hf-hmtl demo user/my-faces --revision with-heads --port 7861
    hf-hmtl demo user/my-faces --revision with-heads --space my_space/   # a folder that a Space of the Hub runs

Drop a photograph or use the camera: the face that is found, what the heads say of it, where the network looks, and the
tiles of the face, shuffled and put back. Of a run's folder the checkpoint that was kept is shown, which still has the
training heads. Needs: pip install 'hf_hmtl[demo]' (Gradio, which asks for Pillow below 13).
"""

import argparse
import signal
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Serve the page until the process is told to end.

    Raises:
        ValueError, OSError: a mistake of the user, or a port that is taken.
    """
    options = _parser().parse_args(arguments)
    try:
        from hf_hmtl.serving.demo.page import launch, page, temporary_folder
    except ImportError as error:
        raise ValueError(f"the page needs {error.name}. Type: pip install 'hf_hmtl[demo]'") from error
    if options.space:
        from hf_hmtl.serving.demo.space import write_space

        write_space(options.space, options.model, options.revision)
        print(f"{options.space}: hf upload USER/NAME {options.space} --repo-type space")
        return
    from hf_hmtl.files import without_place
    from hf_hmtl.hub.contents import with_training_heads
    from hf_hmtl.serving.demo.showing import Showing
    from hf_hmtl.serving.predict import pipeline_of
    from hf_hmtl.serving.sockets import listen

    with listen(options.host, options.port) as bound:
        port = bound.getsockname()[1]
    given = {name: getattr(options, name) for name in ("device", "revision") if getattr(options, name) is not None}
    showing = Showing(pipeline_of(with_training_heads(options.model), **given))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, after which uploads are removed
    with temporary_folder() as folder:
        launch(page(showing, without_place(options.model), Path(folder)), options.host, port)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = options.add_argument
    add("model", metavar="FOLDER", help="what a training wrote, or a name of the Hub")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on; 127.0.0.1, which is this machine alone")
    add("--port", type=int, default=7860, metavar="N", help="7860; 0 takes any that is free")
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the Hub; with-heads has the puzzle's")
    add("--space", type=Path, metavar="FOLDER", help="write what a Space of the Hub needs into it, and stop")
    add("--device", metavar="DEVICE", help="cpu, cuda:0 ...; a GPU where there is one")
    return options
