//! After the first step, a step takes its maps from the pool: what it allocates
//! does not grow with the picture.

mod common;

use std::alloc::System;
use std::sync::Arc;

use impasto::config::Preset;
use impasto::kernels::conv::Algorithm;
use impasto::objective::{Listener, Objective};
use impasto::tensor::{BufferPool, Dtype, FeatureMap};
use impasto::vgg::{Layer, Pooling};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that the third step on a square picture allocates, and bytes of the pool after the second and the third.
fn third_step(precision: Dtype, side: usize) -> (usize, [usize; 2]) {
    let algorithm = Some(Algorithm::Winograd);
    let vgg = Arc::new(common::vgg16_in(precision, Layer::relu(4, 3), Pooling::Max, algorithm));
    let config = Preset::Paper.config();
    let mut pool = BufferPool::new();
    let picture = common::random_map(side, side, 3, 1);
    let mut objective = Objective::new(vgg, config.goal(), &picture, &common::random_map(side, side, 3, 2));
    let mut gradient = Some(FeatureMap::zeros(side, side, 3));
    let mut step = |pool: &mut BufferPool| {
        let evaluation = objective.run(&picture, gradient.take(), pool, &Listener::default());
        gradient = evaluation.unwrap().gradient;
    };
    step(&mut pool);
    step(&mut pool);
    let before = pool.bytes();
    let region = Region::new(ALLOCATOR);
    step(&mut pool);
    (region.change().bytes_allocated, [before, pool.bytes()])
}

#[test]
fn what_a_step_allocates_does_not_grow_with_the_picture() {
    for precision in [Dtype::F32, Dtype::Bf16] {
        let (small, pool) = third_step(precision, 96);
        assert_eq!(pool[0], pool[1]);
        let (large, pool) = third_step(precision, 192);
        assert_eq!(pool[0], pool[1]);
        // What there is are Gram matrices, whose size is the network's. One map of the larger picture has up to 9.4 MB.
        assert!(large < small + (1 << 16), "{precision:?}: {small} bytes at 96 pixels, {large} at 192");
    }
}
