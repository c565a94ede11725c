//! How a picture was made, as its file tells it: enough to make it again.
//!
//! ```text
//!   impasto 0.1.0 stylize photo.jpg painting.jpg {"impasto":"0.1.0","inputs":[…],"instructions":[…],"save":{…},"config":{…}}
//! ```
//!
//! Names of folders, which are nobody's business, and what does not change the picture are left out. Files are known by
//! their SHA-256, as `sha256sum` prints it. `impasto show` prints a recipe as a command line, `impasto reproduce` follows it.

use std::path::Path;

use impasto::config::{Config, Init, settings};
use impasto::picture::{self, OutputFormat, SaveOptions};
use impasto::transfer::checkpoint::instructions;
use impasto::transfer::{Scale, Sizes, plan};
use impasto::{Error, Result, files};
use serde::{Deserialize, Serialize};

use super::purpose::Purpose;
use super::styles::{STYLE, Scene, name};
use super::values;

/// A recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The version that it is of.
    pub impasto: String,
    /// The command that made it.
    #[serde(default, skip_serializing_if = "Purpose::is_stylize")]
    pub purpose: Purpose,
    /// Every file that was read: the content picture, those of the scene in its order, a picture to start from, weights.
    pub inputs: Vec<Input>,
    /// What is painted where.
    pub scene: Scene,
    /// The instruction sets that it was made with: one, unless it went on elsewhere.
    pub instructions: Vec<String>,
    /// How it was saved.
    pub save: SaveOptions,
    /// What `impasto resume` was asked for beyond what was asked for at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Further>,
    /// Iterations made, where the run was stopped before it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<u32>,
    /// A picture on the way, of this iteration, and no result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_the_way: bool,
    /// The configuration at first.
    pub config: Config,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it was read as: content, style, mask, init or weights.
    pub role: String,
    /// Its name, without folders.
    pub name: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// How far a run was taken by `impasto resume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Further {
    /// To this size.
    pub size: Option<u32>,
    /// By so many iterations.
    pub iterations: Option<u32>,
}

impl Recipe {
    /// Of a run that is about to begin.
    ///
    /// # Errors
    /// Those of pictures that cannot be read.
    pub fn new(
        purpose: &Purpose,
        config: &Config,
        content: Option<&Path>,
        scene: &Scene,
        save: &SaveOptions,
    ) -> Result<Self> {
        Self::with(purpose, config, content, scene, save, |path| Ok(picture::metadata(path, u64::MAX)?.sha256))
    }

    /// The same, `sha256` being that of a picture.
    fn with(
        purpose: &Purpose,
        config: &Config,
        content: Option<&Path>,
        scene: &Scene,
        save: &SaveOptions,
        sha256: impl Fn(&Path) -> Result<String>,
    ) -> Result<Self> {
        let input = |role: &str, path: &Path, sha256: String| Input { role: role.into(), name: name(path), sha256 };
        let picture = |role: &str, path: &Path| Ok::<_, Error>(input(role, path, sha256(path)?));
        let mut inputs: Vec<_> = content.map(|path| picture("content", path)).transpose()?.into_iter().collect();
        let mut scene = scene.clone();
        for (role, path) in scene.named_files_mut() {
            inputs.push(picture(role, path)?);
            *path = name(path).into();
        }
        let mut config = Config {
            // What changes nothing.
            threads: Config::default().threads,
            max_pixels: Config::default().max_pixels,
            max_memory: None,
            ..config.clone()
        };
        if let Init::File(path) = &mut config.init {
            inputs.push(picture("init", path)?);
            *path = name(path).into();
        }
        if let Some(path) = &mut config.weights {
            // Those that cannot be read are refused as weights, later.
            inputs.push(input("weights", path, files::sha256(path).unwrap_or_default()));
            *path = name(path).into();
        }
        Ok(Recipe {
            impasto: env!("CARGO_PKG_VERSION").into(),
            purpose: purpose.clone(),
            inputs,
            scene,
            instructions: vec![instructions()],
            save: save.clone(),
            further: Vec::new(),
            stopped: None,
            on_the_way: false,
            config,
        })
    }

