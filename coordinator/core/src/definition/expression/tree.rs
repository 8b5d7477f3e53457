//! The typed tree that is evaluated: names are places, fields are indices, literals have their type.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::place::Place;
use super::regexes::Finder;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    /// The start event.
    Start,
    /// A node's result.
    Result(u16),
    /// An event that came, by what listens to it.
    Event(u16),
    /// The item of a for_each, by the for_each.
    Item(u16),
}

/// A literal.
#[derive(Debug, Clone)]
pub(crate) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Decimal(Decimal),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Timestamp(i64),
    Duration(i64),
}

/// A field of `failure`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FailureField {
    Code,
    Step,
    Kind,
    Message,
}

/// What compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a loop over a list does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopKind {
    Exists,
    All,
    ExistsOne,
    Map,
    Filter,
}

/// A loop over a list.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) kind: LoopKind,
    pub(crate) range: Node,
    /// Of a map: only items for which this is true.
    pub(crate) filter: Option<Node>,
    pub(crate) body: Node,
}

/// A part of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    ToDecimal,
    ToText,
    ToInt,
    ToDouble,
    ToTimestamp,
    Round,
    Div,
    Sum,
    Min,
    Max,
    Bucket,
    LowerAscii,
    UpperAscii,
    Trim,
    Replace,
    Substring,
    Split,
    Join,
    IndexOf,
    LastIndexOf,
    CharAt,
    Reverse,
    ToBytes,
    ToDuration,
    Part(Part),
}

/// One node. Absence is a value (null); what may not be absent was checked before.
#[derive(Debug)]
pub(crate) enum Node {
    Const(Const),
    Key,
    Now,
    Started,
    Round,
    /// Which item of the innermost for_each it is.
    Position,
    Failure(FailureField),
    /// A field of the start event or of a result; nothing on the path gives null.
    Path(Box<Place>),
    /// Whether a node has succeeded.
    Succeeded(u16),
    /// A loop's item.
    Local(usize),
    /// A record's field by its place.
    Field(Box<Node>, u16),
    /// An entry or field by name; absent it is null if `optional`, else an error.
    Member {
        of: Box<Node>,
        name: Arc<str>,
        optional: bool,
    },
    /// An item of a list, an entry of a map.
    Index {
        of: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    Object(Vec<(Arc<str>, Node)>),
    List(Vec<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    If(Box<(Node, Node, Node)>),
    /// A rule's table: the first that is true, else the last.
    Table(Vec<(Node, Node)>, Box<Node>),
    Equal(Box<Node>, Box<Node>),
    Compare(Order, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    /// A text that a regular expression, which is written in the definition, finds something in.
    Matches(Box<(Node, Finder)>),
    Calculate(Arithmetic, Box<Node>, Box<Node>),
    Negate(Box<Node>),
    /// Not null.
    Present(Box<Node>),
    OrValue(Box<Node>, Box<Node>),
    Loop(Box<Loop>),
    Call(Function, Vec<Node>),
    /// An int as a decimal.
    Widen(Box<Node>),
}

impl Node {
    /// True if it says that something is so, and gives nothing of what that is about.
    pub(super) fn is_condition(&self) -> bool {
        match self {
            Node::And(..) | Node::Or(..) | Node::Not(_) | Node::Equal(..) | Node::Compare(..) | Node::In(..) => true,
            Node::Present(_) | Node::Succeeded(_) | Node::Matches(_) => true,
            Node::Call(function, _) => matches!(function, Function::Contains | Function::StartsWith | Function::EndsWith),
            Node::Loop(looped) => matches!(looped.kind, LoopKind::Exists | LoopKind::All | LoopKind::ExistsOne),
            _ => false,
        }
    }
}
