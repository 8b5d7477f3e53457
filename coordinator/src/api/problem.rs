//! Problems: every error that this API answers with, in the form of RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// How a problem is written.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";
/// When to ask again, in seconds, where that may help.
pub(super) const RETRY_AFTER: &str = "1";
/// What is said where no route is.
pub(super) const NOTHING_HERE: &str = "there is nothing at this path";

/// What is wrong with a request, or with what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The request is not understood.
    BadRequest,
    /// Its filter is not.
    BadFilter,
    /// Its cursor is of another question.
    BadCursor,
    /// Nobody that is known asks.
    Unauthorized,
    /// Whoever asks may not.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// It exists, and is not asked for in this way.
    MethodNotAllowed,
    /// What was asked to be done was not taken.
    Rejected,
    /// It has moved on since it was seen.
    MovedOn,
    /// Files that were sent are not right.
    DefinitionErrors,
    /// The body is larger than any that is taken.
    TooBig,
    /// More is asked than is answered at once.
    TooMany,
    /// It went wrong in here.
    Failed,
    /// It cannot be told now.
    NotNow,
    /// Another instance has it, which does not answer.
    Elsewhere,
    /// What is stored is older than what was asked for.
    Behind,
}

/// What is said of a problem whatever it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Which one.
    pub problem: Problem,
    /// What its type ends with.
    pub name: &'static str,
    /// As HTTP has it.
    pub status: u16,
    /// In a few words.
    pub title: &'static str,
    /// What whoever asks can do.
    pub help: &'static str,
}

/// Every problem. The table of docs/OPERATING.md is this table.
pub const PROBLEMS: [Said; 16] = [
    said(Problem::BadRequest, "bad-request", 400, "The request is not understood", "`detail` says what is wrong with it"),
    said(
        Problem::BadFilter,
        "bad-filter",
        400,
        "The filter is not understood",
        "`errors` has for each mistake `column`, `message` and `hint`",
    ),
    said(
        Problem::BadCursor,
        "bad-cursor",
        400,
        "The cursor is of another question",
        "a cursor goes on with the filter and order that it came from: begin without one",
    ),
    said(
        Problem::Unauthorized,
        "unauthorized",
        401,
        "A token is needed",
        "send `Authorization: Bearer rm_...`; wrong, expired, revoked and malformed tokens are answered alike",
    ),
    said(Problem::Forbidden, "forbidden", 403, "Not allowed", "ask for a token with the role that `detail` names"),
    said(Problem::NotFound, "not-found", 404, "There is no such thing", "`detail` says what there is, if that is known"),
    said(Problem::MethodNotAllowed, "method-not-allowed", 405, "Not by this method", "the header `Allow` says by which"),
    said(
        Problem::Rejected,
        "rejected",
        409,
        "It was not taken",
        "`reason` and `detail` say why, and `places` where that stands in the journal",
    ),
    said(
        Problem::MovedOn,
        "moved-on",
        409,
        "The saga has moved on since it was seen",
        "look at it again: `if_turn` was its last turn, and is no more",
    ),
    said(
        Problem::DefinitionErrors,
        "definition-errors",
        422,
        "The files have errors",
        "`errors` has for each `file`, `line`, `column`, `message` and `hint`; nothing was done",
    ),
    said(Problem::TooBig, "too-big", 413, "The body is too big", "at most 1 MiB is taken"),
    said(
        Problem::TooMany,
        "too-many",
        429,
        "Too many requests at once",
        "64 are answered at once, and others wait for a second; 64 may watch live: ask again after `Retry-After` seconds",
    ),
    said(Problem::Failed, "failed", 500, "It went wrong", "`detail` says what; the log may say more"),
    said(Problem::NotNow, "not-now", 503, "It cannot be told now", "`detail` says why; ask again after `Retry-After` seconds"),
    said(
        Problem::Elsewhere,
        "elsewhere",
        503,
        "Another instance has it, and does not answer",
        "`detail` says which and why; ask again after `Retry-After` seconds",
    ),
    said(
        Problem::Behind,
        "behind",
        503,
        "It is not stored yet",
        "`at_least` is further than the store after two seconds: ask again after `Retry-After` seconds",
    ),
];

const fn said(problem: Problem, name: &'static str, status: u16, title: &'static str, help: &'static str) -> Said {
    Said { problem, name, status, title, help }
}

impl Problem {
    /// What is said of it.
    pub fn said(self) -> &'static Said {
        &PROBLEMS[self as usize]
    }

    /// An answer that says so, and why.
    pub(super) fn because(self, detail: impl Into<String>) -> Refusal {
        Refusal { problem: self, detail: detail.into(), more: Map::new() }
    }

    /// The problem that goes with a status, whoever gave that: what reads bodies says 422 of a field that there is not, and only whoever reads
    /// definitions says that these have errors.
    pub(super) fn of(status: StatusCode) -> Problem {
        let exact = PROBLEMS.iter().find(|said| said.status == status.as_u16() && said.problem != Problem::DefinitionErrors);
        let like = if status.is_server_error() { Problem::Failed } else { Problem::BadRequest };
        exact.map_or(like, |said| said.problem)
    }
}

/// An answer that is a problem.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    problem: Problem,
    detail: String,
    more: Map<String, Value>,
}

impl Refusal {
    /// Its status and detail.
    #[cfg(test)]
    pub(super) fn told(self) -> (u16, String) {
        (self.problem.said().status, self.detail)
    }

    /// With one more member, that programs read.
    pub(super) fn with(mut self, name: &str, value: Value) -> Refusal {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Said { name, status, title, .. } = *self.problem.said();
        let mut body = json!({ "type": format!("/problems/{name}"), "title": title, "status": status, "detail": self.detail });
        body.as_object_mut().expect("it has just been made").extend(self.more);
        let status = StatusCode::from_u16(status).expect("the table has statuses");
        let mut answer = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response();
        let headers = answer.headers_mut();
        match self.problem {
            Problem::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ringmaster\""));
            }
            Problem::TooMany | Problem::NotNow | Problem::Elsewhere | Problem::Behind => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            _ => {}
        }
        // So that what stands around the handler knows it.
        answer.extensions_mut().insert(self.problem);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_problem_where_it_is_looked_up() {
        for (place, said) in PROBLEMS.iter().enumerate() {
            assert_eq!((said.problem as usize, said.problem.said()), (place, said));
            assert_eq!(PROBLEMS.iter().filter(|other| other.name == said.name).count(), 1, "{}", said.name);
            let usual = Problem::of(StatusCode::from_u16(said.status).expect("a status"));
            let is_special = matches!(
                said.problem,
                Problem::BadFilter
                    | Problem::BadCursor
                    | Problem::MovedOn
                    | Problem::DefinitionErrors
                    | Problem::Elsewhere
                    | Problem::Behind
            );
            assert_eq!(usual == said.problem, !is_special, "{}", said.name);
        }
        assert_eq!(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE), Problem::BadRequest);
        assert_eq!(Problem::of(StatusCode::UNPROCESSABLE_ENTITY), Problem::BadRequest);
        assert_eq!(Problem::of(StatusCode::BAD_GATEWAY), Problem::Failed);
    }
}
