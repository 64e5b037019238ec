//! The study's secret: 256 random bits from which every key is derived.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};

/// Name of the secret's file in a study.
pub const SECRET_FILE: &str = "secret.key";

/// A study's secret. It is never printed: `Debug` shows no bit of it, there is no `Display`,
/// and nothing writes it but the function that makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret of given bits, for tests and for studies that must share pseudonyms.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Secret(bytes)
    }

    /// Reads the secret of the study at `root`, or makes one on first use, readable by its
    /// owner only. The second value is a warning where others can read it.
    pub fn load_or_create(root: &Path) -> Result<(Self, Option<String>)> {
        let path = root.join(SECRET_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let bytes =
                    parse_hex(text.trim()).ok_or_else(|| StoreError::Secret(path.clone()))?;
                Ok((Secret(bytes), exposed(&path)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((Self::create(&path)?, None)),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(StoreError::Secret(path)),
            Err(e) => Err(StoreError::io("read", &path)(e)),
        }
    }

    fn create(path: &Path) -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| StoreError::Random(e.to_string()))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut text = hex(&bytes);
        text.push('\n');
        let written = options.open(path).and_then(|mut file| {
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
                // Half a secret would be refused by every later run.
                let _ = fs::remove_file(path);
            })
        });
        written.map_err(StoreError::io("create", path))?;
        Ok(Secret(bytes))
    }

    /// A key for one purpose; keys of different purposes tell nothing of each other.
    ///
    /// SHA-256 of purpose and secret: the secret is uniform and of fixed length, so that no
    /// stronger construction is needed.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"ottoscope/1/");
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(self.0);
        hash.finalize().into()
    }

    /// Key of flow ids: see [`ottoscope_flow::Config::flow_key`].
    pub fn flow_key(&self) -> [u64; 2] {
        let key = self.derive("flow-id");
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&key[i..i + 8]);
            u64::from_le_bytes(bytes)
        };
        [word(0), word(8)]
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 0xf)]).collect()
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(unix)]
fn exposed(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "`{}` can be read by others (mode {mode:03o}): whoever has it can turn pseudonyms \
             back into addresses; `chmod 600` it",
            path.display()
        )
    })
}

#[cfg(not(unix))]
fn exposed(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let (first, warning) = Secret::load_or_create(dir.path()).unwrap();
        assert_eq!(warning, None);
        let (again, warning) = Secret::load_or_create(dir.path()).unwrap();
        assert_eq!((&first, warning), (&again, None));
        let path = dir.path().join(SECRET_FILE);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 65);
        assert_eq!(format!("{first:?}"), "Secret(..)");

        let other = tempfile::tempdir().unwrap();
        assert_ne!(Secret::load_or_create(other.path()).unwrap().0, first);

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let warning = Secret::load_or_create(dir.path()).unwrap().1.unwrap();
            assert!(warning.contains("mode 644") && !warning.contains(text.trim()), "{warning}");
        }
    }

    #[test]
    fn damage_is_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SECRET_FILE);
        for damage in [&b""[..], b"00", b"zz", &[b'g'; 64], &[0xff; 64]] {
            fs::write(&path, damage).unwrap();
            let error = Secret::load_or_create(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::Secret(_)), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damage);
        }
    }

    #[test]
    fn purposes_have_their_own_keys() {
        let secret = Secret::from_bytes([7; 32]);
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_ne!(secret.flow_key(), Secret::from_bytes([8; 32]).flow_key());
        assert_eq!(secret.flow_key(), secret.clone().flow_key());
    }
}
