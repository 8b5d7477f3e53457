//! Settings by which it is told whether a participant is about to be the bottleneck.

use ringmaster_schemas::Millis;

use super::layers::Layers;
use super::values;
use crate::scaling::Configured;

pub(super) fn read(layers: &mut Layers, name: &str) -> Configured {
    let count = |max| move |text: &str| values::count(1, max)(text).map(|count| Some(count as u32));
    let slo = |text: &str| values::duration_within("1ms", "30d")(text).map(|slo| Some(slo.as_millis() as Millis));
    Configured {
        slo_ms: layers.read(&["participants", name, "slo"], None, slo),
        concurrency: layers.read(&["participants", name, "concurrency"], None, count(100_000)),
        group: layers.read(&["participants", name, "group"], None, |text| values::text(text).map(Some)),
        max_members: layers.read(&["participants", name, "max_members"], None, count(16_384)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Configured, String> {
        let config = Config::parse("r.toml", &format!("[participants.payment]\n{text}")).map_err(|error| error.to_string())?;
        Ok(config.participants["payment"].scaling.clone())
    }

    #[test]
    fn a_participant_has_its_own() {
        assert_eq!(read("encoding = 'json'"), Ok(Configured::default()));
        let all = read("slo = '1500ms'\nconcurrency = 32\ngroup = 'eu.payment'\nmax_members = 8");
        let group = Some("eu.payment".to_owned());
        assert_eq!(all, Ok(Configured { slo_ms: Some(1_500), concurrency: Some(32), group, max_members: Some(8) }));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_bounds() {
        for (line, says) in [
            ("slo = '0ms'", "participants.payment.slo: '0ms' is not a duration from 1ms to 30d"),
            ("slo = 'soon'", "participants.payment.slo: 'soon' is not a duration"),
            ("concurrency = 0", "participants.payment.concurrency: '0' is not a number from 1 to 100000"),
            ("max_members = 0", "participants.payment.max_members: '0' is not a number from 1 to 16384"),
            ("group = ''", "participants.payment.group"),
            ("max_member = 3", "unknown setting 'participants.payment.max_member'"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
