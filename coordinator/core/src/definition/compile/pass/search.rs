//! What sagas are searched by.

use super::Pass;
use crate::definition::Search;
use crate::definition::expression::scope::{Known, Spot};
use crate::definition::expression::searched;

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    pub(super) fn search(&mut self) -> Option<Vec<Search>> {
        let form = self.form;
        let all = form.search.iter().map(|search| {
            let (site, spot) = (self.site(), Spot::at(Known::default()));
            let (value, kind) = searched::compile(self.names, self.finder.report, self.uses, spot, &search.value, site)?;
            Some(Search { name: search.name.text.as_str().into(), kind, unique: search.unique, value })
        });
        let all: Vec<Option<Search>> = all.collect();
        all.into_iter().collect()
    }
}
