//! The sockets: one for HTTP (door, window, health, MQTT over WebSocket), one for MQTT; and how they
//! end.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ioc_gateway::brokers::mqtt::{MqttBrokerOptions, Sessions};
use ioc_gateway::brokers::nats::NatsOptions;
use ioc_gateway::brokers::nats::outgoing::Outgoing;
use ioc_gateway::brokers::tls::FILE_BYTES_MAX;
use ioc_gateway::brokers::{self, AuthToken, Links, Login, TlsOptions};
use ioc_gateway::catalogue::Now;
use ioc_gateway::commands::{self, CommandBook};
use ioc_gateway::door::Door;
use ioc_gateway::http::{Operators, Parts};
use ioc_gateway::keys::Keys;
use ioc_gateway::mqtt;
use ioc_gateway::options::{Credentials, HttpOptions, MqttOptions, Users};
use ioc_ws::{Guard, Token, Window};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::settings::Settings;
use crate::config::settings::brokers::User;
use crate::config::{keys, users};
use crate::decisions_out::{self, DecisionsLog};
use crate::host::HostError;
use crate::http;
use crate::inputs_log::LiveInputs;
use crate::outlets::Outlets;
use crate::reload::{self, Reloader};
use crate::room::RoomSign;
use crate::shadow::{self, ShadowView};
use crate::space::FullSign;
use crate::status::{RefusedSign, Status};
use crate::telemetry;
use crate::why;

/// What the sockets serve.
pub struct Sockets {
    /// The way in.
    pub door: Door,
    /// The way out.
    pub window: Window,
    /// Decisions for MQTT subscribers, dead letters for the list.
    pub outlets: Outlets,
    /// The inputs log, for dead letters that are read again.
    pub inputs: LiveInputs,
    /// What operators show.
    pub token: Token,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
    /// Whether the disk is full.
    pub full: FullSign,
    /// Whether there is room for what readings bring.
    pub room: RoomSign,
    /// Whether the rules on disk are refused.
    pub refused: RefusedSign,
    /// What is sent elsewhere.
    pub decisions: DecisionsLog,
    /// What devices are sent.
    pub commands: CommandsOut,
    /// Who has the rules read again.
    pub reloader: Reloader,
    /// What rules that tell nobody would have decided, if there are any.
    pub shadow: Option<ShadowView>,
}

/// The commands that devices are to be sent.
pub struct CommandsOut {
    /// Which there are.
    pub book: CommandBook,
    /// Logical time, which their deadlines are in.
    pub now: Now,
    /// Whether they are sent at all: not while time is another than the world's.
    pub may_send: bool,
}

/// The running servers.
#[derive(Debug)]
pub struct Servers {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where MQTT is served.
    pub mqtt: SocketAddr,
    stopping: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
    window: Window,
}

