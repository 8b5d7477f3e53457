//! Attacks on what holds only because a rule does.

/// Does this without a rule of the protocol; where faults are not compiled in, not at all.
pub(crate) fn without(rule: &'static str, attack: impl FnOnce()) {
    #[cfg(feature = "faults")]
    {
        ringmaster_core::faults::mutate(Some(rule));
        attack();
        ringmaster_core::faults::mutate(None);
    }
    #[cfg(not(feature = "faults"))]
    drop((rule, attack));
}
