//! What an acknowledged record of the journal survives, by what its topic says.

use ringmaster_bus::Description;

/// What an acknowledged record survives, in words. Unsaid where the bus does not tell.
pub(crate) fn durability(journal: &Description) -> Option<String> {
    let setting = |key: &str| journal.settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let copies = journal.copies?;
    let is_flushed = setting("flush.messages") == Some("1");
    if copies <= 1 {
        return Some(match is_flushed {
            true => "one copy, flushed: it survives a crash of the machine, not the loss of its disk".to_owned(),
            false => "one copy, page cache: it survives a crash of the process, not of the machine".to_owned(),
        });
    }
    // It is acknowledged once all have it that are in step, and these may be as few as that.
    let in_step = setting("min.insync.replicas")?.parse::<i32>().ok()?.clamp(1, copies);
    let lost = match in_step - 1 {
        0 if is_flushed => "it survives crashes of machines, not the loss of the only disk that may have it".to_owned(),
        0 => "it may be lost with the only one that has it (min.insync.replicas = 1)".to_owned(),
        1 => "it survives the loss of any one".to_owned(),
        some => format!("it survives the loss of any {some}"),
    };
    Some(format!("{copies} copies, {in_step} at least have what is acknowledged: {lost}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(copies: Option<i32>, settings: &[(&str, &str)]) -> Option<String> {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        durability(&Description { name: "journal".to_owned(), id: [0; 16], partitions: 8, copies, settings })
    }

    #[test]
    fn what_survives_what_is_said_by_the_topic() {
        let kept = |copies, in_step| told(Some(copies), &[("min.insync.replicas", in_step)]).unwrap_or_default();
        assert_eq!(kept(3, "2"), "3 copies, 2 at least have what is acknowledged: it survives the loss of any one");
        assert_eq!(kept(5, "3"), "5 copies, 3 at least have what is acknowledged: it survives the loss of any 2");
        assert!(kept(3, "1").ends_with("it may be lost with the only one that has it (min.insync.replicas = 1)"));
        assert_eq!(kept(1, "1"), "one copy, page cache: it survives a crash of the process, not of the machine");
        let flushed = told(Some(1), &[("flush.messages", "1")]).unwrap_or_default();
        assert_eq!(flushed, "one copy, flushed: it survives a crash of the machine, not the loss of its disk");
        assert_eq!((told(None, &[]), told(Some(3), &[])), (None, None), "whoever may not see it makes nothing up");
    }
}
