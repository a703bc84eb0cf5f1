//! A line of a scenario, as words.
//!
//! Arrives: a line of text. Leaves: its words, each with its column. White space parts words, but
//! not within `"`; what follows a `#` at the beginning of a word is for people. Next: `clock.rs`.

use std::iter::Peekable;
use std::vec::IntoIter;

/// What is wrong in a line, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where, in characters from 1.
    pub column: u32,
    pub what: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub column: u32,
}

impl Word {
    pub fn wrong<T>(&self, what: impl Into<String>) -> Parsed<T> {
        Err(Wrong {
            column: self.column,
            what: what.into(),
        })
    }
}

/// The words of a line that are not read yet.
#[derive(Debug)]
pub(super) struct Words {
    rest: Peekable<IntoIter<Word>>,
    end: u32,
}

impl Words {
    pub fn of(line: &str) -> Parsed<Self> {
        let words = split(line)?;
        Ok(Self {
            rest: words.into_iter().peekable(),
            end: line.chars().count() as u32 + 1,
        })
    }

    pub fn is_empty(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    pub fn peek(&mut self) -> Option<&str> {
        self.rest.peek().map(|word| word.text.as_str())
    }

    pub fn take(&mut self) -> Option<Word> {
        self.rest.next()
    }

    /// The next word, or what is missing.
    pub fn need(&mut self, what: &str) -> Parsed<Word> {
        let column = self.end;
        self.rest.next().ok_or_else(|| Wrong {
            column,
            what: format!("{what} is missing here"),
        })
    }

    /// Takes the next word if it is this one.
    pub fn take_if(&mut self, word: &str) -> bool {
        self.rest.next_if(|next| next.text == word).is_some()
    }

    /// Takes this word, or tells that it is missing.
    pub fn expect(&mut self, word: &str) -> Parsed<()> {
        let found = self.need(&format!("`{word}`"))?;
        if found.text == word {
            return Ok(());
        }
        found.wrong(format!("expected `{word}`, found `{}`", found.text))
    }

    /// Where the next word stands.
    pub fn column(&mut self) -> u32 {
        self.rest.peek().map_or(self.end, |word| word.column)
    }

    /// All that is left, as it was written but for its white space.
    pub fn rest(&mut self) -> String {
        let words: Vec<_> = self.rest.by_ref().map(|word| word.text).collect();
        words.join(" ")
    }
}

fn split(line: &str) -> Parsed<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quoted = None;
    for (c, column) in line.chars().zip(1..) {
        match c {
            '"' => {
                quoted = match quoted {
                    None => Some(column),
                    Some(_) => None,
                };
                word.get_or_insert_with(|| empty(column));
            }
            '#' if word.is_none() => break,
            c if c.is_whitespace() && quoted.is_none() => words.extend(word.take()),
            c => word.get_or_insert_with(|| empty(column)).text.push(c),
        }
    }
    if let Some(column) = quoted {
        let what = "a `\"` that is not closed".to_owned();
        return Err(Wrong { column, what });
    }
    words.extend(word);
    Ok(words)
}

fn empty(column: u32) -> Word {
    Word {
        text: String::new(),
        column,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_white_space_and_held_together_by_quotes() {
        let words = split("at  10:00 a=\"b c\" flood#2 # so it is").unwrap();
        let words: Vec<_> = words
            .iter()
            .map(|word| (word.text.as_str(), word.column))
            .collect();
        let expected = [("at", 1), ("10:00", 5), ("a=b c", 11), ("flood#2", 19)];
        assert_eq!(words, expected);
        assert_eq!(split("  # nothing").unwrap(), []);
        assert_eq!(split("a \"b").unwrap_err().column, 3);
    }
}