impl Servers {
    /// Binds both sockets and begins to serve.
    pub async fn start(settings: &Settings, sockets: Sockets) -> Result<Self, HostError> {
        let Sockets {
            door,
            window,
            outlets,
            inputs,
            token,
            metrics,
            full,
            room,
            refused,
            decisions,
            commands,
            reloader,
            shadow,
        } = sockets;
        let (stopping, stopped) = watch::channel(false);
        let links = Links::default();
        let status = Status {
            metrics: metrics.clone(),
            full,
            room,
            refused,
            links: links.clone(),
            letters: outlets.dead_letters.clone(),
            stopped: stopped.clone(),
        };
        let mqtt_options = mqtt_options(settings)?;
        let credentials = mqtt_options.credentials.clone();
        let operators = token.clone();
        let mqtt = mqtt::Listener::bind(mqtt_options).await?;
        let mqtt_address = mqtt.local_addr();
        let router = status
            .router()
            .merge(mqtt.websocket())
            .merge(ioc_gateway::http::router(Parts {
                door: door.clone(),
                dead_letters: outlets.dead_letters,
                log: Arc::new(inputs),
                keys: settings
                    .http
                    .keys_file
                    .as_deref()
                    .map(read_keys)
                    .transpose()?,
                credentials,
                operators: Operators::new(move |headers| token.opens(headers)),
                stopping: stopped.clone(),
                options: HttpOptions::default(),
            }))
            .merge(reload::router(reloader, operators))
            .merge(shadow::http::router(shadow))
            .merge(why::http::router(settings.data.clone()))
            .merge(window.router());
        // Each part says it of its own routes, or leaves it to this.
        let router = router.method_not_allowed_fallback(ioc_ws::wrong_method);
        let router = Guard::new(settings.http.hosts.clone()).over(router);

        let address = settings.http.listen;
        let failed = |source| HostError::Listen { address, source };
        let listener = http::bind(address).await?;
        let http_address = listener.local_addr().map_err(failed)?;
        let (mqtt_brokers, nats) = (mqtt_brokers(settings)?, nats_servers(settings)?);

        let mut running = vec![
            tokio::spawn(http::serve(
                listener,
                router,
                http::Limits::default(),
                stopped.clone(),
            )),
            tokio::spawn(mqtt.run(door.clone(), outlets.mqtt.clone(), until(stopped.clone()))),
            tokio::spawn(telemetry::keep_up(metrics, until(stopped.clone()))),
        ];
        let elsewhere = (&*mqtt_brokers, &*nats);
        running.extend(commands.deliver(&door, &outlets.mqtt, elsewhere, &links, &stopped));
        let strays = brokers::nats::tell_of_strays(&settings.data.join(STREAMS_DIR), &nats);
        let sessions = settings.data.join(SESSIONS_FILE);
        let sessions = Sessions::kept(Some(sessions), &mqtt_brokers);
        for broker in mqtt_brokers {
            let (door, links, stopped) = (door.clone(), links.clone(), stopped.clone());
            let sessions = sessions.clone();
            running.push(tokio::spawn(async move {
                brokers::mqtt::run(broker, sessions, door, &links, until(stopped)).await;
            }));
        }
        for server in nats {
            if server.decisions {
                let outgoing = Outgoing::new(server.clone(), &links);
                let (log, name) = (decisions.clone(), server.name.clone());
                let sending = decisions_out::run(log, name, outgoing, stopped.clone());
                running.push(tokio::spawn(sending));
            }
            let feedback = server.feedback();
            for server in feedback.into_iter().chain([server]) {
                let (door, links, stopped) = (door.clone(), links.clone(), stopped.clone());
                let strays = strays.clone();
                running.push(tokio::spawn(async move {
                    brokers::nats::run(server, strays, door, &links, until(stopped)).await;
                }));
            }
        }
        Ok(Self {
            http: http_address,
            mqtt: mqtt_address,
            stopping,
            running,
            window,
        })
    }

    /// Takes nothing new and waits until what was handed over is settled; `false` if that took
    /// longer than the deadline.
    pub async fn stop(self, deadline: Duration) -> bool {
        let _ = self.stopping.send(true);
        self.window.close();
        let all = async {
            for server in self.running {
                let _ = server.await;
            }
        };
        timeout(deadline, all).await.is_ok()
    }
}

impl CommandsOut {
    /// Begins to send them, over our listener and these brokers and servers elsewhere.
    fn deliver(
        self,
        door: &Door,
        listener: &mqtt::Deliveries,
        (brokers, servers): (&[MqttBrokerOptions], &[NatsOptions]),
        links: &Links,
        stopped: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let Self { book, now, .. } = self;
        if !self.may_send {
            telemetry::commands_not_sent();
            return Vec::new();
        }
        let until = || until(stopped.clone());
        let starting = commands::start(book.clone(), door.clone(), now.clone(), until());
        let listener = listener.clone();
        let over_listener = commands::over_listener(book.clone(), listener, now.clone(), until());
        let mut running = vec![tokio::spawn(starting), tokio::spawn(over_listener)];
        for broker in brokers.iter().filter(|broker| broker.commands).cloned() {
            let (links, book, now, until) = (links.clone(), book.clone(), now.clone(), until());
            running.push(tokio::spawn(async move {
                commands::over_mqtt(broker, &links, book, now, until).await;
            }));
        }
        for server in servers.iter().filter(|server| server.commands).cloned() {
            let (links, book, now, until) = (links.clone(), book.clone(), now.clone(), until());
            running.push(tokio::spawn(async move {
                commands::over_nats(server, &links, book, now, until).await;
            }));
        }
        running
    }
}

