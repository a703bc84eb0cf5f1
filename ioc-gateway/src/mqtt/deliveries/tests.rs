use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ioc_core::id::ZoneId;

use super::kept::{
    PARCEL_BYTES_MAX, PARCELS_MAX, PARCELS_PER_TOPIC_MAX, REPLIES_MAX, RETAINED_MAX,
};
use super::*;
use crate::mqtt::codec::{RetainHandling, Wanted};

const V311: Takes = Takes {
    version: Version::V311,
    packet_bytes_max: usize::MAX,
};

fn wanted(filter: &str, qos: u8) -> Wanted<'_> {
    Wanted {
        filter,
        qos,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    }
}

fn filter(text: &str, qos: u8) -> Filter {
    Filter::parse(&wanted(text, qos), &Devices::Every).unwrap()
}

fn subscriber(deliveries: &Deliveries, decisions_max: usize, takes: Takes) -> Subscription {
    deliveries.subscribe(decisions_max, takes, Devices::Every, None)
}

/// A subscriber of these filters.
fn of(deliveries: &Deliveries, filters: &[&str]) -> Subscription {
    let mut subscription = subscriber(deliveries, 8, V311);
    for text in filters {
        assert!(subscription.add(&filter(text, 0), RetainHandling::Never));
    }
    subscription
}

