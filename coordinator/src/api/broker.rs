//! What requests want of the bus itself, beside [acts](super::acts).

use std::sync::{Mutex, PoisonError};

use ringmaster_bus::{Bus, BusError};

use super::clients::Clients;
use crate::runtime::{DeployError, Deploying, KnowledgeError, Plan, Sent, SetupSettings, at_next_start, wall};

/// Does at the bus what is asked for over HTTP.
pub trait Broker: Send + Sync {
    /// Deploys what somebody sends; with `dry_run` it is only looked at.
    fn deploy(&self, sent: &Sent, by: &str, dry_run: bool) -> Result<Published, NotPublished>;
}

/// What was deployed.
#[derive(Debug)]
pub struct Published {
    /// What became of each definition.
    pub plan: Plan,
    /// Topics that are read directly until the next start, with the sagas that are in force from then on.
    pub later: Vec<(String, Vec<String>)>,
}

/// Why nothing was deployed.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// Files, what is deployed, topics, or the bus.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A coordinator of another prefix starts the same sagas.
    #[error("{0}")]
    Rivals(String),
}

impl From<BusError> for NotPublished {
    fn from(error: BusError) -> Self {
        DeployError::from(KnowledgeError::from(error)).into()
    }
}

/// Why a plan may not be carried out, for people.
type Refuse = dyn Fn(&Plan) -> Result<(), String> + Send + Sync;

/// A broker that has clients of a bus.
pub struct BusBroker<B> {
    clients: Clients<B>,
    setup: SetupSettings,
    deploying: Deploying,
    /// Topics that are missing are made: nobody else can.
    makes_topics: bool,
    refuse: Box<Refuse>,
    /// Held while something is deployed: what is planned is planned on what is there.
    deploys: Mutex<()>,
}

impl<B: Bus + Send> BusBroker<B> {
    /// With clients that are made so; `refuse` says why a plan may not be carried out.
    pub fn new(
        (setup, deploying, makes_topics): (SetupSettings, Deploying, bool),
        refuse: impl Fn(&Plan) -> Result<(), String> + Send + Sync + 'static,
        make: impl Fn() -> Result<B, BusError> + Send + Sync + 'static,
    ) -> Self {
        let (clients, refuse, deploys) = (Clients::new(make), Box::new(refuse), Mutex::default());
        BusBroker { clients, setup, deploying, makes_topics, refuse, deploys }
    }

    fn deploy_by(&self, bus: &mut B, (sent, by, dry_run): (&Sent, &str, bool)) -> Result<Published, NotPublished> {
        let mut plan = Plan::of_sent(bus, &self.deploying, sent, wall()).map_err(DeployError::from)?.by(Some(by));
        match dry_run {
            // What it would make is missing still.
            true if self.makes_topics => {}
            true => plan.check_topics(bus, &self.deploying).map_err(DeployError::from)?,
            false => {
                (self.refuse)(&plan).map_err(NotPublished::Rivals)?;
                plan.carry_out(bus, &self.deploying, self.makes_topics)?;
            }
        }
        let later = at_next_start(bus, &self.setup, &plan)?;
        Ok(Published { plan, later })
    }
}

impl<B: Bus + Send> Broker for BusBroker<B> {
    fn deploy(&self, sent: &Sent, by: &str, dry_run: bool) -> Result<Published, NotPublished> {
        let _one = self.deploys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = self.clients.take()?;
        let published = self.deploy_by(&mut client, (sent, by, dry_run))?;
        self.clients.give_back(client);
        Ok(published)
    }
}
