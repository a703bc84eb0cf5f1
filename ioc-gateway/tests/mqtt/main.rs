//! The MQTT listener over real sockets, with an engine that settles when it is told to.
//!
//! `rumqttc` stands for the clients of others; where bytes matter, a bare socket is the client.
//! What holds in both versions of MQTT is one test that runs twice.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

/// Makes of each function a test of either version.
macro_rules! in_both_versions {
    ($($test:ident,)+) => {
        mod v3_1_1 {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Version::V311).await;
            })+
        }
        mod v5 {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Version::V5).await;
            })+
        }
    };
}

mod bench;
mod packets;

mod both;
mod v3_1_1;
mod v5;
mod deliveries;
mod exactly_once;
mod wills;
mod websocket;
mod foreign;
mod bounds;
mod lanes;
