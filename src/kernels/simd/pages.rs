//! Huge pages for what is large and lives long: fewer page faults at the start, fewer misses in the table of pages. And
//! pages that go back when nobody needs them any more.

#![allow(unsafe_code)]

/// Asks the system to back a slice by pages of 2 MiB, as far as it spans whole ones. Where the system has none to give,
/// or is not asked the Linux way, nothing happens. To be called before the memory is first written to.
pub fn prefer_huge(memory: &[u8]) {
    #[cfg(target_os = "linux")]
    {
        const HUGE: usize = 2 << 20;
        let skip = memory.as_ptr().align_offset(HUGE).min(memory.len());
        let whole = (memory.len() - skip) / HUGE * HUGE;
        if whole > 0 {
            // SAFETY: the range lies in the slice. The advice changes what backs it, never what it holds; an error
            // means that it was not taken.
            unsafe { libc::madvise(memory[skip..].as_ptr().cast_mut().cast(), whole, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

/// Blocks of so many bytes go back to the system as soon as they are given up.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 1 << 20;

/// Lets the C library give large blocks back as soon as they are given up. Left to itself it keeps what it may need again,
/// and a run, whose scales all have blocks of other sizes, would hold a fifth more than it needs. For a program to call at
/// its start; elsewhere than on Linux with GNU's library nothing happens.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number of the library's own, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_no_byte() {
        for length in [0, 1, 4096, (2 << 20) + 1, 7 << 20] {
            let mut memory = vec![0u8; length];
            prefer_huge(&memory);
            assert!(memory.iter().all(|&byte| byte == 0));
            memory.fill(7);
            prefer_huge(&memory);
            assert!(memory.iter().all(|&byte| byte == 7));
        }
    }
}
