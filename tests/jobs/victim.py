"""A process that takes the job `sweep` of a registry, says so, and works until it is killed: `victim.py URL MOMENT`."""

from __future__ import annotations

import sys
import threading
from datetime import datetime, timedelta

from capstan.db.engine import open_engine
from capstan.db.session import Registry
from capstan.jobs.job import Done, Job, Run
from capstan.jobs.loop import Lane
from capstan.jobs.schedule import Schedule


def work_for_ever(_run: Run) -> Done:
    sys.stdout.write("working\n")
    sys.stdout.flush()
    threading.Event().wait()
    return Done({})


moment = datetime.fromisoformat(sys.argv[2])
job = Job("sweep", Schedule(timedelta(hours=1)), work_for_ever)
Lane(Registry(open_engine(sys.argv[1])), [job], "2" * 32, lambda: moment, threading.Event()).work_through()