    /// The text in the picture's file.
    pub fn text(&self) -> String {
        let json = serde_json::to_string(self).expect("a configuration with Unicode names is JSON");
        let mut words = self.subject();
        if !self.purpose.is_stylize() {
            words.extend(self.purpose.words(&self.config));
        }
        format!("impasto {} {} {json}", self.impasto, words.join(" "))
    }

    /// The command, and the pictures that it is given.
    fn subject(&self) -> Vec<String> {
        let content = || self.named("content").map(String::from);
        let mut words = vec![self.purpose.command().to_owned()];
        match self.purpose {
            Purpose::Stylize => {
                words.push(content().unwrap_or_default());
                words.extend(self.scene.to_words());
            }
            Purpose::Texture { .. } => words.extend(self.scene.to_words()),
            Purpose::Reconstruct { .. } | Purpose::Dream { .. } => {
                words.extend(content().or_else(|| self.named(STYLE).map(String::from)));
            }
        }
        words
    }

    /// The recipe that a picture's file tells.
    ///
    /// # Errors
    /// [`Error::Picture`] if it tells none.
    pub fn of(path: &Path) -> Result<(Self, String)> {
        let wrong = |cause: String| Error::Picture { path: path.to_owned(), cause };
        let none = || {
            wrong(
                "holds no recipe: another program saved it, or --no-metadata was given; give a picture as it was made"
                    .into(),
            )
        };
        let text = picture::metadata(path, u64::MAX)?.description.filter(|text| text.starts_with("impasto "));
        let text = text.ok_or_else(none)?;
        // Names may have braces, too.
        let places = text.match_indices(" {").map(|(at, _)| &text[at + 1..]);
        let read: Vec<_> = places.map(serde_json::from_str::<Recipe>).collect();
        match read.into_iter().reduce(|first, other| if first.is_ok() { first } else { other.or(first) }) {
            Some(Ok(recipe)) => Ok((recipe, text)),
            Some(Err(error)) => {
                let version = text.split(' ').nth(1).unwrap_or_default();
                Err(wrong(format!("its recipe is of another version of Impasto ({version}: {error}); ask that one")))
            }
            None => Err(none()),
        }
    }

    /// The name of the file that was read as something.
    pub fn named(&self, role: &str) -> Option<&str> {
        self.inputs.iter().find(|input| input.role == role).map(|input| input.name.as_str())
    }

    /// Tells that the run goes on here, and how far.
    pub fn goes_on(&mut self, further: Option<Further>) {
        let here = instructions();
        if !self.instructions.contains(&here) {
            self.instructions.push(here);
        }
        self.further.extend(further);
    }

    /// The scales of the run, further ones included, and the configuration in the end, on pictures of these sizes.
    ///
    /// # Errors
    /// As [`plan::scales`] and [`plan::more_scales`].
    pub fn scales(&self, config: &Config, sizes: &Sizes) -> Result<(Vec<Scale>, Config)> {
        let mut config = config.clone();
        let mut scales = plan::scales(&config, sizes)?;
        for &Further { size, iterations } in &self.further {
            scales = plan::more_scales(&config, &scales, sizes, (size, iterations))?;
            config.size = size.unwrap_or(config.size);
        }
        Ok((scales, config))
    }

