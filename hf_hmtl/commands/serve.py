"""Answer over HTTP what a model says about the faces of a picture.

    hf-hmtl serve outputs/quickstart
    hf-hmtl serve user/my-faces --host 0.0.0.0 --port 8080
    curl -F image=@party.jpg http://127.0.0.1:8000/analyze
    curl -F image=@face.jpg -F detect=false -F heads=emotion http://127.0.0.1:8000/analyze

POST /analyze takes a form with the file `image`, or JSON with its bytes in base64; GET /health; /docs and /openapi.json
describe both. Pictures stay in memory. There is no password: put a proxy before it where strangers can reach it.
Needs: pip install 'hf_hmtl[serve]'.
"""

import argparse


def run(arguments: list[str]) -> None:
    """Serve until the process is told to end.

    Raises:
        ValueError, OSError: a mistake of the user, or a port that is taken.
    """
    options = _parser().parse_args(arguments)
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ValueError(f"a server needs {error.name}. Type: pip install 'hf_hmtl[serve]'") from error
    from hf_hmtl.files import without_place
    from hf_hmtl.serving.server.limits import MEBIBYTE, MEGAPIXEL, Limits
    from hf_hmtl.serving.server.listening import serve
    from hf_hmtl.serving.sockets import address, listen

    for name in ("batch_size", "largest_body", "largest_picture"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} is {getattr(options, name)}, allowed is 1 or more")
    limits = Limits(body=options.largest_body * MEBIBYTE, pixels=options.largest_picture * MEGAPIXEL)
    bound = listen(options.host, options.port)
    try:
        from hf_hmtl.serving.predict import pipeline_of
        from hf_hmtl.serving.server.application import application

        given = {} if options.device is None else {"device": options.device}
        analyse = pipeline_of(options.model, **given)
        app = application(analyse, without_place(options.model), limits, options.batch_size, not options.cropped)
    except BaseException:
        bound.close()
        raise
    heads = ", ".join(answer.head for answer in analyse.asked)
    print(f"{options.model} ({heads}) answers at {address(bound)}/analyze; see {address(bound)}/docs", flush=True)
    serve(app, bound)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = options.add_argument
    add("model", metavar="FOLDER", help="what a training wrote, or a name of the Hub")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on; 127.0.0.1, which is this machine alone")
    add("--port", type=int, default=8000, metavar="N", help="8000; 0 takes any that is free")
    add("--cropped", action="store_true", help="pictures are one face each, cut out already; no detector is needed")
    add("--batch_size", type=int, default=32, metavar="N", help="faces that the network sees at once; 32")
    add("--largest_body", type=int, default=10, metavar="MIB", help="of a request; 10 MiB")
    add("--largest_picture", type=int, default=50, metavar="MP", help="million pixels of a picture; 50")
    add("--device", metavar="DEVICE", help="cpu, cuda:0 ...; a GPU where there is one")
    return options
