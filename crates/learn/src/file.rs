//! Samples in a file of tensors (safetensors): bytes, classes, features, places of layers, origins.
//!
//! IDX, which any MNIST reader opens, holds bytes and classes only. What honest evaluation needs
//! beside them would be lost, so this is what commands hand to one another.

use std::collections::HashMap;
use std::path::Path;

use crate::engine::store::{Archive, Stored, write};
use crate::layers::{Layers, Layout};
use crate::samples::Origin;
use crate::{Dataset, LearnError, Samples};

/// What the file says it is.
const KIND: &str = "samples";
/// Most samples of a file: rows are counted in 32 bits.
const MOST: usize = u32::MAX as usize;
/// Widest sample.
const WIDEST: usize = 1 << 16;
/// Numbers kept of a packet's layers.
const PLACES: usize = 8;

/// How samples were cut: what must be done again to ask a model that learned from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `session` or `flow`; `unknown` for images from elsewhere.
    pub kind: String,
    /// `all` or `payload`; `unknown` for images from elsewhere.
    pub depth: String,
    /// `honest` or `paper`.
    pub protocol: String,
    /// Packets whose sizes and gaps are features.
    pub packets: usize,
}

impl Made {
    /// Images from elsewhere: the paper's tool made most of them.
    pub fn elsewhere() -> Self {
        let unknown = || "unknown".to_owned();
        Made { kind: unknown(), depth: unknown(), protocol: "paper".to_owned(), packets: 0 }
    }
}

/// Writes samples, whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn save(samples: &Samples, made: &Made, path: &Path) -> Result<(), LearnError> {
    let data = &samples.data;
    let rows = data.len();
    let classes = serde_json::to_string(&data.classes)
        .map_err(|error| LearnError::File { path: path.to_owned(), what: error.to_string() })?;
    let said = [
        ("model", KIND.to_owned()),
        ("classes", classes),
        ("rows", rows.to_string()),
        ("width", data.width.to_string()),
        ("features", data.feature_width().to_string()),
        ("kind", made.kind.clone()),
        ("depth", made.depth.clone()),
        ("protocol", made.protocol.clone()),
        ("packets", made.packets.to_string()),
    ];
    let labels: Vec<u32> = data.labels.iter().map(|label| u32::from(*label)).collect();
    let headers: Vec<u32> = samples.layouts.iter().map(|layout| layout.header).collect();
    let packets: Vec<u32> = samples.layouts.iter().map(|l| l.packets.len() as u32).collect();
    let mut layers = Vec::with_capacity(PLACES * packets.len());
    for packet in samples.layouts.iter().flat_map(|layout| &layout.packets) {
        let Layers { record, link, network, transport, payload, trailer, end, protocol } = *packet;
        layers.extend([record, link, network, transport, payload, trailer, end, protocol.into()]);
    }
    let mut known = Vec::with_capacity(rows);
    let mut captures = Vec::with_capacity(rows);
    let mut wide: [Vec<u8>; 4] = Default::default();
    for origin in &samples.origins {
        let Origin { capture, at, tuple, hosts, tunnel } = *origin;
        captures.push(capture.unwrap_or_default());
        let values = [at.map(f64::to_bits), tuple, hosts, tunnel];
        let mut bits = u32::from(capture.is_some());
        for (place, (value, column)) in values.iter().zip(&mut wide).enumerate() {
            bits |= u32::from(value.is_some()) << (place + 1);
            column.extend(value.unwrap_or_default().to_le_bytes());
        }
        known.push(bits);
    }
    let features = data.feature_width();
    let mut tensors = vec![
        Stored::bytes("bytes", &[rows, data.width], &data.bytes),
        Stored::whole("labels", &labels),
        Stored::floats("features", &[rows, features], &data.features),
        Stored::whole("layout.header", &headers),
        Stored::whole("layout.packets", &packets),
        Stored::whole("layout.layers", &layers),
        Stored::whole("origin.known", &known),
        Stored::whole("origin.capture", &captures),
    ];
    for (name, column) in WIDE.iter().zip(&wide) {
        tensors.push(Stored::bytes(name, &[rows, 8], column));
    }
    let said: HashMap<String, String> = said.map(|(k, v)| (k.to_owned(), v)).into();
    write(path, said, &tensors)
}

/// Columns of 64 bits, in the order of the bits that say whether they are known.
const WIDE: [&str; 4] = ["origin.at", "origin.tuple", "origin.hosts", "origin.tunnel"];

