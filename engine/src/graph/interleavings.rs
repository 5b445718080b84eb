//! What a search relies on beside inserts, in every interleaving (see `ragstone_kernels::sync`): a link leads to a
//! node that is wholly written and to a row that can be read; tree edges are never missed, so all that was inserted
//! before a search began is reached by it; and whatever order inserts and repairs come in, the graph keeps its
//! invariants. Beside a repair a search gets on, and finds nothing that it could know to be removed.
//!
//! Lists have five places here, and a chunk two records.

use std::sync::atomic::Ordering;

use fixedbitset::FixedBitSet;
use ragstone_kernels::RowArena;
use ragstone_kernels::sync::{Arc, AtomicU32, in_every_interleaving, thread};

use super::growing::{ABSENT, GrowingGraph, layer_of};
use super::links::{Link, append, links, nodes, rewrite};
use super::{WalkRequest, check};
use crate::schema::GraphOptions;
use crate::vectors::{PairScorer, Scorer, Slot};

fn edge(node: u32) -> Link {
    Link { node, tree: true }
}

fn link(node: u32) -> Link {
    Link { node, tree: false }
}

fn only(slot: u32) -> FixedBitSet {
    FixedBitSet::from_iter([slot as usize])
}

/// A list of `width` places.
fn list(width: usize, filled: &[Link]) -> Arc<Vec<AtomicU32>> {
    let words: Vec<AtomicU32> = (0..width).map(|_| AtomicU32::new(0)).collect();
    rewrite(&words, filled);
    Arc::new(words)
}

#[test]
fn a_new_tree_edge_hides_no_link() {
    in_every_interleaving(3, || {
        let words = list(4, &[edge(1), link(2)]);
        let reader = words.clone();
        let reader = thread::spawn(move || {
            let seen: Vec<u32> = nodes(&reader).collect();
            assert!(seen.contains(&1) && seen.contains(&2), "{seen:?}");
        });
        append(&words, edge(3));
        append(&words, link(4));
        reader.join().unwrap();
        assert_eq!(links(&words).collect::<Vec<_>>(), [edge(1), edge(3), link(2), link(4)]);
    });
}

#[test]
fn pruning_hides_no_tree_edge() {
    in_every_interleaving(3, || {
        let words = list(5, &[edge(1), edge(2), link(3), link(4), link(5)]);
        let reader = words.clone();
        let reader = thread::spawn(move || {
            let seen: Vec<u32> = nodes(&reader).collect();
            assert!(seen.starts_with(&[1, 2]), "{seen:?}");
            assert!(seen.iter().all(|node| (1..=6).contains(node)), "{seen:?}");
        });
        rewrite(&words, &[edge(1), edge(2), edge(6), link(4)]);
        reader.join().unwrap();
    });
}

/// Where rows lie on a line: the third links to both before it, one as its parent.
const PLACES: [f32; 3] = [1.0, 3.0, 2.1];
/// Where the second alone leads from the first to the third.
const IN_ORDER: [f32; 3] = [1.0, 2.0, 3.0];

/// Rows on a line; a row and its slot are appended before the slot is inserted, as a segment does it.
struct Line {
    places: [f32; 3],
    rows: RowArena<f32>,
    graph: GrowingGraph,
}

impl PairScorer for RowArena<f32> {
    fn score(&self, from: Slot, slots: &[Slot], out: &mut [f32]) {
        for (slot, out) in slots.iter().zip(out) {
            *out = (self.row(from.index())[0] - self.row(slot.index())[0]).powi(2);
        }
    }
}

/// The distance from zero.
struct FromZero<'a>(&'a RowArena<f32>);

impl Scorer for FromZero<'_> {
    fn score(&self, slots: &[Slot], out: &mut [f32]) {
        for (slot, out) in slots.iter().zip(out) {
            *out = self.0.row(slot.index())[0].powi(2);
        }
    }
}

impl Line {
    /// A line whose slots reach these layers, the first of which are nodes already.
    fn new(tops: &[usize], nodes: usize) -> Arc<Self> {
        Self::of(PLACES, tops, nodes)
    }

