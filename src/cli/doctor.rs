//! `impasto doctor`: what the machine has, and what is chosen for it.

use std::path::PathBuf;

use impasto::Result;
use impasto::bench::{Machine, commit, direction_name, wrapped};
use impasto::config::Precision;
use impasto::kernels::conv::{Algorithm, Cpu, Direction, Shape, amx, choose, why};
use impasto::kernels::simd::Isa;
use impasto::limits::amount;
use impasto::tensor::Dtype;
use impasto::vgg::layers::stride;
use impasto::vgg::{Architecture, Layer, Stage, Weights};

use super::{EXIT_CODES, say, values};

/// Show what this machine has and what Impasto makes of it.
///
/// The processor, its instruction sets and the one that is used, cores and memory as far as the container leaves them,
/// and for each layer of the network the convolution algorithm, with the reason. Include it in a report of a problem.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub struct Options {
    /// Longest side of the picture whose layers are shown
    #[arg(long, value_name = "PIXELS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    size: u32,

    /// Arithmetic of the network whose layers are shown
    #[arg(long, default_value = "auto", value_parser = values::precision(), hide_possible_values = true)]
    #[arg(long_help = values::precisions("Arithmetic of the network whose layers are shown:"))]
    precision: Precision,

    /// Convolution algorithm to force [default: as chosen]
    #[arg(long, value_name = "NAME", env = values::CONV_ALGORITHM, value_parser = values::conv_algorithm())]
    conv_algorithm: Option<Algorithm>,

    /// A safetensors file [default: the weights inside the program]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<u8> {
    let machine = Machine::detect();
    // Whatever the weights' state is, the machine is described first.
    say::text(described(&machine))?;
    say::text(algorithms(options.size as usize, options.precision.dtype(), options.conv_algorithm))?;
    let weights = Weights::load(options.weights.as_deref())?.info()?;
    let fact = format!("{}, {}, {} tensors", weights.architecture, amount(weights.bytes as u64), weights.tensors.len());
    say::text(line("weights", &format!("{}: {fact}", weights.name)))?;
    Ok(0)
}

fn line(name: &str, value: &str) -> String {
    wrapped(&format!("{name:<17} "), value)
}

fn described(m: &Machine) -> String {
    let commit = commit().map_or_else(String::new, |commit| format!(", commit {commit}"));
    let mut text = line("impasto", &format!("{}{commit}, {}", env!("CARGO_PKG_VERSION"), m.system));
    text += &line("processor", &m.cpu);
    m.signature.iter().for_each(|signature| text += &line("", signature));
    if !m.extensions.is_empty() {
        text += &line("extensions", &m.extensions.join(" "));
    }
    text += &line("kernels for", &m.instruction_sets.join(", "));
    text += &line("used", &m.instruction_set);
    text += &line("tile unit (AMX)", &amx::status().to_string());
    if Isa::lesser_requested() {
        text += &line("IMPASTO_ISA", &format!("{}, as asked for", Isa::detect().name()));
    }
    text += &line("cores", &format!("{} of {} may be used", m.usable, m.processors));
    let limit = m.cgroup_cpus.map_or_else(|| "no CPU limit".into(), |cpus| format!("limited to {cpus} CPUs"));
    text += &line("control group", &limit);
    text += &line("threads", &format!("{} unless --threads says otherwise", m.usable));
    text += &line("precision", &format!("{} unless --precision says otherwise", Precision::Auto.dtype().name()));
    text += &line("memory", &format!("{} free of {}", amount(m.memory_free), amount(m.memory)));
    m.nodes.iter().for_each(|nodes| text += &line("NUMA nodes", &nodes.to_string()));
    if !m.caches.is_empty() {
        text += &line("caches", &m.caches.join(", "));
    }
    m.governor.iter().for_each(|governor| text += &line("governor", governor));
    m.load.iter().for_each(|load| text += &line("load", &format!("{load:.2} on average of the last minute")));
    text
}

/// Each layer with its choice in both directions; a reason stands above those it holds for.
fn algorithms(side: usize, dtype: Dtype, requested: Option<Algorithm>) -> String {
    let cpu = Cpu::detect();
    let mut text = format!("\nconvolutions of VGG16 at {side}×{side} in {}\n", dtype.name());
    let mut last = "";
    for (name, shape) in layers(side) {
        for direction in [Direction::Forward, Direction::BackwardInput] {
            let shape = match direction {
                Direction::Forward => shape,
                Direction::BackwardInput => shape.reversed(),
            };
            let algorithm = choose(&shape, direction, dtype, cpu, requested).name();
            let reason = why(&shape, direction, dtype, cpu, requested);
            let channels = format!("{}→{}", shape.in_channels, shape.out_channels);
            if reason != last {
                text += &wrapped("  ", reason);
            }
            text += &format!("    {name}  {channels:>8}  {:<8}  {algorithm}\n", direction_name(direction));
            last = reason;
        }
    }
    text + "\n"
}

fn layers(side: usize) -> impl Iterator<Item = (Layer, Shape)> {
    Architecture::Vgg16.stages().iter().filter_map(move |stage| match *stage {
        Stage::Pool => None,
        Stage::Convolution { in_channels, out_channels, name, .. } => {
            let side = side / stride(name);
            Some((name, Shape::new((side, side), in_channels, out_channels, 1)))
        }
    })
}

#[cfg(test)]
mod tests {
    use impasto::bench::WIDTH;

    use super::*;

    #[test]
    fn every_layer_has_a_choice_both_ways_and_every_choice_a_reason() {
        for dtype in [Dtype::F32, Dtype::Bf16] {
            let text = algorithms(512, dtype, None);
            assert_eq!(text.matches(" forward ").count(), 13);
            assert_eq!(text.matches(" backward ").count(), 13);
            assert!(text.lines().nth(2).unwrap().contains("picture's channels"), "a reason comes first: {text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn lines_have_sixty_characters_at_most() {
        let mut machine = Machine::detect();
        machine.cpu = "Genuine Example(R) Xeon(R) Platinum 8581C CPU with a long name @ 2.10GHz".into();
        machine.extensions = vec!["avx512_vnni".into(); 20];
        machine.caches = vec!["L3 260 MiB".into(); 6];
        machine.governor = Some("performance".into());
        let text = described(&machine);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for part in ["Genuine", "8581C", "governor", "caches"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
