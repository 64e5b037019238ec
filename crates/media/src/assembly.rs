//! From numbered pieces to frames of VP8, in order, each with how far it can be trusted.
//!
//! Pieces wait a little for those in front of them; then the hole is given up. A frame is
//! complete when its first and its last piece are known for what they are: by their place in
//! the frame where they carry one, or by a neighbour of another frame with no number between.
//! What refers to a frame that is not intact is not intact either, up to the next key frame.

use std::collections::BTreeMap;

use ottoscope_flow::{Span, Timestamp};
use ottoscope_wire::vp8::{Header, MAX_VERSION, START_CODE, TAG, Tag};

use crate::{Frame, FrameHeader, FrameState, Reason};

/// Most bytes of a frame; what comes on top is dropped, and the frame with it.
const MAX_FRAME: usize = 4 * 1024 * 1024;
/// Most bytes that wait for a hole to be filled.
const MAX_WAITING: usize = 2 * 1024 * 1024;

/// How pieces are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Number of the stream, for its frames.
    pub stream: u32,
    /// Pieces that wait at most for one in front of them. 0 where they come in order.
    pub reorder: usize,
    /// Pieces that wait for one in front of the stream's first. 0 where it is known to be first.
    pub start: usize,
    /// How long they wait at most, by the pieces' own times.
    pub wait: Span,
    /// Why a piece is missing, where one is.
    pub missing: Reason,
    /// Width and height for key frames that come without, pixels; `None` where none does.
    pub assume_size: Option<(u16, u16)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            stream: 0,
            reorder: 256,
            start: 0,
            wait: Span::from_seconds(2),
            missing: Reason::Lost,
            assume_size: Some((320, 240)),
        }
    }
}

/// Where a piece stands in its frame, as far as it says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Counted from 0.
    pub index: Option<u32>,
    /// Pieces of the frame.
    pub total: Option<u32>,
    /// Whether it is the first.
    pub first: Option<bool>,
    /// Whether it is the last.
    pub last: Option<bool>,
}

/// One piece of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// When it came.
    pub at: Timestamp,
    /// Rises by one from piece to piece, as it was sent.
    pub number: i64,
    /// The same for all pieces of a frame, and another for its neighbours'.
    pub frame: u64,
    /// Media time, unwrapped.
    pub ticks: i64,
    /// Where it stands.
    pub place: Place,
    /// Nothing tells that its data ends where it does.
    pub open: bool,
    /// No other frame refers to this one.
    pub disposable: bool,
    /// Coded bytes.
    pub data: &'a [u8],
}

/// A piece that waits.
#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    frame: u64,
    ticks: i64,
    place: Place,
    open: bool,
    disposable: bool,
    data: Vec<u8>,
}

/// Whether something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
    /// Only its own bytes could tell.
    Perhaps,
}

/// What frames can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum References {
    NoKey,
    Good,
    Broken,
}

/// The frame under way.
#[derive(Debug)]
struct Building {
    frame: u64,
    first: Timestamp,
    last: Timestamp,
    ticks: i64,
    fragments: u32,
    start: Known,
    /// It is the first after the beginning, so that what is missing never was there.
    edge: bool,
    /// Pieces are missing within.
    torn: bool,
    /// How many, as far as numbers tell.
    missing: u64,
    /// Index that the next piece must have.
    next_index: Option<u32>,
    total: Option<u32>,
    ends: Option<bool>,
    open: bool,
    disposable: bool,
    data: Vec<u8>,
}

/// How many frames came out, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Intact ones.
    pub intact: u64,
    /// Those whose reference is not intact.
    pub after_loss: u64,
    /// Those with holes.
    pub incomplete: u64,
    /// Key frames among all of them.
    pub key: u64,
    /// Key frames whose start code and size were put back.
    pub restored: u64,
    /// Pieces that came after their frame was given up.
    pub late: u64,
}

/// Puts pieces of one stream together.
#[derive(Debug)]
pub struct Assembler {
    options: Options,
    next: Option<i64>,
    waiting: BTreeMap<i64, Waiting>,
    waiting_bytes: usize,
    current: Option<Building>,
    references: References,
    /// Ticks of the first frame.
    origin: Option<i64>,
    size: Option<(u16, u16)>,
    /// A key frame came with its header.
    seen_key: bool,
    tally: Tally,
}

