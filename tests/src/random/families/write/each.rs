//! Lists whose steps are done for each of their items.

use super::Writer;

impl Writer<'_> {
    pub(super) fn each(&mut self, indent: usize, depth: usize) {
        let (name, item) = (self.name('e'), self.name('x'));
        self.line(indent, &format!("- step: {name}"));
        let list = match self.random.u32(0..3) {
            0 => "start.few",
            1 => "start.items.filter(v, v > 1)",
            _ => "start.items",
        };
        self.line(indent + 2, &format!("for_each: \"{list}\""));
        self.line(indent + 2, &format!("as: {item}"));
        let at_once = self.random.u32(1..=4);
        self.line(indent + 2, &format!("at_once: {at_once}"));
        if !self.is_behind && self.random.u32(0..6) == 0 {
            let within = self.random.u32(1_000..30_000);
            self.line(indent + 2, &format!("within: {within}ms"));
        }
        self.line(indent + 2, "steps:");
        self.items.push(item.clone());
        let known = self.known.len();
        self.steps_of_item(indent + 4, depth + 1);
        self.items.pop();
        self.known.truncate(known);
        let gives = self.random.u32(0..3) > 0;
        if gives {
            self.line(indent + 2, &format!("result: {{ i: index, item: {item} }}"));
        }
        let before = self.out.len();
        self.reactions(indent + 2, depth);
        // Without a way around it, it is certainly there at the end.
        if gives && indent == 2 && !self.out[before..].contains("go_on") {
            self.lists.push(name);
        }
    }

    fn steps_of_item(&mut self, indent: usize, depth: usize) {
        let is_outer = depth == 1 && self.items.len() == 1 && !self.is_part && !self.is_behind;
        if !is_outer || self.random.u32(0..4) > 0 {
            return self.list(indent, depth);
        }
        // One item is refused at once beside another that has items of its own: none of these begins behind that.
        let name = self.name('r');
        self.line(indent, &format!("- step: {name}"));
        self.line(indent + 2, "if: index > 0 && start.n > 1");
        self.line(indent + 2, "refuse: NO");
        self.each(indent, depth);
    }
}
