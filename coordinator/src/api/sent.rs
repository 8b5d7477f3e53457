//! How a request that changes something must be sent: by nobody's browser in the service of another site, and as JSON.

use axum::extract::Request;
use axum::http::{Method, header};

/// Whether it only reads, or bears what no page of another site can have a browser send.
fn is_safe(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) || request.headers().contains_key(header::AUTHORIZATION)
}

fn says_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Why a request that changes something is not taken, if a page of another site may have sent it with a browser's help: that can send no
/// bearer, and no JSON without asking first.
pub(super) fn is_from_elsewhere(request: &Request) -> Option<&'static str> {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let may = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin" && says_json(request),
        // What is no browser sends neither, nor does an old one with a form: that is no JSON, and not taken below.
        (None, origin) => origin.is_none(),
    };
    let why = "what changes something comes as application/json, from a page of this port or with a bearer token";
    (!may && !is_safe(request)).then_some(why)
}

/// Why a request that changes something is not understood, whoever sent it. With a token what reads the body says so.
pub(super) fn is_no_json(request: &Request) -> Option<&'static str> {
    let why = "what changes something comes as JSON, and says so by the header `Content-Type: application/json`";
    (!says_json(request) && !is_safe(request)).then_some(why)
}
