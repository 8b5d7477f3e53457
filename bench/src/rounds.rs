//! Rounds: every contender has a window in each, one after the other, so that what the machine does meanwhile meets all alike. A
//! window during which the machine changed is void and made again.

use anyhow::Result;

use crate::window::{Contender, Plan, Window};

/// By how much the machine's speed may differ, around one window and from what it usually is.
const STEADY: f64 = 0.10;

/// All windows of one contender.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) windows: Vec<Window>,
}

/// All windows of all.
pub(crate) struct Rounds {
    pub(crate) series: Vec<Series>,
    /// Windows that were thrown away.
    pub(crate) voided: usize,
    /// The machine changed so often that windows were kept all the same.
    pub(crate) unsteady: usize,
}

impl Rounds {
    pub(crate) fn of(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }
}

/// Runs so many rounds; `speed` looks at how fast the machine is, `say` is told what happens.
pub(crate) fn run(
    contenders: &mut [&mut dyn Contender],
    plan: &Plan,
    rounds: usize,
    speed: &mut dyn FnMut() -> f64,
    say: &dyn Fn(&str),
) -> Result<Rounds> {
    let names = contenders.iter().map(|contender| contender.name());
    let series = names.map(|name| Series { name, windows: Vec::with_capacity(rounds) }).collect();
    let mut all = Rounds { series, voided: 0, unsteady: 0 };
    let mut speeds = vec![speed()];
    let void_max = rounds * contenders.len();
    for round in 1..=rounds {
        for (contender, series) in contenders.iter_mut().zip(&mut all.series) {
            loop {
                let before = speed();
                let window = contender.window(plan)?;
                let after = speed();
                let steady = is_steady(&speeds, before, after);
                speeds.extend([before, after]);
                let kept = steady || all.voided >= void_max;
                let (per_second, name) = (window.per_second(), series.name);
                let void = if kept { "" } else { ", void: the machine changed" };
                say(&format!("round {round} of {rounds}, {name}: {per_second:.0} sagas/s{void}"));
                if kept {
                    all.unsteady += usize::from(!steady);
                    series.windows.push(window);
                    break;
                }
                all.voided += 1;
            }
        }
    }
    Ok(all)
}

/// True if the machine was as fast before as after, and as it usually is.
pub(crate) fn is_steady(speeds: &[f64], before: f64, after: f64) -> bool {
    let usual = Spread::of(speeds.iter().copied()).median;
    let near = |one: f64, other: f64| (one / other - 1.0).abs() <= STEADY;
    near(before, after) && near(before, usual) && near(after, usual)
}

/// A median and its range.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of some numbers, at least one; of an even count the upper of the two in the middle.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else { return Spread { median: 0.0, min: 0.0, max: 0.0 } };
        Spread { median: values[values.len() / 2], min: *min, max: *max }
    }

    /// All of it so many times as much.
    pub(crate) fn times(self, factor: f64) -> Spread {
        Spread { median: self.median * factor, min: self.min * factor, max: self.max * factor }
    }

    /// Of what each round says of two contenders: their ratio, round by round.
    pub(crate) fn ratio(one: &Series, other: &Series, of: impl Fn(&Window) -> f64) -> Spread {
        Spread::of(one.windows.iter().zip(&other.windows).map(|(one, other)| of(one) / of(other).max(f64::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::window::{Cost, Measured};

    /// Carries what it is told, round by round.
    struct Scripted(&'static str, Vec<u64>);

    impl Contender for Scripted {
        fn name(&self) -> &'static str {
            self.0
        }

        fn window(&mut self, _: &Plan) -> Result<Window> {
            let measured =
                Measured { lasted: Duration::from_secs(1), finished: self.1.remove(0), latency_us: None, overtaken_us: None };
            Ok(Window { measured, cost: Cost::default(), traffic: None })
        }
    }

    fn plan() -> Plan {
        Plan { rate: None, in_flight: 1, settle: Duration::ZERO, measured: Duration::ZERO }
    }

    #[test]
    fn contenders_take_turns() {
        let (mut one, mut other) = (Scripted("one", vec![20; 3]), Scripted("other", vec![10; 3]));
        let rounds = run(&mut [&mut one, &mut other], &plan(), 3, &mut || 100.0, &|_| {}).expect("they run");
        let (one, other) = (rounds.of("one").expect("one"), rounds.of("other").expect("other"));
        assert_eq!((one.windows.len(), other.windows.len(), rounds.voided, rounds.unsteady), (3, 3, 0, 0));
        let ratio = Spread::ratio(one, other, Window::per_second);
        assert_eq!(ratio, Spread { median: 2.0, min: 2.0, max: 2.0 });
    }

    /// The second window is void and made again; a machine that never comes to rest ends the call all the same, and it is said.
    #[test]
    fn a_window_in_which_the_machine_changed_is_made_again() {
        let mut looks = [100.0, 100.0, 100.0, 100.0, 50.0, 100.0, 101.0].into_iter();
        let mut one = Scripted("one", vec![1, 2, 3]);
        let rounds = run(&mut [&mut one], &plan(), 2, &mut || looks.next().expect("seven looks"), &|_| {}).expect("it runs");
        let kept: Vec<u64> = rounds.series[0].windows.iter().map(|window| window.measured.finished).collect();
        assert_eq!((kept, rounds.voided, rounds.unsteady), (vec![1, 3], 1, 0));
        let (mut one, mut speed) = (Scripted("one", vec![1; 4]), 1.0);
        let mut faster = || {
            speed *= 2.0;
            speed
        };
        let rounds = run(&mut [&mut one], &plan(), 2, &mut faster, &|_| {}).expect("it runs");
        assert_eq!((rounds.series[0].windows.len(), rounds.voided, rounds.unsteady), (2, 2, 2));
    }

    #[test]
    fn a_machine_that_changed_is_seen() {
        let speeds = [100.0, 101.0, 99.0];
        assert!(is_steady(&speeds, 95.0, 104.0));
        assert!(!is_steady(&speeds, 95.0, 80.0), "slower behind it than before");
        assert!(!is_steady(&speeds, 50.0, 50.0), "slower than it usually is");
    }

    #[test]
    fn a_spread_is_of_the_middle_and_both_ends() {
        assert_eq!(Spread::of([5.0, 1.0, 3.0]), Spread { median: 3.0, min: 1.0, max: 5.0 });
    }
}
