//! What a person does in a story.

use std::sync::Arc;

use ringmaster_core::saga::{Act as PersonAct, ActInput, Outcome};
use ringmaster_schemas::Data;
use ringmaster_schemas::names::step_of_round;

use super::script::Act;
use super::stage::{Stage, project};

impl Stage {
    pub(super) fn person(&self, act: &Act) -> Result<ActInput, String> {
        let Act::Person { act, step, with, why } = act else { return Err("only a person acts".to_owned()) };
        let (step, with) = (step.as_deref(), with.as_deref());
        let result = |text: &str| match step
            .and_then(|step| self.definition().node(self.definition().names.find(step_of_round(step))?))
            .and_then(|node| node.kept())
        {
            Some(kept) => project(kept, kept, text).map(|bytes| Some(Data::new(&bytes))),
            None => Ok(None),
        };
        let act = match (act.as_str(), with.map(|with| with.split_once(' ').unwrap_or((with, "{}")))) {
            ("cancels", _) => PersonAct::Cancel,
            ("pauses", _) => PersonAct::Pause,
            ("resumes", _) => PersonAct::Resume,
            ("approves", _) => PersonAct::Approve,
            ("refuses", _) => PersonAct::Refuse,
            ("retries", _) => PersonAct::Retry,
            ("skips", None) => PersonAct::Skip { value: None, given: false },
            ("skips", Some(_)) => PersonAct::Skip { value: result(with.unwrap_or_default())?, given: true },
            ("resolves", Some(("refused", code))) => {
                PersonAct::Resolve(Outcome::Refused { code: code.into(), message: "said by a person".into() })
            }
            ("resolves", Some(("succeeded", value))) => PersonAct::Resolve(Outcome::Succeeded { result: result(value)? }),
            _ => return Err(format!("'{act}' is no act")),
        };
        Ok(ActInput { act, step: step.map(Arc::from), by: "ann".into(), why: why.as_str().into(), if_turn: None })
    }
}
