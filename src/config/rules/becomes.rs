//! The question `becomes`: states that people must know of, to [`Becomes`].
//!
//! Arrives: the keys `becomes`, `attribute`, `from`, `for` and `clear_for`. Leaves: lists of states,
//! least severe first. A state is a value of the kind, or the text of an attribute. Next:
//! `correlation.rs`.

use ioc_core::bundle::{Becomes, Level, Side, States};

use super::threshold;
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;

const STATES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 128;

/// Reads the keys of a change of state.
pub fn read(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Becomes> {
    let attribute = section.optional("attribute");
    let by_value = attribute.is_none();
    let attribute = attribute.map(|field| attribute_name(&field, mistakes));
    let reader = Reader {
        kind: kind.filter(|_| by_value),
    };
    let becomes = section.optional("becomes");
    let from = section.optional("from");
    let hold = threshold::hold(section, mistakes);
    if by_value && kind.is_none() {
        return None;
    }
    let written =
        becomes.and_then(|field| threshold::by_severity(&field, &reader.example(), mistakes));
    let mut levels = Vec::new();
    let mut states = Vec::new();
    for (severity, field) in written? {
        let value = levels.len() as f64 + 0.5;
        levels.push(Level { severity, value });
        states.push((reader.states(&field, mistakes), field));
    }
    let from = match from {
        Some(field) => Some((reader.states(&field, mistakes)?, field)),
        None => None,
    };
    let attribute = match attribute {
        Some(name) => Some(name?),
        None => None,
    };
    let states: Option<Vec<_>> = states
        .into_iter()
        .map(|(states, field)| Some((states?, field)))
        .collect();
    let states = states?;
    reader.refuse_twice(states.iter().chain(&from), mistakes);
    let threshold = hold?.over(Side::Above, levels, 0.0)?;
    Some(Becomes {
        attribute,
        states: states.into_iter().map(|(states, _)| states).collect(),
        from: from.map(|(states, _)| states),
        threshold,
    })
}

pub(super) fn attribute_name(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let wanted = format!("the name of an attribute, of at most {NAME_BYTES_MAX} bytes");
    let fits = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
    field.read(mistakes, &wanted, |name| {
        fits(name).then(|| name.to_owned())
    })
}

/// Reads states by value, or by text where there is no kind.
struct Reader<'a> {
    kind: Option<&'a Kind>,
}

impl Reader<'_> {
    fn example(&self) -> String {
        self.kind.map_or("open".to_owned(), |kind| kind.show(0.0))
    }

    /// A state, or a list of them.
    fn states(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<States> {
        let items = field.items();
        if items.is_empty() || items.len() > STATES_MAX {
            let what = format!(
                "needs 1 to {STATES_MAX} states, such as `{}`",
                self.example()
            );
            field.wrong(mistakes, what);
            return None;
        }
        let Some(kind) = self.kind else {
            let texts = items.iter().map(|item| item.text(mistakes, "a state"));
            let mut texts: Vec<_> = texts
                .map(|text| text.map(str::to_owned))
                .collect::<Option<_>>()?;
            texts.sort();
            texts.dedup();
            return Some(States::Texts(texts));
        };
        let values = items.iter().map(|item| {
            let value = kind.value(item, mistakes)?;
            if Some(value) == kind.normal && !field.path.ends_with(".from") {
                let what = format!(
                    "would call the normal value of this kind abnormal, which is {} in kinds.yaml",
                    kind.show(value)
                );
                item.wrong(mistakes, what);
            }
            Some(value)
        });
        let mut values: Vec<f64> = values.collect::<Option<_>>()?;
        values.sort_by(f64::total_cmp);
        values.dedup();
        Some(States::Values(values))
    }

    /// A state stands in one list only: else nobody could tell what it means.
    fn refuse_twice<'f, 'n: 'f>(
        &self,
        lists: impl Iterator<Item = &'f (States, Field<'n>)>,
        mistakes: &mut Mistakes,
    ) {
        let mut known: Vec<String> = Vec::new();
        for (states, field) in lists {
            let own: Vec<String> = match (states, self.kind) {
                (States::Values(values), Some(kind)) => {
                    values.iter().map(|value| kind.show(*value)).collect()
                }
                (States::Values(values), None) => values.iter().map(f64::to_string).collect(),
                (States::Texts(texts), _) => texts.clone(),
            };
            if let Some(twice) = own.iter().find(|state| known.contains(state)) {
                let what = format!("`{twice}` is in another list too; write it in one");
                field.wrong(mistakes, what);
            }
            known.extend(own);
        }
    }
}

/// A change of state in canonical words.
pub fn meaning(becomes: &Becomes) -> String {
    let Becomes {
        attribute,
        states,
        from,
        threshold,
    } = becomes;
    let threshold = threshold::meaning(threshold);
    format!(" becomes {states:?} by {attribute:?} from {from:?}{threshold}")
}
