//! What BMCs write, read without trust: every field may be absent, null or of another type, and a field that cannot be
//! read is unknown and spoils nothing beside it. Only a body that is not JSON at all is an error.
//!
//! Seen in recorded data: memory as text, `TotalCores` as `"1"` (sushy-tools), `PowerState` null, `Members` null,
//! links as bare text, whole objects that are `[]`.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A scalar of whatever type the BMC chose.
enum Loose {
    Text(String),
    Number(f64),
    Flag(bool),
    Nothing,
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        let text = text.trim();
        Ok(if text.is_empty() { Loose::Nothing } else { Loose::Text(text.to_owned()) })
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Loose, E> {
        Ok(Loose::Flag(flag))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Loose, E> {
        Ok(Loose::Number(n as f64))
    }
    fn visit_u64<E>(self, n: u64) -> Result<Loose, E> {
        Ok(Loose::Number(n as f64))
    }
    fn visit_f64<E>(self, n: f64) -> Result<Loose, E> {
        Ok(Loose::Number(n))
    }
    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Nothing)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Nothing)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Nothing)
    }
}

/// Text without blanks around it; empty is unknown.
pub(super) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(match d.deserialize_any(LooseVisitor)? {
        Loose::Text(text) => Some(text),
        Loose::Number(n) => Some(n.to_string()),
        Loose::Flag(_) | Loose::Nothing => None,
    })
}

pub(super) fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    let read = match d.deserialize_any(LooseVisitor)? {
        Loose::Number(n) => Some(n),
        Loose::Text(text) => text.parse().ok(),
        Loose::Flag(_) | Loose::Nothing => None,
    };
    Ok(read.filter(|n: &f64| n.is_finite()))
}

pub(super) fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    Ok(match d.deserialize_any(LooseVisitor)? {
        Loose::Flag(flag) => Some(flag),
        Loose::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Loose::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

macro_rules! passes_over_scalars {
    ($nothing:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

macro_rules! passes_over_text {
    () => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(None)
        }
    };
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Option<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or anything to be passed over")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Option<T>, A::Error> {
        LooseVisitor.visit_seq(seq).map(|_| None)
    }
    passes_over_text!();
    passes_over_scalars!(None);
}

/// An object; anything else is unknown.
pub(super) fn part<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    d.deserialize_any(PartVisitor(PhantomData))
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Option<Vec<T>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or anything to be passed over")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Some(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        LooseVisitor.visit_map(map).map(|_| None)
    }
    passes_over_text!();
    passes_over_scalars!(None);
}

/// A list; absent, null or anything else is `None`, which is not an empty list.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Vec<T>>, D::Error> {
    d.deserialize_any(ListVisitor(PhantomData))
}

/// A text inside a list.
#[derive(Debug)]
pub(super) struct Word(pub Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Word, D::Error> {
        text(d).map(Word)
    }
}

/// An object inside a list.
#[derive(Debug)]
pub(super) struct Item<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Item<T>, D::Error> {
        part(d).map(Item)
    }
}

/// `{"@odata.id": PATH}`, or the path alone as `@Redfish.ActionInfo` has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Link(pub Option<String>);

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Link, D::Error> {
        struct LinkVisitor;
        impl<'de> Visitor<'de> for LinkVisitor {
            type Value = Link;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a link")
            }
            fn visit_str<E>(self, path: &str) -> Result<Link, E> {
                Ok(Link(Some(path.trim().to_owned()).filter(|p| !p.is_empty())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Link, A::Error> {
                let mut link = Link(None);
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if key == "@odata.id" {
                        link = Link(map.next_value::<Word>()?.0);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(link)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Link, A::Error> {
                LooseVisitor.visit_seq(seq).map(|_| Link(None))
            }
            passes_over_scalars!(Link(None));
        }
        d.deserialize_any(LinkVisitor)
    }
}

/// The paths of a list of links, those that can be read.
pub(super) fn paths(links: Option<&Vec<Link>>) -> Vec<String> {
    links.into_iter().flatten().filter_map(|l| l.0.clone()).collect()
}

/// The words of a list, those that can be read.
pub(super) fn words(list: Option<&Vec<Word>>) -> Vec<String> {
    list.into_iter().flatten().filter_map(|w| w.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Default, Debug)]
    #[serde(default)]
    struct Inner {
        #[serde(deserialize_with = "text")]
        name: Option<String>,
    }

    #[derive(serde::Deserialize, Default, Debug)]
    #[serde(default)]
    struct Outer {
        #[serde(deserialize_with = "text")]
        t: Option<String>,
        #[serde(deserialize_with = "number")]
        n: Option<f64>,
        #[serde(deserialize_with = "flag")]
        f: Option<bool>,
        #[serde(deserialize_with = "part")]
        p: Option<Inner>,
        #[serde(deserialize_with = "list")]
        l: Option<Vec<Item<Inner>>>,
        k: Link,
    }

    #[test]
    fn a_field_of_the_wrong_type_is_unknown_and_spoils_nothing() {
        let wrong = ["null", "7", "-7", "1.5", "true", "\"\"", "[]", "[{\"x\":1}]", "{}", "{\"x\":[{}]}"];
        for value in wrong {
            let json = format!(r#"{{"t":{value},"n":{value},"f":{value},"p":{value},"l":{value},"k":{value},"more":{value}}}"#);
            let read: Outer = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{value}: {e}"));
            assert!(read.k.0.is_none(), "{value}");
            assert!(read.p.is_none_or(|p| p.name.is_none()), "{value}");
        }
    }

    #[test]
    fn numbers_may_be_text_and_text_is_trimmed() {
        let json = r#"{"t":" Xeon  ","n":" 512 ","f":"True","p":{"name":"a"},"l":[{"name":"b"},null,3],"k":{"@odata.id":"/x"}}"#;
        let read: Outer = serde_json::from_str(json).expect("json");
        assert_eq!((read.t.as_deref(), read.n, read.f), (Some("Xeon"), Some(512.0), Some(true)));
        assert_eq!(read.p.and_then(|p| p.name).as_deref(), Some("a"));
        let list = read.l.expect("a list");
        assert_eq!(list.iter().filter_map(|i| i.0.as_ref()).count(), 1);
        assert_eq!(read.k.0.as_deref(), Some("/x"));
        assert_eq!(serde_json::from_str::<Outer>(r#"{"n":"NaN"}"#).expect("json").n, None);
    }
}