/// Reads what [`save`] wrote, with distrust.
///
/// # Errors
/// When it is no such file, or its columns disagree.
pub fn load(path: &Path) -> Result<(Samples, Made), LearnError> {
    let file = Archive::read(path, KIND)?;
    let rows = file.number("rows", 0..=MOST)?;
    let width = file.number("width", 1..=WIDEST)?;
    let features = file.number("features", 0..=WIDEST)?;
    let classes: Vec<String> = serde_json::from_str(file.said("classes")?)
        .map_err(|error| file.wrong(format!("its classes: {error}")))?;
    let column = |name: &str| {
        let column = file.whole(name)?;
        if column.len() == rows {
            Ok(column)
        } else {
            Err(file.wrong(format!("`{name}` has {} rows, not {rows}", column.len())))
        }
    };
    let labels: Vec<u16> = column("labels")?
        .into_iter()
        .map(|label| u16::try_from(label).map_err(|_| file.wrong(format!("label {label}"))))
        .collect::<Result<_, _>>()?;
    let mut data = Dataset::new(file.bytes("bytes", &[rows, width])?, width, labels, classes)?;
    data.features = file.floats("features", &[rows, features])?;

    let headers = column("layout.header")?;
    let packets = column("layout.packets")?;
    let layers = file.whole("layout.layers")?;
    let (places, rest) = layers.as_chunks::<PLACES>();
    let sum: u64 = packets.iter().map(|n| u64::from(*n)).sum();
    if !rest.is_empty() || sum != places.len() as u64 {
        return Err(file.wrong(format!("layers of {} packets, not of {sum}", places.len())));
    }
    let mut places = places.iter();
    let mut layouts = Vec::with_capacity(rows);
    for (header, packets) in headers.into_iter().zip(packets) {
        let mut layout = Layout { header, packets: Vec::with_capacity(packets as usize) };
        for place in places.by_ref().take(packets as usize) {
            let [record, link, network, transport, payload, trailer, end, protocol] = *place;
            let starts = [record, link, network, transport, payload, trailer, end];
            let protocol = u8::try_from(protocol).ok().filter(|_| starts.is_sorted());
            let protocol = protocol.ok_or_else(|| file.wrong("layers out of order".to_owned()))?;
            layout.packets.push(Layers {
                record,
                link,
                network,
                transport,
                payload,
                trailer,
                end,
                protocol,
            });
        }
        layouts.push(layout);
    }

    let known = column("origin.known")?;
    let captures = column("origin.capture")?;
    let wide = WIDE.map(|name| file.bytes(name, &[rows, 8]));
    let [at, tuple, hosts, tunnel] = wide;
    let wide = [at?, tuple?, hosts?, tunnel?];
    let mut origins = Vec::with_capacity(rows);
    for row in 0..rows {
        let value = |place: usize| {
            let bytes = wide[place].as_chunks::<8>().0[row];
            (known[row] >> (place + 1) & 1 == 1).then(|| u64::from_le_bytes(bytes))
        };
        origins.push(Origin {
            capture: (known[row] & 1 == 1).then_some(captures[row]),
            at: value(0).map(f64::from_bits),
            tuple: value(1),
            hosts: value(2),
            tunnel: value(3),
        });
    }
    let made = Made {
        kind: file.said("kind")?.to_owned(),
        depth: file.said("depth")?.to_owned(),
        protocol: file.said("protocol")?.to_owned(),
        packets: file.number("packets", 0..=WIDEST)?,
    };
    Ok((Samples::new(data, layouts, origins)?, made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::toy;

    #[test]
    fn samples_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.safetensors");
        let mut samples = toy(20, 3);
        samples.origins[3] = Origin { capture: Some(7), at: Some(-1.5), ..Origin::default() };
        samples.origins[4] = Origin { tuple: Some(u64::MAX), tunnel: Some(0), ..Origin::default() };
        samples.layouts[5].packets.push(Layers { link: 1, end: 9, ..Layers::default() });
        samples.layouts[5].packets.last_mut().unwrap().network = 2;
        let layers = samples.layouts[5].packets.last_mut().unwrap();
        (layers.transport, layers.payload, layers.trailer) = (3, 4, 9);
        let made = Made { kind: "flow".to_owned(), packets: 7, ..Made::elsewhere() };
        save(&samples, &made, &path).unwrap();
        assert_eq!(load(&path).unwrap(), (samples, made));
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.safetensors");
        save(&toy(20, 3), &Made::elsewhere(), &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(load(&path).is_err(), "{cut}");
        }
        let said = b"\"rows\":\"20\"";
        let at = whole.windows(said.len()).position(|bytes| bytes == said).unwrap();
        let mut wrong = whole.clone();
        wrong[at + 8..at + 10].copy_from_slice(b"99");
        std::fs::write(&path, &wrong).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("20 rows, not 99"), "{error}");
    }
}
