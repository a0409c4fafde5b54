"""Small videos for tests, of pictures that come out as they went in."""

import av
import numpy as np


def write_video(path, pictures, rate=10):
    """A QuickTime file of uint8 (height, width, 3) pictures, each as a PNG."""
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path


def read_video(path):
    """All pictures of a video, and its frames a second."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], float(rate)
