"""Work in processes of their own, each with its part of the cores. They end with the process that
began them.
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

import torch

from oddframe.errors import BadInput
from oddframe.interruption import descendants, kill_descendants
from oddframe.progress import progress


def run_in_processes(
    jobs: Sequence[Callable[[], object]], parallel: int, what: str, unit: str
) -> None:
    """Do all jobs, which must be picklable, so many at a time, with progress reported; results are
    dropped.

    The error of a job is raised here once those under way have ended; those not begun are not done.
    When this process is interrupted, those under way are ended at once. Raises BadInput when a
    process was killed.
    """
    threads = max(1, torch.get_num_threads() // parallel)
    before = set(descendants(os.getpid()))
    pool = ProcessPoolExecutor(parallel, get_context("forkserver"), begin_process, (threads,))
    with progress(what, len(jobs), unit) as tick, pool:
        try:
            futures = [pool.submit(job) for job in jobs]
            for future in futures:
                future.result()
                tick()
        except BrokenProcessPool as error:
            raise BadInput(
                f"one of {parallel} processes ({what}) was killed, most likely for want of memory; "
                "lower --parallel or --cache-mb"
            ) from error
        except KeyboardInterrupt:
            kill_descendants(spare=before)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def begin_process(threads: int) -> None:
    """Set up a process: its part of the cores, no bar beside its parent's, and no life after it."""
    torch.set_num_threads(threads)
    Thread(target=end_with_parent, daemon=True).start()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def end_with_parent() -> None:
    """Wait for the process that began this one, and end when it does."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
