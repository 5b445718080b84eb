//! A filter as it is written: names and literals with their places, not yet of any type.

use std::ops::Range;

/// Bytes of the text.
pub(super) type Span = Range<usize>;

/// A condition, or several.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Levels that it has.
    pub(super) height: usize,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Condition(Name, Condition),
    AllTenants,
}

impl Node {
    pub(super) fn new(kind: NodeKind) -> Self {
        let height = match &kind {
            NodeKind::And(nodes) | NodeKind::Or(nodes) => {
                nodes.iter().map(|node| node.height).max().unwrap_or(0)
            }
            NodeKind::Not(node) => node.height,
            NodeKind::Condition(..) | NodeKind::AllTenants => 0,
        };
        Self { kind, height: height + 1 }
    }

    pub(super) fn not(self) -> Self {
        Self::new(NodeKind::Not(Box::new(self)))
    }
}

/// The name of a field.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) span: Span,
}

/// What is asked of a field.
#[derive(Debug)]
pub(super) enum Condition {
    Eq(Literal),
    In(Vec<Literal>),
    /// At least one bound, of each kind at most one.
    Range(Vec<(Comparison, Literal)>),
    Prefix(String),
    Contains(Vec<String>),
    Exists,
    Match(String),
    Within(Circle),
}

/// A place and how far from it.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) lat: Number,
    pub(super) lon: Number,
    pub(super) metres: Number,
}

/// A finite number, unless its unit makes it more.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn of_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

/// A value as it is written.
#[derive(Debug)]
pub(super) struct Literal {
    pub(super) kind: LiteralKind,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum LiteralKind {
    Bool(bool),
    /// Digits with or without sign, point and exponent.
    Number(String),
    Text(String),
    /// Microseconds since 1970 UTC.
    Timestamp(i64),
}
