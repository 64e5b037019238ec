use super::*;
use ottoscope_wire::vp8::Extent;
use proptest::prelude::*;

/// Number, frame, bytes.
type Sent = (i64, u64, Vec<u8>);

/// A frame of this many bytes, each of its own number.
fn coded(key: bool, len: usize, fill: u8) -> Vec<u8> {
    let tag = Tag { key, version: 0, shown: true, first_partition: 1 };
    let extent = |pixels| Extent { pixels, scale: 0 };
    let mut data = Vec::new();
    Header { tag, size: key.then(|| (extent(64), extent(48))) }.emit(&mut data);
    data.resize(len.max(11), fill);
    data
}

/// Pieces of frames that are all of `per` pieces, the first a key frame.
fn pieces(frames: u64, per: usize) -> Vec<Sent> {
    let mut pieces = Vec::new();
    for frame in 0..frames {
        for part in coded(frame % 10 == 0, 20 * per, frame as u8).chunks(20) {
            pieces.push((pieces.len() as i64, frame, part.to_vec()));
        }
    }
    pieces
}

/// What comes out of these pieces.
fn assembled(
    pieces: &[Sent],
    place: impl Fn(i64) -> Place,
    disposable: Option<u64>,
    options: Options,
) -> Vec<Frame> {
    let mut assembler = Assembler::new(options);
    let mut frames = Vec::new();
    for (number, frame, data) in pieces {
        let piece = Piece {
            at: Timestamp(number * 1_000_000),
            number: *number,
            frame: *frame,
            ticks: *frame as i64,
            place: place(*number),
            open: false,
            disposable: disposable == Some(*frame),
            data,
        };
        assembler.push(&piece, &mut |frame| frames.push(frame));
    }
    assembler.finish(&mut |frame| frames.push(frame));
    let Tally { intact, after_loss, incomplete, .. } = assembler.tally();
    assert_eq!(intact + after_loss + incomplete, frames.len() as u64);
    frames
}

/// The same: state and reason by frame.
fn told(
    pieces: &[Sent],
    place: impl Fn(i64) -> Place,
    options: Options,
) -> Vec<(i64, FrameState, Option<Reason>)> {
    let frames = assembled(pieces, place, None, options);
    frames.iter().map(|frame| (frame.ticks, frame.state, frame.reason)).collect()
}

fn by_place(number: i64) -> Place {
    Place { index: Some((number % 3) as u32), total: Some(3), ..Place::default() }
}

fn nothing(_: i64) -> Place {
    Place::default()
}

const INTACT: (FrameState, Option<Reason>) = (FrameState::Intact, None);
const TORN: (FrameState, Option<Reason>) = (FrameState::Incomplete, Some(Reason::Lost));
const BEHIND: (FrameState, Option<Reason>) = (FrameState::AfterLoss, Some(Reason::Reference));

fn without(lost: &[usize]) -> Vec<Sent> {
    let all = pieces(12, 3).into_iter().enumerate();
    all.filter(|(i, _)| !lost.contains(i)).map(|(_, piece)| piece).collect()
}

#[test]
fn a_loss_lasts_to_the_next_key_frame() {
    let check = |lost: &[usize], place: &dyn Fn(i64) -> Place, torn: &[i64]| {
        let mut frames = told(&without(lost), place, Options::default());
        frames.pop(); // whose end only a place tells
        for (n, state, reason) in frames {
            let first = torn.iter().min().unwrap();
            let expected = match n {
                _ if torn.contains(&n) => TORN,
                _ if n > *first && n < 10 => BEHIND,
                _ => INTACT,
            };
            assert_eq!((state, reason), expected, "{lost:?} frame {n}");
        }
    };
    // With places every loss is its frame's: the middle, the last, the first piece.
    check(&[10], &by_place, &[3]);
    check(&[11], &by_place, &[3]);
    check(&[12], &by_place, &[4]);
    check(&[11, 12], &by_place, &[3, 4]);
    // Without, a hole between two frames may be the first's.
    check(&[10], &nothing, &[3]);
    check(&[11], &nothing, &[3]);
    let marker = |n: i64| Place { last: Some(n % 3 == 2), ..Place::default() };
    check(&[11], &marker, &[3]);
}

#[test]
fn a_frame_that_never_came_breaks_what_follows() {
    let frames = told(&without(&[9, 10, 11]), by_place, Options::default());
    assert_eq!(frames.len(), 11);
    assert_eq!(frames[3], (4, BEHIND.0, BEHIND.1));
    assert_eq!(frames[9], (10, INTACT.0, INTACT.1));
}

