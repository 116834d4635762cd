"""Work in processes of their own, each with its part of the cores. They end with the process that began them."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

import torch

from oddframe.errors import BadInput
from oddframe.progress import progress


def run_in_processes(
    jobs: Sequence[Callable[[], object]], at_once: int, what: str, unit: str
) -> None:
    """Do all jobs, which must be picklable, so many at once, under a progress bar; what they give is dropped.

    The error of a job is raised here once those under way have ended; those not begun are not done. Raises BadInput
    when a process was killed.
    """
    threads = max(1, torch.get_num_threads() // at_once)
    pool = ProcessPoolExecutor(at_once, get_context("forkserver"), _begin, (threads,))
    with progress(what, len(jobs), unit) as tick, pool:
        try:
            for job in [pool.submit(job) for job in jobs]:
                job.result()
                tick()
        except BrokenProcessPool as error:
            raise BadInput(
                f"one of {at_once} processes ({what}) was killed, most likely for want of memory; "
                "lower --at-once or --memory"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(threads: int) -> None:
    """Set up a process: its part of the cores, no bar beside its parent's, and no life after it."""
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
