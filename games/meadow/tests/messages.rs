//! Messages in a crate that knows Gundo alone: no prost beside it.

use std::collections::BTreeMap;

use gundo::prelude::*;
use gundo::{Bytes, Message, Payload};

/// Everything that a field can be.
#[message(
    yes = 1,
    count = 2,
    shift = 3,
    name = 4,
    raw = 5,
    list = 6,
    maybe = 7,
    bag = 8,
    inner = 9,
    by_name = 10,
    share = 11
)]
struct All {
    yes: bool,
    count: u64,
    shift: i32,
    name: String,
    raw: Bytes,
    list: Vec<u32>,
    maybe: Option<u32>,
    bag: BTreeMap<u32, u32>,
    inner: Inner,
    by_name: BTreeMap<String, Inner>,
    share: f64,
}

#[message]
struct Inner {
    #[tag(3)]
    deep: i64,
}

/// One of several.
#[message(Nothing = 1, Inner = 4)]
enum Choice {
    Nothing,
    Inner(Inner),
}

#[test]
fn every_field_comes_back() {
    let inner = Inner { deep: -5 };
    let all = All {
        yes: true,
        count: u64::MAX,
        shift: -1,
        name: "stall".into(),
        raw: Bytes::from_static(&[0, 255]),
        list: vec![1, 2, 3],
        maybe: Some(0),
        bag: BTreeMap::from([(1, 2), (3, 4)]),
        inner: inner.clone(),
        by_name: BTreeMap::from([("ada".into(), inner.clone())]),
        share: 0.5,
    };
    assert_eq!(All::decode(all.encode_to_vec().as_slice()).expect("a message"), all);
    for choice in [Choice::Nothing, Choice::Inner(inner)] {
        assert_eq!(Choice::from_bytes(&choice.to_bytes()).expect("a choice"), Some(choice));
    }
    // A variant that this version does not know is no error.
    let later = [0x3a, 0];
    assert_eq!(Choice::from_bytes(&later).expect("well-formed"), None);
}
