//! One of the three real services on the simulated bus, with a ledger that outlives it.

use std::time::Duration;

use ringmaster_bus::sim::{SimBroker, SimBus};
use ringmaster_core::faults::reached;
use ringmaster_participants::audit::Audit;
use ringmaster_participants::faults::{Fault, FaultKind, Faults};
use ringmaster_participants::ledger::SimLedger;
use ringmaster_participants::services::{Inventory, Payment, Shipping};
use ringmaster_participants::{Participant, Service, Settings, Stop};
use ringmaster_schemas::Millis;
use ringmaster_schemas::registry::Schemas;

use super::plan::Plan;

/// A process of a service, whichever it is.
trait Process {
    fn turn(&mut self, bus: &mut SimBus, now: Millis) -> Result<usize, Stop>;
}

impl<S: Service> Process for Participant<S, SimLedger> {
    fn turn(&mut self, bus: &mut SimBus, now: Millis) -> Result<usize, Stop> {
        let report = Participant::turn(self, bus, now, Duration::ZERO)?;
        if report.in_flight > 0 {
            reached("reply_unacked");
        }
        Ok(report.events)
    }
}

/// A service and its machine.
pub struct SimService {
    /// Its name.
    pub name: &'static str,
    ledger: SimLedger,
    schemas: Schemas,
    faults: Faults,
    running: Option<(Box<dyn Process>, SimBus)>,
    /// It stands still until then.
    pub frozen_until: Option<Millis>,
    /// It is started then.
    pub start_at: Millis,
    /// How often it died behind its effects, and before any reply left.
    pub unreplied: u32,
}

impl SimService {
    /// A service that is started at `start_at`.
    pub fn new(name: &'static str, schemas: Schemas, plan: &Plan, start_at: Millis) -> SimService {
        let fault = |kind, share, attempts| Fault { kind, keys: None, share, attempts };
        let mut list = Vec::new();
        if plan.lost_replies > 0.0 {
            list.push(fault(FaultKind::LoseReply, plan.lost_replies, Some(2)));
        }
        if plan.failed_replies > 0.0 {
            list.push(fault(FaultKind::Fail { retryable: true }, plan.failed_replies, Some(2)));
        }
        let late_replies = plan.late_replies;
        if late_replies > 0.0 {
            list.push(fault(FaultKind::Delay(1_490), late_replies, Some(1)));
            list.push(fault(FaultKind::RepeatReply, late_replies / 4.0, None));
            list.push(fault(FaultKind::CrashAfter, late_replies / 20.0, None));
        }
        SimService {
            name,
            ledger: SimLedger::default(),
            schemas,
            faults: Faults { list, seed: plan.seed },
            running: None,
            frozen_until: None,
            start_at,
            unreplied: 0,
        }
    }

    /// Its client at the broker, while it runs.
    pub fn client(&self) -> Option<u32> {
        self.running.as_ref().map(|(_, bus)| bus.number())
    }

    /// One turn, or a start if it is time; how many events it saw.
    pub fn turn(&mut self, broker: &SimBroker) -> Result<usize, String> {
        let now = broker.now();
        if let Some(until) = self.frozen_until {
            if now < until {
                return Ok(0);
            }
            self.thaw(broker);
        }
        if self.running.is_none() {
            if now < self.start_at {
                return Ok(0);
            }
            self.start(broker)?;
        }
        let (process, bus) = self.running.as_mut().expect("just started");
        match process.turn(bus, now) {
            Ok(events) => Ok(events),
            Err(Stop::ScriptedCrash { .. }) => {
                // Its effects are in the ledger, and no reply left.
                self.unreplied += 1;
                self.crash(now + 50);
                Ok(1)
            }
            Err(stop) => Err(format!("service {} stopped: {stop}", self.name)),
        }
    }

    fn start(&mut self, broker: &SimBroker) -> Result<(), String> {
        let mut bus = broker.client();
        let settings = Settings { faults: self.faults.clone(), ..Settings::new(self.name, "ringmaster") };
        let (ledger, schemas) = (self.ledger.clone(), self.schemas.clone());
        let stopped = |stop: Stop| format!("service {} does not start: {stop}", self.name);
        let process: Box<dyn Process> = match self.name {
            "inventory" => {
                started(Inventory::new(Inventory::demo_stock()), ledger, schemas, settings, &mut bus).map_err(stopped)?
            }
            "payment" => started(Payment::demo(), ledger, schemas, settings, &mut bus).map_err(stopped)?,
            _ => started(Shipping::demo(), ledger, schemas, settings, &mut bus).map_err(stopped)?,
        };
        self.running = Some((process, bus));
        Ok(())
    }

    /// Its process dies; it is started again at `start_at`.
    pub fn crash(&mut self, start_at: Millis) {
        self.running = None;
        self.frozen_until = None;
        self.start_at = start_at;
    }

    /// It stands still until then.
    pub fn freeze(&mut self, broker: &SimBroker, until: Millis) {
        if let Some((_, bus)) = &self.running {
            broker.freeze(bus.number(), true);
            self.frozen_until = Some(until);
        }
    }

    /// It goes on.
    pub fn thaw(&mut self, broker: &SimBroker) {
        self.frozen_until = None;
        if let Some((_, bus)) = &self.running {
            broker.freeze(bus.number(), false);
        }
    }

    /// True if its ledger exists.
    pub fn was_started(&self) -> bool {
        self.ledger.row_count() > 0
    }

    /// What its ledger says.
    pub fn audit(&self) -> Result<Audit, String> {
        Audit::of(&self.ledger, 0).map_err(|error| error.to_string())
    }
}

fn started<S: Service + 'static>(
    service: S,
    ledger: SimLedger,
    schemas: Schemas,
    settings: Settings,
    bus: &mut SimBus,
) -> Result<Box<dyn Process>, Stop> {
    let mut participant = Participant::new(service, ledger, schemas, settings)?;
    participant.start(bus)?;
    Ok(Box::new(participant))
}
