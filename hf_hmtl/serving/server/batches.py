"""Rows of requests that are there at the same time go through the network together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import torch

Compute = Callable[[torch.Tensor], torch.Tensor]
"""(rows, ...) to (rows, ...)."""


class Batches:
    """Computes rows for many requests, `largest` rows at a time and one batch after the other, in a thread.

    Nobody is made to wait for company: a batch is what came while the one before it was computed.

    Args:
        compute: what is done with the rows of a batch.
        largest: rows of a batch.
    """

    def __init__(self, compute: Compute, largest: int):
        self._compute, self._largest = compute, largest
        self._waiting: list[tuple[torch.Tensor, asyncio.Future[torch.Tensor]]] = []
        self._came = asyncio.Event()

    async def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """What `compute` makes of these rows; raises what it raises."""
        parts = [asyncio.get_running_loop().create_future() for _ in rows]
        self._waiting += zip(rows, parts, strict=True)
        self._came.set()
        return torch.stack(await asyncio.gather(*parts))

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Rows are computed within this context; those that wait at its end are not answered."""
        with ThreadPoolExecutor(1, thread_name_prefix="network") as thread:
            task = asyncio.create_task(self._work(thread))
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        while True:
            await self._came.wait()
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            if not self._waiting:
                self._came.clear()
            batch = [(row, part) for row, part in batch if not part.done()]  # whose client is still there
            if not batch:
                continue
            rows = torch.stack([row for row, _ in batch])
            try:
                values = await asyncio.get_running_loop().run_in_executor(thread, self._compute, rows)
            except Exception as error:  # whoever waits for a row is told, and the next batch is another one
                for _, part in batch:
                    if not part.done():
                        part.set_exception(error)
                continue
            for (_, part), value in zip(batch, values, strict=True):
                if not part.done():
                    part.set_result(value)