fn json(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn packet(message: Option<Message>) -> Bytes {
    message.unwrap().packet
}

#[test]
fn each_subscriber_gets_what_it_asked_for_once() {
    let deliveries = Deliveries::default();
    deliveries.decision("z1", &json("nobody hears this"));
    let mut one = of(&deliveries, &["ioc/v1/decisions/z1"]);
    let mut all = of(&deliveries, &["ioc/v1/decisions/z1", "ioc/v1/decisions/#"]);
    deliveries.decision("z1", &json("{}"));
    deliveries.decision("z2", &json("{}"));
    assert_eq!(
        packet(one.try_next()),
        b"\x30\x17\0\x13ioc/v1/decisions/z1{}"[..]
    );
    assert_eq!(one.try_next(), None);
    assert!(all.try_next().is_some() && all.try_next().is_some());
    assert_eq!(all.try_next(), None);
    let own = filter("ioc/v1/decisions/z1", 0);
    assert!(one.remove(&own) && !one.remove(&own));
    deliveries.decision("z1", &json("{}"));
    assert_eq!(one.try_next(), None);
}

#[test]
fn of_two_filters_the_higher_quality_counts() {
    let deliveries = Deliveries::default();
    let mut both = subscriber(&deliveries, 8, V311);
    both.add(&filter("ioc/v1/decisions/z1", 2), RetainHandling::Never);
    both.add(&filter("ioc/v1/decisions/#", 0), RetainHandling::Never);
    deliveries.decision("z1", &json("{}"));
    deliveries.decision("z2", &json("{}"));
    let message = both.try_next().unwrap();
    assert_eq!(
        message.packet,
        b"\x32\x19\0\x13ioc/v1/decisions/z1\0\0{}"[..]
    );
    assert_eq!(message.packet_id_at, Some(23));
    assert_eq!(both.try_next().unwrap().packet_id_at, None);
    // What is granted last for a filter holds.
    both.add(&filter("ioc/v1/decisions/z1", 0), RetainHandling::Never);
    deliveries.decision("z1", &json("{}"));
    assert_eq!(both.try_next().unwrap().packet_id_at, None);
}

#[test]
fn each_subscriber_gets_it_in_its_version_and_no_longer_than_it_takes() {
    let deliveries = Deliveries::default();
    let takes = |packet_bytes_max| Takes {
        version: Version::V5,
        packet_bytes_max,
    };
    let expected = b"\x30\x2d\0\x13ioc/v1/decisions/z1\x15\x01\x01\x03\0\x10application/json{}";
    let mut subscriptions = [V311, takes(expected.len()), takes(expected.len() - 1)]
        .map(|takes| subscriber(&deliveries, 8, takes));
    for subscription in &mut subscriptions {
        subscription.add(&filter("ioc/v1/decisions/+", 0), RetainHandling::Always);
    }
    deliveries.decision("z1", &json("{}"));
    let [old, new, narrow] = &mut subscriptions;
    let old = packet(old.try_next());
    assert_eq!(old, b"\x30\x17\0\x13ioc/v1/decisions/z1{}"[..]);
    assert_eq!(packet(new.try_next()), expected[..]);
    assert_eq!(narrow.try_next(), None);
    // Nor is it retained for who does not take it.
    narrow.add(&filter("ioc/v1/decisions/+", 0), RetainHandling::Always);
    assert_eq!(narrow.try_next(), None);
}

#[test]
fn a_slow_subscriber_misses_what_its_queue_cannot_hold() {
    let deliveries = Deliveries::default();
    let mut slow = subscriber(&deliveries, 2, V311);
    slow.add(&filter("ioc/v1/decisions/#", 0), RetainHandling::Always);
    for _ in 0..5 {
        deliveries.decision("z1", &json("{}"));
    }
    assert!(slow.try_next().is_some() && slow.try_next().is_some());
    assert_eq!(slow.try_next(), None);
}

#[test]
fn a_zone_is_one_level_of_the_topic() {
    let deliveries = Deliveries::default();
    let mut every = of(&deliveries, &["ioc/v1/decisions/#"]);
    deliveries.decision("a/b+#%", &json(""));
    assert!(packet(every.try_next()).ends_with(b"ioc/v1/decisions/a%2Fb%2B%23%25"));
    assert_eq!(deliveries.0.by_number.len(), 1);
    drop(every);
    assert_eq!(deliveries.0.by_number.len(), 0);
}

#[test]
fn p5_a_filter_is_no_longer_than_a_zone_can_be() {
    let deliveries = Deliveries::default();
    let longest = "%".repeat(ZoneId::BYTES_MAX);
    let mut subscription = of(&deliveries, &[&format!("{DECISIONS}{}", escaped(&longest))]);
    deliveries.decision(&longest, &json("{}"));
    assert!(subscription.try_next().is_some());
    let longer = format!("{DECISIONS}{}", "x".repeat(Filter::ZONE_BYTES_MAX + 1));
    assert!(Filter::parse(&wanted(&longer, 0), &Devices::Every).is_err());
}

#[test]
fn filters_have_a_bound() {
    let deliveries = Deliveries::default();
    let mut subscription = subscriber(&deliveries, 1, V311);
    let mut add = |text: &str| subscription.add(&filter(text, 0), RetainHandling::Always);
    for n in 0..Subscription::FILTERS_MAX {
        assert!(add(&format!("ioc/v1/decisions/z{n}")));
    }
    assert!(!add("ioc/v1/decisions/#"));
    assert!(add("ioc/v1/decisions/z0"), "one that is there already");
}

#[test]
fn frost_2323_a_new_subscriber_gets_the_last_decision_of_each_zone() {
    let deliveries = Deliveries::default();
    for (zone, text) in [("z1", "1"), ("z2", "2"), ("z1", "3")] {
        deliveries.decision(zone, &json(text));
    }
    let mut subscription = subscriber(&deliveries, 8, V311);
    let mut add = |text: &str, handling| {
        subscription.add(&filter(text, 0), handling);
        let mut said = Vec::new();
        while let Some(message) = subscription.try_next() {
            assert!(message.retain);
            said.push(message.packet[message.packet.len() - 3..].to_vec());
        }
        said
    };
    use RetainHandling::{Always, IfNew, Never};
    assert!(add("ioc/v1/decisions/#", Never).is_empty());
    assert!(add("ioc/v1/decisions/#", IfNew).is_empty(), "it is not new");
    assert_eq!(add("ioc/v1/decisions/z1", IfNew), [b"z13"]);
    assert_eq!(add("ioc/v1/decisions/#", Always), [b"z22", b"z13"]);
    assert!(add("ioc/v1/decisions/z3", Always).is_empty());
    // What is published to one who is subscribed says so only if that is asked for.
    deliveries.decision("z1", &json("4"));
    assert!(!subscription.try_next().unwrap().retain);
    let as_published = Wanted {
        retain_as_published: true,
        ..wanted("ioc/v1/decisions/z1", 0)
    };
    let as_published = Filter::parse(&as_published, &Devices::Every).unwrap();
    subscription.add(&as_published, Never);
    deliveries.decision("z1", &json("5"));
    assert!(subscription.try_next().unwrap().retain);
}

#[test]
fn p5_retained_messages_have_a_bound() {
    let deliveries = Deliveries::default();
    for n in 0..=RETAINED_MAX {
        deliveries.decision(&format!("z{n}"), &json("{}"));
    }
    deliveries.decision("z1", &json("{}"));
    let kept = deliveries.0.lock();
    let topics: Vec<_> = kept.retained().map(|(topic, _)| &**topic).collect();
    assert_eq!(topics.len(), RETAINED_MAX);
    assert_eq!(topics[0], "ioc/v1/decisions/z2", "z0 was the oldest");
    assert_eq!(topics[RETAINED_MAX - 1], "ioc/v1/decisions/z1");
    drop(kept);
    let large = Bytes::from(vec![b' '; 1 << 20]);
    for n in 0..20 {
        deliveries.decision(&format!("large{n}"), &large);
    }
    assert_eq!(deliveries.0.lock().retained().count(), 15);
}

/// What is told of deliveries.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(u32, Outcome)>>>);

impl Told {
    fn delivery(&self, number: u32, topic: &str, not_after: Option<Instant>) -> Delivery {
        let told = self.clone();
        Delivery {
            topic: topic.parse().unwrap(),
            payload: json("open"),
            content_type: None,
            not_after,
            is_wanted: None,
            told: Some(Box::new(move |outcome| {
                told.0.lock().unwrap().push((number, outcome));
            })),
        }
    }

    fn take(&self) -> Vec<(u32, Outcome)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

const GATE: &str = "ioc/v1/commands/gate-7";

/// Takes a parcel out of a subscriber's mailbox, as its connection does.
fn taken(subscription: &Subscription) -> Option<Taken> {
    let context = std::task::Context::from_waker(std::task::Waker::noop());
    match subscription.mailbox().poll_take(&context) {
        std::task::Poll::Ready(taken) => Some(taken),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_delivery_goes_to_each_who_is_there_and_is_over_when_one_confirms_it() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &[GATE]);
    let log = of(&deliveries, &["ioc/v1/commands/#"]);
    let other = of(
        &deliveries,
        &["ioc/v1/commands/gate-8", "ioc/v1/decisions/#"],
    );
    deliveries.send(told.delivery(1, GATE, None));
    let (first, second) = (taken(&gate).unwrap(), taken(&log).unwrap());
    assert!(taken(&other).is_none() && taken(&gate).is_none());
    assert_eq!(told.take(), []);
    first.parcel.written(true);
    second.parcel.written(false);
    let written = Outcome::Written { is_confirmed: true };
    assert_eq!(told.take(), [(1, written)], "told once");
    first.parcel.acknowledged(0);
    assert_eq!(told.take(), [(1, Outcome::Confirmed)]);
    drop((first, second));
    assert_eq!(told.take(), []);
}

#[test]
fn whoever_sent_it_is_told_what_became_of_it() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &[GATE]);
    let send = |number| {
        deliveries.send(told.delivery(number, GATE, None));
        taken(&gate).unwrap().parcel
    };
    let written = |is_confirmed| Outcome::Written { is_confirmed };
    let unconfirmed = send(1);
    unconfirmed.written(true);
    drop(unconfirmed);
    assert_eq!(told.take(), [(1, written(true)), (1, Outcome::Unconfirmed)]);
    let refused = send(2);
    refused.written(true);
    refused.acknowledged(0x87);
    drop(refused);
    assert_eq!(
        told.take(),
        [(2, written(true)), (2, Outcome::Refused(0x87))]
    );
    let at_most_once = send(3);
    at_most_once.written(false);
    drop(at_most_once);
    assert_eq!(told.take(), [(3, written(false))]);
    let mut long = told.delivery(4, GATE, None);
    long.payload = Bytes::from(vec![b' '; Delivery::PAYLOAD_BYTES_MAX + 1]);
    deliveries.send(long);
    assert_eq!(told.take(), [(4, Outcome::Lost(Lost::TooLong))]);
    drop(gate);
    deliveries.send(told.delivery(5, GATE, None));
    deliveries.close();
    let stopping = Outcome::Lost(Lost::Stopping);
    assert_eq!(told.take(), [(5, Outcome::Queued), (5, stopping)]);
    deliveries.send(told.delivery(6, GATE, None));
    assert_eq!(told.take(), [(6, stopping)]);
}

