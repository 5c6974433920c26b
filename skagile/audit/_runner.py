"""Runs the jobs of an audit, in parallel and from the cache."""

from datetime import datetime, timezone

from tqdm import tqdm

from skagile._workers import in_parallel
from skagile.audit._cache import Cache
from skagile.audit._keys import Keys


class Runner:
    """Runs jobs in parallel, from the cache where they were run before, and reports each as it ends."""

    def __init__(self, cache, n_jobs, progress, settings):
        self.cache = None if cache is None else Cache(cache)
        self.n_jobs, self.progress, self.settings = n_jobs, progress, settings
        self.start, self.done, self.total = datetime.now(timezone.utc), 0, 0
        self._keys = None if cache is None else Keys(settings)

    def __call__(self, jobs):
        jobs, results = [job.bind() for job in jobs], []
        shown = self.progress is True
        with tqdm(
            total=self.total, initial=self.done, desc="audit", unit="fit", disable=None if shown else True
        ) as bar:
            tasks = (
                (job, self.settings, self.cache, None if self._keys is None else self._keys.of(job)) for job in jobs
            )
            for job, result in zip(jobs, in_parallel(_do, tasks, self.n_jobs, len(jobs)), strict=True):
                results.append(result)
                self.done += 1
                bar.set_postfix_str(job.what)
                bar.update()
                if callable(self.progress):
                    self.progress(self.done, self.total, job.what)
        return results


def _do(job, settings, cache, keys):
    """Run one job; its outcome and what is measured from it are kept apart."""

    def outcome():
        return job.fit(job.what, **job.inputs)

    def measured(outcome):
        return outcome if job.measure is None else job.measure(outcome, settings, **job.about)

    if cache is None:
        return measured(outcome())
    of_fit, of_measure = keys
    if job.measure is None:
        return cache.fetch(of_fit, outcome)
    return cache.fetch(of_measure, lambda: measured(cache.fetch(of_fit, outcome)))
