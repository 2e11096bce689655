//! What differs in a table as orders, none of which is too large.

use serde_json::{Value, json};

use crate::order::Order;
use crate::pipeline::Compared;
use crate::verify::Side;

/// How many keys are of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) different: u64,
    pub(super) missing: u64,
    pub(super) extra: u64,
}

impl Kinds {
    pub(super) fn sum(self) -> u64 {
        self.different + self.missing + self.extra
    }

    pub(super) fn add(&mut self, other: Self) {
        self.different += other.different;
        self.missing += other.missing;
        self.extra += other.extra;
    }

    pub(super) fn as_json(self) -> Value {
        let Self { different, missing, extra } = self;
        json!({ "different": different, "missing": missing, "extra": extra })
    }

    fn count(&mut self, side: Side) {
        *match side {
            Side::Both => &mut self.different,
            Side::Table => &mut self.missing,
            Side::Topic => &mut self.extra,
        } += 1;
    }
}

/// Orders for the keys of a table whose values are known, which it then has no more, with how many
/// keys of which kind each has.
pub(super) fn orders(compared: &mut Compared, gap: &str) -> Vec<(Order, Kinds)> {
    let Compared { table, key, outcome: Ok(outcome), .. } = compared else { return Vec::new() };
    let (mut parts, mut last) = (Vec::new(), Part::default());
    for difference in &mut outcome.differences {
        let Some(values) = difference.values.take() else { continue };
        let bytes: usize = values.iter().map(|text| json!(text).to_string().len()).sum();
        if KEYS_MAX <= last.keys.len() || BYTES_MAX < last.bytes + bytes {
            parts.push(std::mem::take(&mut last));
        }
        last.keys.push(values);
        last.bytes += bytes;
        last.kinds.count(difference.side);
    }
    parts.push(last);
    parts.retain(|part| !part.keys.is_empty());
    let order = |Part { keys, kinds, .. }| {
        let (table, gap, columns) = (table.clone(), gap.to_owned(), key.clone());
        (Order::Repair { table, gap, columns, keys }, kinds)
    };
    parts.into_iter().map(order).collect()
}

/// What goes into one order.
#[derive(Default)]
struct Part {
    keys: Vec<Vec<String>>,
    /// Of their texts, as JSON has them.
    bytes: usize,
    kinds: Kinds,
}

/// What an order may have: so many keys, with so many bytes of text.
const KEYS_MAX: usize = 2_000;
const BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Difference, Verdict};

    fn compared(differences: Vec<Difference>) -> Compared {
        Compared {
            table: "public.t".to_owned(),
            topic: "shop.public.t".to_owned(),
            key: vec!["a".to_owned(), "b".to_owned()],
            outcome: Ok(Verdict { differences, ..Verdict::default() }),
            is_passing: false,
        }
    }

    fn difference(side: Side, values: &[&str]) -> Difference {
        let values = values.iter().map(|text| (*text).to_owned()).collect();
        Difference { side, shown: None, values: Some(values) }
    }

    #[test]
    fn what_differs_is_told_and_what_cannot_be_told_is_left() {
        let untold = Difference { side: Side::Topic, shown: Some("{}".to_owned()), values: None };
        let mut compared = compared(vec![
            difference(Side::Both, &["1", "x"]),
            untold,
            difference(Side::Topic, &["2", "y\"z"]),
            difference(Side::Table, &["3", ""]),
        ]);
        let told = orders(&mut compared, "until 0/10");
        let [(order, kinds)] = &told[..] else { panic!("{} orders", told.len()) };
        assert_eq!(*kinds, Kinds { different: 1, missing: 1, extra: 1 });
        assert_eq!(
            serde_json::to_string(order).unwrap(),
            r#"{"action":"repair","table":"public.t","gap":"until 0/10","columns":["a","b"],"keys":[["1","x"],["2","y\"z"],["3",""]]}"#
        );
        assert_eq!(orders(&mut compared, "until 0/10"), []);
    }

    #[test]
    fn no_order_is_too_large() {
        let long = "x".repeat(1000);
        for (count, text, expect) in [
            (2_000, "x", &[2_000][..]),
            (4_001, "x", &[2_000, 2_000, 1]),
            (300, &long, &[261, 39]),
            // A quote is two bytes in JSON.
            (300, &"\"".repeat(1000), &[130, 130, 40]),
        ] {
            let keys = (0..count).map(|_| difference(Side::Table, &[text, ""])).collect();
            let told = orders(&mut compared(keys), "gap");
            let sums: Vec<_> = told.iter().map(|(_, kinds)| kinds.sum()).collect();
            assert_eq!(sums, expect, "{count}");
            for (order, _) in told {
                let bytes = serde_json::to_string(&order).unwrap().len();
                assert!(bytes < BYTES_MAX + 16 * KEYS_MAX, "{bytes}");
            }
        }
    }
}
