//! Bytes of a writer's schema turned into those of a reader's.

use std::sync::Arc;

use super::plan::Plan;
use super::read::{Budget, block, index};
use super::{DecodeError, Node, NodeId, Schema, SchemaError};
use crate::codec::{Cursor, Malformed, put_long, put_text};

/// A compiled way from a writer's schema to a reader's: fields by name or the reader's aliases, the reader's defaults, promotions,
/// enum symbols by name, union branches by name (or alias) and type. What is the same in both is checked and copied as one slice.
///
/// More lenient than the Avro specification in two points: a field that the writer lacks may be missing without a declared default
/// if the reader's type allows null; and outside unions the names of types do not matter.
#[derive(Debug)]
pub struct Resolver {
    writer: Arc<Schema>,
    reader: Arc<Schema>,
    ways: Vec<Way>,
    root: WayId,
}

pub(super) type WayId = usize;

/// What to do with the writer's bytes of one type.
#[derive(Debug)]
pub(super) enum Way {
    /// The reader's bytes are the writer's.
    Copy(NodeId),
    /// The same, checked as the reader's type (bytes read as text, a decimal as one of fewer digits).
    CopyAsReader(NodeId),
    /// A number of a narrower type, and how it is widened.
    Widen(Widening),
    /// The reader's index for each of the writer's symbols.
    Symbols(Box<[Option<u32>]>),
    List(WayId, NodeId),
    Map(WayId, NodeId),
    /// By the writer's branch.
    Branches(Box<[WayId]>),
    /// Into this branch of the reader's union.
    Wrap(usize, WayId),
    /// Fields in an order that both share.
    InOrder(Box<[Step]>),
    /// Fields in another order: the writer's types, and what each of the reader's fields is.
    Shuffled(Box<[NodeId]>, Box<[Pick]>),
    /// A branch or value that the reader has no place for: an error only when it comes.
    Refuse,
    /// A record whose way is being made.
    Open,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Widening {
    IntToFloat,
    IntToDouble,
    FloatToDouble,
}

#[derive(Debug)]
pub(super) enum Step {
    Skip(NodeId),
    Copy(NodeId),
    Take(WayId),
    Default(Box<[u8]>),
}

#[derive(Debug)]
pub(super) enum Pick {
    Field(usize, WayId),
    Default(Box<[u8]>),
}

impl Resolver {
    /// Compiles it; an error names the field that the reader needs and the writer does not give.
    pub fn new(writer: Arc<Schema>, reader: Arc<Schema>) -> Result<Resolver, SchemaError> {
        let root = writer.root();
        Self::at(writer, root, reader)
    }

    /// The same for bytes of one type inside the writer's schema (the body inside an envelope).
    pub fn at(writer: Arc<Schema>, node: NodeId, reader: Arc<Schema>) -> Result<Resolver, SchemaError> {
        let mut plan = Plan::new(&writer, &reader);
        let root = plan.way(node, reader.root()).map_err(|why| {
            let why = format!("a value of version {:016x} cannot be read as version {:016x}: {why}", writer.key(), reader.key());
            SchemaError::new(writer.name(), why)
        })?;
        let ways = plan.ways;
        Ok(Resolver { ways, root, writer, reader })
    }

    /// Checks the writer's bytes and appends the reader's. On an error `out` is as it was.
    pub fn resolve(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let start = out.len();
        let mut cursor = Cursor::new(bytes);
        let result = self.run(self.root, &mut cursor, &mut Budget::WHOLE.clone(), out).and_then(|()| cursor.end());
        result.map_err(|error| {
            out.truncate(start);
            self.writer.explain(bytes, error, cursor)
        })
    }

    /// True if whatever the writer can say has its place in what the reader takes.
    pub fn is_total(&self) -> bool {
        self.ways.iter().all(|way| match way {
            Way::Refuse => false,
            Way::Symbols(symbols) => symbols.iter().all(Option::is_some),
            Way::CopyAsReader(node) => {
                !matches!(self.reader.node(*node), Node::Str | Node::Decimal { .. } | Node::FixedDecimal { .. })
            }
            _ => true,
        })
    }

    /// The schema of the bytes that go in.
    pub fn writer(&self) -> &Arc<Schema> {
        &self.writer
    }

    /// The schema of the bytes that come out.
    pub fn reader(&self) -> &Arc<Schema> {
        &self.reader
    }

