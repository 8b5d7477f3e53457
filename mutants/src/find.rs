//! Finds the slips that could be made in a source, and says which part of it is not looked at.

use std::collections::BTreeMap;
use std::ops::Range;

use syn::parse::Parse as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Block, Expr, Lit, Macro, Signature, Stmt, Token, UnOp};

use crate::slips::{Slip, Wrap};
use crate::words;

/// A text that stands for a place is copied once a slip: longer ones are left alone.
const COPIED_BYTES_MAX: usize = 600;

/// What was found in one source.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) slips: Vec<Slip>,
    /// Bytes of shipped code that are not looked at, by why.
    pub(crate) left_out: BTreeMap<&'static str, usize>,
    /// Bytes that are no shipped code: tests, and what only a feature compiles.
    pub(crate) beside: usize,
    /// Modules whose source is another file: name, and the inline modules around it.
    pub(crate) modules: Vec<(String, Vec<String>)>,
}

/// Looks through a source.
pub(crate) fn find(source: &str) -> syn::Result<Found> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder { source, found: Found::default(), inside: Vec::new() };
    if has_word(source, "unsafe") {
        finder.found.left_out.insert("unsafe code", source.len());
        finder.found.modules = file.items.iter().filter_map(other_file).map(|name| (name, Vec::new())).collect();
        return Ok(finder.found);
    }
    finder.visit_file(&file);
    Ok(finder.found)
}

/// The module that an item says is in another file.
fn other_file(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
        _ => None,
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')).any(|found| found == word)
}

struct Finder<'s> {
    source: &'s str,
    found: Found,
    /// Inline modules around.
    inside: Vec<String>,
}

/// Bytes of a piece of syntax.
fn place(of: &impl Spanned) -> Range<usize> {
    of.span().byte_range()
}

/// What `&&` or `||` a condition stands under.
#[derive(Clone, Copy, PartialEq)]
enum Under {
    Nothing,
    And,
    Or,
}

