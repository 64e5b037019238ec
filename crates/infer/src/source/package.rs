//! App packages: zip archives with dex files, and packages of packages.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::Search;

/// Largest entry that is read, bytes unpacked; dex files end at 64 Ki methods, some 20 MB.
const MOST_ENTRY: u64 = 128 << 20;
/// Bytes unpacked in all.
const MOST_TOTAL: u64 = 1 << 30;
/// Entries looked at.
const MOST_ENTRIES: usize = 1 << 18;
/// Packages within packages.
const MOST_DEPTH: usize = 2;

pub(super) fn read(path: &str, bytes: &[u8], search: &mut Search) {
    let mut room = MOST_TOTAL;
    archive(path, bytes, 0, &mut room, search);
}

fn archive(path: &str, bytes: &[u8], depth: usize, room: &mut u64, search: &mut Search) {
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => return search.fault(path, format!("is no app package: {error}")),
    };
    if archive.len() > MOST_ENTRIES {
        search.fault(path, "has more entries than are looked at");
    }
    for index in 0..archive.len().min(MOST_ENTRIES) {
        let entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                search.fault(path, format!("has an entry that cannot be read: {error}"));
                continue;
            }
        };
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let nested = matches!(extension, "apk" | "apks" | "xapk" | "jar");
        // Compiled XML, pictures and libraries hold no text.
        let script = matches!(extension, "js" | "json" | "html" | "smali" | "java" | "kt" | "lua");
        if entry.is_dir() || !(extension == "dex" || nested || script) {
            continue;
        }
        let within = format!("{path}!{name}");
        if nested && depth >= MOST_DEPTH {
            search.fault(&within, "is a package too deep within packages");
            continue;
        }
        let limit = MOST_ENTRY.min(*room);
        let mut unpacked = Vec::new();
        // The size that the archive states is not believed.
        let result = entry.take(limit + 1).read_to_end(&mut unpacked);
        *room = room.saturating_sub(unpacked.len() as u64);
        if let Err(error) = result {
            search.fault(&within, format!("cannot be unpacked: {error}"));
            continue;
        }
        if unpacked.len() as u64 > limit {
            search.fault(&within, "is larger than what is unpacked");
            continue;
        }
        if nested {
            self::archive(&within, &unpacked, depth + 1, room, search);
        } else if script {
            search.text(&within, &String::from_utf8_lossy(&unpacked));
        } else {
            search.dex(&within, &unpacked);
        }
    }
}
