//! Values as people write them: on the command line, in a file of presets, in a picture's recipe.
//!
//! Errors say what to give instead; whoever asks says of which option they are.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Init, ScaleRule, Scales, Schedule};

/// A size and its iterations: `128:250`.
///
/// # Errors
/// What would do.
pub fn scale(text: &str) -> Result<ScaleRule, String> {
    let rule = text.split_once(':').and_then(|(size, iterations)| {
        Some(ScaleRule { size: size.trim().parse().ok()?, iterations: iterations.trim().parse().ok()? })
    });
    rule.ok_or_else(|| "give SIZE:ITERATIONS, small to large, as in 128:250,256:150,512:50".into())
}

/// The share of the learning rate at the end of a scale, and perhaps another for the last: `0.3` or `0.3:0.05`.
///
/// # Errors
/// What would do.
pub fn schedule(text: &str) -> Result<Schedule, String> {
    let (end, last) = text.split_once(':').unwrap_or((text, text));
    let course = end.parse().ok().zip(last.parse().ok()).map(|(end, last)| Schedule { end, last });
    course.ok_or_else(|| "give END or END:LAST, as in 0.3:0.05".into())
}

/// A longest side in pixels.
///
/// # Errors
/// What would do: shorthands are taken for several things by several people.
pub fn side(text: &str) -> Result<u32, String> {
    if let Ok(side) = text.trim().parse() {
        return Ok(side);
    }
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| !c.is_ascii_digit());
    let advice = match (&lower[number.len()..], lower.split_once(['x', '×']), number.parse::<f64>()) {
        (_, Some((width, height)), _) if !width.is_empty() && !height.is_empty() => {
            "the longest side alone, the other follows from the picture: ".to_owned()
        }
        ("k", _, Ok(thousands)) if (0.016..1e6).contains(&thousands) => {
            format!("pixels in full, {} or {}: ", (1000.0 * thousands).round(), (1024.0 * thousands).round())
        }
        ("px", _, Ok(_)) => format!("the number alone, {number}: "),
        _ => String::new(),
    };
    Err(format!("{advice}give the longest side in pixels, such as 512 or 5000, or 0 for the picture's own"))
}

/// The scales of a preset: iterations at sizes between which others lie, `128:250,512:50`, or those of a run at one size,
/// `300`.
///
/// # Errors
/// What would do.
pub fn scale_rule(text: &str) -> Result<Scales, String> {
    if let Ok(iterations) = text.trim().parse() {
        return Ok(Scales::Single(iterations));
    }
    let rule: Result<_, String> = text.split(',').map(scale).collect();
    rule.map(Scales::Grown).map_err(|_| {
        "give SIZE:ITERATIONS, small to large, as in 128:250,512:50, or the iterations of a run at one size".into()
    })
}

/// When a scale has settled: `0.1%`, or the same as a fraction, or `off`.
///
/// # Errors
/// What would do.
pub fn until(text: &str) -> Result<Option<f64>, String> {
    let wrong = || "give the part by which the loss still falls, such as 0.1%, or off".to_owned();
    if text == "off" {
        return Ok(None);
    }
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse().map(|percent: f64| percent / 100.0),
        None => text.trim().parse(),
    };
    share.map(Some).map_err(|_| wrong())
}

/// Where to start: `content`, `matched`, `noise`, `gray` (or `grey`), `style-stats`, `blend:0.3`, or else a file.
///
/// # Errors
/// What would do.
pub fn init(text: &str) -> Result<Init, String> {
    Ok(match text {
        "content" => Init::Content,
        "matched" => Init::Matched,
        "noise" => Init::Noise,
        "gray" | "grey" => Init::Gray,
        "style-stats" => Init::StyleStats,
        _ => match text.strip_prefix("blend:") {
            Some(share) => Init::Blend(share.parse().map_err(|_| {
                "give blend:SHARE, from blend:0, the photograph, to blend:1, noise, or ./blend: for a file".to_owned()
            })?),
            None => Init::File(PathBuf::from(text)),
        },
    })
}

/// A number of pixels: `250000`, `100M`, `1.5MP`.
///
/// # Errors
/// What would do.
pub fn pixels(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.strip_suffix("MP").or_else(|| upper.strip_suffix('M'));
    let count = match digits {
        Some(millions) => f64::from_str(millions).ok().map(|m| m * 1e6).filter(|p| (1.0..1e15).contains(p)),
        None => u64::from_str(&upper).ok().filter(|&count| count > 0).map(|count| count as f64),
    };
    count.map(|count| count.round() as u64).ok_or_else(|| "give a number of pixels, such as 250000 or 100M".into())
}

