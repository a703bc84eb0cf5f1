//! What holds for any message of any format: it is readings, which their records give back, or
//! dead letters.

use ioc_core::record::Input;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::door::Inputs;
use ioc_gateway::formats::mapping::{Format, Mapping, Mappings, Names};
use ioc_gateway::formats::{Message, Workspace, append_message};

/// A catalogue of these formats, each for the topics of this filter, and of some kinds and names.
pub fn catalogue(formats: Vec<(&str, Format)>) -> Catalogue {
    let names = Names {
        sensors: [("a".into(), "s-1".into()), ("g/n/m".into(), "s-2".into())].into(),
        kinds: [("v".into(), "pump".into()), ("m".into(), "pump".into())].into(),
        units: [("C".into(), "degC".into())].into(),
        words: [("ON".into(), 1.0)].into(),
    };
    let mapping = |(topic, format): (&str, Format)| Mapping {
        name: topic.into(),
        topic: topic.parse().expect("a filter"),
        format,
        names: names.clone(),
    };
    Catalogue {
        kind_units: [("pump".into(), "state".into()), ("level".into(), "m".into())].into(),
        mappings: Mappings::new(formats.into_iter().map(mapping).collect()),
        ..Catalogue::default()
    }
}

/// Reads a message; what comes of it are records that read back the same.
pub fn check(message: Message<'_>, catalogue: &Catalogue, workspace: &mut Workspace) {
    let mut inputs = Inputs::default();
    let mut told = 0;
    let hear = &mut |_: Result<&str, _>| told += 1;
    append_message(&mut inputs, message, "fuzz", catalogue, workspace, hear);
    assert_eq!(inputs.count(), told);
    for record in inputs.iter() {
        let input = Input::decode(record).expect("what was encoded");
        let mut again = Vec::new();
        input.encode(&mut again);
        assert_eq!(again, record);
    }
}
