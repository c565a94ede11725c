//! The measuring of times, and of the limit they are compared with.
//!
//! The clock of a virtual machine's core drifts, and a neighbour takes its
//! share, so a peak measured a minute ago is no measure of a kernel timed now.
//! Every repeat of a kernel follows a burst of independent multiply-adds on the
//! same threads, a few milliseconds long: the limit at that moment. It is that of
//! f32 on vectors for every kernel, whatever it computes with, so that all are
//! measured by one rule; the tile unit's own is measured by itself.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::sample::Sample;
use crate::error::{Error, Result};
use crate::kernels::conv::amx;
use crate::kernels::simd::{Isa, Kernel, Simd};

/// A repeat of something shorter is made of several calls: clocks and wake-ups cost microseconds.
const SHORTEST: Duration = Duration::from_millis(5);

/// Bytes of each buffer that bandwidth is measured on: more than caches hold.
const BUFFER: usize = 256 << 20;

/// Independent chains of multiply-adds, nothing else: what the units can do at most.
#[derive(Clone, Copy)]
struct Fma {
    rounds: usize,
}

impl Fma {
    // ANCHOR: chains
    /// `CHAINS` accumulators stay in registers; there are more of them than latency × units.
    #[inline(always)]
    fn chains<S: Simd, const CHAINS: usize>(self, simd: S) -> u64 {
        let (a, b) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        let mut sums: [S::Vector; CHAINS] = std::array::from_fn(|i| simd.splat(i as f32));
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.fma(a, *sum, b);
            }
        }
        black_box(sums.map(|sum| simd.sum(sum)));
        (2 * S::LANES * CHAINS * self.rounds) as u64
    }
    // ANCHOR_END: chains
}

impl Kernel for Fma {
    /// Floating-point operations done.
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        // As many as the register file holds, which the set's register tile tells.
        match S::TILE_ROWS * S::TILE_VECTORS {
            24.. => self.chains::<S, 24>(simd),
            10..24 => self.chains::<S, 10>(simd),
            _ => self.chains::<S, 5>(simd),
        }
    }
}

/// Threads, and an instruction set, with a burst that keeps them busy for some milliseconds.
pub struct Gauge {
    pool: ThreadPool,
    isa: Isa,
    burst: Fma,
}

/// What came out of measuring a kernel.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Seconds of one call.
    pub seconds: Sample,
    /// f32 FMA operations a second, median of the bursts between the repeats.
    pub peak: f64,
}

