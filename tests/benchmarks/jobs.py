"""All jobs, in the order of the table."""

from __future__ import annotations

from . import heads, maps, matrices, pages, runs
from .model import Job

JOBS: tuple[Job, ...] = (*maps.JOBS, *matrices.JOBS, *heads.JOBS, *pages.JOBS, *runs.JOBS)
