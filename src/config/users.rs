//! The users of the MQTT listener: lines of `user:password` in a file outside the configuration.
//!
//! Arrives: the file's text; the host has checked that only its owner can read it. Leaves: pairs.
//! Promise: no message ever holds a password. Blank lines and lines that begin with `#` are
//! ignored; a password may hold any character but a line break, also colons.

use std::fmt;

use super::mistake::{Mistakes, Place};

/// A user and the password. Shown without the latter.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The most users that a file may name.
pub const USERS_MAX: usize = 100_000;

/// Reads the users in `text`; `file` is only for messages.
///
/// # Errors
/// All mistakes.
pub fn parse(file: &str, text: &str) -> Result<Vec<User>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut users: Vec<User> = Vec::new();
    let lines = (1..).zip(text.lines());
    for (line, text) in lines.filter(|(_, text)| !is_blank(text)) {
        let place = Place {
            line,
            column: 1,
            ..Place::whole(file)
        };
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                users.push(User {
                    name: name.to_owned(),
                    password: password.to_owned(),
                });
            }
            _ => mistakes.add(
                &place,
                "",
                "not a user and a password; write `user:password`",
            ),
        }
    }
    if users.len() > USERS_MAX {
        let what = format!("{} users are too many; at most {USERS_MAX}", users.len());
        mistakes.add(&Place::whole(file), "", what);
    }
    users.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in users.windows(2).filter(|pair| pair[0].name == pair[1].name) {
        let what = format!("user `{}` is named twice; remove one line", pair[0].name);
        mistakes.add(&Place::whole(file), "", what);
    }
    mistakes.or(Some(users))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn users_are_read_and_mistakes_never_show_a_password() {
        let users = parse("users", "# ours\n\nriver:s3cret:with:colons\n").unwrap();
        assert_eq!(users[0].password, "s3cret:with:colons");
        assert!(!format!("{users:?}").contains("s3cret"));

        let mistakes = parse("users", "hunter2\na:1\n:hunter2\na:hunter2\n").unwrap_err();
        expect![[r#"
            users: user `a` is named twice; remove one line
            users:1:1: not a user and a password; write `user:password`
            users:3:1: not a user and a password; write `user:password`"#]]
        .assert_eq(&mistakes.to_string());
    }

    #[test]
    fn p5_users_have_a_bound() {
        let users = |count: usize| -> String { (0..count).map(|n| format!("u{n}:x\n")).collect() };
        assert_eq!(parse("users", &users(USERS_MAX)).unwrap().len(), USERS_MAX);
        let refused = parse("users", &users(USERS_MAX + 1)).unwrap_err();
        assert!(refused.to_string().contains("are too many"));
    }
}
