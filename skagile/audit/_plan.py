"""What an audit measures, and the one order in which its jobs run."""

from dataclasses import dataclass

from skagile.audit._measurement import Job, Measurement
from skagile.audit._release import Part
from skagile.audit.threats._copies import MIN_PEOPLE, Copies
from skagile.audit.threats._disclosure import Disclosure
from skagile.audit.threats._gdpr import Gdpr
from skagile.audit.threats._identity import Identity, denoise_jobs
from skagile.audit.threats._presence import Presence
from skagile.audit.threats._traits import Traits
from skagile.audit.use._diagnosis import Diagnosis
from skagile.audit.use._fidelity import Fidelity


@dataclass(frozen=True, eq=False)
class Plan:
    """What runs: first the jobs that denoise, by front end, then those of each measurement."""

    denoising: dict[str, Job]
    measurements: list[Measurement]


def make_plan(inputs, *, use=True, corresponds=True):
    """Choose what the inputs allow; what other threats' rows are made into comes when they are there.

    Without `use`, what the release is good for is not measured. Where rows do not correspond, no label of a beat is
    that of the released beat beside it, and no distance is one that it was moved: then disclosure is not measured.
    """
    denoising = denoise_jobs(inputs)
    measurements = [Identity(inputs, list(denoising))]
    if inputs.diagnostician is not None and use:
        measurements.append(Diagnosis(inputs))
    if inputs.traits:
        measurements.append(Traits(inputs))
    if inputs.members is not None:
        measurements.append(Presence(inputs))
    if inputs.n_subjects >= MIN_PEOPLE:
        measurements.append(Copies(inputs))
    if inputs.disclosed and corresponds:
        measurements.append(Disclosure(inputs))
    if use:
        measurements.append(Fidelity(inputs))
    return Plan(denoising, measurements)


def run_plan(plan, inputs, runner):
    """Run every job and give the rows of each measurement by its name; no rows where it was not planned."""
    jobs_of = [(measurement, measurement.jobs()) for measurement in plan.measurements]
    runner.total = len(plan.denoising) + sum(len(jobs) for _, jobs in jobs_of)
    release = inputs.release
    for front_end, cleaned in zip(plan.denoising, runner(plan.denoising.values()), strict=True):
        inputs.parts["beats"][front_end] = Part(
            cleaned, release.subject, release.enrolment, release.probe, release.label
        )
    # All at once, so that no processor waits for the last job of one threat.
    results = iter(runner(job for _, jobs in jobs_of for job in jobs))
    rows = {"diagnosis": [], "traits": [], "presence": [], "copies": [], "disclosure": [], "fidelity": []}
    for measurement, jobs in jobs_of:
        rows[measurement.name] = measurement.rows([next(results) for _ in jobs])
    rows["gdpr"] = Gdpr(inputs, rows["identity"], rows["traits"]).rows([])
    return rows
