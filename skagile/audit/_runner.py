"""Runs the fits of an audit, in parallel and from the cache."""

import json
from datetime import datetime, timezone

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from skagile.audit import _provenance
from skagile.audit._cache import Cache


class Runner:
    """Runs jobs in parallel, from the cache where they were run before, and reports each as it ends."""

    def __init__(self, cache, n_jobs, progress, settings):
        self.cache = None if cache is None else Cache(cache)
        self.n_jobs, self.progress, self.settings = n_jobs, progress, settings
        self.start, self.done, self.total = datetime.now(timezone.utc), 0, 0
        self._digests = {}

    def __call__(self, jobs):
        jobs, results = list(jobs), []
        shown = self.progress is True
        with tqdm(
            total=self.total, initial=self.done, desc="audit", unit="fit", disable=None if shown else True
        ) as bar:
            tasks = (delayed(_do)(job, self.settings, self.cache, self._key(job)) for job in jobs)
            parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
            for job, result in zip(jobs, parallel(tasks), strict=True):
                results.append(result)
                self.done += 1
                bar.set_postfix_str(job.what)
                bar.update()
                if callable(self.progress):
                    self.progress(self.done, self.total, job.what)
        return results

    def _key(self, job):
        """Text that says everything the result depends on."""
        if self.cache is None:
            return None
        content = [job.function.__name__, job.what, self._content(job.arguments), self._content(self.settings)]
        return json.dumps([*content, _provenance.versions()])

    def _content(self, value):
        if isinstance(value, np.ndarray):
            # The same few arrays stand in every job.
            if id(value) not in self._digests:
                self._digests[id(value)] = value, _provenance.digest(value)
            return self._digests[id(value)][1]
        if isinstance(value, dict):
            return [[str(key), self._content(entry)] for key, entry in value.items()]
        if isinstance(value, tuple | list):
            return [self._content(entry) for entry in value]
        if hasattr(value, "get_params"):
            params = sorted(value.get_params(deep=True).items(), key=lambda item: item[0])
            return [f"{type(value).__module__}.{type(value).__qualname__}", *[[k, repr(v)] for k, v in params]]
        return repr(value)


def _do(job, settings, cache, key):
    if cache is None:
        return job.function(job.what, *job.arguments, settings)
    return cache.fetch(key, job.function, job.what, *job.arguments, settings)
