//! Labelled samples with the places of their layers and where they come from.

use std::collections::HashMap;

use crate::layers::{Layers, Layout, be32};
use crate::masks::Masks;
use crate::{Dataset, LearnError};

/// Where a sample comes from. Numbers mean nothing but that equal ones are equal.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Origin {
    /// The capture.
    pub capture: Option<u32>,
    /// When it began, seconds since 1970.
    pub at: Option<f64>,
    /// 5-tuple, whatever its direction.
    pub tuple: Option<u64>,
    /// Pair of hosts.
    pub hosts: Option<u64>,
    /// Tunnel; none where there was none, too.
    pub tunnel: Option<u64>,
}

/// Samples as they were cut. Columns are parallel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// Bytes, classes and features.
    pub data: Dataset,
    /// Layers of each sample.
    pub layouts: Vec<Layout>,
    /// Where each comes from.
    pub origins: Vec<Origin>,
}

/// Packets whose sizes and gaps are read off an image.
pub const PACKETS: usize = 32;

impl Samples {
    /// Samples with what is known of them.
    ///
    /// # Errors
    /// When the columns' lengths disagree, or a feature is not a number.
    pub fn new(
        data: Dataset,
        layouts: Vec<Layout>,
        origins: Vec<Origin>,
    ) -> Result<Self, LearnError> {
        if layouts.len() != data.len() || origins.len() != data.len() {
            return Err(LearnError::Unfit(format!(
                "{} samples, but {} layouts and {} origins",
                data.len(),
                layouts.len(),
                origins.len()
            )));
        }
        check_features(&data)?;
        Ok(Samples { data, layouts, origins })
    }

