"""The report of a study: one HTML page that needs no other file."""

from __future__ import annotations

import html
import io
from pathlib import Path

import numpy as np

from sim2real_cat.files import write_text
from sim2real_cat.report.figure import draw_policies
from sim2real_cat.report.summary import PolicySummary, summaries
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.report import LawReport

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .35rem .7rem; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #444 } td { border-bottom: 1px solid #ddd }
td:first-child, td.number { white-space: nowrap }
td.number { text-align: right; font-variant-numeric: tabular-nums }
td.number small { display: inline-block; max-width: 14em; white-space: normal }
.transfers, .holds { color: #2a7f4f } .fails, .violated { color: #b5412f } .open, .undecided { color: #777 }
svg { width: 100%; height: auto } small { color: #666 }
"""


def write_page(path: Path, title: str, instance: TransferInstance, report: LawReport) -> None:
    """Write the page of an instance of `SchTransferStudy`, whole or not at all."""
    policies = summaries(instance, report)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_summary(policies, report)}</p>",
        _picture(policies, report.epsilon),
        "<h2>Policies</h2>",
        _policies(policies),
        "<h2>Laws</h2>",
        _laws(instance, report),
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    write_text(
        path, f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"
    )


def _summary(policies: list[PolicySummary], report: LawReport) -> str:
    """Return a sentence that says how many policies transfer and whether the laws hold."""
    transferred = sum(policy.transfers and np.isfinite(policy.gap) for policy in policies)
    return (
        f"{transferred} of {len(policies)} policies transfer: their gap KL(P_real ‖ P_sim) is under "
        f"ε = {report.epsilon:g} nats per control step. Laws: "
        f'<b class="{report.verdict}">{report.verdict}</b>.'
    )


def _picture(policies: list[PolicySummary], epsilon: float) -> str:
    """Return the picture of the policies as SVG."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "sim2real_cat", "svg.fonttype": "none"}):
        draw_policies(policies, epsilon).savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _policies(policies: list[PolicySummary]) -> str:
    """Return the table of the policies."""
    titles = ("policy", "robot", "return simulated", "return real", "gap", "verdict")
    lines = ["<table><tr>" + "".join(f"<th>{title}</th>" for title in titles) + "</tr>"]
    for policy in policies:
        note = _small(policy.note)
        lines.append(
            f"<tr><td>{html.escape(policy.name)}</td><td>{html.escape(policy.robot)}</td>"
            f'<td class="number">{_number(policy.return_sim)}</td><td class="number">{_number(policy.return_real)}</td>'
            f'<td class="number">{policy.interval}{_small(_parts(policy))}</td>'
            f'<td class="{policy.kind}">{html.escape(policy.verdict)}{note}</td></tr>'
        )
    return "\n".join([*lines, "</table>"])


def _laws(instance: TransferInstance, report: LawReport) -> str:
    """Return the table of the laws, with the rows that break one or leave it open."""
    lines = ["<table><tr><th>law</th><th>says</th><th>verdict</th></tr>"]
    for result in report.results:
        said = "".join(
            f"<br><small>{html.escape(instance.name(w.ob, w.id))}: {html.escape(w.message)}</small>"
            for w in result.witnesses
        )
        if result.asked:
            verdict = f'<td class="{result.verdict}">{result.verdict}{said}</td>'
        else:
            verdict = f'<td class="undecided">not asked<br><small>{html.escape(result.reason)}</small></td>'
        lines.append(
            f"<tr><td>{result.law.name}</td><td>{html.escape(result.law.statement)}<br>"
            f"<small>{html.escape(result.law.symbols)}</small></td>{verdict}</tr>"
        )
    return "\n".join([*lines, "</table>"])


def _parts(policy: PolicySummary) -> str:
    """Return what a predictive gap is of and made of, '' of another."""
    if not policy.gap_of:
        return ""
    return f"rate of the {policy.gap_of}; + complexity {policy.complexity} = one episode {policy.episode}"


def _small(text: str) -> str:
    """Return a text as a small line of its own, '' where there is none."""
    return f"<br><small>{html.escape(text)}</small>" if text else ""


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"