#[test]
fn what_nobody_is_there_for_waits_for_the_first_who_comes() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    deliveries.send(told.delivery(1, GATE, None));
    deliveries.send(told.delivery(2, "spBv1.0/water/NCMD/north", None));
    assert_eq!(told.take(), [(1, Outcome::Queued), (2, Outcome::Queued)]);
    let mut stranger = deliveries.subscribe(8, V311, Devices::these(["gate-8"]), None);
    let own = Devices::these(["gate-8"]);
    let every = Filter::parse(&wanted("ioc/v1/commands/#", 1), &own).unwrap();
    stranger.add(&every, RetainHandling::Always);
    assert!(
        taken(&stranger).is_none(),
        "it may not speak for the device"
    );
    let gate = of(&deliveries, &[GATE]);
    // It goes again before it was written: it waits again.
    drop(gate);
    let gate = of(&deliveries, &[GATE]);
    taken(&gate).unwrap().parcel.written(true);
    let node = of(&deliveries, &["spBv1.0/+/NCMD/north/#"]);
    assert!(taken(&node).is_some());
    let late = of(&deliveries, &["ioc/v1/commands/#"]);
    assert!(taken(&late).is_none(), "it is not retained");
}

#[test]
fn what_one_goes_without_having_written_goes_to_another_who_is_there() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let first = of(&deliveries, &[GATE]);
    deliveries.send(told.delivery(1, GATE, None));
    deliveries.send(told.delivery(2, GATE, None));
    taken(&first).unwrap().parcel.written(false);
    let second = of(&deliveries, &[GATE]);
    drop(first);
    assert!(taken(&second).is_some_and(|taken| taken.parcel.may_be_written(Instant::now())));
    assert!(taken(&second).is_none(), "the other was written");
}