    /// The command lines that make such a picture in a file called `output`: one, and one for each time it went further.
    pub fn commands(&self, output: &str) -> Vec<Vec<String>> {
        let mut words = vec!["impasto".to_owned()];
        words.extend(self.subject());
        words.extend(["-o".into(), output.to_owned()]);
        words.extend(self.purpose.words(&self.config));
        let mut option = |name: &str, value: String| match value.starts_with('-') || VALUE_OPTIONAL.contains(&name) {
            true => words.push(format!("--{name}={value}")),
            false => words.extend([format!("--{name}"), value]),
        };
        let base = self.purpose.base(self.config.preset, self.config.size, 0);
        for (name, value) in settings::beside(&base, &self.config) {
            match self.purpose.has_option(name) {
                true => option(name, value),
                false => option("set", format!("{name}={value}")),
            }
        }
        let SaveOptions { format, sixteen_bit, quality, dpi, description: _ } = &self.save;
        if let Some(format) = format.filter(|format| OutputFormat::from_path(Path::new(output)).ok() != Some(*format)) {
            option("format", values::output_format_name(format).into());
        }
        if *sixteen_bit {
            option("bits", "16".into());
        }
        quality.iter().for_each(|quality| option("quality", quality.to_string()));
        dpi.iter().for_each(|dpi| option("dpi", dpi.to_string()));
        let mut commands = vec![words];
        if !self.further.is_empty() {
            commands[0].extend(["--checkpoint".into(), CHECKPOINT.into()]);
        }
        for Further { size, iterations } in &self.further {
            let mut words: Vec<String> = ["impasto", "resume", CHECKPOINT].map(String::from).into();
            size.iter().for_each(|size| words.extend(["--size".into(), size.to_string()]));
            iterations.iter().for_each(|count| words.extend(["--iterations".into(), count.to_string()]));
            commands.push(words);
        }
        commands
    }
}

/// Options whose value may be left out: it is theirs only behind an equals sign.
const VALUE_OPTIONAL: [&str; 2] = ["luminance-only", "normalize-gradients"];

/// Any name would do.
const CHECKPOINT: &str = "run.safetensors";

#[cfg(test)]
mod tests {
    use impasto::config::Preset;
    use impasto::vgg::Layer;

    use super::super::styles::StyleFile;
    use super::*;

    fn recipe(threads: usize, folder: &str, content: &str) -> Recipe {
        of_styles(threads, folder, content, &["s.jpg"])
    }

    fn of_styles(threads: usize, folder: &str, content: &str, styles: &[&str]) -> Recipe {
        let config = Config { threads, max_memory: Some(threads as u64), ..Config::default() };
        let path = Path::new(folder).join(content);
        let styles = styles.iter().map(|style| StyleFile::parse(&format!("{folder}/{style}")).unwrap());
        let scene = Scene::new(styles.collect(), &[], None).unwrap();
        Recipe::with(&Purpose::Stylize, &config, Some(&path), &scene, &SaveOptions::default(), |_| Ok("aa".into()))
            .unwrap()
    }

    #[test]
    fn the_recipe_in_the_file_does_not_depend_on_threads_or_folders() {
        let text = recipe(1, "/home/someone", "c.jpg").text();
        assert_eq!(text, recipe(2, ".", "c.jpg").text());
        assert!(text.contains("stylize c.jpg s.jpg {\"impasto\":") && !text.contains("someone"), "{text}");
    }

    #[test]
    fn a_recipe_names_every_style_with_its_weight_and_mask() {
        let recipe = of_styles(1, "/home/someone", "c.jpg", &["a.jpg:0.7", "art/b.jpg:2:m.png"]);
        let text = recipe.text();
        assert!(text.contains("stylize c.jpg --style a.jpg:0.7 --style b.jpg:2:m.png {"), "{text}");
        let inputs = recipe.inputs.iter().map(|input| (input.role.as_str(), input.name.as_str()));
        let expected = [("content", "c.jpg"), ("style", "a.jpg"), ("style", "b.jpg"), ("mask", "m.png")];
        assert_eq!(inputs.collect::<Vec<_>>(), expected);
        assert_eq!(recipe.commands("o.png")[0][2..7], ["c.jpg", "--style", "a.jpg:0.7", "--style", "b.jpg:2:m.png"]);
    }

