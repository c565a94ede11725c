//! The part of a batch that one machine of several makes: of n parts, part i has every n-th picture from the i-th on.
//!
//! Neighbours in a list are often alike, so parts made of every n-th take equally long, sooner than those made of
//! stretches.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Part `index` (from 1) of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

/// What `--shard` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `2/5`.
    Given(Shard),
    /// `auto` or `auto/5`: the scheduler says which, and how many unless that is said here.
    Scheduled(Option<u64>),
}

impl Shard {
    /// All of it.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Part `index`, from 1, of `count`.
    ///
    /// # Errors
    /// What would do.
    pub fn new(index: u64, count: u64) -> Result<Self, String> {
        if (1..=count).contains(&index) {
            return Ok(Shard { index, count });
        }
        Err(format!("there is no part {index} of {count}; parts are counted from 1, 1/{0} to {0}/{0}", count.max(1)))
    }

    /// The parts of a scheduler's array that a program was started as, by its variables: Slurm's
    /// `SLURM_ARRAY_TASK_ID`, `_MIN`, `_STEP` and `_COUNT`, or an indexed Kubernetes Job's `JOB_COMPLETION_INDEX`, which
    /// does not say of how many. `count` is said by the user, and need be said only there.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are none, or they make no sense.
    pub fn scheduled(count: Option<u64>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let usage = |cause: String| Error::Usage(format!("--shard auto: {cause}"));
        let number = |name: &str| -> Result<Option<u64>> {
            let Some(text) = variable(name) else { return Ok(None) };
            let wrong = || usage(format!("{name} is '{text}'; give --shard i/n"));
            text.trim().parse().map(Some).map_err(|_| wrong())
        };
        let (index, found) = if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let before = id.checked_sub(first).filter(|before| before % step == 0);
            let before = before.ok_or_else(|| {
                usage(format!(
                    "task {id} is none of {first}, {} and so on; give --shard i/n",
                    first.saturating_add(step)
                ))
            })?;
            (before / step, number("SLURM_ARRAY_TASK_COUNT")?)
        } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            (index, None)
        } else {
            return Err(usage("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; give --shard i/n".into()));
        };
        let Some(count) = count.or(found) else {
            return Err(usage(
                "the scheduler does not say how many parts there are; give --shard auto/n with n, the Job's completions"
                    .into(),
            ));
        };
        Shard::new(index.saturating_add(1), count).map_err(usage)
    }

    /// Whether the picture of this number, from 0, is in it.
    #[must_use]
    pub fn has(self, number: usize) -> bool {
        number as u64 % self.count == self.index - 1
    }

    /// Whether it is all there is.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// `2-of-5`, for the name of a file.
    #[must_use]
    pub fn words(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let wrong = || "give i/n, such as 2/5, auto, or auto/n".to_owned();
        match text.split_once('/') {
            None if text == "auto" => Ok(Asked::Scheduled(None)),
            Some(("auto", count)) => {
                number(count).filter(|&count| count > 0).map(|count| Asked::Scheduled(Some(count))).ok_or_else(wrong)
            }
            Some((index, count)) => {
                let (index, count) = number(index).zip(number(count)).ok_or_else(wrong)?;
                Shard::new(index, count).map(Asked::Given)
            }
            None => Err(wrong()),
        }
    }
}

impl Asked {
    /// The part that is meant, by the program's environment where the scheduler says it.
    ///
    /// # Errors
    /// As [`Shard::scheduled`].
    pub fn resolve(self) -> Result<Shard> {
        match self {
            Asked::Given(shard) => Ok(shard),
            Asked::Scheduled(count) => Shard::scheduled(count, |name| std::env::var(name).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nonsense_is_refused() {
        assert_eq!("2/5".parse(), Ok(Asked::Given(Shard { index: 2, count: 5 })));
        assert_eq!("auto".parse(), Ok(Asked::Scheduled(None)));
        assert_eq!("auto/3".parse(), Ok(Asked::Scheduled(Some(3))));
        for wrong in ["", "5", "2/", "/5", "a/b", "-1/2", "auto/0", "auto/x", "1.5/2"] {
            assert!(wrong.parse::<Asked>().unwrap_err().contains("give i/n"), "{wrong}");
        }
        for wrong in ["0/5", "6/5", "0/0", "1/0"] {
            assert!(wrong.parse::<Asked>().unwrap_err().contains("counted from 1"), "{wrong}");
        }
    }

    #[test]
    fn schedulers_are_understood() {
        let scheduled = |count: Option<u64>, set: &[(&str, &str)]| {
            let variable = |name: &str| Some(set.iter().find(|(known, _)| *known == name)?.1.to_owned());
            Shard::scheduled(count, variable).map(|shard| shard.to_string()).map_err(|error| error.to_string())
        };
        let [id, min, step, count] =
            ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT"];
        // sbatch --array=0-4, --array=1-5 and --array=10-18:2.
        assert_eq!(scheduled(None, &[(id, "0"), (min, "0"), (count, "5")]).unwrap(), "1/5");
        assert_eq!(scheduled(None, &[(id, "5"), (min, "1"), (count, "5")]).unwrap(), "5/5");
        assert_eq!(scheduled(None, &[(id, "14"), (min, "10"), (step, "2"), (count, "5")]).unwrap(), "3/5");
        assert_eq!(scheduled(Some(8), &[("JOB_COMPLETION_INDEX", "7")]).unwrap(), "8/8");
        for (said, set, words) in [
            (None, &[][..], "neither SLURM_ARRAY_TASK_ID"),
            (None, &[("JOB_COMPLETION_INDEX", "0")], "give --shard auto/n"),
            (Some(2), &[("JOB_COMPLETION_INDEX", "2")], "no part 3 of 2"),
            (None, &[(id, "two"), (count, "3")], "SLURM_ARRAY_TASK_ID is 'two'"),
            (None, &[(id, "0"), (min, "1"), (count, "3")], "task 0 is none of 1, 2"),
        ] {
            let message = scheduled(said, set).unwrap_err();
            assert!(message.starts_with("--shard auto: ") && message.contains(words), "{message}");
        }
    }

    proptest! {
        #[test]
        fn every_picture_is_in_one_part_and_parts_are_equally_large(count in 1u64..20, pictures in 0usize..200) {
            let parts: Vec<_> = (1..=count).map(|index| Shard::new(index, count).unwrap()).collect();
            for picture in 0..pictures {
                prop_assert_eq!(parts.iter().filter(|part| part.has(picture)).count(), 1);
            }
            let sizes = parts.iter().map(|part| (0..pictures).filter(|&picture| part.has(picture)).count());
            let (least, most) = sizes.fold((usize::MAX, 0), |(least, most), size| (least.min(size), most.max(size)));
            prop_assert!(most - least <= 1);
        }
    }
}