/// Bytes of memory: `2G`, `1.5GB`, `500M`, 2000000000; powers of ten, as memory is sold.
///
/// # Errors
/// What would do.
pub fn memory(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.strip_suffix('B').unwrap_or(&upper);
    let units = [('T', 1e12), ('G', 1e9), ('M', 1e6), ('K', 1e3)];
    let scaled = units.iter().find_map(|(unit, factor)| Some((number.strip_suffix(*unit)?, *factor)));
    let count = match scaled {
        Some((digits, factor)) => f64::from_str(digits).ok().map(|count| count * factor),
        None => u64::from_str(number).ok().map(|count| count as f64),
    };
    let count = count.filter(|count| (1.0..1e18).contains(count)).map(|count| count.round() as u64);
    count.ok_or_else(|| "give a number of bytes, such as 2G or 500M".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_number_of_pixels_and_shorthands_are_explained() {
        assert_eq!((side("512"), side("0")), (Ok(512), Ok(0)));
        for (text, part) in [
            ("5k", "pixels in full, 5000 or 5120: give"),
            ("1.5K", "1500 or 1536"),
            ("512px", "the number alone, 512"),
            ("1024x768", "the longest side alone"),
            ("big", "give the longest side in pixels"),
            ("-5", "give the longest side"),
            ("", "give the longest side"),
            ("5é", "give the longest side"),
        ] {
            let advice = side(text).unwrap_err();
            assert!(advice.contains(part), "{text}: {advice}");
        }
    }

    #[test]
    fn a_start_is_a_word_a_blend_or_a_file() {
        assert_eq!(init("blend:0.3"), Ok(Init::Blend(0.3)));
        assert_eq!(init("./blend:0.3"), Ok(Init::File("./blend:0.3".into())));
        assert_eq!(init("noise"), Ok(Init::Noise));
        assert_eq!(
            (init("gray"), init("grey"), init("style-stats")),
            (Ok(Init::Gray), Ok(Init::Gray), Ok(Init::StyleStats))
        );
        assert!(init("blend:most").unwrap_err().contains("blend:SHARE"));
    }

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        assert_eq!((until("0.1%"), until("0.001"), until("off")), (Ok(Some(0.001)), Ok(Some(0.001)), Ok(None)));
        assert!(until("little").unwrap_err().contains("such as 0.1%"));
    }

    #[test]
    fn a_rule_is_of_sizes_or_of_one() {
        assert_eq!(scale_rule("300"), Ok(Scales::Single(300)));
        assert_eq!(scale_rule("128:3"), Ok(Scales::Grown(vec![ScaleRule { size: 128, iterations: 3 }])));
        assert!(scale_rule("128").is_ok() && scale_rule("128:3,x").unwrap_err().contains("SIZE:ITERATIONS"));
    }

    #[test]
    fn pixels_are_counted_singly_or_in_millions() {
        assert_eq!(pixels("100000000"), Ok(100_000_000));
        assert_eq!(pixels("100M"), Ok(100_000_000));
        assert_eq!(pixels("100MP"), Ok(100_000_000));
        assert_eq!(pixels("1.5mp"), Ok(1_500_000));
        for wrong in ["", "M", "0", "-1", "0M", "infM", "nan", "NaNM", "1e400M", "12K", "1.5"] {
            assert!(pixels(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_counted_singly_or_in_powers_of_ten() {
        for (text, bytes) in [
            ("2G", 2_000_000_000),
            ("2gb", 2_000_000_000),
            ("1.5G", 1_500_000_000),
            ("500M", 500_000_000),
            ("64k", 64_000),
            ("123456789", 123_456_789),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "G", "B", "0", "-1", "-2G", "infG", "nan", "1e400M", "2GiB", "1.5", "2 G"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scales_and_courses_are_read_as_the_tables_show_them() {
        assert_eq!(scale("128:250"), Ok(ScaleRule { size: 128, iterations: 250 }));
        assert_eq!(schedule("0.3:0.05"), Ok(Schedule { end: 0.3, last: 0.05 }));
        assert_eq!(schedule("1"), Ok(Schedule::CONSTANT));
        for wrong in ["", "128", "128:", "x:3", "128:2.5", "-1:3"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
        assert!(schedule("0.3:").is_err() && schedule("fast").is_err());
    }
}
