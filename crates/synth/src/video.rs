//! Coded video to put into packets: a moving test pattern, 320 by 240 pixels.
//!
//! Made by the project's own script (`video/pattern.py`) and coded once by libvpx, since real
//! traffic is coded by it and an encoder of ours would use a fraction of the format.

/// 60 frames in IVF, a key frame every 20, coded in real time at 170 kbit/s; two partitions.
pub const PATTERN: &[u8] = include_bytes!("video/pattern.ivf");

/// 42 frames in IVF, coded in two passes: two of them are never shown and only referred to.
pub const HIDDEN: &[u8] = include_bytes!("video/hidden.ivf");

/// The frames of an IVF file of ours.
pub fn frames(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some(size) = rest.first_chunk::<4>() {
        let (frame, after) = rest[12..].split_at(u32::from_le_bytes(*size) as usize);
        frames.push(frame);
        rest = after;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_files() {
        let check = |file: &[u8], count: usize, keys: &[usize], hidden: &[usize]| {
            assert_eq!(&file[..12], b"DKIF\0\0\x20\0VP80");
            let frames = frames(file);
            assert_eq!(frames.len(), count);
            let is = |wanted: fn(u8) -> bool| -> Vec<usize> {
                (0..frames.len()).filter(|at| wanted(frames[*at][0])).collect()
            };
            assert_eq!(is(|first| first & 1 == 0), keys);
            assert_eq!(is(|first| first & 0x10 == 0), hidden);
        };
        check(PATTERN, 60, &[0, 20, 40], &[]);
        check(HIDDEN, 42, &[0, 21], &[1, 22]);
    }
}
