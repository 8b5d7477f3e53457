//! The screen, drawn from what is known: whole at any size, and of what does not fit the most important first.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState};
use ringmaster_schemas::Millis;

use super::super::overview::{STATUSES, named};
use super::super::scaling::conclusion;
use super::super::text::printable;
use super::model::{Model, Shown, since};
use crate::api::{DefinitionCounts, Participant, WaitCounts, badness};

/// So much trouble is told in lines of its own.
const TROUBLES_MAX: usize = 3;
/// Tables are no wider, so that a line can be followed.
const COLUMNS_MAX: u16 = 120;
/// So many alerts.
const ALERTS_MAX: usize = 5;
const KEYS: &str = "q quit   up/down choose a participant   tab sort   p pause the display";

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws all of it, as of now.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, now: Millis) {
    let (troubles, alerts) = (troubles(model, now), alerts(model.shown()));
    let detail = detail(model);
    let height = |lines: usize| Constraint::Length(u16::try_from(lines).unwrap_or(u16::MAX));
    let parts = Layout::vertical([
        height(1),
        height(troubles.len()),
        height(2),
        height(alerts.len()),
        Constraint::Fill(1),
        height(detail.len()),
        Constraint::Fill(1),
        height(1),
    ]);
    let [head, trouble, counts, alert, participants, chosen, waits, keys] = parts.areas(frame.area());
    frame.render_widget(title(model, now, head.width), head);
    frame.render_widget(Paragraph::new(troubles), trouble);
    frame.render_widget(Paragraph::new(sums(model.shown())), counts);
    frame.render_widget(Paragraph::new(alerts), alert);
    self::participants(frame, participants, model, now);
    frame.render_widget(Paragraph::new(detail), chosen);
    self::waits(frame, waits, model.shown());
    frame.render_widget(Paragraph::new(Line::styled(KEYS, DIM)), keys);
}

/// Who tells, and how old it is.
fn title(model: &Model, now: Millis, width: u16) -> Line<'static> {
    let age = match model.age_ms(now) {
        Some(age) => format!("as of {} ago", ago(age)),
        None => "waiting for what is told".to_owned(),
    };
    let (who, paused) = (format!("ringmaster top  {}", model.address), if model.is_paused() { "PAUSED  " } else { "" });
    let room = usize::from(width).saturating_sub(who.chars().count() + paused.len() + age.chars().count());
    let space = " ".repeat(room.max(1));
    Line::from(vec![Span::styled(who, BOLD), Span::raw(space), Span::styled(paused, BAD), Span::raw(age)])
}

fn troubles(model: &Model, now: Millis) -> Vec<Line<'static>> {
    let all = model.troubles(now);
    let more = all.len().saturating_sub(TROUBLES_MAX);
    let mut lines: Vec<Line<'_>> =
        all.iter().take(TROUBLES_MAX).map(|trouble| Line::styled(printable(trouble.as_bytes()), BAD)).collect();
    lines.extend((more > 0).then(|| Line::styled(format!("and {more} more partitions are left out"), BAD)));
    lines
}

/// How many sagas stand in each way, and what has happened.
fn sums(shown: &Shown) -> Vec<Line<'static>> {
    let Some(overview) = &shown.overview else { return Vec::new() };
    let mut stand = vec![Span::raw("sagas")];
    for status in STATUSES {
        let count = overview.sagas.get(status).copied().unwrap_or(0);
        let style = if status == "stuck" && count > 0 { BAD } else { Style::new() };
        if count > 0 || matches!(status, "stuck" | "parked" | "running") {
            stand.extend([Span::raw("  "), Span::styled(format!("{status} {count}"), style)]);
        }
    }
    let of = &overview.happened;
    let since = of.since.as_deref().map_or_else(|| "since the beginning".to_owned(), |since| format!("since {since}"));
    let happened = format!("{since}: {} started, {} completed, {} compensated", of.started, of.completed, of.compensated);
    let lately = overview.lately.iter().map(|of| {
        let of = &of.second;
        format!(
            "{:.0}/s started, {:.0}/s completed, {:.0}/s compensated; ",
            of.started_per_s, of.completed_per_s, of.compensated_per_s
        )
    });
    vec![Line::from(stand), Line::styled(lately.chain([happened]).collect::<String>(), DIM)]
}

