//! Settings of the participants' breakers.

use std::time::Duration;

use ringmaster_core::partition::BreakerSettings;
use ringmaster_schemas::Millis;

use super::layers::Layers;
use super::values;

/// When a participant's breaker opens by itself, and how what was parked goes out again; the default file says more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described in the default file, which is what users read")]
pub struct Breaker {
    pub enabled: bool,
    pub window: Duration,
    pub share_percent: u32,
    pub minimum: u32,
    pub probe_every: Duration,
    pub drain_max: usize,
}

/// What turns it on and off: also as the table's value.
const SWITCH: [(&str, bool); 4] = [("true", true), ("false", false), ("on", true), ("off", false)];

pub(super) fn read(layers: &mut Layers) -> Breaker {
    layers.value_of_table("breaker", "enabled");
    let number = |min, max| move |text: &str| values::count(min, max)(text).map(|number| number as u32);
    Breaker {
        enabled: layers.read(&["breaker", "enabled"], true, values::choice(&SWITCH)),
        window: layers.read(&["breaker", "window"], Duration::from_secs(10), values::duration_within("1s", "1h")),
        share_percent: layers.read(&["breaker", "share"], 50, number(1, 100)),
        minimum: layers.read(&["breaker", "minimum"], 10, number(1, 1_000_000)),
        probe_every: layers.read(&["breaker", "probe_every"], Duration::from_secs(5), values::duration_within("100ms", "1h")),
        drain_max: layers.read(&["breaker", "drain_max"], 64, values::count(1, 100_000)),
    }
}

impl Breaker {
    /// As a partition wants them.
    pub(super) fn settings(&self) -> BreakerSettings {
        let millis = |duration: Duration| duration.as_millis() as Millis;
        BreakerSettings {
            on: self.enabled,
            window_ms: millis(self.window),
            share_percent: self.share_percent,
            minimum: self.minimum,
            probe_ms: millis(self.probe_every),
            drain_max: self.drain_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::config::layers::Layers;

    fn config(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layers = Layers::default().file(Path::new("r.toml"), file).environment(environment).flags(flags.iter().copied());
        Config::read(layers).map(|(config, _)| config).map_err(|error| error.to_string())
    }

    fn is_on(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> bool {
        config(file, environment, flags).expect("all is right").setup().breaker.on
    }

    /// What nothing is said of is what the core has, too.
    #[test]
    fn the_defaults_are_those_of_the_core() {
        use ringmaster_core::partition::BreakerSettings;
        let read = config("", &[], &[]).expect("all is right").setup().breaker;
        assert_eq!(format!("{read:?}"), format!("{:?}", BreakerSettings::default()));
        let file = "[breaker]\nenabled = false\nwindow = '1m'\nshare = 80\nminimum = 3\nprobe_every = '500ms'\ndrain_max = 7";
        let read = config(file, &[], &[]).expect("all is right").setup().breaker;
        assert_eq!((read.on, read.window_ms, read.share_percent, read.minimum), (false, 60_000, 80, 3));
        assert_eq!((read.probe_ms, read.drain_max), (500, 7));
    }

    #[test]
    fn it_is_off_by_a_word_wherever_settings_come_from() {
        for off in ["breaker = 'off'", "breaker = false", "breaker.enabled = false", "[breaker]\nenabled = 'off'\nshare = 3"] {
            assert!(!is_on(off, &[], &[]), "{off}");
        }
        assert!(is_on("breaker = 'on'", &[], &[]) && is_on("breaker = true", &[], &[]));
        assert!(!is_on("[breaker]\nshare = 3", &[("RINGMASTER_BREAKER", "off")], &[]));
        assert!(!is_on("", &[("RINGMASTER_BREAKER_ENABLED", "false")], &[]));
        assert!(!is_on("[breaker]\nenabled = true", &[], &["breaker=off"]));
        assert!(is_on("breaker = 'off'", &[("RINGMASTER_BREAKER", "off")], &["breaker.enabled=true"]), "flags win");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_bounds() {
        for (name, value, says) in [
            ("enabled", "maybe", "'maybe' is not 'true' or 'false' or 'on' or 'off'"),
            ("window", "999ms", "'999ms' is not a duration from 1s to 1h"),
            ("window", "61m", "is not a duration from 1s to 1h"),
            ("share", "0", "'0' is not a number from 1 to 100"),
            ("share", "101", "is not a number from 1 to 100"),
            ("minimum", "0", "is not a number from 1 to 1000000"),
            ("minimum", "1000001", "is not a number from 1 to 1000000"),
            ("probe_every", "99ms", "is not a duration from 100ms to 1h"),
            ("probe_every", "61m", "is not a duration from 100ms to 1h"),
            ("drain_max", "0", "is not a number from 1 to 100000"),
            ("drain_max", "100001", "is not a number from 1 to 100000"),
        ] {
            let error = config(&format!("[breaker]\n{name} = '{value}'"), &[], &[]).expect_err(name);
            assert!(error.starts_with(&format!("r.toml:2:1: breaker.{name}: '{value}'")) && error.contains(says), "{error}");
        }
        let error = config("breaker = 'of'", &[], &[]).expect_err("no word");
        assert!(error.starts_with("r.toml:1:1: breaker.enabled: 'of' is not"), "{error}");
        let error = config("[breaker]\nwindo = '1s'", &[], &[]).expect_err("unknown");
        assert_eq!(error, "r.toml:2:1: unknown setting 'breaker.windo'; did you mean 'breaker.window'?");
    }
}
