//! Memory that was freed, back to the system: allocators keep it for later, and what comes later
//! is done by other threads, for which they take new memory.
#![allow(unsafe_code)]

/// Gives back what is free. Where the system's allocator has no call for it, nothing happens.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number of bytes to keep and touches none that is in use; any thread may
    // call it at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    /// Bytes that the process holds now.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_was_freed_is_given_back() {
        // Small blocks below one that stays: the allocator keeps them.
        let mut blocks: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1000]).collect();
        let last = blocks.pop();
        drop(blocks);
        let before = resident();
        super::give_back();
        assert!(before > resident() + (50 << 20), "{before} {}", resident());
        assert_eq!(last.map(|last| last.len()), Some(1000));
    }
}
