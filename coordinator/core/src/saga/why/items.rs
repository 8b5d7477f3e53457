//! Why a for_each waits.

use ringmaster_schemas::state::Work;

use super::Leaf;

impl Leaf<'_> {
    /// Which items are under way.
    pub(super) fn items(&self) -> String {
        let Some(rows) = self.entry.children() else { return "its items".to_owned() };
        let open = rows.open.len();
        let held = rows.open.iter().filter(|child| child.held).count();
        let are = match (self.entry.work, held) {
            (Work::Undoing, _) => format!("{open} of its items that are undone, and {} more to be undone", rows.to_recall),
            (_, 0) => format!("{open} of its {} items; {} have begun", rows.count, rows.begun),
            (_, held) => format!("{open} of its {} items, {held} of which are held; {} have begun", rows.count, rows.begun),
        };
        let first = rows.open.iter().find(|child| child.held).or(rows.open.first());
        first.map_or(are.clone(), |child| format!("{are}; for example {}/{}.{}", self.saga.id, self.name, child.index))
    }

    pub(super) fn items_then(&self) -> String {
        match self.entry.work {
            Work::Undoing => "the end of their undos: then what is around them is undone, or its reaction follows".to_owned(),
            _ => "the end of each, as the next begins; the first that ends badly stops the others".to_owned(),
        }
    }
}
