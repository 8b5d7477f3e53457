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
    /// Act on sagas and participants.
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
            May::Act => self.may(May::Operate) || self.may(May::Approve),
            May::Operate => matches!(self, Role::Operator | Role::Admin),
            May::Approve => matches!(self, Role::Approver(_) | Role::Admin),
            May::Deploy => matches!(self, Role::Deployer | Role::Admin),
            May::Administer => *self == Role::Admin,
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
            _ => match text.strip_prefix("approver:").filter(|of| !of.is_empty()) {
                Some(of) => Role::Approver(of.to_owned()),
                None => {
                    let roles = "viewer, reader, operator, approver:ROLE, deployer, admin or metrics";
                    return Err(format!("'{text}' is not a role: {roles}"));
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
