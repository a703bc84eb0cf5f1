//! Any bytes as messages: they are readings, which their records give back, or dead letters, which
//! keep to their bounds; and what a connection decoded before changes neither.

use ioc_core::decision::{CommandState, EffectClass, Progress};
use ioc_core::id::CommandKey;
use ioc_core::record::{DeadLetter, Input};
use ioc_core::time::Timestamp;

use crate::catalogue::{Catalogue, Now};
use crate::door::Inputs;
use crate::formats::mapping::{
    Columns, Format, Level, MadeMarks, Mapping, Mappings, Measured, Moment, Names, ReadingShape,
    Shape, Whence, Where, Written,
};
use crate::formats::{Message, Replies, Workspace, append_message, native};

/// The attributes of an event in binary mode.
const EVENT: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("id", "1"),
    ("source", "/s"),
    ("type", "t"),
    ("time", "2026-03-14T06:45:10Z"),
];
/// What a byte before each message of an edge node says that it is.
const SPARKPLUG_TOPICS: [&str; 7] = [
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/NDEATH/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/DDEATH/n/d",
    "spBv1.0/STATE/h",
];
/// The device that a command is under way for.
const DEVICE: &str = "gate-7";
/// The time of what says none.
const NOW: Timestamp = Timestamp::from_millis(1_773_470_710_933);

/// A catalogue of one format, for the topics of this filter, and of some kinds and names.
fn catalogue(topic: &str, format: Format) -> Catalogue {
    let names = Names {
        sensors: [("a".into(), "s-1".into()), ("g/n/m".into(), "s-2".into())].into(),
        kinds: [
            ("v".into(), "pump".into()),
            ("m".into(), "pump".into()),
            ("5".into(), "pump".into()),
        ]
        .into(),
        units: [("C".into(), "degC".into())].into(),
        words: [("ON".into(), 1.0)].into(),
    };
    let mapping = Mapping {
        name: "tried".into(),
        topic: topic.parse().expect("a filter"),
        format,
        names,
    };
    let kinds = [
        ("pump", "state"),
        ("water_level", "m"),
        ("temperature", "degC"),
    ];
    Catalogue {
        kind_units: kinds.map(|(kind, unit)| (kind.into(), unit.into())).into(),
        mappings: Mappings::new(vec![mapping]),
        now: Now::new(|| NOW),
        ..Catalogue::default()
    }
}

