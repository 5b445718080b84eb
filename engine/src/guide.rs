//! The index explained: what it does with vectors, what can be set, what that costs, and how to measure it. There is no
//! code here.
//!
//! **In short**: for text embeddings of 384 to 1,536 components and 10 to 100 results, set nothing. Measure recall on
//! your own data once ([below](#measuring-recall-on-your-own-data)); if it is too low, raise `ef`.
//!
//! # What the index does
//! Comparing a query with every row is exact, and takes time in proportion to the rows. The index instead links each row
//! to a few dozen others that are near it and lie in different directions: a *graph*. A search starts at one row and
//! *walks*: it keeps a list of the nearest rows seen, compares the query with the neighbours of the nearest of them,
//! and goes on until none of the list leads to anything nearer. So it compares some thousand rows instead of all,
//! and the number grows only slowly with the rows (as their logarithm).
//!
//! The price is that it may miss a row. **Recall** is the share of the true nearest rows that a search finds: a recall@10
//! of 0.98 means that of ten rows that should come back, one is missing in every fifth search, nearly always one of
//! the farthest of the ten. Scores and order of the rows that do come back are exact.
//!
//! A segment of few rows, or a filter that few rows pass, is not walked at all: where comparing every candidate is
//! cheaper, that is done. [`SearchStats::exact`](crate::SearchStats::exact) says whether the answer is the exact one: of more
//! rows than `ef`, codes are compared first, which may leave out a row.
//!
//! # What can be set
//! | name | elsewhere called | set in | default | changes |
//! |---|---|---|---|---|
//! | `ef` | efSearch, search list, beam width | [`SearchRequest::ef`](crate::SearchRequest::ef), each search | 64 for `k` = 10, 200 for 100 | recall against time of a search |
//! | `degree` | 2 M, max links | [`GraphOptions`](crate::GraphOptions), once | 32 (M = 16) | recall, memory, time to build |
//! | `ef_construction` | efConstruction, build window | [`GraphOptions`](crate::GraphOptions), once | 128 | quality of the graph against time to build |
//! | encoding | quantisation, SQ8, SQ4 | [`SchemaBuilder::encoding`](crate::SchemaBuilder::encoding), once | int4 | memory and speed |
//! | `walk_dimension` | Matryoshka, truncation | [`SchemaBuilder::walk_dimension`](crate::SchemaBuilder::walk_dimension), once | all | memory and speed |
//!
//! ## `ef`, the width of the walk
//! The length of the list that a walk keeps. It is the one thing to turn: a wider walk compares more rows (750 at 32, 1,600 at
//! 128) and misses fewer. It costs nothing but time, and each search may set its own.
//! It is never less than `k`. A collection that is written to is several graphs for a while, each walked; after the first,
//! walks are a third narrower, which leaves the recall as it is of one graph. Measured on 60,000 text embeddings of 384 components, everything else by
//! default (`benches/record/scale.json`):
//!
//! | `ef` | rows compared | recall@10 |
//! |---|---|---|
//! | 32 | 750 | 0.951 |
//! | 64 | 1,030 | **0.977** |
//! | 128 | 1,600 | 0.991 |
//! | 384 | 3,700 | 0.998 |
//!
//! In bold is what the default gives. An `ef` near `k` is too small: the list has to hold more than it returns. Data
//! differ, so take the table as a shape, and measure.
//!
//! ## `degree` and `ef_construction`, the shape of the graph
//! More links a row give a walk more ways to turn: fewer rows are missed at the same `ef`, but each step compares more.
//! At equal recall, degrees of 24 to 64 take the same time on text embeddings, so 32 is the right choice until memory
//! says otherwise: 16 saves 64 bytes a row. In the HNSW paper's words the degree is `2 M`, so M = 16 is 32 here.
//!
//! `ef_construction` is the width of the walk that finds a new row's neighbours. Twice of it takes about twice as long
//! to build; 100 is enough where recalls of 0.95 are. From 128 to 200 a recall of 0.99 takes 8 % fewer distances, and
//! building 1.6 times as long; beyond 400 nothing is gained.
//!
//! ## The encoding
//! What a walk compares is not the vector but a shorter *code* of it, because a walk waits for memory more than for
//! anything else. The vectors themselves are stored too, and decide: candidates whose order the codes leave in doubt are
//! compared again, exactly. So a code costs no correctness of scores and next to no recall, and a poorer code costs more
//! exact comparisons.
//!
//! | encoding | bytes of a code | when |
//! |---|---|---|
//! | [`Int4`](crate::EncodingKind::Int4) | half a byte a component | the default and the fastest, for 100 components and more |
//! | [`Int8`](crate::EncodingKind::Int8) | a byte a component | few components, or vectors that are not embeddings: nothing is trained, each row has its own scale |
//! | [`F16`](crate::EncodingKind::F16) | two bytes a component | walks on nearly exact distances in half the memory of f32 |
//! | [`Bit1`](crate::EncodingKind::Bit1) | a bit a component | least memory: hardly slower, but the walk has to be half as wide again, and reads `ef` vectors |
//! | [`F32`](crate::EncodingKind::F32) | none, the vectors are compared | up to some 64 components; comparisons of encodings |
//!
//! Growing segments (the rows written last) walk on int8 whatever the encoding is, since codes of fewer bits are made
//! for rows that are all there.
//!
//! ## `walk_dimension`
//! Some models ("Matryoshka") put what matters first, so that the first 256 of 1,024 components are an embedding too. Then
//! a walk may compare these only, and the candidates are compared on all. That saves memory in proportion. With other
//! models it costs recall: measure it. It leaves every candidate in doubt, so each search makes `ef` exact comparisons.
//!
//! # Memory
//! What a walk reads should be in memory (*hot*): codes and links. What it reads of the vectors themselves, two or three
//! rows for each result, may come from disk. Sealed segments are memory-mapped, so the operating system decides, and
//! nothing fails when there is less memory than that; searches become slower.
//!
//! ```text
//! hot bytes a row  = code + 4 * degree               (upper layers add 3 % of the links)
//! code of int4     = components / 2, in whole 64 bytes, + 4 (under L2 + 8)
//! code of int8     = components, in whole 64 bytes, + 12
//! code of f16      = 2 * components, in whole 64 bytes, + 4
//! code of bit1     = components / 8, in whole 64 bytes, + 8
//! code of f32      = 4 * components, and these are the stored vectors
//! sketch           = components / 8, in whole 8 bytes, + 4         none for bit1, f32, and up to 128 components
//! disk bytes a row = hot + sketch + 4 * components (but for f32) + the id + payload
//! ```
//! Where `walk_dimension` is set, it takes the place of the components in a code. At degree 32, under cosine or the
//! inner product, in bytes a row, hot and on disk:
//!
//! | components | bit1 hot | bit1 disk | int4 hot | int4 disk | int8 hot | int8 disk | f16 hot | f16 disk | f32 hot | f32 disk |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | 384 | 200 | 1,736 | 324 | 1,912 | 524 | 2,112 | 900 | 2,488 | 1,664 | 1,664 |
//! | 768 | 264 | 3,336 | 516 | 3,688 | 908 | 4,080 | 1,668 | 4,840 | 3,200 | 3,200 |
//! | 1,024 | 264 | 4,360 | 644 | 4,872 | 1,164 | 5,392 | 2,180 | 6,408 | 4,224 | 4,224 |
//! | 1,536 | 328 | 6,472 | 900 | 7,240 | 1,676 | 8,016 | 3,204 | 9,544 | 6,272 | 6,272 |
//!
//! A million rows of 768 components so take half a gigabyte of memory and 3.7 gigabytes of disk by default. Rows that
//! were written last are in memory whole, vectors, int8 codes and links, until their segment is sealed
//! ([`DbOptions::seal_rows`](crate::DbOptions::seal_rows)); all of them together are bounded by
//! [`DbOptions::growing_bytes_max`](crate::DbOptions::growing_bytes_max).
//!
//! Searches whose filter leaves thousands of rows, but hardly any near the query, compare sketches, a bit a component, of
//! all that it leaves: where such filters are usual, sketches should be in memory as well.
//!
//! A field that is filtered by takes eight to 24 bytes a row of memory besides, from the first such filter on, and at
//! most [`DbOptions::filter_cache_bytes`](crate::DbOptions::filter_cache_bytes) a segment for conditions that come again, 4 MiB by default.
//!
//! # Segments
//! Rows are written to the log and to memory, and a write returns when the log is on disk. The rows are found from then on:
//! a thread of the database makes them nodes of a graph, thousands a second, and until it has come to a row, searches
//! compare with it. At [`DbOptions::seal_rows`](crate::DbOptions::seal_rows) the rows in memory become a sealed segment, a
//! file with a graph of its own.
//!
//! A search looks into every segment, so two of them cost nearly twice as much as one of all rows. They are merged by
//! themselves: small ones into the large one when they have a quarter of its rows, and all of them soon after the last write,
//! as long as the rows have not been rewritten too often. A merge goes on with the graph of the largest. After a bulk load
//! [`Db::compact`](crate::Db::compact) does the same at once and says when it is done. No segment becomes larger than two
//! million rows. What a collection has now, [`CollectionInfo`](crate::CollectionInfo) says.
//!
//! Deleted rows are left out of searches at once, and out of the graph when a fifth of a growing segment or 30 % of a sealed
//! one has died.
//!
//! # What to choose
//! | you | set |
//! |---|---|
//! | fill a prompt with the 10 to 100 nearest of up to millions of chunks | nothing |
//! | have less than some thousand rows | nothing: they are compared one by one |
//! | miss rows, by measurement | `ef` of 4 `k`, then 8 `k` |
//! | want the last per mille of recall | `ef` of 400 and more, `ef_construction` of 400 |
//! | want every answer to be right, and have time | [`exact`](crate::SearchRequest::exact) |
//! | want speed, and 0.95 of the rows will do | `ef` of 32 for 10 results |
//! | filter | nothing: a filter never costs results, and how to search under it is chosen by how many rows pass |
//! | want all rows above a score, not the nearest few | [`RangeRequest`](crate::RangeRequest) |
//! | have many queries at once | [`Collection::search_batch`](crate::Collection::search_batch) |
//! | must answer within a time | [`SearchRequest::budget`](crate::SearchRequest::budget) |
//! | have a model whose vectors may be cut | `walk_dimension` of 256 to 512, and measure |
//! | have vectors of less than 100 components | int8 |
//! | run short of memory | bit1, with `ef` half as large again; then `degree` of 16 or `walk_dimension` |
//! | build often and search rarely | `ef_construction` of 100 |
//!
//! # Measuring recall on your own data
//! Search with queries as they will come, not with rows of the collection: a row finds itself easily. A few hundred
//! are enough to tell 0.95 from 0.98. [`exact`](crate::SearchRequest::exact) gives the truth.
//!
//! ```
//! use ragstone::{Collection, Result, SearchRequest};
//!
//! /// The share of the `k` true nearest rows that walks of width `ef` find.
//! fn recall(collection: &Collection, queries: &[Vec<f32>], k: usize, ef: usize) -> Result<f64> {
//!     // All searches on one state, whatever is written meanwhile.
//!     let view = collection.view();
//!     let (mut found, mut wanted) = (0, 0);
//!     for query in queries {
//!         let request = SearchRequest::new(query.clone(), k).ef(ef);
//!         let truth = view.search(&request.clone().exact())?.hits;
//!         let hits = view.search(&request)?.hits;
//!         wanted += truth.len();
//!         found += truth.iter().filter(|row| hits.iter().any(|hit| hit.id == row.id)).count();
//!     }
//!     Ok(found as f64 / wanted.max(1) as f64)
//! }
//! # use ragstone::{Db, Point, Schema};
//! # let directory = tempfile::tempdir()?;
//! # let db = Db::open(directory.path())?;
//! # let chunks = db.create_collection("chunks", Schema::new(16)?)?;
//! # // A linear congruential generator (Knuth, The Art of Computer Programming 2, 3.3.4): any rows will do.
//! # let mut state = 1_u64;
//! # let mut vector = || -> Vec<f32> {
//! #     let mut component = || {
//! #         state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
//! #         (state >> 40) as f32 / (1 << 23) as f32 - 1.0
//! #     };
//! #     (0..16).map(|_| component()).collect()
//! # };
//! # chunks.upsert((0..3_000).map(|id| Point::new(id, vector())).collect())?;
//! # let queries: Vec<Vec<f32>> = (0..50).map(|_| vector()).collect();
//!
//! for ef in [16, 32, 64, 128] {
//!     println!("ef {ef}: recall@10 {:.3}", recall(&chunks, &queries, 10, ef)?);
//! }
//! # assert!(recall(&chunks, &queries, 10, 64)? > 0.9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits of what recall says
//! It is an average. A query unlike all rows is harder than one in their midst, and recall@100 at the same `ef` is lower
//! than recall@10. It says nothing about whether the nearest vectors are the right passages: that is the embedding model's.

