//! Random schemas, and random values of any schema.

use fastrand::Rng;
use ringmaster_schemas::avro::{Node, NodeId, Schema, Tree};
use ringmaster_schemas::codec::put_long;
use rust_decimal::Decimal;

/// A random schema, as JSON. Recursion is by optional references to the record around.
pub(crate) fn schema(rng: &mut Rng) -> String {
    let mut types = Types { rng, names: 0 };
    types.record(0)
}

struct Types<'r> {
    rng: &'r mut Rng,
    names: u32,
}

impl Types<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("T{}", self.names)
    }

    fn record(&mut self, depth: u32) -> String {
        let name = self.name();
        let mut fields = Vec::new();
        for i in 0..self.rng.u32(1..6) {
            let ty = if self.rng.u8(..) < 12 { format!(r#"["null","{name}"]"#) } else { self.ty(depth + 1) };
            fields.push(format!(r#"{{"name":"f{i}","type":{ty}}}"#));
        }
        let namespace = if depth == 0 { r#""namespace":"n.s","# } else { "" };
        format!(r#"{{"type":"record","name":"{name}",{namespace}"fields":[{}]}}"#, fields.join(","))
    }

    fn ty(&mut self, depth: u32) -> String {
        match self.rng.u32(..if depth < 4 { 11 } else { 7 }) {
            0 => self.scalar().to_owned(),
            1 => self.decimal(),
            2 => {
                let name = self.name();
                format!(r#"{{"type":"enum","name":"{name}","symbols":["A","B","C"]}}"#)
            }
            3 => {
                let name = self.name();
                format!(r#"{{"type":"fixed","name":"{name}","size":{}}}"#, self.rng.u32(1..20))
            }
            4 => self
                .rng
                .choice([
                    r#"{"type":"long","logicalType":"timestamp-millis"}"#,
                    r#"{"type":"long","logicalType":"timestamp-micros"}"#,
                    r#"{"type":"int","logicalType":"date"}"#,
                ])
                .unwrap_or_default()
                .to_owned(),
            5 | 6 => self.scalar().to_owned(),
            7 => format!(r#"{{"type":"array","items":{}}}"#, self.ty(depth + 1)),
            8 => format!(r#"{{"type":"map","values":{}}}"#, self.ty(depth + 1)),
            9 => self.union(depth),
            _ => self.record(depth + 1),
        }
    }

    fn scalar(&mut self) -> &'static str {
        self.rng
            .choice([
                r#""boolean""#,
                r#""int""#,
                r#""long""#,
                r#""float""#,
                r#""double""#,
                r#""bytes""#,
                r#""string""#,
                r#""null""#,
            ])
            .unwrap_or_default()
    }

    fn decimal(&mut self) -> String {
        let precision = self.rng.u32(1..=28);
        let scale = self.rng.u32(0..=precision);
        if self.rng.bool() {
            format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
        } else {
            // 16 bytes hold any of 28 digits.
            let name = self.name();
            format!(
                r#"{{"type":"fixed","name":"{name}","size":16,"logicalType":"decimal","precision":{precision},"scale":{scale}}}"#
            )
        }
    }

    /// Branches that JSON, too, can tell apart.
    fn union(&mut self, depth: u32) -> String {
        let mut branches = vec![r#""null""#.to_owned()];
        let others = [self.record(depth + 1), r#""string""#.to_owned(), r#""long""#.to_owned(), r#""boolean""#.to_owned()];
        branches.extend(others.into_iter().filter(|_| self.rng.bool()));
        self.rng.shuffle(&mut branches);
        format!("[{}]", branches.join(","))
    }
}

/// A random value.
pub(crate) fn tree(schema: &Schema, id: NodeId, rng: &mut Rng, depth: u32) -> Tree {
    match schema.node(id) {
        Node::Null => Tree::Null,
        Node::Bool => Tree::Bool(rng.bool()),
        Node::Int => Tree::Int(long(rng) >> 32),
        Node::Long => Tree::Int(long(rng)),
        Node::Float => Tree::Double(f64::from(rng.i32(..) as f32 / 8.0)),
        Node::Double => Tree::Double(rng.i32(..) as f64 / 7.0),
        Node::Bytes => Tree::Bytes((0..rng.usize(..20)).map(|_| rng.u8(..)).collect()),
        Node::Fixed(size) => Tree::Bytes((0..*size).map(|_| rng.u8(..)).collect()),
        Node::Str => Tree::Text(text(rng)),
        Node::Enum(symbols) => Tree::Text(symbols[rng.usize(..symbols.len())].to_string()),
        Node::Decimal { precision, scale } | Node::FixedDecimal { precision, scale, .. } => {
            let digits = rng.u32(1..=*precision);
            let unscaled = rng.i128(0..10i128.pow(digits)) * if rng.bool() { 1 } else { -1 };
            Tree::Decimal(Decimal::from_i128_with_scale(unscaled, *scale))
        }
        // Years 0000 to 9999: what RFC 3339 can say.
        Node::Millis => Tree::Timestamp(rng.i64(-62_167_219_200_000..253_402_300_800_000) * 1000),
        Node::Micros => Tree::Timestamp(rng.i64(-62_167_219_200_000_000..253_402_300_800_000_000)),
        Node::Nanos => Tree::Timestamp(rng.i64(-1_000_000_000_000..1_000_000_000_000)),
        Node::Date => Tree::Date(rng.i32(-700_000..2_900_000)),
        Node::Array(item) => Tree::List((0..count(rng, depth)).map(|_| tree(schema, *item, rng, depth + 1)).collect()),
        Node::Map(item) => {
            Tree::Record((0..count(rng, depth)).map(|i| (format!("k{i:02}").into(), tree(schema, *item, rng, depth + 1))).collect())
        }
        Node::Union(branches) => {
            let null = branches.iter().position(|branch| *schema.node(*branch) == Node::Null);
            let branch = if depth > 8 { null } else { None }.unwrap_or_else(|| rng.usize(..branches.len()));
            tree(schema, branches[branch], rng, depth + 1)
        }
        Node::Record(fields) => {
            Tree::Record(fields.iter().map(|field| ((*field.name).into(), tree(schema, field.ty, rng, depth + 1))).collect())
        }
        Node::Dynamic => dynamic(rng, depth),
    }
}

/// A random value's bytes; of a union any branch, also where a [`Tree`] could not tell them apart.
pub(crate) fn bytes(schema: &Schema, id: NodeId, rng: &mut Rng, depth: u32, out: &mut Vec<u8>) {
    match schema.node(id) {
        Node::Union(branches) => {
            let branch = rng.usize(..branches.len());
            put_long(out, branch as i64);
            bytes(schema, branches[branch], rng, depth + 1, out);
        }
        Node::Record(fields) => {
            for field in fields {
                match &*field.name {
                    // Said only where it is not the usual one.
                    "stuck_told" => put_long(out, rng.i64(1..256)),
                    "priority" => put_long(out, *rng.choice([0, 1, 4, 6, 9].iter()).expect("some")),
                    _ => bytes(schema, field.ty, rng, depth + 1, out),
                }
            }
        }
        Node::Array(item) => {
            let count = rng.u32(..4);
            if count > 0 {
                put_long(out, count.into());
            }
            (0..count).for_each(|_| bytes(schema, *item, rng, depth + 1, out));
            out.push(0);
        }
        // Numbers of nodes, places, attempts and rounds: what the smallest of our own fields holds.
        Node::Int => put_long(out, rng.i64(0..256)),
        _ => schema.encode_at(id, &tree(schema, id, rng, depth), out).expect("a random value fits"),
    }
}

fn dynamic(rng: &mut Rng, depth: u32) -> Tree {
    match rng.u32(..if depth < 6 { 7 } else { 5 }) {
        0 => Tree::Null,
        1 => Tree::Bool(rng.bool()),
        2 => Tree::Int(long(rng)),
        3 => Tree::Decimal(Decimal::from_i128_with_scale(rng.i128(-1_000_000..1_000_000), rng.u32(1..9))),
        4 => Tree::Text(text(rng)),
        5 => Tree::List((0..count(rng, depth)).map(|_| dynamic(rng, depth + 1)).collect()),
        _ => Tree::Record((0..count(rng, depth)).map(|i| (format!("k{i:02}").into(), dynamic(rng, depth + 1))).collect()),
    }
}

fn count(rng: &mut Rng, depth: u32) -> u32 {
    match rng.u32(..20) {
        0 if depth < 3 => rng.u32(60..70),
        n => n % 4,
    }
}

fn long(rng: &mut Rng) -> i64 {
    rng.i64(..) >> rng.u32(..64)
}

fn text(rng: &mut Rng) -> String {
    const CHARS: [char; 9] = ['a', 'Z', '9', '"', '\\', '\n', '\u{1}', 'ß', '🎪'];
    (0..rng.usize(..12)).map(|_| CHARS[rng.usize(..CHARS.len())]).collect()
}
