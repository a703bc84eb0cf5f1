//! Open files: as many as the sockets' bounds may take, and the journal's beside them.
//!
//! A process that has used up its descriptors cannot make the journal's next segment, and a
//! journal that cannot be written ends the process: whoever may open connections could end it.
//! The usual soft limit (1024) is below our bounds, so it is raised to what they need. Promise:
//! a process that runs has room for all connections that it accepts, and for its journal.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::settings::Settings;
use crate::host::HostError;
use crate::http;

/// What is open beside the sockets that are served: logs, segments made ahead, listeners, pipes,
/// connections that are being refused.
const OTHERS_MAX: u64 = 256;

/// Sees to it that all connections that these settings allow can be open at once.
pub fn provide(settings: &Settings) -> Result<(), HostError> {
    let needed = needed(settings);
    let limit = getrlimit(Resource::Nofile);
    let suffices = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if suffices(limit.current) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    if suffices(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or_default();
    Err(HostError::Usage(format!(
        "the connections that the settings allow need {needed} open files, and this process may \
         have {most}: raise that limit (`ulimit -n`, `LimitNOFILE=`) or lower \
         mqtt.connections_max or window.sessions_max"
    )))
}

fn needed(settings: &Settings) -> u64 {
    let mqtt = u64::from(settings.mqtt.connections_max);
    let sessions = u64::from(settings.window.sessions_max);
    let brokers = settings.brokers.connections() as u64;
    mqtt + sessions + brokers + http::Limits::default().connections_max as u64 + OTHERS_MAX
}

#[cfg(test)]
mod tests {
    use ioc_gateway::brokers::mqtt::MqttBrokerOptions;

    use super::*;
    use crate::config::settings::brokers::Broker;

    #[test]
    fn every_bound_of_the_sockets_counts() {
        let mut settings = Settings::load(None, std::iter::empty()).unwrap();
        let before = needed(&settings);
        settings.mqtt.connections_max += 10;
        settings.window.sessions_max += 1;
        let user = None;
        let options = MqttBrokerOptions::default();
        settings.brokers.mqtt.push(Broker { options, user });
        assert_eq!(needed(&settings), before + 12);
        assert!(
            provide(&settings).is_ok(),
            "the limit of this machine is too low"
        );
        settings.mqtt.connections_max = u32::MAX;
        assert!(matches!(provide(&settings), Err(HostError::Usage(_))));
    }
}
