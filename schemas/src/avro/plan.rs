//! How a resolver is made: which of the reader's types and fields each of the writer's is.

use std::collections::HashMap;

use super::compile::underlying;
use super::fit::type_word;
use super::resolve::{Pick, Step, Way, WayId, Widening};
use super::{Field, Node, NodeId, Schema};

/// Pairs of types that compiling looks at: unions inside unions would multiply without a limit.
const STEPS_MAX: u32 = 100_000;

/// How far a branch of the reader's union is from a type of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// The full name is the same.
    Name,
    /// It was called so.
    Alias,
    /// The name is the same, in another namespace.
    SimpleName,
    /// It was called so, in another namespace.
    SimpleAlias,
    /// The same meaning.
    Shape,
    Far,
}

/// A resolver in the making.
pub(super) struct Plan<'s> {
    writer: &'s Schema,
    reader: &'s Schema,
    pub(super) ways: Vec<Way>,
    records: HashMap<(NodeId, NodeId), WayId>,
    steps_left: u32,
}

impl<'s> Plan<'s> {
    pub(super) fn new(writer: &'s Schema, reader: &'s Schema) -> Self {
        Plan { writer, reader, ways: Vec::new(), records: HashMap::new(), steps_left: STEPS_MAX }
    }

    fn push(&mut self, way: Way) -> WayId {
        self.ways.push(way);
        self.ways.len() - 1
    }

