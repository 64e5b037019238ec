//! One run at a time in a study.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::Study;
use crate::error::{Result, StoreError};
use crate::layout::{TABLES, UNFINISHED};
use crate::replace;

/// Name of the lock's file. It stays when the lock goes: removing it would let two runs hold
/// locks on two files of the same name.
const LOCK_FILE: &str = ".lock";

/// The right to write to a study, until dropped or the process ends.
#[derive(Debug)]
pub struct StudyLock {
    _file: File,
}

impl StudyLock {
    pub(super) fn take(study: &Study) -> Result<Self> {
        let path = study.root().join(LOCK_FILE);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked(study.root().to_owned()));
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", &path)(e)),
        }
        let tables = study.root().join(TABLES);
        replace::recover(&tables)?;
        remove_unfinished(&tables)?;
        Ok(StudyLock { _file: file })
    }
}

/// Removes temporary files of runs that were interrupted. Nobody else can be writing: the
/// lock is held.
fn remove_unfinished(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
        let entry = entry.map_err(StoreError::io("read", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(StoreError::io("read", &path))?;
        if kind.is_dir() {
            remove_unfinished(&path)?;
        } else if path.extension().is_some_and(|e| e == UNFINISHED) {
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("s"), &[]).unwrap();
        let lock = study.lock().unwrap();
        let again = Study::open(study.root()).unwrap();
        assert!(matches!(again.lock(), Err(StoreError::Locked(_))));
        drop(lock);
        drop(again.lock().unwrap());
        study.lock().unwrap();
    }

    #[test]
    fn leftovers_go_and_parts_stay() {
        let dir = tempfile::tempdir().unwrap();
        let study = Study::create(&dir.path().join("s"), &[]).unwrap();
        let hour = study.table("flows").join("date=2013-11-01/hour=08");
        fs::create_dir_all(&hour).unwrap();
        fs::write(hour.join("a-b-0-0.parquet.tmp"), "half").unwrap();
        fs::write(hour.join("a-b-0-1.parquet"), "whole").unwrap();
        let _lock = study.lock().unwrap();
        let left: Vec<_> = fs::read_dir(&hour).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["a-b-0-1.parquet"]);
    }
}
