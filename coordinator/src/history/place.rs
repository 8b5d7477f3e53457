//! Where a page ended, and what was known there: what a cursor says.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ringmaster_core::saga::Known;
use ringmaster_schemas::names::murmur2;
use serde::{Deserialize, Serialize};

/// A place in a story, with all that telling goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What tells the places of one saga from those of another.
    pub(super) of: u32,
    /// What is read next.
    pub(super) next: i64,
    /// Why all of the partition is read; none: by the saga's row.
    pub(super) scan_for: Option<String>,
    /// Which claim is in force there, and the number that counts next under it.
    pub(super) claim_offset: i64,
    pub(super) claim: [u8; 16],
    pub(super) number: i64,
    pub(super) is_termless: bool,
    pub(super) has_begun: bool,
    pub(super) has_told: bool,
    pub(super) known: Known,
}

impl Place {
    pub(super) fn mark(id: &str) -> u32 {
        murmur2(id.as_bytes())
    }

    /// As a query takes it.
    pub(super) fn written(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("numbers and texts are always JSON"))
    }

    /// Reads what was written; none of anything else, and of another saga's.
    pub fn read(text: &str, id: &str) -> Option<Place> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|place: &Place| place.of == Place::mark(id) && place.next >= 0)
    }

    /// Whether it is of a scan, for which no row is needed.
    pub fn is_of_scan(&self) -> bool {
        self.scan_for.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_of_one_saga() {
        let place = Place {
            of: Place::mark("trip/t-1"),
            next: 7,
            scan_for: None,
            claim_offset: 3,
            claim: [9; 16],
            number: 2,
            is_termless: false,
            has_begun: true,
            has_told: true,
            known: Known::default(),
        };
        let text = place.written();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
        assert_eq!(Place::read(&text, "trip/t-1"), Some(place));
        for (wrong, id) in [(&*text, "trip/t-2"), (&text[1..], "trip/t-1"), ("", "trip/t-1"), ("e30", "trip/t-1")] {
            assert_eq!(Place::read(wrong, id), None, "{wrong}");
        }
    }
}
