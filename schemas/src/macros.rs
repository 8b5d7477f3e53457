//! The record and union types that this project owns itself, declared once: the type, and its Avro form.

/// A struct whose Avro form is its fields in order.
#[macro_export]
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type),* }

        impl $crate::codec::Avro for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::codec::Avro::put(&self.$field, out);)*
            }
            #[inline]
            fn take(cursor: &mut $crate::codec::Cursor<'_>) -> Result<Self, $crate::codec::Malformed> {
                Ok($name { $($field: $crate::codec::Avro::take(cursor)?),* })
            }
        }
    };
}

/// An enum whose Avro form is a union of records: the branch's index, then the branch.
#[macro_export]
macro_rules! union {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$branch_meta:meta])* $branch:ident($type:ty) = $index:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $($(#[$branch_meta])* $branch($type)),* }

        impl $crate::codec::Avro for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$branch(branch) => {
                        $crate::codec::put_long(out, $index);
                        $crate::codec::Avro::put(branch, out);
                    })*
                }
            }
            #[inline]
            fn take(cursor: &mut $crate::codec::Cursor<'_>) -> Result<Self, $crate::codec::Malformed> {
                match cursor.long()? {
                    $($index => Ok($name::$branch($crate::codec::Avro::take(cursor)?)),)*
                    _ => Err($crate::codec::Malformed(concat!(stringify!($name), " has no such branch"))),
                }
            }
        }
    };
}

/// An enum whose Avro form is a union of records, like [`union!`], with the records' fields in place: no larger than its largest.
#[macro_export]
macro_rules! variants {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$branch_meta:meta])* $branch:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? } = $index:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $($(#[$branch_meta])* $branch { $($(#[$field_meta])* $field: $type),* }),* }

        impl $crate::codec::Avro for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$branch { $($field),* } => {
                        $crate::codec::put_long(out, $index);
                        $($crate::codec::Avro::put($field, out);)*
                    })*
                }
            }
            #[inline]
            fn take(cursor: &mut $crate::codec::Cursor<'_>) -> Result<Self, $crate::codec::Malformed> {
                match cursor.long()? {
                    $($index => Ok($name::$branch { $($field: $crate::codec::Avro::take(cursor)?),* }),)*
                    _ => Err($crate::codec::Malformed(concat!(stringify!($name), " has no such branch"))),
                }
            }
        }
    };
}

/// An enum without fields, as an Avro `enum`: the index of its symbol.
#[macro_export]
macro_rules! symbols {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$symbol_meta:meta])* $symbol:ident = $index:literal $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$symbol_meta])* $symbol),* }

        impl $name {
            /// The word that stands for it on the wire, in logs and in the tables of the README.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$symbol => $text),* }
            }
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$($name::$symbol),*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::codec::Avro for $name {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                $crate::codec::put_long(out, match self { $($name::$symbol => $index),* });
            }
            #[inline]
            fn take(cursor: &mut $crate::codec::Cursor<'_>) -> Result<Self, $crate::codec::Malformed> {
                match cursor.long()? {
                    $($index => Ok($name::$symbol),)*
                    _ => Err($crate::codec::Malformed(concat!(stringify!($name), " has no such symbol"))),
                }
            }
        }
    };
}
