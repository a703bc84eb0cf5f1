//! Any bytes as a message of each format: no panic, and never nothing; what is taken is a record
//! that reads back the same.
#![no_main]

use ioc_core::record::Input;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::door::Inputs;
use ioc_gateway::formats::mapping::{
    Format, Mapping, Mappings, Measured, Moment, Names, ReadingShape, Shape, Whence, Where,
};
use ioc_gateway::formats::{Message, Workspace, append_message};
use libfuzzer_sys::fuzz_target;

fn shape() -> Format {
    let text = |text: &str| text.parse().expect("an expression");
    let reading = ReadingShape {
        sensor: text("{/s}-{key}"),
        kind: Some(text("k")),
        value: Measured {
            from: Whence::Source("/v".parse().expect("a source")),
            words: Vec::new(),
            multiply: 0.1,
            add: 1.0,
        },
        unit: Some(text("/u")),
        observed_at: Moment::Written {
            from: "/t".parse().expect("a source"),
            offset: Some("+08:00".into()),
        },
        id: Some(text("/i")),
        position: Some(Where::List("message /p".parse().expect("a source"))),
        attributes: vec![("a".into(), text("/a"))],
        optional: true,
    };
    Format::Json(Shape {
        each: Some("/e".parse().expect("a pointer")),
        readings: vec![reading],
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mapping = |(topic, format): (&str, Format)| Mapping {
        name: topic.into(),
        topic: topic.parse().expect("a filter"),
        format,
        names: Names::default(),
    };
    let formats = [
        ("shape", shape()),
        ("senml", Format::Senml),
        ("Datastreams(5)/Observations", Format::SensorThings),
    ];
    let topics: Vec<_> = formats.iter().map(|(topic, _)| *topic).collect();
    let catalogue = Catalogue {
        mappings: Mappings::new(formats.into_iter().map(mapping).collect()),
        ..Catalogue::default()
    };
    let mut workspace = Workspace::default();
    for topic in topics {
        let mut inputs = Inputs::default();
        let message = Message {
            topic,
            payload: bytes,
            ..Message::default()
        };
        let told = &mut |_: Result<&str, _>| {};
        append_message(&mut inputs, message, "fuzz", &catalogue, &mut workspace, told);
        assert!(inputs.count() > 0);
        for record in inputs.iter() {
            let input = Input::decode(record).expect("what was encoded");
            let mut again = Vec::new();
            input.encode(&mut again);
            assert_eq!(again, record);
        }
    }
});
