//! What arrives, and what is made of it: tables of records.

use ringmaster_schemas::journal::QuarantineReason::{self, TypeUnknown, Undecodable};
use ringmaster_schemas::registry::Schemas;

use super::event::Body;
use super::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct List(Vec<(&'static str, &'static [u8])>);

impl Headers for List {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().rfind(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// What an event says of itself: type, identity, trace context, data.
type Said = (String, String, Option<String>, String);

fn recognised(headers: &[(&'static str, &'static [u8])], value: &str) -> Result<Said, Refused> {
    let headers = List(headers.to_vec());
    let record = InputRecord { offset: 7, timestamp: 0, key: None, value: Some(value.as_bytes()), headers: Some(&headers) };
    let schemas = Schemas::builtin();
    let typing = Typing { field: "type", default: Some("Default") };
    let (kind, event) = Event::recognise(&record, typing, &schemas)?;
    let mut identity = String::new();
    event.put_identity(Origin { topic: "orders", partition: 3 }, &mut identity);
    let Body::Json(data) = event.body else { panic!("it is JSON") };
    let data = String::from_utf8(data.to_vec()).expect("text");
    Ok((kind.into_owned(), identity, event.traceparent.map(Into::into), data))
}

fn kind(headers: &[(&'static str, &'static [u8])], value: &str) -> String {
    recognised(headers, value).unwrap_or_else(|refused| panic!("{value}: {}", refused.detail)).0
}

#[test]
fn an_empty_header_is_as_if_absent() {
    let field = r#"{"type":"Field"}"#;
    assert_eq!(kind(&[("ce_type", b"Header")], field), "Header");
    for nothing in [&b""[..], b"\xff\xfe"] {
        assert_eq!(kind(&[("ce_type", nothing)], field), "Field");
        assert_eq!(kind(&[("ce_type", nothing)], r#"{"type":""}"#), "Default");
        assert_eq!(kind(&[("content-type", nothing)], field), "Field");
        for half in [[("ce_source", nothing), ("ce_id", b"i")], [("ce_source", b"s"), ("ce_id", nothing)]] {
            assert_eq!(recognised(&half, field).expect("an event").1, "orders/3/7");
        }
        assert_eq!(recognised(&[("traceparent", nothing)], field).expect("an event").2, None);
    }
    for value in [r#"{"type":7}"#, r#"{"type":null}"#, r#"{"types":"A"}"#, "{}"] {
        assert_eq!(kind(&[], value), "Default", "{value}");
    }
    // The last of several counts.
    assert_eq!(kind(&[("ce_type", b"First"), ("ce_type", b"Last")], field), "Last");
    assert_eq!(kind(&[("ce_type", b"First"), ("ce_type", b"")], field), "Field");
}

#[test]
fn identities_and_trace_contexts_are_bounded_and_checked() {
    let long: &'static [u8] = Vec::leak(vec![b's'; 300_000]);
    let (_, identity, ..) = recognised(&[("ce_source", long), ("ce_id", long)], "{}").expect("an event");
    assert_eq!(identity.len(), 2 * ID_BYTES_MAX + 1);
    let trace = |value: &'static str| recognised(&[("traceparent", value.as_bytes())], "{}").expect("an event").2;
    assert_eq!(trace(TRACE).as_deref(), Some(TRACE));
    for bad in [
        "00-\"-01",
        "\\",
        "x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\\",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    ] {
        assert_eq!(trace(bad), None, "{bad}");
    }
    assert_eq!(recognised(&[("traceparent", long)], "{}").expect("an event").2, None);
}

#[test]
fn whole_cloud_events() {
    let whole = r#"{"specversion":"1.0","type":"OrderPlaced","source":"/shop","id":"e-1","data":{"id":"o"}}"#;
    let said = |identity: &str, data: &str| ("OrderPlaced".to_owned(), identity.to_owned(), None, data.to_owned());
    let content: &[(&str, &[u8])] = &[("content-type", b"Application/CloudEvents+JSON; charset=UTF-8")];
    for headers in [&[][..], content] {
        assert_eq!(recognised(headers, whole), Ok(said("/shop/e-1", r#"{"id":"o"}"#)));
    }
    let traced = whole.replacen(
        '{',
        &format!(r#"{{"traceparent":"{TRACE}","subject":"x","time":"\ud800","datacontenttype":"application/json","#),
        1,
    );
    assert_eq!(recognised(&[], &traced).expect("an event").2.as_deref(), Some(TRACE));
    // Binary mode says what the value is: its data.
    assert_eq!(recognised(&[("ce_type", b"Header")], whole).expect("an event").3, whole);
    // Only by its content type: without data, or with headers that belong to the other mode.
    let bare = r#"{"specversion":"1.0","type":"OrderPlaced","source":"/shop","id":"e-1"}"#;
    assert_eq!(recognised(content, bare), Ok(said("/shop/e-1", "{}")));
    assert_eq!(recognised(&[content[0], ("ce_type", b"Header")], whole).expect("an event").0, "OrderPlaced");
    // A domain event that has some of the attributes is none.
    for plain in [
        bare,
        r#"{"specversion":"1.0","type":"OrderPlaced","data":{}}"#,
        r#"{"specversion":1,"type":"OrderPlaced","source":"s","id":"i","data":{}}"#,
    ] {
        assert_eq!(recognised(&[], plain), Ok(said("orders/3/7", plain)), "{plain}");
    }
    // Nothing reads `id` of a plain event here, so it may be given twice.
    assert_eq!(kind(&[], r#"{"id":1,"id":2,"type":"Field","data":1,"data":2}"#), "Field");
}

#[test]
fn what_is_no_event_says_what_is_wrong() {
    let whole = r#"{"specversion":"1.0","type":"A","source":"s","id":"i","data":{}}"#;
    let content: &[(&str, &[u8])] = &[("content-type", b"application/cloudevents+json")];
    let batch: &[(&str, &[u8])] = &[("content-type", b"application/cloudevents-batch+json")];
    type Case<'a> = (&'a [(&'a str, &'a [u8])], String, QuarantineReason, &'a str);
    let cases: [Case<'_>; 16] = [
        (&[], whole.replace("\"1.0\"", "\"0.3\""), Undecodable, "its specversion is \"0.3\", and 1.0 is known"),
        (&[], whole.replace("\"A\"", "\"\""), TypeUnknown, "the CloudEvent has no `type`"),
        (&[], whole.replace("\"s\"", "\"\""), Undecodable, "it has no `source`"),
        (&[], whole.replace("\"i\"", "\"\""), Undecodable, "it has no `id`"),
        (&[], whole.replace("\"data\"", "\"data_base64\""), Undecodable, "`data_base64`"),
        (&[], whole.replace("\"data\"", "\"data\":1,\"data\""), Undecodable, "data: it is given twice"),
        (&[], whole.replace("\"id\"", "\"id\":\"j\",\"id\""), Undecodable, "id: it is given twice"),
        (&[], whole.replace("\"s\"", "\"\\ud800\""), Undecodable, "source: half a surrogate pair"),
        (&[], whole.replace("\"id\"", "\"datacontenttype\":\"text/xml\",\"id\""), Undecodable, "its data is \"text/xml\""),
        (content, r#"{"order_id":"o"}"#.into(), Undecodable, "it has no `specversion`"),
        (content, whole.replace("\"id\"", "\"jd\""), Undecodable, "it has no `id`"),
        (batch, format!("[{whole}]"), Undecodable, "a batch of CloudEvents"),
        (&[], format!("[{whole}]"), Undecodable, "neither Avro"),
        (&[], r#"{"type":"A","type":"A"}"#.into(), Undecodable, "type: it is given twice"),
        (&[], r#"{"type":"\ud800"}"#.into(), Undecodable, "type: half a surrogate pair"),
        (&[], r#"{"type":"A""#.into(), Undecodable, "cut short"),
    ];
    for (headers, value, reason, detail) in cases {
        let refused = recognised(headers, &value).expect_err(&value);
        assert!(refused.reason == reason && refused.detail.contains(detail), "{value}: {refused:?}");
    }
}