#[cfg(test)]
mod tests {
    use crate::EncodingKind::{Bit1, F16, F32, Int4, Int8};
    use crate::search::default_ef;
    use crate::vectors::Encodings;
    use crate::{DenseOptions, GraphOptions};

    /// 12345 as 12,345.
    fn grouped(number: usize) -> String {
        match number {
            0..1_000 => number.to_string(),
            _ => format!("{},{:03}", number / 1_000, number % 1_000),
        }
    }

    #[test]
    fn the_table_of_memory_is_what_the_encodings_take() {
        let text = include_str!("guide.rs");
        for components in [384, 768, 1_024, 1_536] {
            let mut row = format!("//! | {} |", grouped(components));
            for encoding in [Bit1, Int4, Int8, F16, F32] {
                let options = DenseOptions::new(components).encoding(encoding);
                let encodings = Encodings::new(&options);
                let codec = encodings.sealed.codec();
                let vector = components * 4;
                let code =
                    codec.as_ref().map_or(vector, |codec| codec.layout().bytes + codec.layout().factors * 4);
                let hot = code + 4 * GraphOptions::default().degree;
                let sketch = encodings.sketcher.as_ref().map_or(0, |sketcher| sketcher.row_bytes());
                let disk = hot + sketch + if codec.is_some() { vector } else { 0 };
                row += &format!(" {} | {} |", grouped(hot), grouped(disk));
            }
            assert!(text.lines().any(|line| line == row), "the table has no row {row}");
        }
    }

    #[test]
    fn the_table_of_settings_has_the_defaults() {
        let text = include_str!("guide.rs");
        let row_of =
            |name: &str| text.lines().find(|line| line.starts_with(&format!("//! | `{name}` |"))).unwrap();
        let graph = GraphOptions::default();
        let widths = format!("| {} for `k` = 10, {} for 100 |", default_ef(10), default_ef(100));
        assert!(row_of("ef").contains(&widths));
        assert!(row_of("degree").contains(&format!("| {} (M = {}) |", graph.degree, graph.degree / 2)));
        assert!(row_of("ef_construction").contains(&format!("| {} |", graph.ef_construction)));
    }
}
