//! XML 1.0, as far as alerts need it: element by element, where they lie.
//!
//! Arrives: the text of a message. Leaves: the elements within each other, with their texts.
//! Promise: nothing is expanded: a document type is refused, and so is every reference but to a
//! character or one of the five that XML itself defines; so a message costs what it is long.
//! Bounds: [`DEPTH_MAX`]; the caller bounds the length. Next: `cap.rs`.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Reason, Reject};

/// How deep elements may lie within each other.
const DEPTH_MAX: usize = 32;

/// The elements of a message that were not read yet.
pub(super) struct Elements<'d> {
    reader: Reader<&'d [u8]>,
    /// How many elements are open.
    depth: usize,
}

impl<'d> Elements<'d> {
    pub fn new(xml: &'d str) -> Self {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    /// The next element within the one that was begun last; `None` where that ends. Texts between
    /// them are passed over. Of the message itself the only element, and then its end.
    pub fn next(&mut self) -> Result<Option<BytesStart<'d>>, Reject> {
        loop {
            match self.event()? {
                Event::Start(element) => return Ok(Some(element)),
                Event::End(_) | Event::Eof => return Ok(None),
                Event::Text(text) if self.depth == 0 && !text.trim_ascii().is_empty() => {
                    return Err(malformed("a text outside of the element"));
                }
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {}
                Event::Empty(_) => unreachable!("empty elements are told as begun and ended"),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// The text of the element that was begun last, to its end, without blanks around it. Elements
    /// within it are passed over.
    pub fn text(&mut self) -> Result<Cow<'d, str>, Reject> {
        let (mut text, until) = (Cow::Borrowed(""), self.depth - 1);
        while self.depth > until {
            let is_own = self.depth == until + 1;
            match self.event()? {
                Event::Text(piece) if is_own => append(&mut text, piece.into_inner()),
                Event::CData(piece) if is_own => append(&mut text, piece.into_inner()),
                Event::GeneralRef(reference) if is_own => {
                    let character = resolved(&reference)?;
                    append(&mut text, character);
                }
                Event::Eof => return Err(malformed("it breaks off")),
                _ => {}
            }
        }
        Ok(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
        })
    }

    /// Passes over the element that was begun last, to its end.
    pub fn pass_over(&mut self) -> Result<(), Reject> {
        let until = self.depth - 1;
        while self.depth > until {
            if let Event::Eof = self.event()? {
                return Err(malformed("it breaks off"));
            }
        }
        Ok(())
    }

    /// The next event, counted.
    fn event(&mut self) -> Result<Event<'d>, Reject> {
        let event = self.reader.read_event().map_err(|error| {
            let at = self.reader.error_position();
            malformed(format!("{error}, at byte {at}"))
        })?;
        match &event {
            Event::Start(_) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let detail = format!("elements lie deeper than {DEPTH_MAX} in each other");
                    return Err(Reject::new(Reason::NestingTooDeep, detail));
                }
            }
            Event::End(_) => self.depth -= 1,
            Event::DocType(_) => {
                return Err(malformed(
                    "a document type is not read, for it can define entities",
                ));
            }
            Event::GeneralRef(reference) => {
                resolved(reference)?;
            }
            Event::Eof if self.depth > 0 => return Err(malformed("it breaks off")),
            _ => {}
        }
        Ok(event)
    }
}

fn append<'d>(text: &mut Cow<'d, str>, piece: Cow<'d, str>) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.to_mut().push_str(&piece);
    }
}

/// What a reference stands for.
fn resolved(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, Reject> {
    let character = reference.resolve_char_ref();
    let character = character.map_err(|error| malformed(error.to_string()))?;
    if let Some(character) = character {
        return Ok(Cow::Owned(character.to_string()));
    }
    let name: &str = reference;
    let defined = resolve_predefined_entity(name).map(Cow::Borrowed);
    defined.ok_or_else(|| {
        let name = super::cut(name);
        malformed(format!("the entity {name:?} is not defined"))
    })
}

pub(super) fn malformed(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::XmlMalformed, detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names and texts of the elements within the only one.
    fn read(xml: &str) -> Result<Vec<(String, String)>, Reject> {
        let (mut elements, mut found) = (Elements::new(xml), Vec::new());
        let root = elements.next()?;
        root.ok_or_else(|| malformed("no element"))?;
        while let Some(element) = elements.next()? {
            let name = element.name().into_inner().to_owned();
            found.push((name, elements.text()?.into_owned()));
        }
        match elements.next()? {
            Some(_) => Err(malformed("a second element")),
            None => Ok(found),
        }
    }

    fn pairs(found: &[(&str, &str)]) -> Vec<(String, String)> {
        found
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn elements_have_names_and_texts() {
        let xml = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- a --><a>\n x<b> one </b><c/>
            <d>a &lt; b &amp;&#32;&#x63;</d><e><![CDATA[<raw>]]> and<f>not</f> more</e></a>\n";
        assert_eq!(
            read(xml),
            Ok(pairs(&[
                ("b", "one"),
                ("c", ""),
                ("d", "a < b & c"),
                ("e", "<raw> and more"),
            ]))
        );
    }

    #[test]
    fn bombs_are_refused_before_they_cost_anything() {
        let laughs = "<!DOCTYPE a [<!ENTITY b \"ha\"><!ENTITY c \"&b;&b;\">]><a><b>&c;</b></a>";
        let reject = read(laughs).unwrap_err();
        assert_eq!(reject.reason, Reason::XmlMalformed);
        assert!(
            reject.detail.starts_with("a document type"),
            "{}",
            reject.detail
        );
        let external = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
        assert!(read(external).is_err());
        let undefined = read("<a><b>&c;</b></a>").unwrap_err();
        assert_eq!(undefined.detail, "the entity \"c\" is not defined");
        let deep = format!("<a>{}", "<b>".repeat(DEPTH_MAX));
        assert_eq!(read(&deep).unwrap_err().reason, Reason::NestingTooDeep);
    }

    #[test]
    fn what_is_malformed_is_told() {
        for xml in [
            "",
            "a",
            "<a>",
            "<a><b>",
            "<a><b></a>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "<a><b>&</b></a>",
            "<a><b>&#0;</b></a>",
            "<a",
            "<a><![CDATA[",
            "<a><!--",
            "<a>&lt</a>",
        ] {
            let reject = read(xml).unwrap_err();
            assert_eq!(
                reject.reason,
                Reason::XmlMalformed,
                "{xml}: {}",
                reject.detail
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(pieces in prop::collection::vec(prop::sample::select(vec![
            "<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "&lt;", "&#65;", "&x;", "&", "text", "<", ">",
            "<![CDATA[", "]]>", "<!--", "-->", "<?p ?>", "<!DOCTYPE a>", "\u{e9}", "\"",
        ]), 0..30)) {
            let xml = pieces.concat();
            let _any = read(&xml);
        }
    }
}