    fn of(places: [f32; 3], tops: &[usize], nodes: usize) -> Arc<Self> {
        let reaches = |seed: &u64| (0..).zip(tops).all(|(slot, top)| layer_of(*seed, Slot(slot)) == *top);
        let Some(seed) = (0..1_000_000).find(reaches) else { panic!("no seed gives {tops:?}") };
        let graph = GrowingGraph::new(GraphOptions { degree: 4, ef_construction: 4 }, seed);
        let line = Self { places, rows: RowArena::new(1), graph };
        (0..nodes).for_each(|_| line.append());
        Arc::new(line)
    }

    /// Appends a row and makes it a node.
    fn append(&self) {
        let slot = self.push();
        self.graph.insert(slot, &self.rows);
    }

    fn push(&self) -> Slot {
        Slot(self.rows.push(&[self.places[self.rows.len()]]) as u32)
    }

    /// The nodes that a wide search finds.
    fn found(&self) -> Vec<u32> {
        let walk = self.graph.search(&FromZero(&self.rows), &WalkRequest::new(8));
        let mut found: Vec<u32> = walk.candidates.iter().map(|(_, slot)| slot.0).collect();
        found.sort_unstable();
        found
    }

    /// Fails unless every link that can be seen leads to a whole node and a row.
    fn links_lead_to_whole_nodes(&self) {
        for node in 0..self.graph.reach() as u32 {
            for link in links(self.graph.list(node)) {
                assert_ne!(self.graph.state(link.node), ABSENT, "{node} -> {}", link.node);
                // The first node alone has no parent.
                let parent = links(self.graph.list(link.node)).next();
                assert!(
                    link.node == 0 || parent.is_some_and(|parent| parent.tree),
                    "{node} -> {}",
                    link.node
                );
                assert!(self.rows.row(link.node as usize)[0] > 0.0);
            }
        }
    }

    fn is_sound(&self, nodes: u32) {
        self.shows((0..nodes).collect());
    }

    /// Fails unless the graph is sound and a search finds exactly these.
    fn shows(&self, living: Vec<u32>) {
        assert_eq!(check::growing(&self.graph), Vec::<String>::new());
        assert_eq!(self.found(), living);
    }

    fn choose_anew(&self, node: u32) {
        self.graph.scratch.with(|scratch| self.graph.choose_anew(node, &self.rows, scratch));
    }

    fn repair(&self, dead: u32) {
        assert_eq!(self.graph.repair(&only(dead), &self.rows), 1);
    }
}

/// Appends a node to a line of these layers while another thread reads it, in every interleaving.
fn beside_an_insert(tops: &'static [usize], read: fn(&Line)) {
    in_every_interleaving(3, move || {
        let line = Line::new(tops, tops.len() - 1);
        let reader = line.clone();
        let reader = thread::spawn(move || read(&reader));
        line.append();
        reader.join().unwrap();
        line.is_sound(tops.len() as u32);
    });
}

#[test]
fn a_link_leads_to_a_whole_node_and_its_row() {
    beside_an_insert(&[0, 0, 0], Line::links_lead_to_whole_nodes);
}

#[test]
fn a_search_beside_an_insert_finds_all_that_was_there_before() {
    beside_an_insert(&[0, 0, 0], |line| {
        let found = line.found();
        assert!(found.starts_with(&[0, 1]), "{found:?}");
    });
}

#[test]
fn a_search_beside_a_new_entry_finds_all_that_was_there_before() {
    beside_an_insert(&[0, 1], |line| {
        let found = line.found();
        assert!(found.contains(&0), "{found:?}");
    });
}

#[test]
fn a_search_beside_the_first_insert_finds_nothing_or_it() {
    beside_an_insert(&[1], |line| assert!(line.found().len() <= 1));
}

#[test]
fn a_search_beside_an_insert_on_an_upper_layer_finds_all_that_was_there_before() {
    beside_an_insert(&[1, 1], |line| {
        let found = line.found();
        assert!(found.contains(&0), "{found:?}");
    });
}