/// Those that hold, what pages first, as instances tell them.
fn alerts(shown: &Shown) -> Vec<Line<'static>> {
    let firing = || shown.alerts.alerts.iter().filter(|alert| alert.state == "firing");
    let more = firing().count().saturating_sub(ALERTS_MAX);
    let mut lines: Vec<Line<'_>> = firing()
        .take(ALERTS_MAX)
        .map(|alert| {
            let style = if alert.severity == "page" { BAD } else { BOLD };
            let text = |text: &str| printable(text.as_bytes());
            Line::from(vec![
                Span::styled(format!("{} {}", text(&alert.severity), text(&alert.name)), style),
                Span::raw(format!("  {}", text(&alert.summary))),
            ])
        })
        .collect();
    lines.extend((more > 0).then(|| Line::styled(format!("and {more} more: `ringmaster alerts`"), BOLD)));
    lines
}

/// A line for each participant, and one that says which is the bottleneck.
fn participants(frame: &mut Frame<'_>, area: Rect, model: &Model, now: Millis) {
    let all = model.participants();
    let bottleneck = model.shown().scaling.bottleneck().map(|of| &*of.participant);
    let rows = all.iter().map(|of| {
        let used = model.used(&of.participant);
        let mark = if bottleneck == Some(&*of.participant) { "*" } else { "" };
        let used = if used < 0.0 { format!("-{mark}") } else { format!("{:.0} %{mark}", used * 100.0) };
        let oldest = since(of.unanswered_since.as_deref()).map_or_else(|| "-".to_owned(), |since| ago(now - since));
        let counts = [of.parked, of.stuck, of.retrying].map(|count| count.to_string());
        let [parked, stuck, retrying] = counts;
        let name = printable(of.participant.as_bytes());
        let row = Row::new([name, of.state.clone(), of.unanswered.to_string(), oldest, parked, stuck, retrying, used]);
        if badness(&of.state) > 0 || of.stuck > 0 { row.style(BAD) } else { row }
    });
    let widths = [Constraint::Fill(1), Constraint::Length(8), Constraint::Length(10), Constraint::Length(8)];
    let widths = widths.into_iter().chain([7, 6, 8, 7].map(Constraint::Length));
    let header = Row::new(["PARTICIPANT", "STATE", "UNANSWERED", "OLDEST", "PARKED", "STUCK", "RETRYING", "USED"]).style(BOLD);
    let chosen = model.chosen().and_then(|chosen| all.iter().position(|of| of.participant == chosen.participant));
    let mut state = TableState::new().with_selected(chosen);
    let [line, table] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let table = Rect { width: table.width.min(COLUMNS_MAX), ..table };
    let said = format!("sorted by {}; {}", model.sort().as_str(), conclusion(&model.shown().scaling));
    frame.render_widget(Line::styled(said, DIM), line);
    frame.render_stateful_widget(Table::new(rows, widths).header(header).row_highlight_style(CHOSEN), table, &mut state);
}

/// More of the participant that was chosen.
fn detail(model: &Model) -> Vec<Line<'static>> {
    let Some(of) = model.chosen() else { return Vec::new() };
    let Participant { participant, asked, repeated, succeeded, refused, failed, timed_out, late, .. } = of;
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), |text| printable(text.as_bytes()));
    let counts = format!(
        "{}: asked {asked}, repeated {repeated}, succeeded {succeeded}, refused {refused}, failed {failed}, timed out {timed_out}, late {late}",
        printable(participant.as_bytes())
    );
    let state = match badness(&of.state) {
        0 => "it is asked as usual".to_owned(),
        _ => format!("{} since {}, by {}: {}", of.state, text(&of.since), text(&of.by), text(&of.why)),
    };
    vec![Line::raw(counts), Line::raw(state)]
}

/// What stands where, the most first.
fn waits(frame: &mut Frame<'_>, area: Rect, shown: &Shown) {
    let area = Rect { width: area.width.min(COLUMNS_MAX), ..area };
    let definitions = shown.overview.iter().flat_map(|overview| &overview.definitions);
    let mut all: Vec<(&DefinitionCounts, &WaitCounts)> =
        definitions.flat_map(|of| of.waits.iter().filter(|waits| waits.open != 0).map(move |waits| (of, waits))).collect();
    all.sort_by_key(|(_, waits)| std::cmp::Reverse(waits.open));
    let rows = all.into_iter().map(|(of, waits)| {
        let step = printable(waits.step.as_deref().unwrap_or("its end").as_bytes());
        let row = Row::new([waits.open.to_string(), waits.reason.clone(), waits.status.clone(), named(of), step]);
        if waits.status == "stuck" { row.style(BAD) } else { row }
    });
    let widths = [Constraint::Length(9), Constraint::Length(9), Constraint::Length(12), Constraint::Fill(1), Constraint::Fill(1)];
    let header = Row::new(["WAITING", "FOR", "STATUS", "DEFINITION", "STEP"]).style(BOLD);
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

/// A time that has gone by, in at most seven characters.
fn ago(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..10 => format!("{:.1} s", ms.max(0) as f64 / 1_000.0),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
