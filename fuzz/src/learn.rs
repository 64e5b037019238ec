//! Images and labels, and what is read off an image.

use ottoscope_learn::forge::Forge;
use ottoscope_learn::idx;
use ottoscope_learn::layers::Layout;
use ottoscope_learn::masks::{Field, Mask, Masks, fields};

/// The bytes are an IDX file, and a sample whose layers are read off it.
pub fn idx(mut data: &[u8]) {
    let mut rest = data;
    if let Ok(images) = idx::images(&mut rest) {
        assert_eq!(images.bytes.len(), data.len() - 16);
        assert!(images.width() > 0 && images.bytes.len() % images.width() == 0);
    }
    rest = data;
    if let Ok(labels) = idx::labels(&mut rest) {
        assert_eq!(labels.len(), data.len() - 8);
    }
    data = &data[..data.len().min(784)];
    let layout = Layout::of_image(data);
    let before = fields(data, &layout);
    assert!(layout.filled(data.len()) <= data.len());
    for mask in Mask::ALL {
        let mut masked = data.to_vec();
        let (kept, moved) = Masks([mask].into()).apply(&mut masked, &layout);
        assert!(kept <= data.len() && moved.packets.len() == layout.packets.len());
        if !mask.cuts() {
            for (at, field) in before.iter().enumerate() {
                assert!(mask.covers(*field) || masked[at] == data[at]);
            }
        }
    }
    let mut forged = data.to_vec();
    Forge::all(1).sample(&mut forged, &layout);
    for (at, field) in before.iter().enumerate() {
        let payload = matches!(field, Field::Payload | Field::StunId | Field::Padding);
        assert!(!payload || forged[at] == data[at], "{at}");
    }
}
