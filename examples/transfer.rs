//! Style transfer in twenty lines.
//!
//! `cargo run --release --example transfer` repaints `samples/astronaut.jpg`
//! in the manner of `samples/village-street-in-auvers.jpg` into `transfer.png`.

use std::ops::ControlFlow;

use impasto::{Config, picture, stylize};

fn main() -> impasto::Result<()> {
    let config = Config { size: 256, iterations: Some(100), ..Config::default() };
    let content = picture::load("samples/astronaut.jpg".as_ref(), config.max_pixels)?;
    let style = picture::load("samples/village-street-in-auvers.jpg".as_ref(), config.max_pixels)?;
    let outcome = stylize(&config, &content, &style, |step| {
        println!("{:3}/{}  {}×{}  loss {:.5}", step.iteration, step.iterations, step.width, step.height, step.total);
        ControlFlow::Continue(())
    })?;
    picture::save(&outcome.picture, "transfer.png".as_ref(), &Default::default())
}
