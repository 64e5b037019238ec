//! Class names from where a capture lies.

use std::path::Path;

/// What names a capture's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// The file, without the endings that say its format.
    #[default]
    Capture,
    /// The folder that it lies in.
    Folder,
}

/// Endings that say a format and no class.
const ENDINGS: [&str; 8] = ["gz", "zst", "xz", "pcap", "pcapng", "cap", "ntar", "dmp"];

/// The class of a capture: `WeChat.pcap.gz` is `WeChat`. `-` where the path has no such name.
pub fn label(path: &Path, naming: Naming) -> String {
    let name = match naming {
        Naming::Capture => path.file_name(),
        Naming::Folder => path.parent().and_then(Path::file_name),
    };
    let mut name = name.map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
    if naming == Naming::Capture {
        while let Some((stem, ending)) = name.rsplit_once('.')
            && !stem.is_empty()
            && ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
        {
            name.truncate(stem.len());
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_formats_only() {
        let check = |path: &str, naming, expected: &str| {
            assert_eq!(label(Path::new(path), naming), expected, "{path}");
        };
        check("a/WeChat.pcap.gz", Naming::Capture, "WeChat");
        check("a/QQ_VPN.v2.PCAPNG", Naming::Capture, "QQ_VPN.v2");
        check("a/.pcap", Naming::Capture, ".pcap");
        check("a/Zoom/1.pcap", Naming::Folder, "Zoom");
        check("1.pcap", Naming::Folder, "-");
        check("-", Naming::Capture, "-");
    }
}
