//! Any bytes as JSON of a shape, SenML and SensorThings: no panic; what is taken is a record that
//! reads back the same.
#![no_main]

mod support;

use ioc_gateway::formats::mapping::{
    Format, Measured, Moment, ReadingShape, Shape, Whence, Where,
};
use ioc_gateway::formats::{Message, Workspace};
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
    let topics = ["shape", "senml", "Datastreams(5)/Observations"];
    let formats = [shape(), Format::Senml, Format::SensorThings];
    let catalogue = support::catalogue(topics.into_iter().zip(formats).collect());
    let mut workspace = Workspace::default();
    for topic in topics {
        let message = Message {
            topic,
            payload: bytes,
            ..Message::default()
        };
        support::check(message, &catalogue, &mut workspace);
    }
});
