//! The page: one file of HTML that asks for nothing, made of a template, the report and two languages of the browser's.
//!
//! ```text
//!  page.html ── what does not concern the run is taken out ── formulas to MathML ──┐
//!  page.css, *.js ─────────────────────────────────────────────────────────────────┼──▶ page
//!  Report ── JSON, which the script reads ─────────────────────────────────────────┘
//! ```
//!
//! Lines of the template between `<!-- if a b -->` and `<!-- end -->` stay where one of the names is true of the report;
//! between `\(` and `\)`, or `\[` and `\]`, it has formulas in LaTeX. Everything else that the run decides is drawn by the
//! script, so that it can be pointed at.

use std::collections::BTreeSet;

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

use super::report::Report;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: [&str; 3] =
    [include_str!("page/base.js"), include_str!("page/network.js"), include_str!("page/engine.js")];

/// The page that explains a run.
///
/// # Panics
/// If a formula of the template cannot be read, which a test forbids.
#[must_use]
pub fn page(report: &Report) -> String {
    let kept = keep(TEMPLATE, &names(report));
    let text = formulas(&kept);
    let data = data(report);
    let mut page = String::with_capacity(text.len() + data.len() + STYLE.len() + (1 << 17));
    let mut rest = text.as_str();
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        page.push_str(before);
        match name {
            "style" => page.push_str(STYLE),
            "data" => page.push_str(&data),
            "script" => SCRIPT.iter().for_each(|script| page.push_str(script)),
            other => unreachable!("the template asks for {other}"),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// What is true of a report, by the names that the template uses.
fn names(report: &Report) -> BTreeSet<String> {
    let Report { goal, optimizer, .. } = report;
    let adam = optimizer.as_ref().is_some_and(|optimizer| optimizer.adam.is_some());
    let there = [
        ("run", report.run.is_some()),
        ("features", report.features.is_some()),
        ("reconstructions", report.reconstructions.is_some()),
        ("statistic", report.statistic.is_some()),
        ("gradient", report.gradient.is_some()),
        ("tape", report.tape.is_some()),
        ("optimizer", optimizer.is_some()),
        ("adam", adam),
        ("lbfgs", optimizer.is_some() && !adam),
        ("rates", optimizer.as_ref().is_some_and(|optimizer| !optimizer.rates.is_empty())),
        ("source", report.source.is_some()),
    ];
    let sections = there.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned());
    let formulas = [
        format!("content:{}", goal.content_loss),
        format!("statistic:{}", goal.statistic),
        format!("variation:{}", goal.variation),
    ];
    sections.chain(formulas).collect()
}

/// The template without what is false.
fn keep(template: &str, names: &BTreeSet<String>) -> String {
    let mut kept = String::with_capacity(template.len());
    let mut open: Vec<bool> = Vec::new();
    for line in template.lines() {
        let mark = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        if let Some(asked) = mark.and_then(|mark| mark.strip_prefix("if ")) {
            open.push(asked.split(' ').any(|name| names.contains(name)));
        } else if mark == Some("end") {
            open.pop().expect("an end has a beginning");
        } else if open.iter().all(|open| *open) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    assert!(open.is_empty(), "a beginning has an end");
    kept
}

/// The text with its formulas in MathML.
fn formulas(text: &str) -> String {
    let mut made = String::with_capacity(2 * text.len());
    let mut rest = text;
    while let Some(start) = rest.find(r"\(").into_iter().chain(rest.find(r"\[")).min() {
        let (close, display) = match rest.as_bytes()[start + 1] {
            b'(' => (r"\)", DisplayMode::Inline),
            _ => (r"\]", DisplayMode::Block),
        };
        let length = rest[start + 2..].find(close).expect("a formula has an end");
        made.push_str(&rest[..start]);
        made.push_str(&formula(&rest[start + 2..start + 2 + length], display));
        rest = &rest[start + 2 + length + 2..];
    }
    made.push_str(rest);
    made
}

fn formula(latex: &str, display_mode: DisplayMode) -> String {
    let storage = Storage::new();
    let mut made = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    push_mathml(&mut made, Parser::new(latex, &storage), config).expect("a string can be written to");
    // The crate writes the unit's sign for the Greek letter.
    made.replace('µ', "μ")
}

/// The report as JSON that cannot end the element that it is in.
fn data(report: &Report) -> String {
    let json = serde_json::to_string(report).expect("plain data");
    json.replace("</", r"<\/").replace("<!--", r"<\u0021--")
}

#[cfg(test)]
mod tests;