impl Assembler {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        Assembler {
            options,
            next: None,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            current: None,
            references: References::NoKey,
            origin: None,
            size: None,
            seen_key: false,
            tally: Tally::default(),
        }
    }

    /// Frames so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Size of the last key frame that said one, pixels.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size
    }

    /// Takes a piece, in order of arrival; none twice.
    pub fn push(&mut self, piece: &Piece<'_>, out: &mut dyn FnMut(Frame)) {
        if self.next.is_none() && self.options.start == 0 {
            self.next = Some(piece.number);
        }
        match self.next {
            Some(next) if piece.number < next => {
                self.tally.late += 1;
                return;
            }
            Some(next) if piece.number == next => {
                self.take(piece, 0, out);
                self.next = Some(next.saturating_add(1));
            }
            _ => self.hold(piece),
        }
        self.advance(piece.at, out);
    }

    fn hold(&mut self, piece: &Piece<'_>) {
        let Piece { at, number, frame, ticks, place, open, disposable, data } = *piece;
        self.waiting_bytes += data.len();
        let data = data.to_vec();
        let waiting = Waiting { at, frame, ticks, place, open, disposable, data };
        if let Some(old) = self.waiting.insert(number, waiting) {
            self.waiting_bytes -= old.data.len();
        }
    }

    /// The numbers begin anew: what waits will get no more.
    pub fn restart(&mut self, out: &mut dyn FnMut(Frame)) {
        self.flush(out);
        if let Some(current) = self.current.take() {
            self.close(current, Follows::Hole, out);
        }
        self.break_references();
        self.next = None;
    }

    /// The stream has ended.
    pub fn finish(&mut self, out: &mut dyn FnMut(Frame)) {
        self.flush(out);
        if let Some(current) = self.current.take() {
            self.close(current, Follows::End, out);
        }
    }

    fn break_references(&mut self) {
        if self.references == References::Good {
            self.references = References::Broken;
        }
    }

    /// Takes what waits and has nothing missing in front of it any more, or has waited enough.
    fn advance(&mut self, now: Timestamp, out: &mut dyn FnMut(Frame)) {
        while let Some(first) = self.waiting.first_entry() {
            let waited = (now - first.get().at).0 > self.options.wait.0;
            let (follows, most) = match self.next {
                Some(next) => (*first.key() <= next, self.options.reorder),
                None => (false, self.options.start),
            };
            let full = self.waiting.len() > most || self.waiting_bytes > MAX_WAITING;
            if !follows && !waited && !full {
                return;
            }
            self.take_first(out);
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(Frame)) {
        while !self.waiting.is_empty() {
            self.take_first(out);
        }
    }

    fn take_first(&mut self, out: &mut dyn FnMut(Frame)) {
        let Some((number, waiting)) = self.waiting.pop_first() else { return };
        self.waiting_bytes -= waiting.data.len();
        let gap = number.saturating_sub(self.next.unwrap_or(number)).max(0) as u64;
        let Waiting { at, frame, ticks, place, open, disposable, data } = &waiting;
        let piece = Piece {
            at: *at,
            number,
            frame: *frame,
            ticks: *ticks,
            place: *place,
            open: *open,
            disposable: *disposable,
            data,
        };
        self.take(&piece, gap, out);
        self.next = Some(number.saturating_add(1));
    }

    /// Takes the next piece in order, `gap` numbers after the one before.
    fn take(&mut self, piece: &Piece<'_>, gap: u64, out: &mut dyn FnMut(Frame)) {
        let continues = self.current.as_ref().is_some_and(|current| {
            // A first piece never continues a frame, whatever its key says.
            current.frame == piece.frame && piece.place.first != Some(true)
        });
        if continues && let Some(current) = &mut self.current {
            current.append(piece, gap);
            return;
        }
        let mut missing_tail = None;
        let follows = self.current.is_some();
        if let Some(current) = self.current.take() {
            missing_tail = current.missing_tail();
            self.close(current, Follows::Piece { gap, index: piece.place.index }, out);
        }
        if gap > 0 {
            self.break_references();
        }
        let start = match (piece.place.first, piece.place.index) {
            (Some(first), _) => {
                if first {
                    Known::Yes
                } else {
                    Known::No
                }
            }
            (None, Some(index)) => {
                if index == 0 {
                    Known::Yes
                } else {
                    Known::No
                }
            }
            _ if follows && (gap == 0 || missing_tail == Some(gap)) => Known::Yes,
            _ => Known::Perhaps,
        };
        self.current = Some(Building {
            frame: piece.frame,
            first: piece.at,
            last: piece.at,
            ticks: piece.ticks,
            fragments: 1,
            start,
            edge: !follows && gap == 0,
            torn: false,
            missing: 0,
            next_index: piece.place.index.map(|index| index.saturating_add(1)),
            total: piece.place.total,
            ends: piece.place.last,
            open: piece.open,
            disposable: piece.disposable,
            data: piece.data.to_vec(),
        });
    }

    /// A frame gets no more pieces.
    fn close(&mut self, current: Building, follows: Follows, out: &mut dyn FnMut(Frame)) {
        let mut building = current;
        let complete = self.judge(&building, follows);
        let tag = Tag::parse(&building.data).ok();
        let (state, reason) = match complete {
            Err(reason) => (FrameState::Incomplete, Some(reason)),
            Ok(()) => self.state(&mut building),
        };
        let begins = building.begins();
        let shows_header = begins && !matches!(reason, Some(Reason::Stripped | Reason::Header));
        let mut header = None;
        if let Some(tag) = tag.filter(|_| shows_header) {
            let own = Header::parse(&building.data).ok().and_then(|header| header.size);
            if let Some((width, height)) = own.filter(|_| state != FrameState::Incomplete) {
                self.size = Some((width.pixels, height.pixels));
            }
            let own = own.map(|(width, height)| (width.pixels, height.pixels));
            header = Some(FrameHeader { key: tag.key, shown: tag.shown, size: own.or(self.size) });
        }
        match state {
            FrameState::Intact => self.tally.intact += 1,
            FrameState::AfterLoss => self.tally.after_loss += 1,
            FrameState::Incomplete => self.tally.incomplete += 1,
        }
        self.tally.key += u64::from(header.is_some_and(|header| header.key));
        if state == FrameState::Incomplete && !building.disposable {
            self.break_references();
        }
        let origin = *self.origin.get_or_insert(building.ticks);
        out(Frame {
            stream: self.options.stream,
            first: building.first,
            last: building.last,
            ticks: building.ticks - origin,
            fragments: building.fragments,
            expected: match complete {
                Ok(()) => building.total.or(Some(building.fragments)),
                Err(_) => building.total.or(building.spans()),
            },
            state,
            reason,
            header,
            data: building.data,
        });
    }

    /// Whether all of it is here; if not, why.
    fn judge(&self, building: &Building, follows: Follows) -> Result<(), Reason> {
        let missing = self.options.missing;
        if building.torn || building.data.len() >= MAX_FRAME {
            return Err(missing);
        }
        if !building.begins() {
            return Err(if building.edge { Reason::Edge } else { missing });
        }
        if building.open {
            return Err(Reason::Edge);
        }
        let ended = match building.total {
            Some(total) => building.next_index.unwrap_or(building.fragments) == total,
            None => {
                building.ends == Some(true)
                    || match follows {
                        Follows::Piece { gap: 0, .. } => true,
                        // All that is missing is the next frame's.
                        Follows::Piece { gap, index } => index.map(u64::from) == Some(gap),
                        Follows::Hole | Follows::End => false,
                    }
            }
        };
        match (ended, follows) {
            (true, _) => Ok(()),
            (false, Follows::End) => Err(Reason::Edge),
            (false, _) => Err(missing),
        }
    }

    /// How far a whole frame can be trusted. Puts back a header that lacks its start code.
    fn state(&mut self, building: &mut Building) -> (FrameState, Option<Reason>) {
        let data = &mut building.data;
        let tag = Tag::parse(data).ok().filter(|tag| {
            let first = tag.first_partition as usize;
            let starts = data.get(TAG..TAG + START_CODE.len()) == Some(&START_CODE);
            let allowed = !tag.key || starts || self.options.assume_size.is_some();
            tag.version <= MAX_VERSION && first > 0 && TAG + first <= data.len() && allowed
        });
        let Some(tag) = tag else {
            // Others of the stream have headers: then this lacks all of its own.
            let may_lack = self.options.assume_size.is_some();
            let stripped = may_lack && !self.seen_key && self.origin.is_some();
            return (
                FrameState::Incomplete,
                Some(if stripped { Reason::Stripped } else { Reason::Header }),
            );
        };
        if !tag.key {
            return match self.references {
                References::Good => (FrameState::Intact, None),
                References::Broken => (FrameState::AfterLoss, Some(Reason::Reference)),
                References::NoKey => (FrameState::AfterLoss, Some(Reason::NoKey)),
            };
        }
        if data.get(TAG..TAG + START_CODE.len()) != Some(&START_CODE)
            && let Some((width, height)) = self.options.assume_size
        {
            let mut header = START_CODE.to_vec();
            header.extend(width.to_le_bytes());
            header.extend(height.to_le_bytes());
            data.splice(TAG..TAG, header);
            self.tally.restored += 1;
        }
        self.seen_key = true;
        self.references = References::Good;
        (FrameState::Intact, None)
    }
}