    #[test]
    fn a_recipe_is_found_again_in_every_format_whatever_names_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(0, ".", "a {\"b\": 1} “c”.jpg");
        let picture = impasto::Picture::from_rgb(ndarray::Array3::from_elem((16, 16, 3), 0.5));
        for name in ["a.png", "a.jpg", "a.webp", "a.tif"] {
            let path = folder.path().join(name);
            let save = SaveOptions { description: Some(recipe.text()), ..SaveOptions::default() };
            picture::save(&picture, &path, &save).unwrap();
            assert_eq!(Recipe::of(&path).unwrap(), (recipe.clone(), recipe.text()), "{name}");
        }
        let path = folder.path().join("plain.png");
        picture::save(&picture, &path, &SaveOptions::default()).unwrap();
        assert!(Recipe::of(&path).unwrap_err().to_string().contains("holds no recipe"));
    }

    #[test]
    fn the_command_says_what_differs_from_the_preset() {
        let mut recipe = recipe(0, ".", "c d.jpg");
        recipe.config =
            Config { seed: 7, init: Init::Blend(0.3), size: 64, luminance_only: true, ..Preset::Fast.config() };
        recipe.save = SaveOptions {
            quality: Some(80),
            format: Some(OutputFormat::Jpeg),
            dpi: Some(300.0),
            ..SaveOptions::default()
        };
        recipe.further = vec![Further { size: Some(96), iterations: None }];
        let commands = recipe.commands("o.jpg").iter().map(|words| words.join(" ")).collect::<Vec<_>>();
        assert_eq!(
            commands,
            [
                "impasto stylize c d.jpg s.jpg -o o.jpg --preset fast --size 64 --init blend:0.3 \
                 --luminance-only=on --seed 7 --quality 80 \
                 --dpi 300 --checkpoint run.safetensors",
                "impasto resume run.safetensors --size 96"
            ]
        );
        assert!(recipe.commands("o")[0].join(" ").contains("--format jpg"));
    }

    #[test]
    fn the_command_of_another_purpose_has_its_options_and_sets_what_has_none() {
        let of = |purpose: &Purpose, content: Option<&str>, styles: &[&str], change: fn(Config) -> Config| {
            let config = change(purpose.base(Preset::Fast, 64, 0));
            let styles = styles.iter().map(|style| StyleFile::parse(style).unwrap()).collect();
            let (scene, save) = (Scene { styles, keep: None }, SaveOptions::default());
            let sha256 = |_: &Path| Ok("aa".into());
            let recipe = Recipe::with(purpose, &config, content.map(Path::new), &scene, &save, sha256).unwrap();
            let json = serde_json::to_string(&recipe).unwrap();
            assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
            recipe.commands("o.png")[0].join(" ")
        };
        let texture = Purpose::Texture { width: 64, height: 48, tileable: true };
        assert_eq!(
            of(&texture, None, &["a/s.jpg"], |config| Config { style_size: Some(32), tv_weight: 7.0, ..config }),
            "impasto texture s.jpg -o o.png --size 64x48 --tileable --preset fast --style-size 32 --set tv-weight=7"
        );
        let layers = vec![Layer::relu(2, 2), Layer::relu(4, 2)];
        let row = Purpose::Reconstruct { layers, row: true, style: false };
        assert_eq!(
            of(&row, Some("c.jpg"), &[], |config| Config { iterations: Some(5), ..config }),
            "impasto reconstruct c.jpg -o o.png --layers=relu2_2,relu4_2 --size 64 --iterations 5"
        );
        let one = Purpose::Reconstruct { layers: vec![Layer::relu(2, 1)], row: false, style: true };
        let words = of(&one, None, &["s.jpg"], |config| config);
        assert_eq!(words, "impasto reconstruct s.jpg -o o.png --layer relu2_1 --style --size 64");
        let dream = Purpose::Dream { layer: Layer::relu(4, 3), channel: Some(7), octaves: (3, 20) };
        assert_eq!(
            of(&dream, Some("c.jpg"), &["c.jpg"], |config| Config { jitter: 4, seed: 2, ..config }),
            "impasto dream c.jpg -o o.png --layer relu4_3:7 --size 64 --octaves 3 --jitter 4 --seed 2"
        );
    }
}