    /// Samples from images: layers, features and origins as far as the images themselves tell.
    ///
    /// # Errors
    /// When a feature that came with the images is not a number.
    pub fn of_images(mut data: Dataset) -> Result<Self, LearnError> {
        let layouts: Vec<Layout> =
            (0..data.len()).map(|row| Layout::of_image(data.sample(row))).collect();
        let origins = layouts
            .iter()
            .enumerate()
            .map(|(row, layout)| origin(data.sample(row), layout))
            .collect();
        if data.features.is_empty() && layouts.iter().any(|layout| layout.header > 0) {
            let mut features = Vec::with_capacity(data.len() * 2 * PACKETS);
            for (row, layout) in layouts.iter().enumerate() {
                features.extend(exchange(data.sample(row), layout));
            }
            data.features = features;
        }
        Samples::new(data, layouts, origins)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// These samples only, in this order, as if there were no others.
    #[must_use]
    pub fn only(&self, rows: &[u32]) -> Samples {
        let width = self.data.width;
        let features = self.data.feature_width();
        let mut data = Dataset { width, classes: self.data.classes.clone(), ..Dataset::default() };
        let pick = |row: &u32| *row as usize;
        for row in rows.iter().map(pick) {
            data.bytes.extend_from_slice(self.data.sample(row));
            data.labels.push(self.data.labels[row]);
            data.features
                .extend_from_slice(&self.data.features[row * features..(row + 1) * features]);
            if let Some(group) = self.data.groups.get(row) {
                data.groups.push(*group);
            }
        }
        Samples {
            data,
            layouts: rows.iter().map(pick).map(|row| self.layouts[row].clone()).collect(),
            origins: rows.iter().map(pick).map(|row| self.origins[row]).collect(),
        }
    }

    /// The same samples with bytes hidden. Where bytes are cut out, what a sample has left of its
    /// width would still tell how long its headers were: all are cut to what the shortest of
    /// those has left that filled their width. Gives that number of bytes, too.
    pub fn masked(&self, masks: &Masks) -> (Samples, usize) {
        let (masked, shortest) = self.hidden(masks);
        (masked.cut(shortest), shortest)
    }

    /// The same for a model that was trained on samples of which `left` bytes were left.
    #[must_use]
    pub fn masked_to(&self, masks: &Masks, left: usize) -> Samples {
        self.hidden(masks).0.cut(left)
    }

    /// With bytes hidden, and what the shortest full sample has left.
    fn hidden(&self, masks: &Masks) -> (Samples, usize) {
        let mut masked = self.clone();
        let width = self.data.width;
        let mut shortest = width;
        for (row, sample) in masked.data.bytes.chunks_exact_mut(width.max(1)).enumerate() {
            let full = self.layouts[row].filled(width) == width;
            let (kept, layout) = masks.apply(sample, &self.layouts[row]);
            if full {
                shortest = shortest.min(kept);
            }
            masked.layouts[row] = layout;
        }
        (masked, shortest)
    }

    /// With zeros behind the first `left` bytes of each sample.
    fn cut(mut self, left: usize) -> Samples {
        let width = self.data.width;
        for sample in self.data.bytes.chunks_exact_mut(width.max(1)) {
            sample[left.min(width)..].fill(0);
        }
        self
    }

    /// The same samples under other classes: `class` says which, or none to leave a sample out.
    pub fn relabelled(
        &self,
        classes: Vec<String>,
        class: impl Fn(u16) -> Option<u16>,
    ) -> Result<Samples, LearnError> {
        let rows: Vec<u32> = (0..self.len() as u32)
            .filter(|row| class(self.data.labels[*row as usize]).is_some())
            .collect();
        let mut samples = self.only(&rows);
        samples.data.labels =
            samples.data.labels.iter().filter_map(|label| class(*label)).collect();
        let beyond = samples.data.labels.iter().find(|label| usize::from(**label) >= classes.len());
        if let Some(label) = beyond {
            return Err(LearnError::Label { label: *label, classes: classes.len() });
        }
        samples.data.classes = classes;
        Ok(samples)
    }

    /// Samples of two sets as one; classes keep their names, those of both sets are one.
    ///
    /// # Errors
    /// When their widths or features differ.
    pub fn joined(mut self, other: Samples) -> Result<Samples, LearnError> {
        if self.is_empty() {
            return Ok(other);
        }
        let same = self.data.width == other.data.width
            && self.data.feature_width() == other.data.feature_width();
        if !same && !other.is_empty() {
            return Err(LearnError::Unfit(format!(
                "samples of {} bytes and {} features can't be joined with those of {} and {}",
                self.data.width,
                self.data.feature_width(),
                other.data.width,
                other.data.feature_width()
            )));
        }
        let mut names: HashMap<String, u16> = self.data.classes.iter().cloned().zip(0..).collect();
        let classes: Vec<u16> = other
            .data
            .classes
            .iter()
            .map(|name| {
                let next = names.len() as u16;
                *names.entry(name.clone()).or_insert_with(|| {
                    self.data.classes.push(name.clone());
                    next
                })
            })
            .collect();
        self.data.bytes.extend_from_slice(&other.data.bytes);
        self.data.features.extend_from_slice(&other.data.features);
        self.data.labels.extend(other.data.labels.iter().map(|label| classes[usize::from(*label)]));
        self.data.groups.clear(); // two sets' numbers do not mean the same
        self.layouts.extend(other.layouts);
        self.origins.extend(other.origins);
        Ok(self)
    }
}

/// Every feature must be a number.
pub(crate) fn check_features(data: &Dataset) -> Result<(), LearnError> {
    let width = data.feature_width();
    match data.features.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LearnError::Feature {
            row: at / width.max(1),
            feature: at % width.max(1),
            value: data.features[at],
        }),
        None => Ok(()),
    }
}

/// FNV-1a: numbers that are the same in every run.
fn number(parts: &[&[u8]]) -> u64 {
    parts.iter().flat_map(|part| part.iter()).fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Source and destination of a packet, as bytes of the sample.
pub(crate) fn ends<'a>(sample: &'a [u8], layers: &Layers) -> Option<[&'a [u8]; 2]> {
    let network = layers.network as usize;
    if layers.network >= layers.transport {
        return None;
    }
    match sample.get(network)? >> 4 {
        4 => {
            Some([sample.get(network + 12..network + 16)?, sample.get(network + 16..network + 20)?])
        }
        6 => {
            Some([sample.get(network + 8..network + 24)?, sample.get(network + 24..network + 40)?])
        }
        _ => None,
    }
}

/// What the first packet of an image tells.
fn origin(sample: &[u8], layout: &Layout) -> Origin {
    let Some(first) = layout.packets.first().filter(|_| layout.header > 0) else {
        return Origin::default();
    };
    let at = first.record as usize;
    let time = be32(sample, at).zip(be32(sample, at + 4));
    let mut origin = Origin {
        at: time.map(|(seconds, micros)| f64::from(seconds) + f64::from(micros) / 1e6),
        ..Origin::default()
    };
    if let Some([mut a, mut b]) = ends(sample, first) {
        let ports = first.transport as usize;
        let ports = sample.get(ports..ports + 4).filter(|_| first.payload > first.transport);
        let [mut from, mut to] = ports.map_or([&[][..]; 2], |ports| [&ports[..2], &ports[2..]]);
        if (a, from) > (b, to) {
            std::mem::swap(&mut a, &mut b);
            std::mem::swap(&mut from, &mut to);
        }
        origin.tuple = Some(number(&[a, b, from, to, &[first.protocol]]));
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        origin.hosts = Some(number(&[a, b]));
    }
    origin
}