impl Gauge {
    /// A pool of `threads` threads of its own.
    ///
    /// # Errors
    /// [`Error::Usage`] if the system refuses so many.
    pub fn new(threads: usize, isa: Isa) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| Error::Usage(format!("--threads {threads}: {e}; give a smaller number")))?;
        let mut gauge = Gauge { pool, isa, burst: Fma { rounds: 0 } };
        gauge.burst.rounds = gauge.rounds(1 << 16, &|rounds| isa.dispatch(Fma { rounds }));
        Ok(gauge)
    }

    /// Rounds of a burst that take some milliseconds, more than `few`, which take microseconds.
    fn rounds(&self, few: usize, work: &(impl Fn(usize) -> u64 + Sync)) -> usize {
        // The first burst wakes the clock.
        self.everywhere(|| work(few));
        let mut rounds = few;
        loop {
            let (_, seconds) = self.everywhere(|| work(rounds));
            if seconds >= SHORTEST.as_secs_f64() / 8.0 {
                return ((rounds as f64 * SHORTEST.as_secs_f64() / seconds) as usize).max(1);
            }
            rounds *= 4;
        }
    }

    /// Floating-point operations that `work` tells, done by every thread at once, and the seconds they took.
    fn everywhere(&self, work: impl Fn() -> u64 + Sync) -> (u64, f64) {
        let start = Instant::now();
        let work: u64 = self.pool.broadcast(|_| work()).into_iter().sum();
        (work, start.elapsed().as_secs_f64())
    }

    /// Threads in the pool.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Floating-point operations of one burst, and the seconds it took.
    pub fn burst(&self) -> (u64, f64) {
        self.everywhere(|| self.isa.dispatch(self.burst))
    }

    /// Runs `work` on the pool's threads.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Times `work` after one unmeasured call, a burst before each repeat.
    pub fn measure(&self, repeats: usize, mut work: impl FnMut() + Send) -> Measured {
        let (mut seconds, mut peaks) = (Vec::with_capacity(repeats), Vec::with_capacity(repeats));
        let mut timed = |calls: usize| {
            self.pool.install(|| {
                let start = Instant::now();
                (0..calls).for_each(|_| work());
                start.elapsed()
            })
        };
        // The first call fills caches and pages; of something short a second one tells how long it takes.
        let first = timed(1);
        let once = if first < SHORTEST { timed(1) } else { first };
        let calls = (SHORTEST.div_duration_f64(once.max(Duration::from_nanos(100))).ceil() as usize).max(1);
        for _ in 0..repeats {
            let (operations, elapsed) = self.burst();
            peaks.push(operations as f64 / elapsed);
            seconds.push(timed(calls).as_secs_f64() / calls as f64);
        }
        Measured { seconds: Sample::new(seconds), peak: Sample::new(peaks).median }
    }

    /// The burst alone: operations, and seconds each time.
    pub fn peak(&self, repeats: usize) -> (u64, Sample) {
        repeated(repeats, || self.burst())
    }

    /// The same of the tile unit, its bf16 operands fed from the first cache; `None` where it is not used.
    pub fn tile_peak(&self, repeats: usize) -> Option<(u64, Sample)> {
        amx::available().then(|| self.tile_peak_of(repeats, &|rounds| amx::keep_busy(rounds).unwrap_or(0)))
    }

    fn tile_peak_of(&self, repeats: usize, keep_busy: &(impl Fn(usize) -> u64 + Sync)) -> (u64, Sample) {
        let rounds = self.rounds(1, keep_busy);
        repeated(repeats, || self.everywhere(|| keep_busy(rounds)))
    }

    /// Memory: bytes moved and seconds, of reading a buffer and of copying one (read plus written).
    pub fn bandwidth(&self, repeats: usize) -> [(&'static str, u64, Sample); 2] {
        let words = BUFFER / size_of::<u64>();
        let chunk = words.div_ceil(8 * self.threads());
        let (from, mut to) = (vec![1u64; words], vec![2u64; words]);
        let read = self.measure(repeats, || {
            let sum: u64 = from.par_chunks(chunk).map(|part| part.iter().fold(0, |a: u64, &b| a.wrapping_add(b))).sum();
            black_box(sum);
        });
        let copy = self.measure(repeats, || {
            to.par_chunks_mut(chunk).zip(from.par_chunks(chunk)).for_each(|(to, from)| to.copy_from_slice(from));
        });
        black_box(&to);
        [("read", BUFFER as u64, read.seconds), ("copy", 2 * BUFFER as u64, copy.seconds)]
    }
}

/// Bursts of equal length: the operations of one, and the seconds of each.
fn repeated(repeats: usize, burst: impl Fn() -> (u64, f64)) -> (u64, Sample) {
    let bursts: Vec<(u64, f64)> = (0..repeats).map(|_| burst()).collect();
    (bursts[0].0, Sample::new(bursts.into_iter().map(|(_, seconds)| seconds).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_instruction_set_does_the_operations_it_is_asked_for() {
        for isa in Isa::available() {
            let operations = isa.dispatch(Fma { rounds: 10 });
            let per_round = 2 * isa.lanes() as u64;
            assert!(operations >= 10 * 5 * per_round && operations % per_round == 0, "{isa:?}");
        }
    }

    #[test]
    fn a_peak_counts_the_operations_of_every_thread() {
        let gauge = Gauge::new(3, Isa::detect()).unwrap();
        let alone = gauge.isa.dispatch(gauge.burst);
        assert_eq!(gauge.peak(2).0, 3 * alone);
        let last = AtomicU64::new(0);
        let per_round = Isa::detect().dispatch(Fma { rounds: 100 });
        let (operations, seconds) = gauge.tile_peak_of(4, &|rounds| {
            last.store(rounds as u64, Ordering::Relaxed);
            Isa::detect().dispatch(Fma { rounds: 100 * rounds })
        });
        assert_eq!(operations, 3 * per_round * last.into_inner());
        assert_eq!(seconds.all.len(), 4);
        assert_eq!(gauge.tile_peak(1).is_some(), amx::available());
    }

    #[test]
    fn each_repeat_is_a_measurement_of_one_call() {
        let gauge = Gauge::new(1, Isa::detect()).unwrap();
        let mut calls = 0;
        let measured = gauge.measure(3, || calls += 1);
        assert_eq!(measured.seconds.all.len(), 3);
        assert!(calls > 3 && measured.seconds.median >= 0.0 && measured.peak > 0.0);
    }
}