#[test]
fn a_frame_that_nobody_refers_to_breaks_nothing() {
    let check = |disposable: Option<u64>, after: (FrameState, Option<Reason>)| {
        let frames = assembled(&without(&[10]), by_place, disposable, Options::default());
        let state = |n: usize| (frames[n].state, frames[n].reason);
        assert_eq!((state(3), state(4), state(10)), (TORN, after, INTACT));
    };
    check(None, BEHIND);
    check(Some(2), BEHIND);
    check(Some(3), INTACT);
}

#[test]
fn the_first_piece_may_come_late() {
    let mut late = without(&[]);
    late.swap(0, 4);
    let begun = told(&late, by_place, Options::default());
    assert_eq!(begun[0].2, Some(Reason::Edge));
    let patient = Options { start: 5, ..Options::default() };
    assert!(told(&late, by_place, patient).iter().all(|frame| frame.1 == FrameState::Intact));
}

#[test]
fn what_was_sent_is_known_between_both_ends() {
    let ends =
        |n: i64| Place { first: Some(n % 3 == 0), last: Some(n % 3 == 2), ..Place::default() };
    let frames = assembled(&without(&[10, 14]), ends, None, Options::default());
    let told = |n: usize| (frames[n].fragments, frames[n].expected);
    assert_eq!((told(2), told(3), told(4)), ((3, Some(3)), (2, Some(3)), (2, None)));
}

#[test]
fn what_waits_too_long_is_given_up() {
    let mut late = without(&[]);
    let piece = late.remove(10);
    late.insert(20, piece.clone());
    assert!(told(&late, by_place, Options::default()).iter().all(|f| f.1 == FrameState::Intact));
    let hasty = Options { reorder: 4, ..Options::default() };
    assert_eq!(told(&late, by_place, hasty)[3], (3, TORN.0, TORN.1));
    let short = Options { wait: Span(4_000_000), ..Options::default() };
    assert_eq!(told(&late, by_place, short)[3], (3, TORN.0, TORN.1));
}

#[test]
fn no_key_frame_no_picture() {
    let mut all = pieces(12, 1);
    all.remove(0);
    let frames = told(&all, nothing, Options::default());
    assert_eq!(frames[0], (0, FrameState::AfterLoss, Some(Reason::NoKey)));
    assert_eq!(frames[9], (9, INTACT.0, INTACT.1));
    // Nothing tells that the last one is whole.
    assert_eq!(frames[10], (10, FrameState::Incomplete, Some(Reason::Edge)));
}

#[test]
fn headers_that_are_none_are_told() {
    let mut all = pieces(4, 1);
    all[2].2 = vec![0xff; 30];
    let frames = told(&all, nothing, Options::default());
    assert_eq!(frames[2], (2, FrameState::Incomplete, Some(Reason::Header)));
    // A stream that never had a key frame with a header lacks those of its key frames.
    let all: Vec<_> = pieces(9, 1).into_iter().skip(1).collect();
    let mut all = [all.clone(), all].concat();
    for (n, piece) in all.iter_mut().enumerate() {
        (piece.0, piece.1) = (n as i64, n as u64);
    }
    all[8].2 = vec![0xff; 300];
    let frames = told(&all, nothing, Options::default());
    assert_eq!(frames[8].2, Some(Reason::Stripped));
}

proptest! {
    /// However pieces come, no frame comes twice, and what is called intact is what was sent.
    #[test]
    fn intact_is_what_was_sent(
        order in prop::collection::vec((0usize..60, 0u8..12), 60),
        places: bool,
    ) {
        let sent = pieces(20, 3);
        let mut come: Vec<(usize, &Sent)> = sent
            .iter()
            .enumerate()
            .filter(|(i, _)| order[*i].1 > 0)
            .map(|(i, piece)| (i + order[i].0 % 9, piece))
            .collect();
        come.sort_by_key(|(at, _)| *at);
        let mut assembler = Assembler::new(Options::default());
        let mut seen = std::collections::BTreeSet::new();
        let mut take = |frame: Frame| {
            assert!(seen.insert(frame.ticks), "twice");
            if frame.state == FrameState::Intact {
                let n = frame.data[frame.data.len() - 1];
                assert_eq!(frame.data, coded(n.is_multiple_of(10), 60, n));
            }
        };
        for (_, (number, frame, data)) in come {
            let place = if places { by_place(*number) } else { Place::default() };
            let piece = Piece {
                at: Timestamp(0),
                number: *number,
                frame: *frame,
                ticks: *frame as i64,
                place,
                open: false,
                disposable: false,
                data,
            };
            assembler.push(&piece, &mut take);
        }
        assembler.finish(&mut take);
    }
}