fn mqtt_options(settings: &Settings) -> Result<MqttOptions, HostError> {
    let mqtt = &settings.mqtt;
    let mut options = MqttOptions {
        listen: mqtt.listen,
        connections_max: mqtt.connections_max as usize,
        inflight_max: mqtt.inflight_max.into(),
        packet_bytes_max: mqtt.packet_bytes_max as usize,
        held_bytes_max: usize::try_from(mqtt.held_bytes_max).unwrap_or(usize::MAX),
        overload_wait_max: mqtt.overload_wait,
        ..MqttOptions::default()
    };
    if let Some(path) = &mqtt.users_file {
        options.credentials = Credentials::Users(read_users(path)?);
    }
    Ok(options)
}

/// The MQTT brokers elsewhere, with their passwords.
fn mqtt_brokers(settings: &Settings) -> Result<Vec<MqttBrokerOptions>, HostError> {
    let brokers = settings.brokers.mqtt.iter();
    let with_login = brokers.map(|broker| {
        let mut options = broker.options.clone();
        options.login = broker.user.as_ref().map(login).transpose()?;
        check_tls(options.tls.as_ref())?;
        Ok(options)
    });
    with_login.collect()
}

/// The NATS servers elsewhere, with their passwords.
fn nats_servers(settings: &Settings) -> Result<Vec<NatsOptions>, HostError> {
    let servers = settings.brokers.nats.iter();
    let with_login = servers.map(|server| {
        let mut options = server.options.clone();
        options.login = server.user.as_ref().map(login).transpose()?;
        options.token = options.token_file.as_deref().map(token).transpose()?;
        options.floors = Some(settings.data.join(STREAMS_DIR));
        check_tls(options.tls.as_ref())?;
        if let Some(file) = &options.credentials_file {
            read_secret(file, CREDENTIALS_FILE_BYTES_MAX)?;
        }
        Ok(options)
    });
    with_login.collect()
}

/// Whether the files of TLS can be used: each connection reads them again.
fn check_tls(tls: Option<&TlsOptions>) -> Result<(), HostError> {
    let Some(tls) = tls else { return Ok(()) };
    if let Some(identity) = &tls.identity {
        read_secret(&identity.key_file, FILE_BYTES_MAX)?;
    }
    let usable = tls.config().map(|_| ());
    usable.map_err(|error| HostError::Usage(error.to_string()))
}

/// The token in the first line of a file.
fn token(path: &Path) -> Result<AuthToken, HostError> {
    let text = read_secret(path, PASSWORD_FILE_BYTES_MAX)?;
    let token = text.lines().next().unwrap_or_default().trim();
    match token.is_empty() {
        true => Err(HostError::Usage(format!(
            "there is no token in the first line of {}",
            path.display()
        ))),
        false => Ok(AuthToken(token.to_owned())),
    }
}

/// A user with the password of the file.
fn login(user: &User) -> Result<Login, HostError> {
    let password = match &user.password_file {
        Some(path) => read_secret(path, PASSWORD_FILE_BYTES_MAX)?,
        None => String::new(),
    };
    Ok(Login {
        user: user.name.clone(),
        password: password.lines().next().unwrap_or_default().to_owned(),
    })
}

/// The directory below the data directory where it is kept how much of a stream is durable.
const STREAMS_DIR: &str = "streams";
/// The file below it that says which sessions MQTT brokers keep for us.
const SESSIONS_FILE: &str = "sessions/mqtt";
/// The longest file of credentials.
const CREDENTIALS_FILE_BYTES_MAX: u64 = 64 << 10;
/// The longest file with one password.
const PASSWORD_FILE_BYTES_MAX: u64 = 4 << 10;
/// The longest file of users: the most users, with names and passwords of 160 bytes.
const USERS_FILE_BYTES_MAX: u64 = 16 << 20;
/// The longest file of keys.
const KEYS_FILE_BYTES_MAX: u64 = 16 << 20;

