//! Code that is too long for a chunk, cut where its syntax is.
//!
//! **Problem.** A function of several chunks that is cut between any two lines leaves half a loop in one chunk and half in another.
//! **Idea.** Its syntax tree says where statements, arguments, arms begin: a place to cut at is the line that a named node begins, with the
//! comments right before it. What is too long is divided at the outermost nodes in it that begin lines, and so are the parts that are still
//! too long, down to *atoms*, which fit or have no such node in them. Neighbouring atoms are joined as long as they fit. So a chunk ends
//! within a statement only if that is longer than a chunk. A line that opens something (`for x in y {`) goes with what it opens.
//!
//! What brackets close at the start of a line is no named node, so it stays with what stands before it.
//!
//! **Cost.** Each node of the range is looked at once, and for each atom a few sizes are asked for.

use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::code::is_prelude;
use super::tokens::TokenIndex;

/// What a line ends with that opens what follows.
const OPENERS: [char; 4] = ['{', '(', '[', ':'];

/// How code is cut.
#[derive(Clone, Copy)]
pub(super) struct Statements<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) index: &'a TokenIndex<'a>,
    /// Units that a piece has at most.
    pub(super) size: usize,
    /// Units that neighbours share at most.
    pub(super) overlap: usize,
}

/// A part of the text, and the nodes that begin in it.
type Part<'a> = (Vec<Node<'a>>, Range<usize>);

impl<'a> Statements<'a> {
    /// A range in pieces that fit; `cut` cuts what the syntax does not.
    pub(super) fn pieces(
        &self,
        range: Range<usize>,
        cut: impl Fn(Range<usize>) -> Vec<Range<usize>>,
    ) -> Vec<Range<usize>> {
        let atoms = self.atoms(range);
        // The atom that the next piece begins with, and the first that is in no piece yet.
        let (mut pieces, mut first, mut fresh) = (Vec::new(), 0, 0);
        while first < atoms.len() {
            let start = atoms[first].start;
            if !self.fits(&atoms[first]) {
                pieces.extend(cut(atoms[first].clone()));
                first += 1;
                fresh = first;
                continue;
            }
            let more = atoms[first + 1..].iter().take_while(|atom| self.fits(&(start..atom.end))).count();
            let end = first + 1 + more;
            let opener = self.opener(&atoms, fresh, end);
            fresh = opener.unwrap_or(end);
            pieces.push(start..atoms[fresh - 1].end);
            first = opener.unwrap_or_else(|| self.begin(&atoms, first, end));
        }
        pieces
    }

    /// Before which atom, after `fresh`, the piece ends early that has room for those before `end`, so that what opens the atom `end` goes
    /// with it; none if nothing does, or they do not fit.
    fn opener(&self, atoms: &[Range<usize>], fresh: usize, end: usize) -> Option<usize> {
        let next = atoms.get(end)?;
        let opens = |at: &usize| self.opens(&atoms[*at]) && self.fits(&(atoms[*at].start..next.end));
        (fresh + 1..end).rev().take_while(opens).last()
    }

    /// With which atom the piece begins that takes the atom `end`, after one that begins with `first`: with some of those before `end`,
    /// which it then shares, but never with `first`. What opens something begins a piece by itself.
    fn begin(&self, atoms: &[Range<usize>], first: usize, end: usize) -> usize {
        let Some(next) = atoms.get(end).filter(|next| self.overlap > 0 && !self.opens(next)) else {
            return end;
        };
        let is_shared = |at: &usize| {
            let start = atoms[*at].start;
            self.units(&(start..next.start)) <= self.overlap && self.fits(&(start..next.end))
        };
        (first + 1..end).rev().take_while(is_shared).last().unwrap_or(end)
    }

    /// The range in parts that lie one after another and fit, or cannot be divided.
    fn atoms(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut atoms = Vec::new();
        // Still to be looked at, the next one last: without recursion, as code may nest as deep as it likes.
        let mut open: Vec<Part<'a>> = vec![(vec![self.tree.root_node()], range)];
        while let Some((nodes, range)) = open.pop() {
            if self.fits(&range) {
                atoms.push(range);
                continue;
            }
            match self.divide(nodes, &range) {
                Some(parts) => open.extend(parts.into_iter().rev()),
                None => atoms.push(range),
            }
        }
        atoms
    }

    /// Divides a range that some nodes reach into at the outermost nodes in these that begin a line; `None` if none does.
    fn divide(&self, mut nodes: Vec<Node<'a>>, range: &Range<usize>) -> Option<Vec<Part<'a>>> {
        while !nodes.is_empty() {
            let inner: Vec<Node<'a>> = nodes.iter().flat_map(|node| children(*node, range)).collect();
            let places = self.places(&inner, range);
            if !places.is_empty() {
                return Some(parts(inner, places, range));
            }
            nodes = inner;
        }
        None
    }

    /// Where to cut a range before nodes that follow one another, ascending.
    fn places(&self, nodes: &[Node<'a>], range: &Range<usize>) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        let mut comment_end = None;
        for node in nodes {
            let start = node.start_byte();
            let between = comment_end.take().and_then(|end: usize| self.text.get(end..start));
            let is_commented = between.is_some_and(|between| between.matches('\n').count() < 2);
            if is_prelude(node.kind()) {
                comment_end = Some(node.end_byte());
            }
            if is_commented || !node.is_named() || node.byte_range().is_empty() {
                continue;
            }
            let Some(line) = self.line(start).filter(|line| range.start < *line && *line < range.end) else {
                continue;
            };
            if places.last().is_none_or(|last| *last < line) {
                places.push(line);
            }
        }
        places
    }

    /// Where the line begins that a place is in, if nothing but white space stands before it there.
    fn line(&self, at: usize) -> Option<usize> {
        let before = self.text[..at].trim_end_matches(|c: char| c.is_whitespace() && c != '\n');
        (before.is_empty() || before.ends_with('\n')).then_some(before.len())
    }

    fn opens(&self, range: &Range<usize>) -> bool {
        self.text[range.clone()].trim_end().ends_with(OPENERS)
    }

    fn fits(&self, range: &Range<usize>) -> bool {
        self.units(range) <= self.size
    }

    fn units(&self, range: &Range<usize>) -> usize {
        self.index.units(range.start, range.end)
    }
}

/// The children of a node that reach into a range.
fn children<'tree>(node: Node<'tree>, range: &Range<usize>) -> Vec<Node<'tree>> {
    let mut cursor = node.walk();
    let mut children = Vec::new();
    let mut is_child = cursor.goto_first_child_for_byte(range.start).is_some();
    while is_child && cursor.node().start_byte() < range.end {
        children.push(cursor.node());
        is_child = cursor.goto_next_sibling();
    }
    children
}

/// A range cut at some places, with the nodes that begin in each part; the first has those that begin before it, too.
fn parts<'tree>(nodes: Vec<Node<'tree>>, places: Vec<usize>, range: &Range<usize>) -> Vec<Part<'tree>> {
    let mut parts = Vec::with_capacity(places.len() + 1);
    let (mut nodes, mut start) = (nodes.into_iter().peekable(), range.start);
    for end in places.into_iter().chain([range.end]) {
        let inside = std::iter::from_fn(|| nodes.next_if(|node| node.start_byte() < end)).collect();
        parts.push((inside, start..end));
        start = end;
    }
    parts
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
