//! `impasto weights info [FILE]` and `impasto weights verify [FILE]`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use impasto::Result;
use impasto::vgg::weights::{Info, Weights};

use super::{EXIT_CODES, say};

/// Look at the network's weights: those inside the program, or a file.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, after_long_help = EXIT_CODES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which network it is, its origin and its tensors
    Info {
        /// A safetensors file [default: the weights inside the program]
        file: Option<PathBuf>,
    },
    /// Check every number of every tensor
    Verify {
        /// A safetensors file [default: the weights inside the program]
        file: Option<PathBuf>,
    },
}

pub fn run(options: &Options) -> Result<u8> {
    let text = match &options.action {
        Action::Info { file } => described(&open(file.as_deref())?.info()?),
        Action::Verify { file } => {
            let weights = open(file.as_deref())?;
            weights.verify()?;
            verdict(&weights.info()?)
        }
    };
    say::text(text)?;
    Ok(0)
}

fn open(file: Option<&Path>) -> Result<Weights> {
    Weights::load(file)
}

fn verdict(info: &Info) -> String {
    let tensors = info.tensors.len();
    format!("{}: {}, {tensors} tensors, every number finite\nsha256 {}\n", info.name, info.architecture, info.sha256)
}

fn described(info: &Info) -> String {
    let mut text = format!("{}: {}\n", info.name, info.architecture);
    let mut fact = |name: &str, value: &str| text += &format!("  {name:<14} {value}\n");
    fact("bytes", &info.bytes.to_string());
    fact("sha256", &info.sha256);
    info.metadata.iter().for_each(|(name, value)| fact(name, value));
    let widest = info.tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
    text += &format!(
        "\n  {:<widest$}  {:<16} {:<5} {:>10} {:>10} {:>10}\n",
        "tensor", "shape", "type", "min", "mean", "max"
    );
    for tensor in &info.tensors {
        let shape = tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let (name, dtype) = (&tensor.name, &tensor.dtype);
        let (min, mean, max) = (tensor.min, tensor.mean, tensor.max);
        text += &format!("  {name:<widest$}  {shape:<16} {dtype:<5} {min:>10.4} {mean:>10.6} {max:>10.4}\n");
    }
    if !info.ignored.is_empty() {
        text += &format!("\n  ignored: {}\n", info.ignored.join(", "));
    }
    text
}
