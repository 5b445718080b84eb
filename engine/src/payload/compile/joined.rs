//! Conditions of one field that stand beside each other, as one.
//!
//! **Problem.** Each condition makes a set of rows, and sets are put together by words: two ranges that bound a field take twice what one does, and a
//! thousand alternatives, as `tag = "a" or tag = "b"` and so on, take a thousand passes over the words of each segment, where a list of as many
//! values takes one.
//!
//! **Idea.** So ranges that must all hold are one range, and values of which one is to be met are one list.

use std::sync::Arc;

use super::{Node, Test};
use crate::payload::FieldId;

/// Ranges of one field that must all hold are one range: `year >= 2000 and year < 2010` costs what `year between` does.
pub(super) fn ranges(nodes: Vec<Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::with_capacity(nodes.len());
    'nodes: for node in nodes {
        if let Node::Leaf(field, test) = &node {
            for earlier in &mut joined {
                if let Node::Leaf(of, range) = earlier
                    && of == field
                    && let Some(both) = range.and(test)
                {
                    *range = Arc::new(both);
                    continue 'nodes;
                }
            }
        }
        joined.push(node);
    }
    joined
}

/// One of some conditions is to be met: `year = 1 or year = 2` costs what `year in (1, 2)` does.
pub(super) fn values(nodes: Vec<Node>) -> Node {
    let mut joined: Vec<Node> = Vec::with_capacity(nodes.len());
    // Of each field, whose values are of one type.
    let mut lists: Vec<(FieldId, Vec<Arc<Test>>)> = Vec::new();
    for node in nodes {
        match node {
            Node::Leaf(field, test) if is_list(&test) => {
                match lists.iter_mut().find(|(of, _)| *of == field) {
                    Some((_, tests)) => tests.push(test),
                    None => lists.push((field, vec![test])),
                }
            }
            other => joined.push(other),
        }
    }
    for (field, tests) in lists {
        match any(&tests) {
            Some(any) => joined.push(Node::Leaf(field, Arc::new(any))),
            None => joined.extend(tests.into_iter().map(|test| Node::Leaf(field, test))),
        }
    }
    match joined.pop() {
        // An index lists the rows of one condition, if they are few.
        Some(only) if joined.is_empty() => only,
        last => Node::Or(joined.into_iter().chain(last).collect()),
    }
}

/// Whether it is that a value is one of some.
fn is_list(test: &Test) -> bool {
    matches!(test, Test::Bool { .. } | Test::IntIn(_) | Test::FloatIn(_) | Test::TextIn(_) | Test::ListAny(_))
}

/// What passes one of several lists of values of one type; `None` if there are not several, or something else is among them.
fn any(tests: &[Arc<Test>]) -> Option<Test> {
    if tests.len() < 2 {
        return None;
    }
    let (mut all, mut ints, mut floats, mut texts) = ([false; 2], Vec::new(), Vec::new(), Vec::new());
    for test in tests {
        match &**test {
            Test::Bool { accepts } => all.iter_mut().zip(accepts).for_each(|(all, accepts)| *all |= *accepts),
            Test::IntIn(values) => ints.extend_from_slice(values),
            Test::FloatIn(values) => floats.extend_from_slice(values),
            Test::TextIn(values) | Test::ListAny(values) => texts.extend_from_slice(values),
            _ => return None,
        }
    }
    ints.sort_unstable();
    floats.sort_unstable_by(f64::total_cmp);
    texts.sort_unstable();
    match &**tests.first()? {
        Test::Bool { .. } => Some(Test::Bool { accepts: all }),
        Test::IntIn(_) => Some(Test::IntIn(ints)),
        Test::FloatIn(_) => Some(Test::FloatIn(floats)),
        Test::TextIn(_) => Some(Test::TextIn(texts)),
        Test::ListAny(_) => Some(Test::ListAny(texts)),
        _ => None,
    }
}