/// The keys of a file that only its owner may read.
fn read_keys(path: &Path) -> Result<Arc<Keys>, HostError> {
    let text = read_secret(path, KEYS_FILE_BYTES_MAX)?;
    let keys = keys::parse(&path.display().to_string(), &text);
    let keys = keys.map_err(|mistakes| HostError::Usage(mistakes.to_string()))?;
    Ok(Arc::new(keys))
}

/// The users of a file that only its owner may read.
fn read_users(path: &Path) -> Result<Users, HostError> {
    let text = read_secret(path, USERS_FILE_BYTES_MAX)?;
    let users = users::parse(&path.display().to_string(), &text);
    let users = users.map_err(|mistakes| HostError::Usage(mistakes.to_string()))?;
    let users = users.iter();
    let with_rights = users.map(|user| (&*user.name, &*user.password, user.rights()));
    Ok(Users::with_rights(with_rights))
}

/// The text of a file that only its owner may read.
fn read_secret(path: &Path, bytes_max: u64) -> Result<String, HostError> {
    let failed = || HostError::file("read", path);
    let file = File::open(path).map_err(failed())?;
    let mode = file.metadata().map_err(failed())?.permissions().mode();
    if mode & 0o077 != 0 {
        let shown = path.display();
        return Err(HostError::Usage(format!(
            "{shown} holds secrets and others may read it: chmod 600 {shown}"
        )));
    }
    let mut text = String::new();
    let read = file.take(bytes_max + 1).read_to_string(&mut text);
    if read.map_err(failed())? as u64 > bytes_max {
        let too_long = format!("it has more than {bytes_max} bytes");
        return Err(failed()(io::Error::other(too_long)));
    }
    Ok(text)
}

/// Until the servers shall stop.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the host is gone, which is the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users_file(text: &str, mode: u32) -> (tempfile::TempDir, Result<Users, HostError>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let users = read_users(&path);
        (dir, users)
    }

    #[test]
    fn p8_a_file_of_users_is_read_only_if_nobody_else_can_read_it() {
        assert!(users_file("ann:s3cret\n", 0o600).1.is_ok());
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let refused = users_file("ann:s3cret\n", mode).1;
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("chmod 600"), "{mode:o}: {said}");
        }
    }

    #[test]
    fn p5_p8_a_password_is_the_first_line_of_a_short_file_of_our_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let user = User {
            name: "ann".into(),
            password_file: Some(path.clone()),
        };
        let login_with = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            login(&user).map(|login| login.password)
        };
        assert_eq!(login_with("s3cret\nnot this", 0o600).unwrap(), "s3cret");
        assert!(matches!(
            login_with("s3cret", 0o640),
            Err(HostError::Usage(_))
        ));
        let long = "x".repeat(PASSWORD_FILE_BYTES_MAX as usize + 1);
        assert!(matches!(
            login_with(&long, 0o600),
            Err(HostError::File { .. })
        ));
    }

    #[test]
    fn p5_p8_a_file_of_keys_is_short_and_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let read_with = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            read_keys(&path)
        };
        let line = format!("pump {} *\n", "0".repeat(64));
        assert!(read_with(&line, 0o600).is_ok());
        assert!(matches!(read_with(&line, 0o640), Err(HostError::Usage(_))));
        assert!(matches!(
            read_with("pump\n", 0o600),
            Err(HostError::Usage(_))
        ));
        let long = "\n".repeat(KEYS_FILE_BYTES_MAX as usize + 1);
        assert!(matches!(
            read_with(&long, 0o600),
            Err(HostError::File { .. })
        ));
    }

    #[test]
    fn p5_a_file_of_users_has_a_bound() {
        let line = format!("ann:{}\n", "x".repeat(1000));
        let long = line.repeat(USERS_FILE_BYTES_MAX as usize / line.len() + 1);
        let refused = users_file(&long, 0o600).1;
        assert!(matches!(refused, Err(HostError::File { .. })));
    }
}
