//! The users of the MQTT listener: lines of `user:password` in a file outside the configuration.
//!
//! Arrives: the file's text; the host has checked that only its owner can read it. Leaves: users.
//! Promise: no message ever holds a password. Blank lines and lines that begin with `#` are
//! ignored; a password may hold any character but a line break, also colons. Indented lines say what
//! the user above them may do: `sensors: wl-0412, hydro-*` names the sensors that it may publish,
//! without it all; `devices: gate-7, wl-04*` those that it may speak for, and so hear the commands
//! of, without it the device that is called as the user is.

use std::fmt;

use ioc_gateway::rights::{Devices, Rights, Sensors};

use super::mistake::{Mistakes, Place};

/// A user and the password. Shown without the latter.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The sensors that it may publish, if they are named.
    pub sensors: Option<Sensors>,
    /// The devices that it may speak for, if they are named.
    pub devices: Option<Devices>,
}

impl User {
    /// What it may say.
    pub fn rights(&self) -> Rights {
        let own = || Devices::these([&*self.name]);
        Rights {
            sensors: self.sensors.clone().unwrap_or(Sensors::Every),
            devices: self.devices.clone().unwrap_or_else(own),
        }
    }

    /// Takes an indented line.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (what, names) = line.split_once(':').unwrap_or((line, ""));
        let names = names.split(',').map(str::trim);
        match what.trim() {
            "sensors" if self.sensors.is_some() => Err("the user's sensors are named twice".into()),
            "sensors" => {
                let sensors = Sensors::of_words(names).map_err(|error| error.to_string())?;
                self.sensors = Some(sensors);
                Ok(())
            }
            "devices" if self.devices.is_some() => Err("the user's devices are named twice".into()),
            "devices" => {
                self.devices = Some(devices_in(names.collect())?);
                Ok(())
            }
            _ => Err(UNKNOWN.into()),
        }
    }
}

const UNKNOWN: &str = "an indented line says what the user above it may do: `sensors: wl-0412, \
                       hydro-*` or `devices: gate-7`";

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The most users that a file may name.
pub const USERS_MAX: usize = 100_000;
/// The most names in one line of devices.
pub const DEVICES_MAX: usize = 1024;

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
        if text.starts_with([' ', '\t']) {
            match users.last_mut().map(|user| user.take(text)) {
                Some(Ok(())) => {}
                Some(Err(what)) => mistakes.add(&place, "", what),
                None => mistakes.add(&place, "", "a line of no user; a user comes first"),
            }
            continue;
        }
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                users.push(User {
                    name: name.to_owned(),
                    password: password.to_owned(),
                    sensors: None,
                    devices: None,
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

fn devices_in(names: Vec<&str>) -> Result<Devices, String> {
    let is_name = |name: &&str| !name.is_empty() && !name[..name.len() - 1].contains('*');
    if !names.iter().all(is_name) {
        let what = "devices are names with commas between; `*` stands only at the end of one";
        return Err(what.to_owned());
    }
    if names.len() > DEVICES_MAX {
        let count = names.len();
        return Err(format!(
            "{count} devices are too many; at most {DEVICES_MAX}"
        ));
    }
    Ok(Devices::these(names))
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
    fn devices_belong_to_the_user_above_them() {
        let users = "north:s3cret\n  devices: gate-7, wl-04*\n\nriver:s3cret\n";
        let users = parse("users", users).unwrap();
        let [north, river] = &users[..] else {
            panic!("{users:?}");
        };
        let devices = north.rights().devices;
        assert!(devices.have("gate-7") && devices.have("wl-0412") && !devices.have("north"));
        let devices = river.rights().devices;
        assert!(devices.have("river") && !devices.have("gate-7"));

        let wrong =
            "\tdevices: a\na:x\n devices: a,,b\nb:x\n devices: a*b\nc:x\n devices: *\n devices: d";
        expect![[r#"
            users:1:1: a line of no user; a user comes first
            users:3:1: devices are names with commas between; `*` stands only at the end of one
            users:5:1: devices are names with commas between; `*` stands only at the end of one
            users:8:1: the user's devices are named twice"#]]
        .assert_eq(&parse("users", wrong).unwrap_err().to_string());
    }

    #[test]
    fn p8_sensors_are_those_that_a_user_may_publish() {
        let users = "north:s3cret\n  sensors: wl-0412, hydro-*\n  devices: gate-7\nriver:s3cret\n";
        let users = parse("users", users).unwrap();
        let sensors = users[0].rights().sensors;
        assert!(sensors.have("wl-0412") && sensors.have("hydro-7") && !sensors.have("north"));
        assert!(users[0].rights().devices.have("gate-7"));
        assert_eq!(users[1].rights().sensors, Sensors::Every);

        let wrong = "a:x\n sensors:\nb:x\n sensors: a b\n sensors: *\n sensors: c\n readings: d";
        expect![[r#"
            users:2:1: `` is neither a sensor nor the beginning of one and `*`
            users:4:1: `a b` is neither a sensor nor the beginning of one and `*`
            users:6:1: the user's sensors are named twice
            users:7:1: an indented line says what the user above it may do: `sensors: wl-0412, hydro-*` or `devices: gate-7`"#]]
        .assert_eq(&parse("users", wrong).unwrap_err().to_string());
    }

    #[test]
    fn p5_devices_of_a_user_have_a_bound() {
        let line = |count: usize| format!("a:x\n devices: {}d", "d,".repeat(count - 1));
        assert!(parse("users", &line(DEVICES_MAX)).is_ok());
        let refused = parse("users", &line(DEVICES_MAX + 1)).unwrap_err();
        assert!(refused.to_string().contains("are too many"));
    }

    #[test]
    fn p5_users_have_a_bound() {
        let users = |count: usize| -> String { (0..count).map(|n| format!("u{n}:x\n")).collect() };
        assert_eq!(parse("users", &users(USERS_MAX)).unwrap().len(), USERS_MAX);
        let refused = parse("users", &users(USERS_MAX + 1)).unwrap_err();
        assert!(refused.to_string().contains("are too many"));
    }
}