#[test]
fn inv_30_a_delivery_is_not_written_after_its_deadline() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let now = Instant::now();
    let soon = now + Duration::from_secs(10);
    deliveries.send(told.delivery(1, GATE, Some(soon)));
    deliveries.send(told.delivery(2, GATE, None));
    deliveries.send(told.delivery(3, GATE, Some(soon + Duration::from_secs(5))));
    told.take();
    let just_before = soon - Duration::from_millis(1);
    assert_eq!(deliveries.expire(just_before), Some(soon));
    let next = deliveries.expire(soon);
    assert_eq!(next, Some(soon + Duration::from_secs(5)));
    assert_eq!(told.take(), [(1, Outcome::Expired)]);
    let gate = of(&deliveries, &[GATE]);
    let (second, third) = (taken(&gate).unwrap(), taken(&gate).unwrap());
    assert!(
        second
            .parcel
            .may_be_written(soon + Duration::from_secs(100))
    );
    // Also if its time comes while it waits for the socket.
    assert!(third.parcel.may_be_written(soon));
    assert!(!third.parcel.may_be_written(soon + Duration::from_secs(5)));
    assert_eq!(told.take(), [(3, Outcome::Expired)]);
    third.parcel.written(true);
    assert_eq!(told.take(), [], "it is over");
}

#[test]
fn a_delivery_that_is_not_wanted_any_more_is_not_written() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let wanted = Arc::new(AtomicBool::new(true));
    for number in 1..=2 {
        let wanted = Arc::clone(&wanted);
        deliveries.send(Delivery {
            is_wanted: Some(Box::new(move || {
                number == 2 || wanted.load(Ordering::Relaxed)
            })),
            ..told.delivery(number, GATE, None)
        });
    }
    told.take();
    let gate = of(&deliveries, &[GATE]);
    let (first, second) = (taken(&gate).unwrap(), taken(&gate).unwrap());
    assert!(first.parcel.may_be_written(Instant::now()));
    wanted.store(false, Ordering::Relaxed);
    assert!(!first.parcel.may_be_written(Instant::now()));
    assert_eq!(told.take(), [(1, Outcome::Withdrawn)]);
    assert!(second.parcel.may_be_written(Instant::now()));
}

#[test]
fn a_deadline_that_has_passed_after_it_was_written_changes_nothing() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &[GATE]);
    let soon = Instant::now() + Duration::from_secs(10);
    deliveries.send(told.delivery(1, GATE, Some(soon)));
    let taken = taken(&gate).unwrap();
    taken.parcel.written(true);
    deliveries.expire(soon);
    taken.parcel.acknowledged(0);
    let written = Outcome::Written { is_confirmed: true };
    assert_eq!(told.take(), [(1, written), (1, Outcome::Confirmed)]);
}

#[test]
fn the_expiry_that_a_client_is_told_is_never_later_than_the_deadline() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &[GATE]);
    let now = Instant::now();
    let in_ms = |ms| now + Duration::from_millis(ms);
    deliveries.send(told.delivery(1, GATE, Some(in_ms(10_999))));
    let taken = taken(&gate).unwrap();
    let told = |at| taken.parcel.message(None, at).expires_in_s;
    assert_eq!((told(now), told(in_ms(5_000))), (Some(10), Some(5)));
    assert_eq!(told(in_ms(10_500)), Some(1), "0 is taken for none by some");
}

