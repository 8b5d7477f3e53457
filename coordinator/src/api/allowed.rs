//! Roles, and what each may.
//!
//! ```text
//! token -> roles -> what they may; routes.rs says of each route what it takes to be answered
//! ```

use std::fmt;
use std::str::FromStr;

/// What somebody is to this coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Sees how things stand, without bodies of events, commands and results.
    Viewer,
    /// Sees bodies, too.
    Reader,
    /// Acts on sagas and participants.
    Operator,
    /// Acts on sagas of definitions that are called so: a name, or what names begin with and `*`.
    OperatorOf(String),
    /// Says yes or no where a definition asks for it by this name.
    Approver(String),
    /// Deploys definitions.
    Deployer,
    /// May everything.
    Admin,
    /// Reads metrics, and nothing else.
    Metrics,
}

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Nothing: whoever reaches the port.
    Reach,
    /// Read metrics.
    Measure,
    /// See how things stand. What a definition shows to those who approve (`show`) is chosen to be seen, and no body.
    See,
    /// See bodies of events, commands and results.
    SeeBodies,
    /// Act in one way or another: which, each act says.
    Act,
    /// Act on any saga, and on participants.
    Operate,
    /// Approve or refuse; for which role, the approval says.
    Approve,
    /// Deploy definitions.
    Deploy,
    /// See and change who may what.
    Administer,
}

impl Role {
    /// Whether this is among what the role may. Nobody but a role that is named here may anything but reach the port.
    pub fn may(&self, what: May) -> bool {
        match what {
            May::Reach => true,
            May::Measure => true,
            May::See => *self != Role::Metrics,
            May::SeeBodies => matches!(self, Role::Reader | Role::Admin),
            May::Act => self.may(May::Operate) || self.may(May::Approve) || matches!(self, Role::OperatorOf(_)),
            May::Operate => matches!(self, Role::Operator | Role::Admin),
            May::Approve => matches!(self, Role::Approver(_) | Role::Admin),
            May::Deploy => matches!(self, Role::Deployer | Role::Admin),
            May::Administer => *self == Role::Admin,
        }
    }

    /// Whether it may act on sagas of this definition.
    pub fn operates(&self, definition: &str) -> bool {
        match self {
            Role::OperatorOf(of) => match of.strip_suffix('*') {
                Some(beginning) => definition.starts_with(beginning),
                None => definition == of,
            },
            _ => self.may(May::Operate),
        }
    }
}

impl May {
    /// The least role that may it, for people.
    pub(super) fn least(self) -> &'static str {
        match self {
            May::Reach | May::Measure => "metrics",
            May::See => "viewer",
            May::SeeBodies => "reader",
            May::Act => "operator, or approver:ROLE",
            May::Operate => "operator",
            May::Approve => "approver:ROLE",
            May::Deploy => "deployer",
            May::Administer => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Viewer => f.write_str("viewer"),
            Role::Reader => f.write_str("reader"),
            Role::Operator => f.write_str("operator"),
            Role::OperatorOf(of) => write!(f, "operator:{of}"),
            Role::Approver(of) => write!(f, "approver:{of}"),
            Role::Deployer => f.write_str("deployer"),
            Role::Admin => f.write_str("admin"),
            Role::Metrics => f.write_str("metrics"),
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        Ok(match text {
            "viewer" => Role::Viewer,
            "reader" => Role::Reader,
            "operator" => Role::Operator,
            "deployer" => Role::Deployer,
            "admin" => Role::Admin,
            "metrics" => Role::Metrics,
            _ => match text.split_once(':').filter(|(_, of)| !of.is_empty()) {
                Some(("approver", of)) => Role::Approver(of.to_owned()),
                Some(("operator", of)) if is_pattern(of) => Role::OperatorOf(of.to_owned()),
                Some(("operator", of)) => {
                    return Err(format!("'{of}' is no definition's name, nor what names begin with and `*`, for example order-*"));
                }
                _ => {
                    let roles = "viewer, reader, operator, operator:DEFINITION, approver:ROLE, deployer, admin or metrics";
                    return Err(format!("'{text}' is not a role: {roles}"));
                }
            },
        })
    }
}

/// A name, with a `*` at its end at most.
fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_be_one_of_some_definitions_alone() {
        let role = |text: &str| text.parse::<Role>().expect("a role");
        for (of, definition, is_theirs) in [
            ("operator:order-*", "order-fulfilment", true),
            ("operator:order-*", "order-", true),
            ("operator:order-*", "orders", false),
            ("operator:loan", "loan", true),
            ("operator:loan", "loans", false),
            ("operator:*", "loan", true),
            ("operator", "loan", true),
            ("admin", "loan", true),
            ("viewer", "loan", false),
            ("approver:loan", "loan", false),
        ] {
            assert_eq!(role(of).operates(definition), is_theirs, "{of} {definition}");
        }
        for wrong in ["operator:", "operator:a*b", "operator:**", "operator:a/b", "operator:*a"] {
            assert!(wrong.parse::<Role>().is_err(), "{wrong}");
        }
    }

    /// Who may what, written out once more: a role that is given more by mistake is seen here.
    #[test]
    fn each_role_may_what_it_is_for() {
        const ALL: [May; 9] = [
            May::Reach,
            May::Measure,
            May::See,
            May::SeeBodies,
            May::Act,
            May::Operate,
            May::Approve,
            May::Deploy,
            May::Administer,
        ];
        for (role, may) in [
            ("metrics", &ALL[..2]),
            ("viewer", &ALL[..3]),
            ("reader", &ALL[..4]),
            ("operator", &[May::Reach, May::Measure, May::See, May::Act, May::Operate]),
            ("operator:order-*", &[May::Reach, May::Measure, May::See, May::Act]),
            ("approver:risk", &[May::Reach, May::Measure, May::See, May::Act, May::Approve]),
            ("deployer", &[May::Reach, May::Measure, May::See, May::Deploy]),
            ("admin", &ALL[..]),
        ] {
            let read: Role = role.parse().expect("a role");
            assert_eq!(read.to_string(), role);
            assert_eq!(ALL.into_iter().filter(|what| read.may(*what)).collect::<Vec<_>>(), may, "{role}");
        }
        for wrong in ["", "Admin", "approver", "approver:", "root"] {
            assert!(wrong.parse::<Role>().expect_err(wrong).contains("is not a role: viewer, "), "{wrong}");
        }
        for what in ALL {
            let least = what.least().split(", ").next().unwrap_or_default().replace("ROLE", "any").parse::<Role>().expect("a role");
            assert!(least.may(what), "{what:?}");
        }
    }
}