impl Finder<'_> {
    fn text(&self, of: &impl Spanned) -> &str {
        &self.source[place(of)]
    }

    fn slip(&mut self, place: Range<usize>, wrap: Wrap, says: String) {
        if let Wrap::Instead(text) = &wrap
            && text.len() > COPIED_BYTES_MAX
        {
            return;
        }
        self.found.slips.push(Slip { place, wrap, says });
    }

    /// Another text in a part of an expression.
    fn instead(&mut self, whole: &Expr, part: Range<usize>, other: &str) {
        let place = place(whole);
        let was = &self.source[part.clone()];
        let says = format!("`{was}` becomes `{other}`");
        let text = format!("{}{other}{}", &self.source[place.start..part.start], &self.source[part.end..place.end]);
        self.slip(place, Wrap::Instead(text), says);
    }

    fn leave_out(&mut self, of: &impl Spanned, why: &'static str) {
        *self.found.left_out.entry(why).or_default() += place(of).len();
    }

    /// What attributes say about a piece: true if it is not in what is shipped.
    fn is_beside(&mut self, attributes: &[Attribute], of: &impl Spanned) -> bool {
        let is_beside = attributes.iter().any(|attribute| {
            let text = self.text(attribute);
            attribute.path().is_ident("test")
                || attribute.path().is_ident("cfg") && (text.contains("test") || text.contains("feature"))
        });
        if is_beside {
            self.found.beside += place(of).len();
        }
        is_beside
    }

    /// A condition: it could be the wrong way round, or forgotten.
    fn condition(&mut self, condition: &Expr, under: Under) {
        match condition {
            Expr::Paren(inner) => return self.condition(&inner.expr, under),
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => return,
            Expr::Let(_) | Expr::Lit(_) => return,
            other if is_fault(other) => return,
            _ => {}
        }
        let is_turned_elsewhere = words::opposite(condition).is_some() || matches!(condition, Expr::Unary(_));
        if !is_turned_elsewhere {
            self.slip(place(condition), Wrap::Negate, "the condition is negated".to_owned());
        }
        let (wrap, says) = match under {
            Under::Nothing => return,
            Under::And => (Wrap::Hold, "the condition behind or before `&&` is left out"),
            Under::Or => (Wrap::Fail, "the condition behind or before `||` is left out"),
        };
        self.slip(place(condition), wrap, says.to_owned());
    }

    fn binary(&mut self, whole: &Expr, binary: &syn::ExprBinary) {
        let operator = place(&binary.op);
        match binary.op {
            BinOp::And(_) | BinOp::Or(_) => {
                let is_and = matches!(binary.op, BinOp::And(_));
                let under = if is_and { Under::And } else { Under::Or };
                self.condition(&binary.left, under);
                self.condition(&binary.right, under);
                if !has_let(whole) {
                    self.instead(whole, operator, if is_and { "||" } else { "&&" });
                }
            }
            _ => {
                if let Some(other) = words::neighbour(&binary.op) {
                    self.instead(whole, operator.clone(), other);
                }
                if let Some(other) = words::opposite(whole) {
                    let says = format!("`{}` becomes `{other}`", &self.source[operator]);
                    self.slip(place(whole), Wrap::Negate, says);
                }
            }
        }
    }

    fn literal(&mut self, whole: &Expr, literal: &Lit) {
        match literal {
            Lit::Int(number) => {
                let (Ok(value), suffix) = (number.base10_parse::<i64>(), number.suffix()) else { return };
                self.instead(whole, place(whole), &format!("{}{suffix}", value.saturating_add(1)));
                if value > 0 {
                    self.instead(whole, place(whole), &format!("{}{suffix}", value - 1));
                }
            }
            Lit::Bool(value) => {
                self.slip(place(whole), Wrap::Negate, format!("`{}` becomes `{}`", value.value, !value.value));
            }
            _ => {}
        }
    }

    /// Two arguments side by side, each so short that they could be taken for each other.
    fn swapped(&mut self, whole: &Expr, arguments: &Punctuated<Expr, Token![,]>) {
        for (first, second) in arguments.iter().zip(arguments.iter().skip(1)) {
            let (a, b) = (self.text(first).to_owned(), self.text(second).to_owned());
            if words::is_simple(first) && words::is_simple(second) && a != b {
                let part = place(first).start..place(second).end;
                let between = &self.source[place(first).end..place(second).start];
                let swapped = format!("{b}{between}{a}");
                self.instead(whole, part, &swapped);
            }
        }
    }

    fn range(&mut self, range: &syn::ExprRange) {
        let Some(end) = range.end.as_deref().filter(|end| !matches!(end, Expr::Lit(_))) else { return };
        let text = self.text(end);
        let (text, says) = match range.limits {
            syn::RangeLimits::HalfOpen(_) => (format!("({text}) + 1"), "`..` becomes `..=`"),
            syn::RangeLimits::Closed(_) => (format!("({text}) - 1"), "`..=` becomes `..`"),
        };
        self.slip(place(end), Wrap::Instead(text), says.to_owned());
    }

    /// A function's body: what it could return at once.
    fn body(&mut self, signature: &Signature, block: &Block) {
        let is_one_call = matches!(block.stmts.as_slice(), [Stmt::Expr(_, Some(_))]);
        if block.stmts.is_empty() || signature.ident == "main" {
            return;
        }
        let at = place(&block.brace_token.span.open()).end;
        for value in words::returned(&signature.output) {
            let says = match value.as_str() {
                "()" if is_one_call => continue,
                "()" => format!("`{}` does nothing", signature.ident),
                value => format!("`{}` returns `{value}` at once", signature.ident),
            };
            self.slip(at..at, Wrap::Return(value), says);
        }
    }

    /// Whether a function is looked into.
    fn enters(&mut self, attributes: &[Attribute], signature: &Signature, of: &impl Spanned) -> bool {
        if self.is_beside(attributes, of) {
            return false;
        }
        if signature.constness.is_some() {
            self.leave_out(of, "constants");
        } else if signature.ident == "fmt" {
            self.leave_out(of, "texts, logs and assertions");
        }
        signature.constness.is_none() && signature.ident != "fmt"
    }
}

