//! Values as people write them: durations, sizes, times, choices.

use std::net::SocketAddr;
use std::time::Duration;

use ringmaster_core::partition::StartAt;
use ringmaster_schemas::json::time::parse_timestamp;

/// `200ms`, `10s`, `5m`, `24h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!("'{text}' is not a duration such as 200ms, 10s, 5m, 24h or 7d"));
        }
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    ms.map(Duration::from_millis).ok_or_else(|| format!("'{text}' is not a duration such as 200ms, 10s, 5m, 24h or 7d"))
}

/// A duration within bounds.
pub(crate) fn duration_within(min: &'static str, max: &'static str) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let value = duration(text)?;
        let bounds = duration(min)?..=duration(max)?;
        if bounds.contains(&value) { Ok(value) } else { Err(format!("'{text}' is not a duration from {min} to {max}")) }
    }
}

/// A size within bounds.
pub(super) fn bytes_within(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| match bytes(text)? {
        value if (min..=max).contains(&value) => Ok(value),
        _ => Err(format!("'{text}' is not a size from {}KiB to {}KiB", min >> 10, max >> 10)),
    }
}

/// `4096`, `512KiB`, `64MiB`, `1GiB`, in bytes; at least one.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_bytes = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(format!("'{text}' is not a size such as 4096, 512KiB, 64MiB or 1GiB"));
        }
    };
    let count = number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit_bytes)).filter(|count| *count > 0);
    count.ok_or_else(|| format!("'{text}' is not a size such as 4096, 512KiB, 64MiB or 1GiB"))
}

/// A number within bounds.
pub(super) fn count(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| match text.parse::<usize>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("'{text}' is not a number from {min} to {max}")),
    }
}

/// `true` or `false`.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("'{text}' is neither true nor false"))
}

/// One of these words.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let found = choices.iter().find(|(word, _)| *word == text);
        let words = || choices.iter().map(|(word, _)| format!("'{word}'")).collect::<Vec<_>>().join(" or ");
        found.map(|(_, value)| *value).ok_or_else(|| format!("'{text}' is not {}", words()))
    }
}

/// Text that must not be empty.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// What topic names may begin with: Kafka's own rule, short enough that suffixes fit.
pub(super) fn topic_prefix(text: &str) -> Result<String, String> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > 200 || !text.bytes().all(is_legal) {
        return Err(format!("'{text}' cannot begin a topic's name: use letters, digits, '.', '_' and '-'"));
    }
    Ok(text.to_owned())
}

/// `auto`, or something.
pub(super) fn auto<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| {
        if text == "auto" { Ok(None) } else { parse(text).map(Some) }
    }
}

/// `forever`, or something.
pub(super) fn forever<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| {
        if text == "forever" { Ok(None) } else { parse(text).map(Some).map_err(|why| format!("{why}, and not 'forever'")) }
    }
}

/// `off`, or an address to listen on.
pub(super) fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("'{text}' is not an address such as 127.0.0.1:8080, nor 'off'"))
}

/// `earliest`, `latest`, or a time.
pub(super) fn start_at(text: &str) -> Result<StartAt, String> {
    match text {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        _ => match parse_timestamp(text) {
            Some(micros) => Ok(StartAt::Time(micros.div_euclid(1_000))),
            None => Err(format!("'{text}' is neither 'earliest' nor 'latest' nor a time such as 2026-01-31T00:00:00Z")),
        },
    }
}
