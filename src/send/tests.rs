use super::*;

fn report(lines: u64, flawed: u64, acknowledged: u64) -> SendReport {
    SendReport {
        lines,
        is_whole: true,
        flawed,
        bytes: 0,
        sent: lines,
        acknowledged,
        dead_lettered: None,
        resent: 0,
        took: Duration::from_secs(1),
        latency: None,
        quality: Quality::AtLeastOnce,
    }
}

#[test]
fn a_recording_without_one_reading_is_a_failure_and_an_empty_one_is_not() {
    let verdict = |report: SendReport| report.verdict(Path::new("it"));
    assert!(matches!(
        verdict(report(0, 198_554, 0)),
        Err(SendError::NoReadings {
            flawed: 198_554,
            ..
        })
    ));
    assert!(verdict(report(0, 0, 0)).is_ok());
    assert!(verdict(report(3, 0, 3)).is_ok());
    assert!(matches!(
        verdict(report(3, 0, 2)),
        Err(SendError::NotAcknowledged { count: 1 })
    ));
}

#[test]
fn a_line_that_could_not_be_sent_is_a_failure_though_all_others_were() {
    let verdict = |report: SendReport| report.verdict(Path::new("it"));
    let told = verdict(report(3, 2, 3)).unwrap_err().to_string();
    assert_eq!(told, "2 lines could not be sent");
    let told = verdict(report(3, 2, 1)).unwrap_err().to_string();
    assert_eq!(told, "2 lines were not acknowledged");
}
