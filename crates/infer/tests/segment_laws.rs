//! What holds for every way to cut, whatever the payloads are.

#![allow(clippy::unwrap_used, missing_docs)]

use ottoscope_flow::{Direction, FlowId, Timestamp, Transport};
use ottoscope_infer::kinds::Kinds;
use ottoscope_infer::samples::{FlowInfo, Sample};
use ottoscope_infer::segment::METHODS;
use ottoscope_infer::{Params, Samples};
use proptest::prelude::*;

fn samples(rows: &[(u8, bool, Vec<u8>)]) -> Samples {
    let mut samples = Samples::new();
    for flow in 0..3 {
        samples.flow(FlowInfo {
            id: FlowId(flow),
            transport: Transport::Udp,
            client: ("192.0.2.1".parse().unwrap(), 1),
            server: ("192.0.2.2".parse().unwrap(), 2),
        });
    }
    for (at, (flow, down, payload)) in rows.iter().enumerate() {
        assert!(samples.push(Sample {
            at: Timestamp(at as i64),
            flow: usize::from(flow % 3),
            direction: if *down { Direction::Down } else { Direction::Up },
            sequence: None,
            len: payload.len() as u64,
            head: payload,
        }));
    }
    samples
}

fn rows() -> impl Strategy<Value = Vec<(u8, bool, Vec<u8>)>> {
    let byte = prop_oneof![Just(0_u8), Just(0xff), 0_u8..4, any::<u8>()];
    let payload = prop::collection::vec(byte, 0..80);
    prop::collection::vec((any::<u8>(), any::<bool>(), payload), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cut_lies_inside_what_was_looked_at(
        rows in rows(),
        payload_bytes in 0_usize..80,
        window in 0_usize..30,
        votes in 0_u32..8,
        field_length in 0_usize..8,
    ) {
        let samples = samples(&rows);
        let params = Params { payload_bytes, window, votes, field_length, ..Params::default() };
        for method in METHODS {
            let cut = method.segment(&samples, &params);
            prop_assert_eq!(cut.cuts.len(), samples.len());
            for (cuts, sample) in cut.cuts.iter().zip(samples.iter()) {
                let seen = sample.head.len().min(payload_bytes);
                prop_assert!(cuts.iter().all(|at| at < seen), "{} {:?}", method.name(), cuts);
            }
            prop_assert_eq!(&cut, &method.segment(&samples, &params), "{}", method.name());
        }
    }

    #[test]
    fn every_sample_has_a_kind(rows in rows()) {
        let samples = samples(&rows);
        let kinds = Kinds::learn(&samples, &(0..samples.len()).collect::<Vec<_>>());
        prop_assert!(kinds.len() >= 1);
        for sample in samples.iter() {
            prop_assert!(kinds.kind(&sample) < kinds.len());
        }
    }
}
