//! Latency over rates, as one page that needs nothing else: the figures as a table, and a drawing of them.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Figures;
use crate::rounds::Spread;

/// One rate: what the product did, and the null saga beside it.
pub(crate) struct Point {
    pub(crate) rate: f64,
    pub(crate) product: Figures,
    pub(crate) null: Option<Figures>,
}

/// Width and height of the drawing.
const SIZE: (u32, u32) = (900, 520);

/// The page, with a line that says what was measured.
pub(crate) fn page(title: &str, points: &[Point]) -> Result<String> {
    let mut rows = String::new();
    for point in points {
        let cell = |spread: Option<Spread>| spread.map_or("-".to_owned(), |spread| format!("{:.1}", spread.median));
        let (product, null) = (&point.product, point.null.as_ref());
        write!(
            rows,
            "<tr><td>{}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td><td>{}</td></tr>",
            point.rate,
            product.per_s.median,
            cell(product.p50_ms),
            cell(product.p99_ms),
            product.cpu_us.median,
            cell(null.and_then(|null| null.p50_ms)),
            cell(null.and_then(|null| null.p99_ms)),
        )?;
    }
    Ok(format!(
        "<!doctype html><meta charset=utf-8><title>Ringmaster: latency over rates</title>\
         <style>body{{font:15px sans-serif;margin:2em}}td,th{{padding:.2em 1em;text-align:right}}</style>\
         <h1>Latency over rates</h1><p>{title}</p>{}\
         <table><tr><th>orders/s</th><th>sagas/s</th><th>p50 ms</th><th>p99 ms</th><th>CPU us a saga</th><th>null p50</th><th>null p99</th></tr>{rows}</table>\n",
        drawing(points)?
    ))
}

/// Both axes are logarithmic: a rate twice as high is a step to the right.
fn drawing(points: &[Point]) -> Result<String> {
    let line = |of: fn(&Point) -> Option<Spread>| -> Vec<(f64, f64)> {
        points.iter().filter_map(|point| Some((point.rate, of(point)?.median.max(0.1)))).collect()
    };
    let lines = [
        ("product p50", RED, line(|point| point.product.p50_ms)),
        ("product p99", MAGENTA, line(|point| point.product.p99_ms)),
        ("null saga p50", BLUE, line(|point| point.null.as_ref()?.p50_ms)),
        ("null saga p99", CYAN, line(|point| point.null.as_ref()?.p99_ms)),
    ];
    let most = lines.iter().flat_map(|(_, _, line)| line).map(|(_, ms)| *ms).fold(10.0, f64::max);
    let (from, to) = (points.first().map_or(1.0, |p| p.rate), points.last().map_or(2.0, |p| p.rate));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((from * 0.9..to * 1.1).log_scale(), (1.0..most * 1.5).log_scale())
            .map_err(|error| anyhow!("{error}"))?;
        chart.configure_mesh().x_desc("orders a second").y_desc("milliseconds").draw().map_err(|error| anyhow!("{error}"))?;
        for (name, colour, line) in lines.into_iter().filter(|(_, _, line)| !line.is_empty()) {
            let dots = line.iter().map(|&at| Circle::new(at, 3, colour.filled())).collect::<Vec<_>>();
            chart.draw_series(dots).map_err(|error| anyhow!("{error}"))?;
            let drawn = chart.draw_series(LineSeries::new(line, colour.stroke_width(2))).map_err(|error| anyhow!("{error}"))?;
            drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        }
        let mut labels = chart.configure_series_labels();
        labels.background_style(WHITE.mix(0.8)).border_style(BLACK).draw().map_err(|error| anyhow!("{error}"))?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}