    fn run(&self, way: WayId, cursor: &mut Cursor<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match &self.ways[way] {
            Way::Copy(node) => copy(&self.writer, *node, cursor, budget, out),
            Way::CopyAsReader(node) => copy(&self.reader, *node, cursor, budget, out),
            Way::Widen(widening) => widen(*widening, cursor, out),
            Way::Symbols(symbols) => {
                let symbol = symbols.get(index(cursor)?).ok_or(Malformed("enum has no such symbol"))?;
                put_long(out, i64::from(symbol.ok_or(Malformed("a symbol that the reader does not have"))?));
                Ok(())
            }
            Way::List(item, node) => {
                self.run_blocks(self.writer.least_bytes(*node), cursor, budget, out, |this, cursor, budget, out| {
                    this.run(*item, cursor, budget, out)
                })
            }
            Way::Map(item, node) => {
                self.run_blocks(self.writer.least_bytes(*node) + 1, cursor, budget, out, |this, cursor, budget, out| {
                    put_text(out, cursor.text()?);
                    this.run(*item, cursor, budget, out)
                })
            }
            Way::Branches(ways) => {
                let way = *ways.get(index(cursor)?).ok_or(Malformed("union has no such branch"))?;
                self.run(way, cursor, budget, out)
            }
            Way::Wrap(branch, way) => {
                put_long(out, *branch as i64);
                self.run(*way, cursor, budget, out)
            }
            Way::InOrder(steps) => budget.deeper(|budget| self.run_in_order(steps, cursor, budget, out)),
            Way::Shuffled(nodes, picks) => budget.deeper(|budget| self.run_shuffled(nodes, picks, cursor, budget, out)),
            Way::Refuse => Err(Malformed("a value that the reader has no place for")),
            Way::Open => unreachable!("every way was made before the resolver was"),
        }
    }

    fn run_in_order(
        &self,
        steps: &[Step],
        cursor: &mut Cursor<'_>,
        budget: &mut Budget,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        // Neighbours that are copied are copied together.
        let mut copied = cursor.rest;
        let flush = |copied: &[u8], rest: &[u8], out: &mut Vec<u8>| out.extend_from_slice(&copied[..copied.len() - rest.len()]);
        for step in steps {
            if let Step::Copy(node) = step {
                self.writer.pass(*node, cursor, budget)?;
                continue;
            }
            flush(copied, cursor.rest, out);
            match step {
                Step::Skip(node) | Step::Copy(node) => self.writer.pass(*node, cursor, budget)?,
                Step::Take(way) => self.run(*way, cursor, budget, out)?,
                Step::Default(bytes) => out.extend_from_slice(bytes),
            }
            copied = cursor.rest;
        }
        flush(copied, cursor.rest, out);
        Ok(())
    }

    fn run_shuffled(
        &self,
        nodes: &[NodeId],
        picks: &[Pick],
        cursor: &mut Cursor<'_>,
        budget: &mut Budget,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let mut fields = Vec::with_capacity(nodes.len());
        for node in nodes {
            fields.push(*cursor);
            self.writer.pass(*node, cursor, budget)?;
        }
        for pick in picks {
            match pick {
                // Its bytes were passed above, so what is counted was counted; the copy only gets its own budget.
                Pick::Field(index, way) => self.run(*way, &mut fields[*index].clone(), &mut Budget { ..Budget::WHOLE }, out)?,
                Pick::Default(bytes) => out.extend_from_slice(bytes),
            }
        }
        Ok(())
    }

    fn run_blocks(
        &self,
        least: u32,
        cursor: &mut Cursor<'_>,
        budget: &mut Budget,
        out: &mut Vec<u8>,
        mut item: impl FnMut(&Self, &mut Cursor<'_>, &mut Budget, &mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        loop {
            let count = block(cursor, least, &mut budget.empties)?;
            put_long(out, count as i64);
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                item(self, cursor, budget, out)?;
            }
        }
    }
}

fn copy(schema: &Schema, node: NodeId, cursor: &mut Cursor<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let from = cursor.rest;
    schema.pass(node, cursor, budget)?;
    out.extend_from_slice(&from[..from.len() - cursor.rest.len()]);
    Ok(())
}

fn widen(widening: Widening, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match widening {
        Widening::IntToFloat => out.extend_from_slice(&(cursor.long()? as f32).to_le_bytes()),
        Widening::IntToDouble => out.extend_from_slice(&(cursor.long()? as f64).to_le_bytes()),
        Widening::FloatToDouble => {
            let value = f32::from_le_bytes(cursor.take(4)?.try_into().expect("four bytes"));
            out.extend_from_slice(&f64::from(value).to_le_bytes());
        }
    }
    Ok(())
}
