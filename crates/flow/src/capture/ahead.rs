//! Reads on while what was read is looked at: undoing compression costs more than anything that
//! is done with the packets, and captures that overlap in time are undone side by side.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};

use super::file::CHUNK;

/// Chunks that may wait.
const AHEAD: usize = 4;

/// A reader whose work another thread does.
pub(super) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
}

impl ReadAhead {
    /// Takes a reader over. The thread ends with the reader, with an error, or soon after this
    /// value is gone.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(mut reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(AHEAD);
        let work = move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match reader.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                    Ok(n) => {
                        chunk.truncate(n);
                        Ok(chunk)
                    }
                };
                let last = !matches!(&read, Ok(chunk) if !chunk.is_empty());
                if sender.send(read).is_err() || last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("decompress".to_owned()).spawn(work)?;
        Ok(ReadAhead { chunks, chunk: Vec::new(), used: 0 })
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.chunk.len() {
            // Nobody sends any more behind the end and behind an error.
            let Ok(next) = self.chunks.recv() else { return Ok(0) };
            self.chunk = next?;
            self.used = 0;
        }
        let rest = &self.chunk[self.used..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.used += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_then_the_end_or_the_error() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|i| (i % 251) as u8).collect();
        let inner = io::Cursor::new(bytes.clone()).chain(io::empty());
        let mut read = Vec::new();
        ReadAhead::start(Box::new(inner)).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);

        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::InvalidData.into())
            }
        }
        let inner = io::Cursor::new(vec![7; 10]).chain(Broken);
        let mut ahead = ReadAhead::start(Box::new(inner)).unwrap();
        let mut ten = [0; 10];
        ahead.read_exact(&mut ten).unwrap();
        assert_eq!(ten, [7; 10]);
        assert_eq!(ahead.read(&mut ten).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(ahead.read(&mut ten).unwrap(), 0);
    }
}
