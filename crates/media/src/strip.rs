//! What a player page shows beside a video: a strip of what was lost when, and its frames.
//!
//! Data only: the page belongs to the program. Times are milliseconds from the first frame of
//! the stream; names of states and reasons are those of the tables.

use serde_json::{Value, json};

use crate::frame::{Frame, FrameState};

/// Most frames that are listed one by one; those beyond are counted.
pub const LISTED: usize = 20_000;
/// Places of the strip.
pub const PLACES: usize = 1000;

/// Collects a stream's frames for its page.
#[derive(Debug, Clone)]
pub struct Strip {
    clock: u32,
    rows: Vec<Value>,
    /// Time and state of every frame, for the strip.
    states: Vec<(i64, FrameState)>,
    counts: [u64; 3],
    keys: u64,
    hidden: u64,
    bytes: u64,
    lost: u64,
    size: Option<(u16, u16)>,
    end: i64,
}

impl Strip {
    /// For a stream whose times are in units of a `clock`th of a second.
    pub fn new(clock: u32) -> Self {
        Strip {
            clock: clock.max(1),
            rows: Vec::new(),
            states: Vec::new(),
            counts: [0; 3],
            keys: 0,
            hidden: 0,
            bytes: 0,
            lost: 0,
            size: None,
            end: 0,
        }
    }

    /// Takes the next frame.
    pub fn push(&mut self, frame: &Frame) {
        let at = self.milliseconds(frame.ticks);
        let header = frame.header;
        let lost = frame.expected.map_or(0, |expected| expected.saturating_sub(frame.fragments));
        self.counts[frame.state as usize] += 1;
        self.keys += u64::from(header.is_some_and(|header| header.key));
        self.hidden += u64::from(header.is_some_and(|header| !header.shown));
        self.bytes += frame.data.len() as u64;
        self.lost += u64::from(lost);
        self.size = self.size.or(header.and_then(|header| header.size));
        self.end = self.end.max(at);
        self.states.push((at, frame.state));
        if self.rows.len() < LISTED {
            self.rows.push(json!([
                at,
                header.map(|header| u8::from(header.key)),
                header.map(|header| u8::from(header.shown)),
                frame.data.len(),
                frame.fragments,
                frame.expected,
                frame.state.name(),
                frame.reason.map(|reason| reason.name()),
            ]));
        }
    }

    fn milliseconds(&self, ticks: i64) -> i64 {
        (i128::from(ticks) * 1000 / i128::from(self.clock)) as i64
    }

    /// Frames of each state by place: `[intact, after_loss, incomplete]`.
    fn places(&self) -> Vec<[u32; 3]> {
        let count = PLACES.min(self.states.len()).max(1);
        let mut places = vec![[0; 3]; count];
        let span = i128::from(self.end) + 1;
        for (at, state) in &self.states {
            let place = (i128::from((*at).max(0)) * count as i128 / span) as usize;
            places[place.min(count - 1)][*state as usize] += 1;
        }
        places
    }

    /// The page's data. `video` is where the page finds the WebM, none where there is none;
    /// `start` is the time of its first frame, in ticks ([`crate::extract::Report::start`]).
    pub fn json(&self, title: &str, video: Option<&str>, start: Option<i64>) -> Value {
        let [intact, after_loss, incomplete] = self.counts;
        json!({
            "title": title,
            "video": video,
            "start": start.map_or(0, |ticks| self.milliseconds(ticks)),
            "end": self.end,
            "size": self.size.map(|(width, height)| [width, height]),
            "frames": self.states.len(),
            "intact": intact,
            "after_loss": after_loss,
            "incomplete": incomplete,
            "key": self.keys,
            "hidden": self.hidden,
            "bytes": self.bytes,
            "lost_packets": self.lost,
            "strip": self.places(),
            "columns": ["time", "key", "shown", "bytes", "packets", "sent", "state", "reason"],
            "rows": self.rows,
        })
    }
}

/// Where a template wants the data.
pub const PLACEHOLDER: &str = "{{data}}";

/// The page of a template: the data within a script element, so that no text in it ends that.
pub fn page(template: &str, data: &Value) -> String {
    let safe = data.to_string().replace('<', "\\u003c");
    template.replacen(PLACEHOLDER, &safe, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameHeader, Reason};
    use ottoscope_flow::Timestamp;

    fn frame(ticks: i64, state: FrameState, reason: Option<Reason>) -> Frame {
        Frame {
            stream: 0,
            first: Timestamp(0),
            last: Timestamp(0),
            ticks,
            fragments: 2,
            expected: Some(3),
            state,
            reason,
            header: Some(FrameHeader { key: ticks == 0, shown: true, size: Some((320, 240)) }),
            data: vec![0; 10],
        }
    }

    #[test]
    fn counts_rows_and_places() {
        let mut strip = Strip::new(90_000);
        strip.push(&frame(0, FrameState::Intact, None));
        strip.push(&frame(90_000, FrameState::Incomplete, Some(Reason::Lost)));
        strip.push(&frame(180_000, FrameState::AfterLoss, Some(Reason::Reference)));
        let data = strip.json("a </script> call", Some("call.webm"), Some(90_000));
        assert_eq!(data["start"], 1000);
        assert_eq!(data["end"], 2000);
        assert_eq!(
            (&data["intact"], &data["lost_packets"], &data["key"]),
            (&json!(1), &json!(3), &json!(1))
        );
        assert_eq!(data["strip"], json!([[1, 0, 0], [0, 0, 1], [0, 1, 0]]));
        assert_eq!(data["rows"][1], json!([1000, 0, 1, 10, 2, 3, "incomplete", "lost"]));
        let page = page("<script>{{data}}</script>", &data);
        assert_eq!(page.matches("</script>").count(), 1);
    }

    #[test]
    fn long_streams_are_listed_in_part_and_drawn_whole() {
        let mut strip = Strip::new(90_000);
        for n in 0..LISTED as i64 + 5 {
            strip.push(&frame(n * 3000, FrameState::Intact, None));
        }
        let data = strip.json("", None, None);
        assert_eq!(data["rows"].as_array().unwrap().len(), LISTED);
        let places = data["strip"].as_array().unwrap();
        assert_eq!(places.len(), PLACES);
        let all: u64 = places.iter().map(|place| place[0].as_u64().unwrap()).sum();
        assert_eq!(all, LISTED as u64 + 5);
    }

    #[test]
    fn nothing_and_odd_times_are_drawn() {
        Strip::new(0).json("", None, None);
        let mut strip = Strip::new(1);
        for ticks in [i64::MIN, i64::MAX, -1, 0] {
            strip.push(&frame(ticks, FrameState::Intact, None));
        }
        strip.json("", None, None);
    }
}