/// Where items can be: in a list or an object, in lists in others, and in tables of each sort; and who
/// measured.
fn everywhere() -> [(Vec<Level>, &'static str); 6] {
    let place = |place: &str| place.parse().expect("a pointer");
    let elements = |of| Level::Elements(place(of));
    let columns = |at| Level::Columns(Columns::Within(place(at)));
    let rows = Level::Rows {
        at: place("/d"),
        names: place("/n"),
    };
    let listed = ["s", "v", "t", "i"].map(|name| (name.into(), place(&format!("/l/{name}"))));
    let listed = Level::Columns(Columns::Listed(listed.into()));
    [
        (vec![elements("/e")], "{/s}-{key}"),
        (vec![elements("/o"), elements("/e")], "{item 1 /s}-{key 1}"),
        (
            vec![elements("/o"), elements(""), elements("/e")],
            "{item 2 /s}-{number 1}-{key 2}",
        ),
        (vec![elements("/o"), columns("/c")], "{item 1 /s}"),
        (vec![rows, elements("/e")], "{item 1 /s}"),
        (vec![listed], "/s"),
    ]
}

/// Any bytes as JSON of shapes whose items are anywhere.
pub(super) fn json_shapes(bytes: &[u8]) -> usize {
    let shapes = everywhere().map(|(each, sensor)| shape(each, sensor));
    let taken = shapes.map(|shape| of_format("shape", shape, bytes));
    taken.into_iter().sum()
}

/// JSON of a shape that uses all that a shape can say.
fn shape(each: Vec<Level>, sensor: &str) -> Format {
    let text = |text: &str| text.parse().expect("an expression");
    let reading = ReadingShape {
        sensor: text(sensor),
        kind: Some(text("k")),
        value: Measured {
            from: Whence::Source("/v".parse().expect("a source")),
            written: Written::Leading { point: '.' },
            nothing: vec!["none".into()],
            words: vec![("DRY".into(), 0.0)],
            multiply: 0.1,
            add: 1.0,
        },
        unit: Some(text("/u")),
        observed_at: Moment::Written {
            from: text("/t"),
            offset: Some("+08:00".into()),
            pattern: None,
        },
        id: Some(text("/i")),
        position: Some(Where::List("message /p".parse().expect("a source"))),
        attributes: vec![("a".into(), text("/a"))],
        optional: true,
    };
    Format::Json(Shape {
        is_text: false,
        each,
        readings: vec![reading],
        marks: MadeMarks::default(),
    })
}

/// Any bytes as a message of a format.
pub(super) fn of_format(topic: &str, format: Format, bytes: &[u8]) -> usize {
    let message = Message {
        topic,
        payload: bytes,
        ..Message::default()
    };
    check(message, &catalogue("#", format))
}

/// Any bytes as an event in structured mode, and as the data of one in binary mode.
pub(super) fn cloud_events(bytes: &[u8]) -> usize {
    let catalogue = catalogue("#", Format::CloudEvents(None));
    let structured = Message {
        topic: "events",
        payload: bytes,
        ..Message::default()
    };
    let mut taken = check(structured, &catalogue);
    for content_type in [
        "application/json",
        "application/senml+cbor",
        "application/ld+json",
    ] {
        let binary = Message {
            content_type: Some(content_type),
            event: &EVENT,
            ..structured
        };
        taken += check(binary, &catalogue);
    }
    taken
}

/// Any bytes as what a device says about the one command that is under way.
pub(super) fn feedback(bytes: &[u8]) -> usize {
    let catalogue = Catalogue::default();
    catalogue.commands.follow(&CommandState {
        key: CommandKey::derive(&[DEVICE]),
        actuator: DEVICE.parse().expect("a name"),
        zone: "_".parse().expect("a name"),
        command: "close".parse().expect("a name"),
        parameters: "{}".into(),
        effect: EffectClass::Idempotent,
        progress: Progress::Sent,
        ordered_by: "ana".parse().expect("a name"),
        ordered_at: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(60_000),
        outcome_by: Timestamp::from_millis(120_000),
        confirmed_by: None,
        answer: None,
        confirmation: None,
    });
    let message = Message {
        topic: "ioc/v1/feedback/gate-7",
        payload: bytes,
        ..Message::default()
    };
    check(message, &catalogue)
}

/// Any bytes as a native reading, whose sensor its topic names or does not.
pub(super) fn native(bytes: &[u8]) -> usize {
    let (catalogue, mut scratch) = (Catalogue::default(), native::Scratch::default());
    let mut taken = 0;
    for topic_sensor in [None, Some("wl-1")] {
        let Ok(reading) = native::decode(bytes, topic_sensor, &catalogue, &mut scratch) else {
            continue;
        };
        let mut record = Vec::new();
        Input::Reading(reading).encode(&mut record);
        assert_eq!(Input::decode(&record), Ok(Input::Reading(reading)));
        taken += 1;
    }
    taken
}

/// Any bytes as messages of an edge node: before each, a byte says which it is, and one its length.
pub(super) fn sparkplug(bytes: &[u8]) -> usize {
    let catalogue = catalogue("spBv1.0/#", Format::Sparkplug);
    let (mut workspace, mut rest, mut taken) = (Workspace::default(), bytes, 0);
    while let [topic, length, after @ ..] = rest {
        let (payload, behind) = after.split_at(after.len().min(usize::from(*length)));
        let message = Message {
            topic: SPARKPLUG_TOPICS[usize::from(*topic) % SPARKPLUG_TOPICS.len()],
            payload,
            ..Message::default()
        };
        taken += records(message, &catalogue, &mut workspace).taken();
        rest = behind;
    }
    taken
}

/// What became of a message: its records.
#[derive(Debug, PartialEq)]
struct Became(Vec<Vec<u8>>);

impl Became {
    /// How many are no dead letters.
    fn taken(&self) -> usize {
        let is_taken =
            |record: &&Vec<u8>| !matches!(Input::decode(record), Ok(Input::DeadLetter(_)));
        self.0.iter().filter(is_taken).count()
    }
}

/// Reads a message with memory that is new, and again with what that left.
fn check(message: Message<'_>, catalogue: &Catalogue) -> usize {
    let mut workspace = Workspace::default();
    let first = records(message, catalogue, &mut workspace);
    let again = records(message, catalogue, &mut workspace);
    assert_eq!(first, again, "what was decoded before changes nothing");
    first.taken()
}

/// What becomes of a message: each is told, reads back the same and keeps to its bounds.
fn records(message: Message<'_>, catalogue: &Catalogue, workspace: &mut Workspace) -> Became {
    let mut inputs = Inputs::default();
    let mut told = 0;
    let hear = &mut |_: Result<&str, _>| told += 1;
    append_message(&mut inputs, message, "fuzz", catalogue, workspace, hear);
    assert_eq!(inputs.count(), told);
    for record in inputs.iter() {
        let input = Input::decode(record).expect("what was encoded");
        if let Input::DeadLetter(letter) = input {
            assert!(letter.payload.len() <= DeadLetter::PAYLOAD_BYTES_MAX);
            assert!(!letter.reason.is_empty() && !letter.detail.is_empty());
        }
        let mut again = Vec::new();
        input.encode(&mut again);
        assert_eq!(again, record);
    }
    let replies = std::iter::from_fn(|| workspace.replies.pop()).count();
    assert!(replies <= Replies::COUNT_MAX);
    Became(inputs.iter().map(<[u8]>::to_vec).collect())
}
