//! Sealed graphs whose bytes are damaged.

use super::*;

#[test]
fn damage_is_refused_with_its_place() {
    let mut random = SplitMix64(15);
    let vectors = clustered(400, 8, Metric::L2, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let nodes: FixedBitSet = (0..400).filter(|slot| *slot != 5).collect();
    let bytes = build_of(&nodes, 400, &*encoding.growing.pair_scorer(&rows)).as_bytes().to_vec();
    assert!(open_verified(bytes.clone()).is_ok());
    let with_word = |word: usize, value: u32| {
        let mut bytes = bytes.clone();
        bytes[word * 4..][..4].copy_from_slice(&value.to_le_bytes());
        open_verified(bytes).map(|_| ()).map_err(|error| error.offset())
    };
    let list = 16 + 7 * 16;
    assert_eq!(with_word(0, 9), Err(0), "the version");
    assert_eq!(with_word(14, 1), Err(14 * 4), "a reserved word");
    assert_eq!(with_word(list, 400), Err(list * 4), "a link beyond the rows");
    assert_eq!(with_word(list, 7), Err(list * 4), "a link to itself");
    assert_eq!(with_word(list, 5), Err(list * 4), "a link to a row that is no node");
    assert_eq!(with_word(list, u32::MAX), Err((list + 1) * 4), "a link behind the end");
    assert_eq!(with_word(2, 398), Err(8), "the number of nodes");
    assert!(with_word(1, 1 << 29).is_err(), "more rows than bytes");
    assert!(open_bytes(bytes[..bytes.len() - 4].to_vec()).is_err());
    assert!(open_bytes(bytes[..40].to_vec()).is_err());
    assert!(open_bytes(Vec::new()).is_err());
    let short: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(Aligned(vec![0; 16]));
    assert_eq!(
        SealedGraph::open(short.clone(), 8..80).err(),
        Some(GraphError::Range { start: 8, end: 80, len: 64 })
    );
    assert_eq!(SealedGraph::open(short, 1..61).err(), Some(GraphError::Alignment { start: 1 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is damaged, opening fails or gives a graph that can be walked, verified or not; nothing panics, nothing
    /// hangs.
    #[test]
    fn damaged_bytes_never_panic(changes in prop::collection::vec((any::<u32>(), any::<u32>()), 1..6), cut in any::<u32>()) {
        static BYTES: std::sync::OnceLock<(Vec<u8>, Vec<Vec<f32>>)> = std::sync::OnceLock::new();
        let encoding = exact_encodings(Metric::L2);
        let (bytes, vectors) = BYTES.get_or_init(|| {
            let vectors = clustered(300, 8, Metric::L2, &mut SplitMix64(16));
            let request = BuildRequest { rows: 300, options: small(), seed: 3, stop: Closing::NEVER };
            let built = build(&request, &*encoding.growing.pair_scorer(&stored(&vectors))).unwrap();
            (built.as_bytes().to_vec(), vectors)
        });
        let mut bytes = bytes.clone();
        for (at, value) in changes {
            // Half of the changes go to the header and half of the values are small, so that some pass the
            // checks.
            let words = bytes.len() / 4;
            let word = if at % 2 == 0 { at as usize / 2 % 16 } else { at as usize % words };
            let value = if value % 2 == 0 { value % 310 } else { value };
            bytes[word * 4..][..4].copy_from_slice(&value.to_le_bytes());
        }
        if cut % 4 == 0 {
            bytes.truncate(cut as usize % bytes.len());
        }
        if let Ok(graph) = open_bytes(bytes) && graph.rows() <= vectors.len() {
            let rows = stored(vectors);
            let scorer = encoding.growing.scorer(&vectors[0], &rows);
            graph.search(&*scorer, &WalkRequest::new(400));
            let admit: FixedBitSet = (0..300).step_by(3).collect();
            let filtered = WalkRequest { admit: Some(&admit), among_admitted: true, ..WalkRequest::new(40) };
            graph.search(&*scorer, &filtered);
        }
    }
}