/// Inserts two more rows at once into a line of these layers.
fn inserts_at_once(preemptions_max: usize, tops: &'static [usize]) {
    in_every_interleaving(preemptions_max, move || {
        let line = Line::new(tops, tops.len() - 2);
        let slots = [line.push(), line.push()];
        let other = line.clone();
        let other = thread::spawn(move || other.graph.insert(slots[1], &other.rows));
        line.graph.insert(slots[0], &line.rows);
        other.join().unwrap();
        line.is_sound(tops.len() as u32);
    });
}

#[test]
fn of_two_first_nodes_one_becomes_the_entry_and_the_other_its_child() {
    inserts_at_once(3, &[0, 0]);
    inserts_at_once(3, &[0, 1]);
    inserts_at_once(3, &[1, 0]);
}

#[test]
fn inserts_at_once_leave_a_sound_graph() {
    inserts_at_once(4, &[0, 0, 0]);
}

#[test]
fn two_nodes_that_are_higher_than_all_others_leave_a_sound_graph() {
    inserts_at_once(3, &[0, 1, 1]);
}

#[test]
fn who_is_told_of_a_node_finds_it() {
    in_every_interleaving(3, || {
        let (line, visible) = (Line::new(&[0, 0], 1), Arc::new(AtomicU32::new(1)));
        let reader = (line.clone(), visible.clone());
        let reader = thread::spawn(move || {
            let (line, visible) = reader;
            let counted = visible.load(Ordering::Acquire);
            let found = line.found();
            assert!((0..counted).all(|slot| found.contains(&slot)), "{counted} counted, {found:?}");
        });
        line.append();
        visible.store(2, Ordering::Release);
        reader.join().unwrap();
    });
}

/// Takes one of three nodes out of a line while another thread reads it, in every interleaving.
fn beside_a_repair(dead: u32, read: fn(&Line)) {
    in_every_interleaving(2, move || {
        let line = Line::new(&[0, 0, 0], 3);
        let reader = line.clone();
        let reader = thread::spawn(move || read(&reader));
        line.repair(dead);
        reader.join().unwrap();
        line.shows((0..3).filter(|node| *node != dead).collect());
    });
}

#[test]
fn a_search_that_begins_at_a_node_being_removed_gets_on() {
    beside_a_repair(0, |line| {
        let found = line.found();
        assert!(found.contains(&1) || found.contains(&2), "{found:?}");
    });
}

#[test]
fn a_search_beside_a_repair_finds_all_whose_links_stay() {
    beside_a_repair(2, |line| {
        let found = line.found();
        assert!(found.starts_with(&[0, 1]), "{found:?}");
    });
}

#[test]
fn who_sees_the_number_of_nodes_fall_finds_none_of_the_removed() {
    beside_a_repair(1, |line| {
        let is_removed = line.graph.len() == 2;
        let found = line.found();
        assert!(found.contains(&0) && !(is_removed && found.contains(&1)), "{found:?}");
    });
}

#[test]
fn an_insert_beside_a_repair_leaves_a_sound_graph() {
    for dead in [0, 1] {
        in_every_interleaving(3, move || {
            let line = Line::new(&[0, 0, 0], 2);
            let slot = line.push();
            let other = line.clone();
            let other = thread::spawn(move || other.graph.insert(slot, &other.rows));
            line.repair(dead);
            other.join().unwrap();
            line.shows((0..3).filter(|node| *node != dead).collect());
        });
    }
}

/// The threads of a repair are rayon's, of which loom knows nothing: so here its parallel part is done by two of loom's. Each
/// chooses the other's node and links it back.
#[test]
fn the_threads_of_a_repair_leave_a_sound_graph() {
    in_every_interleaving(3, || {
        let line = Line::of(IN_ORDER, &[0, 0, 0], 3);
        let removed = line.graph.remove(&only(1));
        assert_eq!(removed.ones().collect::<Vec<_>>(), [1]);
        assert_eq!(line.graph.broken(&removed), [0, 2]);
        let other = line.clone();
        let other = thread::spawn(move || other.choose_anew(2));
        line.choose_anew(0);
        other.join().unwrap();
        line.graph.scratch.with(|scratch| line.graph.bind_parts(&line.rows, scratch));
        line.shows(vec![0, 2]);
    });
}
