//! Single pictures as PNG.

use std::io::{self, Write};

use crate::picture::Picture;

/// A row of pixels, red, green and blue, of a picture in BT.601 limited range.
fn row(picture: &Picture, y: usize, out: &mut Vec<u8>) {
    let width = usize::from(picture.width);
    let chroma = y / 2 * picture.chroma_width();
    let luma = &picture.y[y * width..][..width];
    for (x, y) in luma.iter().enumerate() {
        let (u, v) = (picture.u[chroma + x / 2], picture.v[chroma + x / 2]);
        out.extend_from_slice(&rgb(*y, u, v));
    }
}

/// ITU-R BT.601-7, limited range, in eight fractional bits.
fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let y = 298 * (i32::from(y) - 16) + 128;
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u].map(|c| (c >> 8).clamp(0, 255) as u8)
}

/// Writes one picture; every chroma sample serves the up to four pixels that share it.
pub fn write(out: impl Write, picture: &Picture) -> io::Result<()> {
    let (width, height) = (picture.width.into(), picture.height.into());
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut pixels = Vec::with_capacity(3 * picture.y.len());
    (0..usize::from(picture.height)).for_each(|y| row(picture, y, &mut pixels));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_standard() {
        // Within one of the exact matrix, for every luma and some chroma.
        for y in 0..=255u8 {
            for u in (0..=255u8).step_by(17) {
                for v in (0..=255u8).step_by(17) {
                    let (l, b, r) =
                        (f64::from(y) - 16.0, f64::from(u) - 128.0, f64::from(v) - 128.0);
                    let l = l * 255.0 / 219.0;
                    let [b, r] = [b, r].map(|c| c * 255.0 / 224.0);
                    let exact = [l + 1.402 * r, l - 0.344_136 * b - 0.714_136 * r, l + 1.772 * b];
                    for (ours, exact) in rgb(y, u, v).into_iter().zip(exact) {
                        let exact = exact.clamp(0.0, 255.0);
                        assert!((f64::from(ours) - exact).abs() < 2.0, "{y} {u} {v}: {exact}");
                    }
                }
            }
        }
        assert_eq!(rgb(16, 128, 128), [0, 0, 0]);
        assert_eq!(rgb(235, 128, 128), [255, 255, 255]);
        assert_eq!(rgb(81, 90, 240), [255, 0, 0]);
    }

    #[test]
    fn odd_sizes_come_back_from_a_reader() {
        let picture = Picture {
            width: 3,
            height: 3,
            y: (0..9).map(|n| 16 + n * 20).collect(),
            u: vec![128; 4],
            v: vec![128; 4],
        };
        let mut file = Vec::new();
        write(&mut file, &picture).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (3, 3, png::ColorType::Rgb));
        let expected: Vec<u8> = picture.y.iter().flat_map(|y| rgb(*y, 128, 128)).collect();
        assert_eq!(pixels, expected);
    }
}
