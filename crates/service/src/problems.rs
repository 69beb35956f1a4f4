//! Collects what is wrong with the settings, so that one start names all of it.

use std::{fmt::Display, str::FromStr};

use jiff::SignedDuration;

use crate::Failure;

/// The bad settings found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Reads the value of a flag; a bad one is noted and replaced by the type's default, which nobody gets to see.
    pub fn parse<T: FromStr<Err: Display> + Default>(&mut self, flag: &str, value: &str) -> T {
        value.trim().parse().unwrap_or_else(|error: T::Err| {
            self.note(flag, value, error);
            T::default()
        })
    }

    /// Reads a number that must lie within bounds.
    pub fn number<T>(&mut self, flag: &str, value: &str, least: T, most: T) -> T
    where
        T: FromStr<Err: Display> + Default + PartialOrd + Display,
    {
        match value.trim().parse::<T>() {
            Ok(number) if number >= least && number <= most => return number,
            Ok(_) => self.note(flag, value, format!("expected {least} to {most}")),
            Err(error) => self.note(flag, value, error),
        }
        T::default()
    }

    /// Reads a span of time above zero, such as `250ms`, `5s` or `1m 30s`.
    pub fn duration(&mut self, flag: &str, value: &str) -> std::time::Duration {
        self.parse::<Duration>(flag, value).0
    }

    /// Notes a bad value, named by its flag and the environment variable that stands for it.
    pub fn note(&mut self, flag: &str, value: &str, why: impl Display) {
        self.0
            .push(format!("--{flag} ({}) is `{value}`: {why}", variable(flag)));
    }

    /// Notes a bad setting in words of one's own.
    pub fn note_sentence(&mut self, sentence: String) {
        self.0.push(sentence);
    }

    /// Notes that a setting is missing.
    pub fn missing(&mut self, flag: &str, why: impl Display) {
        self.0
            .push(format!("--{flag} ({}) is missing: {why}", variable(flag)));
    }

    /// Fails when there was anything to note.
    ///
    /// # Errors
    ///
    /// [`Failure::Settings`] with all that was noted.
    pub fn check(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::Settings { problems: self.0 })
        }
    }
}

/// A span of time above zero, in words or ISO 8601.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "expected a time such as 250ms, 5s or 1m 30s";
        let duration: SignedDuration = text.parse().map_err(|_| example.to_owned())?;
        match std::time::Duration::try_from(duration) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            _ => Err(format!("{example}, above zero")),
        }
    }
}

fn variable(flag: &str) -> String {
    format!("LAB_{}", flag.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(read: impl FnOnce(&mut Problems)) -> Vec<String> {
        let mut problems = Problems::default();
        read(&mut problems);
        problems.0
    }

    #[test]
    fn every_bad_setting_is_named_with_its_flag_and_variable() {
        let found = problems(|problems| {
            problems.parse::<u16>("broker-port", "amqp");
            problems.number("confirm-window", "0", 1_usize, 65_535);
            problems.duration("publish-timeout", "soon");
            problems.missing("password-file", "give a file");
        });
        assert_eq!(
            found,
            [
                "--broker-port (LAB_BROKER_PORT) is `amqp`: invalid digit found in string",
                "--confirm-window (LAB_CONFIRM_WINDOW) is `0`: expected 1 to 65535",
                "--publish-timeout (LAB_PUBLISH_TIMEOUT) is `soon`: expected a time such as 250ms, 5s or 1m 30s",
                "--password-file (LAB_PASSWORD_FILE) is missing: give a file",
            ]
        );
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [
            ("250ms", 250),
            ("5s", 5_000),
            ("1m 30s", 90_000),
            ("PT2S", 2_000),
        ] {
            assert_eq!(
                text.parse::<Duration>().unwrap().0.as_millis(),
                millis,
                "{text}"
            );
        }
        for text in ["", "5", "-5s", "0s", "1 fortnight"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn good_settings_are_no_failure() {
        let mut problems = Problems::default();
        assert_eq!(problems.parse::<u16>("broker-port", " 5672\n"), 5672);
        problems.check().unwrap();
    }

    /// Texts that environment variables may hold: of the characters that matter to the readers, and of any.
    fn texts() -> impl Iterator<Item = String> {
        let mut random = fastrand::Rng::with_seed(11);
        (0..20_000).map(move |round| {
            let length = random.usize(0..12);
            (0..length)
                .map(|_| match round % 2 {
                    0 => *random.choice(b"0123456789+-.smhPT \n").unwrap() as char,
                    _ => random.char(..),
                })
                .collect()
        })
    }

    #[test]
    fn any_text_is_a_value_within_bounds_or_a_problem_that_names_variable_and_text() {
        for text in texts() {
            let mut number = 0;
            let found = problems(|problems| number = problems.number("prefetch", &text, 1, 2000));
            match found.as_slice() {
                [] => assert!((1..=2000).contains(&number), "{text:?}"),
                [problem] => assert!(
                    problem.contains(&format!("(LAB_PREFETCH) is `{text}`: ")),
                    "{problem:?}"
                ),
                _ => panic!("one value has several problems: {found:?}"),
            }
        }
    }

    #[test]
    fn any_text_is_a_time_above_zero_or_a_problem_that_names_variable_and_text() {
        for text in texts() {
            let mut time = std::time::Duration::ZERO;
            let found = problems(|problems| time = problems.duration("ack-delay", &text));
            match found.as_slice() {
                [] => assert!(!time.is_zero(), "{text:?}"),
                [problem] => assert!(
                    problem.contains(&format!("(LAB_ACK_DELAY) is `{text}`: ")),
                    "{problem:?}"
                ),
                _ => panic!("one value has several problems: {found:?}"),
            }
        }
    }
}