/// Sizes with direction and gaps of the first packets with payload, as an image tells them: the
/// record headers' lengths and times, the IP headers' addresses.
fn exchange(sample: &[u8], layout: &Layout) -> Vec<f32> {
    let mut features = vec![0.0; 2 * PACKETS];
    let mut sender: Option<&[u8]> = None;
    let mut before = None;
    let mut number = 0;
    for layers in &layout.packets {
        let Some([from, _]) = ends(sample, layers) else { continue };
        let sender = *sender.get_or_insert(from);
        let size = layers.trailer.saturating_sub(layers.payload);
        if size == 0 || number == PACKETS {
            continue;
        }
        let at = layers.record as usize;
        let time = be32(sample, at).zip(be32(sample, at + 4));
        let time = time.map(|(seconds, micros)| f64::from(seconds) + f64::from(micros) / 1e6);
        features[number] = if from == sender { size as f32 } else { -(size as f32) };
        if let (Some(time), Some(before)) = (time, before) {
            features[PACKETS + number] = (time - before) as f32;
        }
        before = time.or(before);
        number += 1;
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::image;
    use crate::masks::Mask;

    fn two() -> Samples {
        let bytes = [image(false, [b"hello", b"you"]), image(true, [b"hello", b"you"])].concat();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        Samples::of_images(Dataset::new(bytes, 784, vec![0, 1], classes).unwrap()).unwrap()
    }

    #[test]
    fn an_image_tells_its_exchange() {
        let samples = two();
        assert_eq!(samples.data.feature_width(), 64);
        assert_eq!(samples.data.features[..3], [5.0, -3.0, 0.0]);
        assert_eq!(samples.data.features[32..35], [0.0, 1.0, 0.0]);
        assert_eq!(samples.origins[0], samples.origins[1]);
        assert!(samples.origins[0].tuple.is_some() && samples.origins[0].capture.is_none());
        assert_eq!(samples.origins[0].at, Some(f64::from(0x551c_1c1c) + 73_728.0 / 1e6));
    }

    #[test]
    fn what_masks_leave_tells_nothing_of_the_headers() {
        // Both images are filled to the end by a large packet; one has a link header.
        let large = [7; 900];
        let bytes =
            [false, true].map(|raw| image(raw, [&large, b""])).map(|image| image[..784].to_vec());
        let data = Dataset::new(bytes.concat(), 784, vec![0, 0], vec!["a".to_owned()]).unwrap();
        let samples = Samples::of_images(data).unwrap();
        let (masked, width) = samples.masked(&Masks([Mask::CaptureHeader, Mask::Link].into()));
        assert_eq!(width, 784 - 54);
        assert_eq!(masked.data.sample(0), masked.data.sample(1));
        assert_eq!(masked.data.sample(0)[width..], [0; 54]);
        let again = samples.masked_to(&Masks([Mask::CaptureHeader, Mask::Link].into()), 700);
        assert_eq!(again.data.sample(1)[..700], masked.data.sample(1)[..700]);
        assert_eq!(again.data.sample(1)[700..], [0; 84]);
    }

    #[test]
    fn classes_are_joined_by_name() {
        let other =
            two().relabelled(vec!["c".into(), "a".into()], |class| Some(1 - class)).unwrap();
        let both = two().joined(other).unwrap();
        assert_eq!(both.data.classes, ["a", "b", "c"]);
        assert_eq!(both.data.labels, [0, 1, 0, 2]);
        assert_eq!(both.only(&[3]).data.labels, [2]);
        let left = both.relabelled(vec!["x".into()], |class| (class == 2).then_some(0)).unwrap();
        assert_eq!((left.len(), left.data.classes.len()), (1, 1));
    }

    #[test]
    fn features_must_be_numbers() {
        let mut samples = two();
        samples.data.features[70] = f32::NAN;
        let error = Samples::new(samples.data, samples.layouts, samples.origins).unwrap_err();
        assert_eq!(error.to_string(), "feature 6 of sample 1 is NaN");
    }
}
