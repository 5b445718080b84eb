//! What a caller gets of rows found: their ids, scores and fields.

use super::Hit;
use super::execute::Ranked;
use crate::collection::ViewState;
use crate::payload::Payload;
use crate::segment::HITS_AHEAD;

/// The hits, in the order of the rows, which are of a place among the dense vectors.
pub(super) fn hits(view: &ViewState, (found, place): (Vec<Ranked>, usize), with_payload: bool) -> Vec<Hit> {
    let encodings = &view.encodings[place];
    // What they have lies apart, and is asked for before any of it is read.
    let ask = |rows: &&[Ranked]| {
        for (_, index, slot) in *rows {
            view.segments[*index].prefetch_id(slot.0);
            if with_payload {
                view.segments[*index].prefetch_payload(slot.0, None);
            }
        }
        if with_payload {
            rows.iter().for_each(|(_, index, slot)| view.segments[*index].prefetch_rest(slot.0, None));
        }
    };
    let hit = |(distance, index, slot): &Ranked| {
        let segment = &view.segments[*index];
        let payload = if with_payload { segment.payload(slot.0, &view.fields, None) } else { Payload::new() };
        Hit { id: segment.id(slot.0), score: encodings.score(*distance), payload }
    };
    found.chunks(HITS_AHEAD).inspect(ask).flatten().map(hit).collect()
}
