//! YUV4MPEG2: raw pictures at a constant rate, which most tools read.
//!
//! The format knows no times, so that a picture is repeated for as long as nothing newer is
//! shown, and none is left out. It can't change size: the writer says so, and the caller begins
//! a new file.

use std::io::{self, Write};

use crate::picture::Picture;

/// Pictures that are held back until the rate is known.
const HELD: usize = 8;
/// Most times that a picture is repeated: an hour's gap at 30 a second would fill a disk.
const MOST_REPEATS: u64 = 900;

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the file, or will be when the rate is known.
    Yes,
    /// It has another size than the file, and was not written.
    OtherSize,
}

/// Writes one file.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Ticks in a second of the times that come with pictures.
    clock: u32,
    size: Option<(u16, u16)>,
    /// Ticks of a picture, once it is known.
    period: Option<i64>,
    held: Vec<(i64, Picture)>,
    first: i64,
    /// The next place in the file.
    slot: u64,
    last: Option<Picture>,
    pictures: u64,
}

impl<W: Write> Writer<W> {
    /// A file of pictures whose times are in units of a `clock`th of a second. Its rate is that
    /// of the two pictures closest to each other among the first few.
    pub fn new(out: W, clock: u32) -> Self {
        Writer {
            out,
            clock: clock.max(1),
            size: None,
            period: None,
            held: Vec::new(),
            first: 0,
            slot: 0,
            last: None,
            pictures: 0,
        }
    }

    /// Takes the picture that is shown from `ticks` on.
    pub fn write(&mut self, ticks: i64, picture: &Picture) -> io::Result<Written> {
        let size = (picture.width, picture.height);
        if *self.size.get_or_insert(size) != size {
            return Ok(Written::OtherSize);
        }
        if self.period.is_some() {
            self.place(ticks, picture.clone())?;
        } else {
            self.held.push((ticks, picture.clone()));
            if self.held.len() == HELD {
                self.begin()?;
            }
        }
        Ok(Written::Yes)
    }

    /// Writes what is held back; hands back where it was written to, and how many pictures, those
    /// repeated among them.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        if self.period.is_none() {
            self.begin()?;
        }
        self.repeat()?;
        self.out.flush()?;
        Ok((self.out, self.pictures))
    }

    /// Settles the rate and writes the header.
    fn begin(&mut self) -> io::Result<()> {
        let closest =
            self.held.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).filter(|d| *d > 0);
        let clock = i64::from(self.clock);
        // A picture a second to 120, 30 where there is but one picture.
        let period = closest.min().unwrap_or(clock / 30).clamp((clock / 120).max(1), clock);
        self.period = Some(period);
        let Some((width, height)) = self.size else { return Ok(()) };
        let divisor = divisor(clock, period);
        let (rate, scale) = (clock / divisor, period / divisor);
        write!(self.out, "YUV4MPEG2 W{width} H{height} F{rate}:{scale} Ip A1:1 C420jpeg\n")?;
        self.first = self.held.first().map_or(0, |(ticks, _)| *ticks);
        for (ticks, picture) in std::mem::take(&mut self.held) {
            self.place(ticks, picture)?;
        }
        Ok(())
    }

    /// Shows the last picture up to `ticks`, and this one from then on.
    fn place(&mut self, ticks: i64, picture: Picture) -> io::Result<()> {
        let period = self.period.unwrap_or(1);
        let since = ticks.saturating_sub(self.first).max(0).saturating_add(period / 2);
        let wanted = (since / period) as u64;
        if self.last.is_some() {
            let until = wanted.clamp(self.slot + 1, self.slot + MOST_REPEATS);
            // What follows a gap that was shortened goes on from its end.
            let cut = i64::try_from(wanted.saturating_sub(until)).unwrap_or(i64::MAX);
            self.first = self.first.saturating_add(cut.saturating_mul(period));
            while self.slot < until {
                self.repeat()?;
            }
        }
        self.last = Some(picture);
        Ok(())
    }

    fn repeat(&mut self) -> io::Result<()> {
        if let Some(picture) = &self.last {
            self.out.write_all(b"FRAME\n")?;
            for plane in picture.planes() {
                self.out.write_all(plane)?;
            }
            self.slot += 1;
            self.pictures += 1;
        }
        Ok(())
    }
}

fn divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: u8) -> Picture {
        Picture { width: 3, height: 1, y: vec![value; 3], u: vec![1; 2], v: vec![2; 2] }
    }

    fn check(times: &[i64], head: &str, shown: &[u8]) {
        let mut writer = Writer::new(Vec::new(), 90_000);
        for (index, ticks) in times.iter().enumerate() {
            assert_eq!(writer.write(*ticks, &picture(index as u8)).unwrap(), Written::Yes);
        }
        let (file, pictures) = writer.finish().unwrap();
        assert_eq!(pictures, shown.len() as u64);
        let line = file.iter().position(|b| *b == b'\n').unwrap();
        assert_eq!(std::str::from_utf8(&file[..line]).unwrap(), head);
        let frames = &file[line + 1..];
        assert_eq!(frames.len(), shown.len() * (6 + 7));
        for (frame, value) in frames.chunks(13).zip(shown) {
            assert_eq!(frame, [b"FRAME\n".as_slice(), &[*value; 3], &[1, 1, 2, 2]].concat());
        }
    }

    #[test]
    fn gaps_are_filled_and_no_picture_is_left_out() {
        let head = "YUV4MPEG2 W3 H1 F15:1 Ip A1:1 C420jpeg";
        check(&[0, 6000, 12_000], head, &[0, 1, 2]);
        check(&[0, 6000, 30_000, 36_000], head, &[0, 1, 1, 1, 1, 2, 3]);
        // Jitter, and a time that falls.
        check(
            &[90, 6180, 12_000, 6000, 24_100],
            "YUV4MPEG2 W3 H1 F1500:97 Ip A1:1 C420jpeg",
            &[0, 1, 2, 3, 4],
        );
        check(&[7], "YUV4MPEG2 W3 H1 F30:1 Ip A1:1 C420jpeg", &[0]);
    }

    #[test]
    fn a_long_gap_is_shortened() {
        let mut writer = Writer::new(io::sink(), 90_000);
        writer.write(0, &picture(0)).unwrap();
        writer.write(3000, &picture(1)).unwrap();
        for more in 0..9 {
            writer.write((1 << 40) + 3000 * more, &picture(2)).unwrap();
        }
        assert_eq!(writer.pictures, 1 + MOST_REPEATS + 8);
        writer.write(i64::MAX, &picture(3)).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn another_size_is_refused() {
        let mut writer = Writer::new(Vec::new(), 90_000);
        writer.write(0, &picture(0)).unwrap();
        let other = Picture { width: 1, height: 1, y: vec![0], u: vec![0], v: vec![0] };
        assert_eq!(writer.write(1, &other).unwrap(), Written::OtherSize);
    }
}