/// What comes after a frame.
#[derive(Debug, Clone, Copy)]
enum Follows {
    /// A piece of another, with so many missing in between.
    Piece { gap: u64, index: Option<u32> },
    /// Nobody knows how many are missing.
    Hole,
    /// Nothing: the capture ends.
    End,
}

impl Building {
    fn append(&mut self, piece: &Piece<'_>, gap: u64) {
        let placed = match (self.next_index, piece.place.index) {
            (Some(expected), Some(index)) => expected == index,
            _ => true,
        };
        self.missing = self.missing.saturating_add(gap);
        self.torn |= gap > 0 || !placed || self.data.len() + piece.data.len() > MAX_FRAME;
        if self.data.len() + piece.data.len() <= MAX_FRAME {
            self.data.extend_from_slice(piece.data);
        }
        self.first = self.first.min(piece.at);
        self.last = self.last.max(piece.at);
        self.fragments = self.fragments.saturating_add(1);
        self.next_index = match piece.place.index {
            Some(index) => Some(index.saturating_add(1)),
            None => self.next_index.map(|index| index.saturating_add(1)),
        };
        self.total = piece.place.total.or(self.total);
        self.ends = piece.place.last;
        self.open |= piece.open;
        self.disposable |= piece.disposable;
    }

    /// Pieces that were sent, where its first and its last piece are here.
    fn spans(&self) -> Option<u32> {
        let sent = u64::from(self.fragments).saturating_add(self.missing);
        let known = self.begins() && self.ends == Some(true);
        known.then_some(sent).and_then(|sent| u32::try_from(sent).ok())
    }

    /// Pieces that must follow, where that is known.
    fn missing_tail(&self) -> Option<u64> {
        match (self.total, self.next_index) {
            (Some(total), Some(next)) => total.checked_sub(next).map(u64::from),
            _ => (self.ends == Some(true)).then_some(0),
        }
    }

    /// Whether its first piece is here.
    fn begins(&self) -> bool {
        match self.start {
            Known::Yes => true,
            Known::No => false,
            Known::Perhaps => self.may_begin(),
        }
    }

    /// Whether its own bytes are those of a frame's beginning: a key frame's, with start code
    /// or without. Only key frames matter here: another after a hole is not intact anyway.
    fn may_begin(&self) -> bool {
        let Ok(tag) = Tag::parse(&self.data) else { return false };
        let first = tag.first_partition as usize;
        tag.version <= MAX_VERSION
            && tag.shown
            && first > 0
            && TAG + first <= self.data.len()
            && (!tag.key || self.edge || Header::parse(&self.data).is_ok())
    }
}

#[cfg(test)]
mod tests;
