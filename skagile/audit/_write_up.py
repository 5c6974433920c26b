"""The report of what was measured."""

from skagile.audit import _provenance
from skagile.audit._headline import find_headline, find_worst
from skagile.audit.report import AuditReport
from skagile.audit.report._pictures import attention, pictures
from skagile.audit.threats._floors import measure_floors


def write_up(inputs, rows, start):
    """Put the rows of every measurement in their places in the report."""
    recognised, floors = [row.recognised for row in rows["identity"]], measure_floors(inputs.release)
    headline, gallery = find_headline(recognised, floors, inputs.settings)
    headline = {**(headline or {}), **find_worst(rows, inputs.settings)}
    return put_together(inputs, rows, start, headline, gallery, floors)


def put_together(inputs, rows, start, headline, gallery, floors):
    """Give the report, whose headline is made and whose floors are measured."""
    details = {name: [row.detail for row in of_name] for name, of_name in rows.items()}
    return AuditReport(
        attacks=details["identity"],
        headline=headline,
        gallery=gallery,
        attribute_results=details["traits"],
        gdpr={
            **dict.fromkeys(("singling_out", "linkability", "inference")),
            **{row.name: row.detail for row in rows["gdpr"]},
        },
        presence_results=details["presence"],
        copies_results=details["copies"],
        disclosure_results=details["disclosure"],
        utility_results=[entry for entry in details["diagnosis"] if "task" not in entry],
        task_results=[entry for entry in details["diagnosis"] if "task" in entry],
        fidelity_results={row.name: row.detail for row in rows["fidelity"]},
        attention=attention([row.recognised for row in rows["identity"]], inputs.release, inputs.settings),
        floors=floors,
        pictures=pictures(inputs.release),
        protocol=_provenance.describe_protocol(inputs),
        provenance=_provenance.describe_provenance(inputs, start),
    )
