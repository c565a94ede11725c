//! How it is computed: the tape of one iteration at the last scale, node by node, with times and memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Seen;
use super::report::{Alive, Convolution, Node, Speed, Tape};
use crate::autograd::Log;
use crate::autograd::log::Logged;
use crate::bench::gauge::Gauge;
use crate::error::Result;
use crate::kernels::conv::{Algorithm, Choice};
use crate::kernels::simd::Isa;
use crate::objective::Listener;
use crate::tensor::{BufferPool, FeatureMap};
use crate::vgg::Layer;

/// Evaluations, of which the fastest is told: the first one finds no memory ready.
const TRIES: usize = 4;

/// Bursts of the peak.
const BURSTS: usize = 5;

/// The sixth section.
pub(super) fn tape(seen: &Seen<'_>, point: &FeatureMap) -> Result<Tape> {
    let plan = seen.plan;
    let goal = plan.goal_at(plan.scales.len() - 1);
    let picture = if point.dim() == seen.content().dim() { point.clone() } else { seen.content() };
    let mut objective = seen.inputs.objective(plan, &seen.viewer, goal);
    let mut pool = BufferPool::new();
    let mut tries: Vec<(f64, Log)> = Vec::new();
    for _ in 0..TRIES {
        let log = Arc::new(Mutex::new(Log::default()));
        let listener = Listener { log: Some(log.clone()), ..Listener::default() };
        let room = FeatureMap::zeros(picture.height(), picture.width(), picture.channels());
        let begun = Instant::now();
        objective.run(&picture, Some(room), &mut pool, &listener).expect("nobody cancels");
        let seconds = begun.elapsed().as_secs_f64();
        drop(listener);
        let log = Arc::into_inner(log).expect("the tape is gone").into_inner();
        tries.push((seconds, log.unwrap_or_else(PoisonError::into_inner)));
    }
    let fastest = tries.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, log) = fastest.expect("there was a try");
    let (operations, bursts) = Gauge::new(rayon::current_num_threads(), Isa::detect())?.peak(BURSTS);
    let alive = |alive: &crate::autograd::log::Alive| Alive {
        seconds: alive.seconds,
        values: alive.values as u64,
        gradients: alive.gradients as u64,
        node: alive.node,
        pass: if alive.backward { "backward" } else { "forward" },
    };
    Ok(Tape {
        memory: log.memory.iter().map(alive).collect(),
        convolutions: convolutions(&log.nodes, &plan.convolutions),
        nodes: log.nodes.into_iter().enumerate().map(node).collect(),
        peak: operations as f64 / bursts.median,
        seconds,
        height: picture.height(),
        width: picture.width(),
    })
}

fn node((id, logged): (usize, Logged)) -> Node {
    Node {
        id,
        op: logged.op.into(),
        file: logged.at.file().replace('\\', "/"),
        line: logged.at.line(),
        label: logged.label,
        shape: logged.shape,
        bytes: logged.bytes,
        kept: logged.kept,
        differentiated: logged.differentiated,
        forward: logged.forward,
        backward: logged.backward,
        parents: logged.parents,
        saves: logged.saves,
    }
}

/// The speed of those of the nodes that are a layer's convolution.
fn convolutions(nodes: &[Logged], choices: &[(Layer, Choice)]) -> Vec<Convolution> {
    let told = |(id, node): (usize, &Logged)| {
        let (_, choice) = choices.iter().find(|(layer, _)| node.label == layer.to_string())?;
        // Every output is nine products with each channel of the input.
        let outputs: usize = node.shape.iter().product();
        let channels = *nodes[*node.parents.first()?].shape.last()?;
        let flops = 2.0 * 9.0 * (outputs * channels) as f64;
        let speed = |algorithm: Algorithm, seconds: f64| Speed {
            algorithm: algorithm.name().into(),
            seconds,
            flops: flops / seconds.max(f64::MIN_POSITIVE),
        };
        Some(Convolution {
            layer: node.label.clone(),
            node: id,
            forward: speed(choice.forward, node.forward),
            backward: speed(choice.backward_input, node.backward?),
        })
    };
    nodes.iter().enumerate().filter_map(told).collect()
}
