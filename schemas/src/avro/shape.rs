//! What is known of nodes before any bytes come: how few bytes a value takes, and which nodes mean the same.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::canonical::sha64;
use super::{NESTING_MAX, NULL_FIELDS_MAX, Node, NodeId, RECORD_DEPTH_MAX, Schema};

/// Where the count stops: enough to bound block counts well, and a sum of a few of them does not overflow.
const LEAST_MAX: u32 = 1 << 16;

/// The fewest bytes that a value of each node takes: 0 only for those that never take any.
pub(super) fn least(nodes: &[Node]) -> Vec<u32> {
    let mut least = vec![0u32; nodes.len()];
    // It grows from below, and every step is a valid bound; types inside one another settle in as many steps as they are deep.
    for _ in 0..16 {
        let mut settled = true;
        for (i, node) in nodes.iter().enumerate() {
            let of = |id: &NodeId| least[id.0 as usize];
            let bytes = match node {
                Node::Null => 0,
                Node::Float => 4,
                Node::Double => 8,
                Node::Fixed(size) | Node::FixedDecimal { size, .. } => u32::try_from(*size).unwrap_or(LEAST_MAX),
                Node::Record(fields) => fields.iter().fold(0u32, |sum, field| sum.saturating_add(of(&field.ty))),
                Node::Union(branches) => 1 + branches.iter().map(of).min().unwrap_or(0),
                Node::Dynamic => 1,
                Node::Bool | Node::Int | Node::Long | Node::Bytes | Node::Str | Node::Enum(_) | Node::Array(_) | Node::Map(_) => 1,
                Node::Decimal { .. } | Node::Millis | Node::Micros | Node::Nanos | Node::Date => 1,
            };
            let bytes = bytes.min(LEAST_MAX);
            settled &= bytes == least[i];
            least[i] = bytes;
        }
        if settled {
            break;
        }
    }
    least
}

/// Refuses records that take no bytes and are large all the same: 64 levels of two nulls each would be 2^64 nulls.
pub(super) fn check_empty_records(nodes: &[Node], least: &[u32]) -> Result<(), String> {
    let mut nulls = vec![1u32; nodes.len()];
    loop {
        let mut settled = true;
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| least[*i] == 0) {
            if let Node::Record(fields) = node {
                let sum = fields.iter().fold(1u32, |sum, field| sum.saturating_add(nulls[field.ty.0 as usize]));
                if sum > NULL_FIELDS_MAX {
                    return Err(format!(
                        "a record of nothing but null, with more than {NULL_FIELDS_MAX} of them (or inside itself)"
                    ));
                }
                settled &= sum == nulls[i];
                nulls[i] = sum;
            }
        }
        if settled {
            return Ok(());
        }
    }
}

/// A hash of each node's meaning: of field names, symbols, sizes and logical types, all the way down, but not of the names of
/// types, except where a union has several types with names: there they tell which branch is which. A record that comes again is the number of its first appearance, so that the walk is no longer than the schema.
pub(super) fn shapes(schema: &Schema) -> Result<Vec<u64>, String> {
    let mut shapes = Vec::with_capacity(schema.nodes.len());
    for i in 0..schema.nodes.len() {
        let mut walk = Walk { schema, seen: HashMap::new(), open: 0, out: String::new() };
        walk.put(NodeId(i as u32), 0)?;
        shapes.push(sha64(walk.out.as_bytes()));
    }
    Ok(shapes)
}

struct Walk<'s> {
    schema: &'s Schema,
    seen: HashMap<NodeId, usize>,
    open: u32,
    out: String,
}

impl Walk<'_> {
    fn put(&mut self, id: NodeId, depth: u32) -> Result<(), String> {
        // No data could go as deep, and this recursion has an end too.
        if depth > RECORD_DEPTH_MAX * (NESTING_MAX + 1) || self.open > RECORD_DEPTH_MAX {
            return Err(format!("more than {RECORD_DEPTH_MAX} records inside one another"));
        }
        match self.schema.node(id) {
            Node::Array(item) | Node::Map(item) => {
                self.out.push(if matches!(self.schema.node(id), Node::Array(_)) { '*' } else { '%' });
                self.put(*item, depth + 1)?;
            }
            Node::Union(branches) => {
                self.out.push('[');
                let named = branches.iter().filter(|branch| self.schema.name_of(**branch).is_some()).count() > 1;
                for branch in branches {
                    if let Some(name) = self.schema.name_of(*branch).filter(|_| named) {
                        let _ = write!(self.out, "{name}=");
                    }
                    self.put(*branch, depth + 1)?;
                    self.out.push(',');
                }
                self.out.push(']');
            }
            Node::Record(fields) => {
                let number = self.seen.len();
                if let Some(first) = self.seen.insert(id, number) {
                    self.seen.insert(id, first);
                    let _ = write!(self.out, "^{first}");
                    return Ok(());
                }
                self.open += 1;
                self.out.push('{');
                for field in fields {
                    let _ = write!(self.out, "{}:", field.name);
                    self.put(field.ty, depth + 1)?;
                    self.out.push(',');
                }
                self.out.push('}');
                self.open -= 1;
            }
            scalar => {
                let _ = write!(self.out, "{scalar:?}");
            }
        }
        Ok(())
    }
}