#[test]
fn p5_what_waits_for_a_device_has_a_bound_and_the_oldest_dies() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    for n in 0..=PARCELS_PER_TOPIC_MAX as u32 {
        deliveries.send(told.delivery(n, GATE, None));
    }
    let lost = Outcome::Lost(Lost::QueueFull);
    assert_eq!(told.take().iter().filter(|(_, o)| *o == lost).count(), 1);
    let gate = of(&deliveries, &[GATE]);
    let mut seen = 0;
    while let Some(taken) = taken(&gate) {
        taken.parcel.written(false);
        seen += 1;
    }
    assert_eq!(seen, PARCELS_PER_TOPIC_MAX);
    assert_eq!(told.take()[0].0, 1, "the oldest was lost");
}

#[test]
fn p5_what_waits_for_a_connection_has_a_bound_and_the_oldest_dies() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &["ioc/v1/commands/#"]);
    for n in 0..=Mailbox::PARCELS_MAX as u32 {
        deliveries.send(told.delivery(n, &format!("ioc/v1/commands/g{n}"), None));
    }
    assert_eq!(told.take(), [(0, Outcome::Lost(Lost::QueueFull))]);
    assert_eq!(taken(&gate).unwrap().parcel.topic().device(), "g1");
}

#[test]
fn p5_what_is_on_its_way_in_all_has_a_bound_and_the_oldest_dies() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let send = |n: usize, bytes| {
        let mut delivery = told.delivery(n as u32, &format!("ioc/v1/commands/g{n}"), None);
        delivery.payload = Bytes::from(vec![b' '; bytes]);
        deliveries.send(delivery);
        told.take()
            .into_iter()
            .filter(|(_, o)| *o != Outcome::Queued)
    };
    for n in 0..PARCELS_MAX {
        assert_eq!(send(n, 1).count(), 0);
    }
    let lost = Outcome::Lost(Lost::QueueFull);
    assert_eq!(send(PARCELS_MAX, 1).collect::<Vec<_>>(), [(0, lost)]);
    let large = Delivery::PAYLOAD_BYTES_MAX;
    for n in 0..300 {
        send(PARCELS_MAX + 1 + n, large).count();
    }
    let kept = deliveries.0.lock();
    let load = kept.load(Sort::Command);
    assert!(load.bytes() <= PARCEL_BYTES_MAX);
    // As many as there is room for, and no fewer.
    let parcels = load.parcels();
    assert!(
        (parcels + 1) * (large + 1024) > PARCEL_BYTES_MAX,
        "{parcels}"
    );
}

#[test]
fn p5_what_is_asked_of_nodes_takes_no_place_of_a_command() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    for n in 0..PARCELS_MAX as u32 {
        let topic = format!("ioc/v1/commands/g{n}");
        deliveries.send(told.delivery(n, &topic, None));
    }
    assert!(told.take().iter().all(|(_, o)| *o == Outcome::Queued));
    let asked = PARCELS_MAX as u32;
    for n in 0..2 * REPLIES_MAX as u32 {
        let topic = format!("spBv1.0/g/NCMD/n{n}");
        deliveries.reply(told.delivery(asked + n, &topic, None));
    }
    let lost = |told: &Told| {
        let mut told = told.take();
        told.retain(|(_, outcome)| *outcome == Outcome::Lost(Lost::QueueFull));
        told
    };
    let oldest: Vec<_> = (0..REPLIES_MAX as u32)
        .map(|n| (asked + n, Outcome::Lost(Lost::QueueFull)))
        .collect();
    assert_eq!(lost(&told), oldest, "replies alone are lost for replies");
    assert_eq!(deliveries.0.lock().load(Sort::Reply).parcels(), REPLIES_MAX);
    // What is asked once more takes the place of what was asked.
    let (deliveries, told) = (Deliveries::default(), Told::default());
    for n in 0..3 {
        deliveries.reply(told.delivery(n, "spBv1.0/g/NCMD/n", None));
    }
    let dead = Outcome::Lost(Lost::QueueFull);
    assert_eq!(lost(&told), [(0, dead), (1, dead)]);
}

#[test]
fn p5_what_is_asked_of_a_node_takes_no_command_out_of_its_mailbox() {
    let (deliveries, told) = (Deliveries::default(), Told::default());
    let gate = of(&deliveries, &["ioc/v1/commands/#", "spBv1.0/g/NCMD/#"]);
    for n in 0..Mailbox::PARCELS_MAX as u32 {
        deliveries.send(told.delivery(n, &format!("ioc/v1/commands/g{n}"), None));
    }
    deliveries.reply(told.delivery(100, "spBv1.0/g/NCMD/n", None));
    assert_eq!(told.take(), [(100, Outcome::Lost(Lost::QueueFull))]);
    assert_eq!(taken(&gate).unwrap().parcel.topic().device(), "g0");
}
