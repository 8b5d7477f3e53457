//! A slip: a small mistake that could be made at one place of a source, and how the source makes it when it is asked to.

use std::ops::Range;

/// One possible mistake at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slip {
    /// Bytes of the source that it is about; empty for what is put between.
    pub(crate) place: Range<usize>,
    pub(crate) wrap: Wrap,
    /// What it does, in words: with the file and the line's text, its name.
    pub(crate) says: String,
}

/// How the place looks in the rewritten source. All keep the code that was there once, and the slips inside it with it; what stands
/// for it instead is copied from the source as it was, since one slip at a time is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// Another expression.
    Instead(String),
    /// The opposite of a condition.
    Negate,
    /// A condition that always holds.
    Hold,
    /// A condition that never holds.
    Fail,
    /// A statement that is not run.
    Skip,
    /// A function's body that returns this at once.
    Return(String),
}

/// A source with all slips in it, behind their switches.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// For each slip: where it stands in the text, and which part of that is the mistake.
    pub(crate) places: Vec<(Range<usize>, Range<usize>)>,
}

/// Puts slips into a source. Their places nest, or lie apart; `numbers` are what they are asked for by.
pub(crate) fn rewrite(source: &str, slips: &[(u32, &Slip)]) -> Rewritten {
    let mut order: Vec<usize> = (0..slips.len()).collect();
    order.sort_by_key(|&index| {
        let place = &slips[index].1.place;
        (place.start, std::cmp::Reverse(place.end))
    });
    let mut out = Rewritten { text: String::with_capacity(source.len() * 4), places: vec![(0..0, 0..0); slips.len()] };
    let mut open: Vec<(usize, &'static str)> = Vec::new();
    let mut at = 0;
    let close_to = |out: &mut Rewritten, open: &mut Vec<(usize, &'static str)>, at: &mut usize, to: usize| {
        while let Some(&(index, tail)) = open.last()
            && slips[index].1.place.end <= to
        {
            let end = slips[index].1.place.end;
            out.text.push_str(&source[*at..end]);
            *at = end;
            out.text.push_str(tail);
            out.places[index].0.end = out.text.len();
            open.pop();
        }
        out.text.push_str(&source[*at..to]);
        *at = to;
    };
    for index in order {
        let (number, slip) = slips[index];
        close_to(&mut out, &mut open, &mut at, slip.place.start);
        let (head, mistake, middle, tail) = shape(&slip.wrap, number);
        let start = out.text.len();
        out.text.push_str(&head);
        let wrong = out.text.len()..out.text.len() + mistake.len();
        out.text.push_str(mistake);
        out.text.push_str(middle);
        out.places[index] = (start..out.text.len(), wrong);
        if !slip.place.is_empty() {
            open.push((index, tail));
        }
    }
    close_to(&mut out, &mut open, &mut at, source.len());
    out
}

/// What stands before the place, the mistake, what stands between both, and what stands behind.
fn shape(wrap: &Wrap, number: u32) -> (String, &str, &'static str, &'static str) {
    let is = format!("::mutant_switch::is({number})");
    match wrap {
        Wrap::Instead(text) => (format!("(if {is} {{ "), text, " } else { ", " })"),
        Wrap::Negate => (format!("({is} != ("), "", "", "))"),
        Wrap::Hold => (format!("({is} || ("), "", "", "))"),
        Wrap::Fail => (format!("(!{is} && ("), "", "", "))"),
        Wrap::Skip => (format!("if !{is} {{ "), "", "", " }"),
        Wrap::Return(value) => (format!(" if {is} {{ return "), value, "; }", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slip(place: Range<usize>, wrap: Wrap) -> Slip {
        Slip { place, wrap, says: String::new() }
    }

    #[test]
    fn places_nest_and_follow_each_other() {
        let source = "a(b < 1, 2); c";
        let slips = [
            slip(2..7, Wrap::Instead("b <= 1".to_owned())),
            slip(6..7, Wrap::Instead("2".to_owned())),
            slip(2..7, Wrap::Negate),
            slip(9..10, Wrap::Instead("3".to_owned())),
            slip(0..12, Wrap::Skip),
            slip(12..12, Wrap::Return("None".to_owned())),
        ];
        let numbered: Vec<(u32, &Slip)> = slips.iter().enumerate().map(|(index, slip)| (index as u32, slip)).collect();
        let out = rewrite(source, &numbered);
        let text = out.text.replace("::mutant_switch::is", "is");
        assert_eq!(
            text,
            "if !is(4) { a((if is(0) { b <= 1 } else { (is(2) != (b < (if is(1) { 2 } else { 1 }))) }), (if is(3) { 3 } else { 2 })); } if is(5) { return None; } c"
        );
        let whole = |index: usize| &out.text[out.places[index].0.clone()];
        assert!(whole(4).starts_with("if !") && whole(4).ends_with("); }"), "{}", whole(4));
        assert!(whole(3).starts_with("(if") && whole(3).ends_with("2 })"), "{}", whole(3));
        assert_eq!(&out.text[out.places[0].1.clone()], "b <= 1");
        assert!(out.places[0].0.contains(&out.places[1].0.start));
    }

    #[test]
    fn without_slips_nothing_changes() {
        assert_eq!(rewrite("fn f() {} // \u{e9}", &[]).text, "fn f() {} // \u{e9}");
    }
}