/// A named place for faults is no code of its own.
fn is_fault(expression: &Expr) -> bool {
    match expression {
        Expr::Unary(unary) => is_fault(&unary.expr),
        Expr::Call(call) => words::last_name(&call.func).is_some_and(|name| name == "mutated" || name == "reached"),
        _ => false,
    }
}

/// Whether a chain of `&&` binds something.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}

    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Const(constant) => self.leave_out(constant, "constants"),
            syn::Item::Static(constant) => self.leave_out(constant, "constants"),
            syn::Item::Enum(_) | syn::Item::Struct(_) => {}
            syn::Item::Mod(module) if !self.is_beside(&module.attrs, module) => {
                if module.content.is_none() {
                    self.found.modules.push((module.ident.to_string(), self.inside.clone()));
                }
                self.inside.push(module.ident.to_string());
                visit::visit_item_mod(self, module);
                self.inside.pop();
            }
            syn::Item::Mod(_) => {}
            syn::Item::Impl(block) if self.is_beside(&block.attrs, block) => {}
            syn::Item::Macro(rules) => self.leave_out(rules, "macros"),
            other => visit::visit_item(self, other),
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if self.enters(&item.attrs, &item.sig, item) {
            self.body(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if self.enters(&item.attrs, &item.sig, item) {
            self.body(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default
            && self.enters(&item.attrs, &item.sig, item)
        {
            self.body(&item.sig, block);
            visit::visit_trait_item_fn(self, item);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.leave_out(item, "constants");
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.leave_out(item, "constants");
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if self.is_beside(&arm.attrs, arm) {
            return;
        }
        if let Some((_, guard)) = &arm.guard {
            self.condition(guard, Under::Nothing);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(expression, Some(_)) = statement {
            let called = match expression {
                Expr::Try(attempt) => &*attempt.expr,
                other => other,
            };
            let says = match called {
                Expr::Call(_) | Expr::MethodCall(_) if !is_fault(called) => "the call is left out",
                Expr::Assign(_) => "the assignment is left out",
                Expr::Return(_) => "the `return` is left out",
                Expr::Break(_) => "the `break` is left out",
                Expr::Continue(_) => "the `continue` is left out",
                _ => "",
            };
            if !says.is_empty() && !self.text(expression).starts_with('#') {
                self.slip(place(statement), Wrap::Skip, says.to_owned());
            }
        }
        if let Stmt::Local(local) = statement
            && self.is_beside(&local.attrs, local)
        {
            return;
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Const(constant) => return self.leave_out(constant, "constants"),
            Expr::Repeat(repeat) => return self.visit_expr(&repeat.expr),
            Expr::Block(block) if self.is_beside(&block.attrs, block) => return,
            Expr::Binary(binary) => self.binary(expression, binary),
            Expr::Lit(literal) => self.literal(expression, &literal.lit),
            Expr::If(branch) => self.condition(&branch.cond, Under::Nothing),
            Expr::While(repeated) => self.condition(&repeated.cond, Under::Nothing),
            Expr::Range(range) => self.range(range),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) && !is_fault(expression) => {
                self.slip(place(expression), Wrap::Negate, "`!` is left out".to_owned());
            }
            Expr::Call(call) => self.swapped(expression, &call.args),
            Expr::MethodCall(call) => {
                if let Some(other) = words::other_method(&call.method.to_string()) {
                    self.instead(expression, place(&call.method), other);
                }
                self.swapped(expression, &call.args);
            }
            _ => {}
        }
        visit::visit_expr(self, expression);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = called.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        match name.as_str() {
            "matches" => {
                if let Ok(parts) = called.parse_body_with(words::Matches::parse) {
                    self.visit_expr(&parts.value);
                    if let Some(guard) = &parts.guard {
                        self.condition(guard, Under::Nothing);
                        self.visit_expr(guard);
                    }
                    return;
                }
            }
            "vec" => {
                if let Ok(items) = called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
                    return items.iter().for_each(|item| self.visit_expr(item));
                }
            }
            _ => {}
        }
        let why = if words::TEXTS.contains(&name.as_str()) { "texts, logs and assertions" } else { "macros" };
        self.leave_out(called, why);
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
