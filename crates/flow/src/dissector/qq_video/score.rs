//! What speaks for a flow being QQ video, and how much.

use ottoscope_wire::{Fields, Value};

/// Packets of video that a decision needs.
pub const MIN_PACKETS: u32 = 8;
/// Weight from which a flow counts.
pub const ENOUGH: f32 = 0.75;

/// The evidence, as shares of what was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Transport, as [`ottoscope_wire::qq_video::Packet::transport`] has it.
    pub transport: &'static str,
    /// Packets of video looked at.
    pub packets: u32,
    /// Share that came from the direction's one source.
    pub same_source: f32,
    /// Share whose number is the one before plus one.
    pub next_number: f32,
    /// Share whose timestamp does not fall behind that of the number before.
    pub rising_time: f32,
    /// Frames whose first bytes and whole length were seen.
    pub frames: u32,
    /// Of these, those with a tag that VP8 frames have.
    pub sane: u32,
}

impl Score {
    /// 0 to 1: the weakest of what is asked for, since each is asked for.
    pub fn value(&self) -> f32 {
        let enough = (self.packets as f32 / MIN_PACKETS as f32).min(1.0);
        let sane = if self.sane == 0 { 0.0 } else { self.sane as f32 / self.frames as f32 };
        // Loss and reordering break the run of numbers; half of them is still no chance.
        let run = (self.next_number * 1.5).min(1.0);
        [enough, self.same_source, run, self.rising_time, (sane * 1.5).min(1.0)]
            .into_iter()
            .fold(1.0, f32::min)
    }

    /// Whether it is enough.
    pub fn is_enough(&self) -> bool {
        self.packets >= MIN_PACKETS && self.value() >= ENOUGH
    }

    /// Each piece of evidence that is there, in words.
    pub fn reasons(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.packets >= MIN_PACKETS, "packets enough"),
            (self.same_source >= ENOUGH, "one source"),
            (self.next_number * 1.5 >= ENOUGH, "numbers run on"),
            (self.rising_time >= ENOUGH, "time does not fall"),
            (self.sane > 0, "frames begin as VP8 frames do"),
        ]
        .into_iter()
        .filter_map(|(there, words)| there.then_some(words))
    }
}

impl Fields for Score {
    fn fields(&self, each: &mut dyn FnMut(&'static str, Value<'_>)) {
        let percent = |share: f32| Value::Number((share * 100.0).round() as u64);
        each("transport", Value::Text(self.transport));
        each("score_percent", percent(self.value()));
        each("packets", Value::Number(self.packets.into()));
        each("same_source_percent", percent(self.same_source));
        each("next_number_percent", percent(self.next_number));
        each("rising_time_percent", percent(self.rising_time));
        each("frames", Value::Number(self.frames.into()));
        each("sane_frames", Value::Number(self.sane.into()));
        for reason in self.reasons() {
            each("reason", Value::Text(reason));
        }
    }
}
