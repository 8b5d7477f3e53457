//! A whole CloudEvent in JSON (structured mode): its attributes beside its data.

use std::borrow::Cow;

use ringmaster_schemas::journal::QuarantineReason;
use ringmaster_schemas::json::{JsonError, Member};

use super::Refused;
use super::event::{Envelope, Identity};

/// What the event's type is looked for in first, and the attributes.
pub(super) fn names(type_field: &str) -> [&str; 9] {
    [type_field, "specversion", "type", "source", "id", "data", "data_base64", "datacontenttype", "traceparent"]
}

/// The attributes, in the order of [`names`].
pub(super) struct Members<'a>(pub(super) [Option<Member<'a>>; 8]);

impl<'a> Members<'a> {
    /// True if this is a whole CloudEvent and can be nothing else: what every one has, and data.
    pub(super) fn are_whole(&self) -> bool {
        let [version, kind, source, id, data, base64, ..] = &self.0;
        let is_text = |member: &Option<Member<'_>>| member.is_some_and(|member| member.text.starts_with('"'));
        [version, kind, source, id].into_iter().all(is_text) && (data.is_some() || base64.is_some())
    }

    /// Its type, its data, and what it says of itself.
    pub(super) fn read(&self) -> Result<(Cow<'a, str>, &'a [u8], Envelope<'a>), Refused> {
        let [version, kind, source, id, data, base64, content, traceparent] = &self.0;
        let version = needed(version, "specversion")?;
        if !version.starts_with("1.") && version != "1" {
            return Err(wrong(format!("its specversion is {version:?}, and 1.0 is known")));
        }
        let kind = match text(kind, "type")?.filter(|kind| !kind.is_empty()) {
            Some(kind) => kind,
            None => return Err(Refused::new(QuarantineReason::TypeUnknown, "the CloudEvent has no `type`", None)),
        };
        let identity = Identity { source: needed(source, "source")?, id: needed(id, "id")? };
        if base64.is_some() {
            return Err(wrong("it has `data_base64`: send its data as JSON in `data`, or in binary mode"));
        }
        if let Some(content) = text(content, "datacontenttype")?
            && !is_json(&content)
        {
            return Err(wrong(format!("its data is {content:?}: send it as JSON, or in binary mode")));
        }
        let data = match data {
            Some(data) => data.once().map_err(|error| inside(error, "data"))?,
            None => "{}",
        };
        // One that is wrong, or given twice, is dropped like any other trace context that is none.
        let traceparent = traceparent.and_then(|traceparent| traceparent.string().ok().flatten());
        Ok((kind, data.as_bytes(), Envelope { identity, traceparent }))
    }
}

fn is_json(content: &str) -> bool {
    let media = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media.is_empty() || media.ends_with("/json") || media.ends_with("+json")
}

fn text<'a>(member: &Option<Member<'a>>, name: &str) -> Result<Option<Cow<'a, str>>, Refused> {
    member.map_or(Ok(None), |member| member.string()).map_err(|error| inside(error, name))
}

fn needed<'a>(member: &Option<Member<'a>>, name: &str) -> Result<Cow<'a, str>, Refused> {
    let found = text(member, name)?.filter(|text| !text.is_empty());
    found.ok_or_else(|| wrong(format!("it has no `{name}`, which is a text that is not empty")))
}

fn wrong(what: impl std::fmt::Display) -> Refused {
    Refused::undecodable(format!("the CloudEvent cannot be taken: {what}"), None)
}

fn inside(error: JsonError, name: &str) -> Refused {
    wrong(JsonError { path: name.to_owned(), ..error })
}
