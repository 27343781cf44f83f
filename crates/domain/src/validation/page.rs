//! The report as a page for people: one file, no script, nothing loaded from elsewhere.

use std::fmt::Write as _;

use super::check::{Finding, Status};
use super::report::Report;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b2430;--dim:#5b6776;--line:#dfe4ea;--paper:#fff;--band:#f6f8fa;\
--pass:#14804a;--fail:#b42318;--unknown:#9a6700;--skipped:#667085}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--dim:#9aa7b6;--line:#303a46;--paper:#12171d;--band:#1a2129;\
--pass:#3fb950;--fail:#ff7b72;--unknown:#e3b341;--skipped:#8b98a7}}\
*{box-sizing:border-box}body{margin:0;background:var(--band);color:var(--ink);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:1120px;margin:0 auto;padding:32px 20px 56px}\
h1{font-size:24px;margin:0 0 4px}.lead{color:var(--dim);margin:0 0 20px}\
.sum{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 20px}\
.sum div{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:12px 18px;min-width:112px}\
.sum b{display:block;font-size:26px;line-height:1.2}.sum span{color:var(--dim);font-size:13px}\
.wrap{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:10px}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:10px 14px;\
border-top:1px solid var(--line)}thead th{border-top:0;background:var(--band);font-size:12px;letter-spacing:.04em;\
text-transform:uppercase;color:var(--dim)}td{overflow-wrap:anywhere}td.n{font-weight:600;white-space:nowrap}\
td.ms{text-align:right;white-space:nowrap;color:var(--dim);font-variant-numeric:tabular-nums}\
.todo{margin-top:4px;color:var(--dim)}.todo b{color:var(--ink)}\
.badge{display:inline-block;border-radius:999px;padding:1px 10px;font-size:12px;font-weight:600;\
border:1px solid currentColor;white-space:nowrap}\
.pass{color:var(--pass)}.fail{color:var(--fail)}.unknown{color:var(--unknown)}.skipped{color:var(--skipped)}\
tr.skipped td{color:var(--skipped)}h1 .badge{font-size:15px;vertical-align:3px;margin-left:8px}\
footer{color:var(--dim);font-size:13px;margin-top:16px}";

/// The page of a report. `deployment` is what the caller named the deployment.
#[must_use]
pub fn page(report: &Report, environment: &str, deployment: Option<&str>) -> String {
    let mut page = String::with_capacity(8 * 1024);
    let title = format!("Validation of {}", escaped(environment));
    let _infallible = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}: {status}</title><style>{STYLE}</style></head>\n<body><main>\n\
         <h1>{title} {badge}</h1>\n<p class=\"lead\">{lead}</p>\n<div class=\"sum\">",
        status = report.status,
        badge = badge(report.status),
        lead = lead(report, deployment),
    );
    for status in [Status::Pass, Status::Fail, Status::Unknown, Status::Skipped] {
        let _infallible = write!(
            page,
            "<div><b class=\"{status}\">{}</b><span>{status}</span></div>",
            report.count(status)
        );
    }
    page.push_str(
        "</div>\n<div class=\"wrap\"><table><thead><tr><th>Check</th><th>Status</th><th>Observed</th>\
         <th>Expected</th><th>Time</th></tr></thead><tbody>\n",
    );
    for finding in in_order(report) {
        row(&mut page, finding);
    }
    page.push_str("</tbody></table></div>\n<footer>");
    if let Some(uri) = &report.report_uri {
        let _infallible = write!(page, "The same as JSON: <code>{}</code>. ", escaped(uri));
    }
    page.push_str("Unknown means that a check could not look: it never counts as healthy.</footer>\n</main></body></html>\n");
    page
}

fn lead(report: &Report, deployment: Option<&str>) -> String {
    let follows = match (report.lets_on(), report.status) {
        (true, Status::Pass) => "The migration may start.",
        (true, _) => "Reported only: nothing is held back.",
        (false, _) => "The migration is held back.",
    };
    let deployment =
        deployment.map_or_else(String::new, |id| format!(" Deployment {}.", escaped(id)));
    format!(
        "{follows}{deployment} Mode {}. Validated at {}.",
        report.mode.as_str(),
        escaped(&report.validated_at)
    )
}

/// What has to be looked at comes first.
fn in_order(report: &Report) -> Vec<&Finding> {
    let mut findings: Vec<&Finding> = report.checks.iter().collect();
    findings.sort_by_key(|finding| match finding.status {
        Status::Fail => 0,
        Status::Unknown => 1,
        Status::Pass => 2,
        Status::Skipped => 3,
    });
    findings
}

fn row(page: &mut String, finding: &Finding) {
    let advice = if finding.advice.is_empty() {
        String::new()
    } else {
        format!(
            "<div class=\"todo\"><b>To do:</b> {}</div>",
            escaped(&finding.advice)
        )
    };
    let time = if finding.status == Status::Skipped {
        String::new()
    } else {
        format!("{} ms", finding.ms)
    };
    let _infallible = writeln!(
        page,
        "<tr class=\"{status}\"><td class=\"n\">{name}</td><td>{badge}</td><td>{seen}{advice}</td>\
         <td>{expected}</td><td class=\"ms\">{time}</td></tr>",
        status = finding.status,
        name = finding.name,
        badge = badge(finding.status),
        seen = escaped(&finding.observed),
        expected = escaped(&finding.expected),
    );
}

fn badge(status: Status) -> String {
    format!("<span class=\"badge {status}\">{status}</span>")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::{Check, Judgement, Mode};

    fn sample() -> Report {
        Report::new(
            Mode::Enforce,
            vec![
                Judgement::pass("table sessions is ACTIVE", "ACTIVE").of(Check::SessionTable, 42),
                Judgement::fail("<script>alert(1)</script>", "healthy & well", "mend it")
                    .of(Check::TargetHealth, 7),
                Judgement::skipped("not given: KmsKeyIds").of(Check::Keys, 0),
            ],
            "2026-11-20T14:05:06.007Z".to_owned(),
        )
    }

    #[test]
    fn nothing_that_was_seen_becomes_markup() {
        let page = page(&sample(), "dev-payment-ab12cd34", Some("<7>"));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("healthy &amp; well"));
        assert!(page.contains("Deployment &lt;7&gt;"));
        assert!(
            !page.contains("http://") && !page.contains("https://"),
            "it loads nothing"
        );
    }

    #[test]
    fn what_failed_comes_first_with_what_to_do() {
        let page = page(&sample(), "dev-payment-ab12cd34", None);
        let at = |text: &str| {
            page.find(text)
                .unwrap_or_else(|| panic!("{text} in {page}"))
        };
        assert!(at("target-health") < at("session-table"));
        assert!(at("session-table") < at(">keys<"));
        assert!(page.contains("<b>To do:</b> mend it"));
        assert!(page.contains("The migration is held back."));
        for tag in ["table", "tbody", "main", "body", "html", "footer"] {
            assert_eq!(page.matches(&format!("</{tag}>")).count(), 1, "{tag}");
        }
    }
}
