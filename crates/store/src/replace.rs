//! Replacing a table as a whole: what `label` does with its own outputs.
//!
//! New parts are written to `tables/.<table>.new`, which no reader looks at. The exchange is
//! two renames; if the process dies between them, the next run that takes the lock completes
//! it. A reader that opened a part before goes on reading it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

fn hidden(tables: &Path, name: &str, suffix: &str) -> PathBuf {
    tables.join(format!(".{name}.{suffix}"))
}

/// Makes an empty folder for the new parts of the table `name`.
pub(crate) fn begin(tables: &Path, name: &str) -> Result<PathBuf> {
    let new = hidden(tables, name, "new");
    remove(&new)?;
    fs::create_dir_all(&new).map_err(StoreError::io("create folder", &new))?;
    Ok(new)
}

/// Puts the new parts in place of the old.
pub(crate) fn commit(tables: &Path, name: &str) -> Result<()> {
    let (new, old) = (hidden(tables, name, "new"), hidden(tables, name, "old"));
    let current = tables.join(name);
    remove(&old)?;
    if current.exists() {
        fs::rename(&current, &old).map_err(StoreError::io("rename", &current))?;
    }
    fs::rename(&new, &current).map_err(StoreError::io("rename", &new))?;
    remove(&old)
}

/// Completes or undoes replacements that were interrupted.
pub(crate) fn recover(tables: &Path) -> Result<()> {
    let entries = match fs::read_dir(tables) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::io("read", tables)(e)),
    };
    for entry in entries {
        let file = entry.map_err(StoreError::io("read", tables))?.file_name();
        let Some(name) = file.to_str().and_then(|f| f.strip_prefix('.')?.strip_suffix(".old"))
        else {
            continue;
        };
        let current = tables.join(name);
        let new = hidden(tables, name, "new");
        if !current.exists() && new.exists() {
            fs::rename(&new, &current).map_err(StoreError::io("rename", &new))?;
        } else if !current.exists() {
            let old = hidden(tables, name, "old");
            fs::rename(&old, &current).map_err(StoreError::io("rename", &old))?;
        }
        remove(&hidden(tables, name, "old"))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", folder)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(tables: &Path) -> Option<String> {
        fs::read_to_string(tables.join("labels/part")).ok()
    }

    #[test]
    fn old_until_committed_then_new() {
        let dir = tempfile::tempdir().unwrap();
        let tables = dir.path();
        for round in ["one", "two"] {
            let before = content(tables);
            fs::write(begin(tables, "labels").unwrap().join("part"), round).unwrap();
            assert_eq!(content(tables), before);
            commit(tables, "labels").unwrap();
            assert_eq!(content(tables).as_deref(), Some(round));
        }
        assert_eq!(fs::read_dir(tables).unwrap().count(), 1);
    }

    #[test]
    fn an_interrupted_exchange_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let tables = dir.path();
        let write = |folder: &str, text: &str| {
            fs::create_dir_all(tables.join(folder)).unwrap();
            fs::write(tables.join(folder).join("part"), text).unwrap();
        };
        recover(tables).unwrap();
        // Between the renames.
        write(".labels.old", "old");
        write(".labels.new", "new");
        recover(tables).unwrap();
        assert_eq!(content(tables).as_deref(), Some("new"));
        // After the second.
        write(".labels.old", "old");
        recover(tables).unwrap();
        assert_eq!(content(tables).as_deref(), Some("new"));
        assert!(!tables.join(".labels.old").exists());
        // Before the first: the new ones may be half written.
        write(".labels.new", "half");
        recover(tables).unwrap();
        assert_eq!(content(tables).as_deref(), Some("new"));
    }
}
