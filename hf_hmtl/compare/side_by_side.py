"""Calls that need one another's results, several at a time."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, TypeVar

Key = TypeVar("Key")


def side_by_side(
    call: Callable[[Any], Any],
    arguments: Mapping[Key, Any],
    needs: Mapping[Key, set[Key]],
    pool: Executor,
    at_a_time: int,
) -> Iterator[Key]:
    """Make one call for every key, in the order of the keys as far as their needs allow; yield each key as it ends.

    Args:
        call: what is called, in the pool.
        arguments: {key: argument}.
        needs: {key: keys whose calls must have ended before it begins}; keys without a call of their own do not count.
        pool: where the calls are made.
        at_a_time: how many calls are under way at most.

    Raises:
        Exception: what a call raised; no further call is begun.
    """
    waiting, under_way = dict(arguments), {}  # the latter: {future: key}
    while waiting or under_way:
        unfinished = {*waiting, *under_way.values()}
        ready = [key for key in waiting if not needs[key] & unfinished]
        for key in ready[: at_a_time - len(under_way)]:
            under_way[pool.submit(call, waiting.pop(key))] = key
        ended: set[Future] = wait(under_way, return_when=FIRST_COMPLETED).done
        for future in ended:
            key = under_way.pop(future)
            future.result()
            yield key
