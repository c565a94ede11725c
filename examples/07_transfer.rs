//! Style transfer in twenty lines.
//!
//! `cargo run --release --example 07_transfer` repaints `samples/astronaut.jpg`
//! in the manner of `samples/village-street-in-auvers.jpg` into `transfer.png`.
//! Another file, and other numbers than 256 pixels and 100 iterations: `… --example 07_transfer -- out.png 384 200`.

use std::ops::ControlFlow;

use impasto::{Config, picture, stylize};

fn main() -> impasto::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let file = arguments.get(1).map_or("transfer.png", String::as_str);
    let number = |at: usize, usual| arguments.get(at).map_or(usual, |n| n.parse().expect("a number"));
    let config = Config { size: number(2, 256), iterations: Some(number(3, 100)), ..Config::default() };
    let content = picture::load("samples/astronaut.jpg".as_ref(), config.max_pixels)?;
    let style = picture::load("samples/village-street-in-auvers.jpg".as_ref(), config.max_pixels)?;
    let outcome = stylize(&config, &content, &style, |step| {
        println!("{:3}/{}  {}×{}  loss {:.5}", step.iteration, step.iterations, step.width, step.height, step.total);
        ControlFlow::Continue(())
    })?;
    picture::save(&outcome.picture, file.as_ref(), &Default::default())
}