    /// The way from a type of the writer to one of the reader.
    pub(super) fn way(&mut self, writer: NodeId, reader: NodeId) -> Result<WayId, String> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or("the two schemas have too many ways to fit")?;
        if self.writer.same_shape(writer, self.reader, reader) {
            return Ok(self.push(Way::Copy(writer)));
        }
        let way = match (self.writer.node(writer), self.reader.node(reader)) {
            (Node::Union(branches), _) => {
                let ways: Vec<_> = branches.iter().map(|branch| self.way(*branch, reader)).collect();
                if ways.iter().all(Result::is_err) {
                    return Err(self.mismatch(writer, reader));
                }
                let refuse = self.push(Way::Refuse);
                Way::Branches(ways.into_iter().map(|way| way.unwrap_or(refuse)).collect())
            }
            (_, Node::Union(branches)) => {
                let (index, way) = self.branch_for(writer, reader, branches)?;
                Way::Wrap(index, way)
            }
            (Node::Record(fields), Node::Record(wanted)) => {
                return self.record(writer, reader, fields, wanted);
            }
            (Node::Array(item), Node::Array(wanted)) => Way::List(self.way(*item, *wanted)?, *item),
            (Node::Map(item), Node::Map(wanted)) => Way::Map(self.way(*item, *wanted)?, *item),
            (Node::Enum(symbols), Node::Enum(wanted)) => {
                let default = self.reader.enum_defaults[reader.0 as usize];
                let place = |symbol: &str| wanted.iter().position(|other| **other == *symbol).map(|index| index as u32).or(default);
                let places: Box<[_]> = symbols.iter().map(|symbol| place(symbol)).collect();
                if places.iter().all(Option::is_none) && !places.is_empty() {
                    return Err(self.mismatch(writer, reader));
                }
                Way::Symbols(places)
            }
            (Node::Int, Node::Long | Node::Millis | Node::Micros | Node::Nanos) | (Node::Str, Node::Bytes) => Way::Copy(writer),
            // Logical types do not change bytes; instants of two units are two things.
            (Node::Millis | Node::Micros | Node::Nanos, Node::Long) => Way::Copy(writer),
            (Node::Date, Node::Int) | (Node::Int, Node::Date) => Way::Copy(writer),
            (Node::Long, Node::Millis | Node::Micros | Node::Nanos) => Way::CopyAsReader(reader),
            (Node::Bytes, Node::Str) => Way::CopyAsReader(reader),
            (Node::Decimal { scale: s, precision: p }, Node::Decimal { scale, precision }) if s == scale => {
                if p <= precision {
                    Way::Copy(writer)
                } else {
                    Way::CopyAsReader(reader)
                }
            }
            (Node::FixedDecimal { size: z, scale: s, precision: p }, Node::FixedDecimal { size, scale, precision })
                if s == scale && z == size =>
            {
                if p <= precision {
                    Way::Copy(writer)
                } else {
                    Way::CopyAsReader(reader)
                }
            }
            (Node::Int | Node::Long, Node::Float) => Way::Widen(Widening::IntToFloat),
            (Node::Int | Node::Long, Node::Double) => Way::Widen(Widening::IntToDouble),
            (Node::Float, Node::Double) => Way::Widen(Widening::FloatToDouble),
            _ => return Err(self.mismatch(writer, reader)),
        };
        Ok(self.push(way))
    }

    /// The reader's branch for a type, and the way into it: one of its name, or that was called so, before one of the same meaning,
    /// before the first that can take it.
    fn branch_for(&mut self, writer: NodeId, reader: NodeId, branches: &[NodeId]) -> Result<(usize, WayId), String> {
        let mut order: Vec<usize> = (0..branches.len()).collect();
        order.sort_by_key(|index| self.distance(writer, branches[*index]));
        let mut first_error = None;
        for index in order {
            match self.way(writer, branches[index]) {
                Ok(way) => return Ok((index, way)),
                // What is wrong with a branch of its name says more than that no branch fits.
                Err(why) if self.distance(writer, branches[index]) < Distance::Shape => first_error = first_error.or(Some(why)),
                Err(_) => {}
            }
        }
        Err(first_error.unwrap_or_else(|| self.mismatch(writer, reader)))
    }

    fn distance(&self, writer: NodeId, branch: NodeId) -> Distance {
        let simple = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let same_kind = underlying(self.writer.node(writer)) == underlying(self.reader.node(branch));
        if let (Some(name), Some(other)) = (self.writer.name_of(writer), self.reader.name_of(branch))
            && same_kind
        {
            let aliases = self.reader.aliases_of(branch);
            if name == other {
                return Distance::Name;
            }
            if aliases.iter().any(|alias| **alias == *name) {
                return Distance::Alias;
            }
            if simple(name) == simple(other) {
                return Distance::SimpleName;
            }
            if aliases.iter().any(|alias| simple(alias) == simple(name)) {
                return Distance::SimpleAlias;
            }
        }
        if self.writer.same_shape(writer, self.reader, branch) { Distance::Shape } else { Distance::Far }
    }

    fn record(&mut self, writer: NodeId, reader: NodeId, fields: &[Field], wanted: &[Field]) -> Result<WayId, String> {
        if let Some(known) = self.records.get(&(writer, reader)) {
            return Ok(*known);
        }
        let id = self.push(Way::Open);
        self.records.insert((writer, reader), id);
        let picks: Result<Vec<_>, _> = wanted.iter().map(|field| self.pick(fields, field)).collect();
        if picks.is_err() {
            // What was made meanwhile may lead back here.
            self.ways[id] = Way::Refuse;
            self.records.retain(|_, way| *way < id);
        }
        let picks = picks?;
        let taken: Vec<_> =
            picks.iter().filter_map(|pick| if let Pick::Field(index, _) = pick { Some(*index) } else { None }).collect();
        self.ways[id] = if taken.is_sorted() {
            Way::InOrder(self.in_order(fields, picks))
        } else {
            Way::Shuffled(fields.iter().map(|field| field.ty).collect(), picks.into())
        };
        Ok(id)
    }

    fn pick(&mut self, fields: &[Field], wanted: &Field) -> Result<Pick, String> {
        let called = |name: &str| fields.iter().position(|other| *other.name == *name);
        match called(&wanted.name).or_else(|| wanted.aliases.iter().find_map(|alias| called(alias))) {
            Some(index) => {
                let way = self.way(fields[index].ty, wanted.ty).map_err(|why| format!("field {}: {why}", wanted.name))?;
                Ok(Pick::Field(index, way))
            }
            None => match &wanted.default {
                Some(default) => Ok(Pick::Default(default.clone())),
                None => Err(format!("field {} is missing and has no default", wanted.name)),
            },
        }
    }

    fn in_order(&self, fields: &[Field], picks: Vec<Pick>) -> Box<[Step]> {
        let (mut steps, mut next) = (Vec::with_capacity(fields.len()), 0);
        for pick in picks {
            match pick {
                Pick::Default(bytes) => steps.push(Step::Default(bytes)),
                Pick::Field(index, way) => {
                    steps.extend(fields[next..index].iter().map(|field| Step::Skip(field.ty)));
                    steps.push(match self.ways[way] {
                        Way::Copy(node) => Step::Copy(node),
                        _ => Step::Take(way),
                    });
                    next = index + 1;
                }
            }
        }
        steps.extend(fields[next..].iter().map(|field| Step::Skip(field.ty)));
        steps.into()
    }

    fn mismatch(&self, writer: NodeId, reader: NodeId) -> String {
        let (given, wanted) = (type_word(self.writer, writer), type_word(self.reader, reader));
        if given != wanted {
            return format!("{given} cannot be read as {wanted}");
        }
        let (narrow, wide) = (underlying(self.writer.node(writer)), underlying(self.reader.node(reader)));
        format!("{given} ({narrow}) cannot be read as {wanted} ({wide})")
    }
}
