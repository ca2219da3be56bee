//! Edits to a request's headers, and the host writes that carry them out.

use crate::header_map::{HeaderMap, same_name};
use crate::name::HeaderName;
use crate::value::HeaderValue;

/// One edit. Edits apply in order, so of two for one name the later wins. Names are compared without regard to letter case.
///
/// An edit that names a pseudo header or `host` has no effect; `SetPath`, `SetAuthority` and `SetMethod` are for these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Removes every header of the name as it is spelled here, which need not be a valid name: a client chose it.
    Remove {
        /// The name.
        name: Vec<u8>,
    },
    /// Makes this the only header of the name.
    Set {
        /// The name.
        name: HeaderName,
        /// Its value.
        value: HeaderValue,
    },
    /// Adds a header after those of the name that are there.
    Append {
        /// The name.
        name: HeaderName,
        /// The value to add.
        value: HeaderValue,
    },
    /// Replaces `:path`.
    SetPath {
        /// The new request target, with its query.
        value: HeaderValue,
    },
    /// Replaces `:authority`.
    SetAuthority {
        /// The new host, with its port if it has one.
        value: HeaderValue,
    },
    /// Replaces `:method`.
    SetMethod {
        /// The new method.
        value: HeaderValue,
    },
}

/// An edit that has an effect, and what the headers have of its name.
struct Asked<'a, 'h> {
    edit: &'a HeaderEdit,
    /// Its place among all edits.
    index: usize,
    name: &'a [u8],
    count: usize,
    /// The last value.
    value: &'h [u8],
}

/// Edits in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits(Vec<HeaderEdit>);

/// One write to the host's header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderWrite<'a> {
    /// Remove every header of the name.
    Remove(&'a [u8]),
    /// Set the header of the name; only made where there is one.
    Replace(&'a [u8], &'a [u8]),
    /// Add a header.
    Add(&'a [u8], &'a [u8]),
}

const PATH: &[u8] = b":path";
const AUTHORITY: &[u8] = b":authority";
const METHOD: &[u8] = b":method";

impl HeaderEdits {
    /// No edits.
    pub fn new() -> HeaderEdits {
        HeaderEdits::default()
    }

    /// Removes every header of the name; see [`HeaderEdit::Remove`].
    pub fn remove(&mut self, name: &[u8]) {
        self.0.push(HeaderEdit::Remove {
            name: name.to_vec(),
        });
    }

    /// Makes this the only header of the name.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(HeaderEdit::Set { name, value });
    }

    /// Adds a header.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(HeaderEdit::Append { name, value });
    }

    /// Replaces `:path`.
    pub fn set_path(&mut self, value: HeaderValue) {
        self.0.push(HeaderEdit::SetPath { value });
    }

    /// Replaces `:authority`.
    pub fn set_authority(&mut self, value: HeaderValue) {
        self.0.push(HeaderEdit::SetAuthority { value });
    }

    /// Replaces `:method`.
    pub fn set_method(&mut self, value: HeaderValue) {
        self.0.push(HeaderEdit::SetMethod { value });
    }

    /// Makes room for so many edits more.
    pub fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    /// Whether there are no edits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edits in order.
    pub fn iter(&self) -> std::slice::Iter<'_, HeaderEdit> {
        self.0.iter()
    }

    /// The values that a header has once these edits are made to `headers`, in order: what an edit that comes after them sees.
    /// One that no header may have is left out.
    pub fn values(&self, name: &[u8], headers: &HeaderMap) -> Vec<HeaderValue> {
        let mut values = Vec::new();
        values.extend(
            headers
                .values(name)
                .filter_map(|value| HeaderValue::try_from(value).ok()),
        );
        for edit in self.0.iter().filter(|edit| edit.is_allowed()) {
            if !is_name(edit, name) {
                continue;
            }
            if !matches!(edit, HeaderEdit::Append { .. }) {
                values.clear();
            }
            match edit {
                HeaderEdit::Remove { .. } => {}
                HeaderEdit::Set { value, .. }
                | HeaderEdit::Append { value, .. }
                | HeaderEdit::SetPath { value }
                | HeaderEdit::SetAuthority { value }
                | HeaderEdit::SetMethod { value } => values.push(value.clone()),
            }
        }
        values
    }

    /// Whether [`HeaderEdits::values`] leaves none out: a client may send a longer value than a policy may write.
    pub fn knows_all(&self, name: &[u8], headers: &HeaderMap) -> bool {
        let is_of = |edit: &HeaderEdit| edit.is_allowed() && is_name(edit, name);
        let replaces = |edit: &HeaderEdit| !matches!(edit, HeaderEdit::Append { .. });
        headers
            .values(name)
            .all(|value| HeaderValue::check(value).is_ok())
            || self.0.iter().any(|edit| is_of(edit) && replaces(edit))
    }

    /// The host writes that make `headers` look as the edits ask: none for what is so already, and none twice for a name.
    ///
    /// Where a header is repeated, it is removed and added, because the "replace" of a host may change the first one only.
    /// Where there is none it is added: to replace it, Envoy would first look for it, and for that make an index of the map.
    pub fn writes<'a>(&'a self, headers: &HeaderMap) -> Vec<HeaderWrite<'a>> {
        let mut writes = Vec::new();
        let mut asked = self.asked();
        if asked.is_empty() {
            return writes;
        }
        // Most headers are of a length that no name has.
        let lengths = asked.iter().fold(0, |all, one| all | length_bit(one.name));
        for (name, value) in headers
            .iter()
            .filter(|(name, _)| length_bit(name) & lengths != 0)
        {
            for asked in asked.iter_mut().filter(|asked| same_name(name, asked.name)) {
                asked.count = asked.count.saturating_add(1);
                asked.value = value;
            }
        }
        // One list of each kind for all names.
        let (mut present, mut values) = (Vec::new(), Vec::new());
        for (place, one) in asked.iter().enumerate() {
            let mut same = asked.iter().enumerate();
            let other =
                same.find(|(other, asked)| *other != place && same_name(asked.name, one.name));
            // Most edits write once; where none has to, there is no list.
            match other {
                None => one.write(asked.len().saturating_sub(place), &mut writes),
                Some((first, _)) if first < place => {}
                Some(_) => {
                    present.clear();
                    values.clear();
                    let all = headers.iter().filter(|(name, _)| same_name(name, one.name));
                    present.extend(all.map(|(_, value)| value));
                    let replaces = self.play(one.index, one.name, &mut values);
                    if replaces && values != present || !replaces && !values.is_empty() {
                        writes.reserve(asked.len().saturating_sub(place));
                        add_writes(one.name, replaces, &present, &values, &mut writes);
                    }
                }
            }
        }
        writes
    }

    /// What is asked for: the edits that have an effect.
    fn asked(&self) -> Vec<Asked<'_, '_>> {
        let mut asked = Vec::with_capacity(self.0.len());
        let allowed = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, edit)| edit.is_allowed());
        asked.extend(allowed.map(|(index, edit)| Asked {
            edit,
            index,
            name: edit.name(),
            count: 0,
            value: &[],
        }));
        asked
    }

    /// Plays all edits for one name, the first of which is at `first`; says whether the values that are there count no more.
    fn play<'a>(&'a self, first: usize, name: &[u8], values: &mut Vec<&'a [u8]>) -> bool {
        let mut replaces = false;
        let all = self.0.iter().skip(first);
        for edit in all.filter(|edit| edit.is_allowed() && is_name(edit, name)) {
            match edit {
                HeaderEdit::Remove { .. } => {
                    replaces = true;
                    values.clear();
                }
                HeaderEdit::Set { value, .. }
                | HeaderEdit::SetPath { value }
                | HeaderEdit::SetAuthority { value }
                | HeaderEdit::SetMethod { value } => {
                    replaces = true;
                    values.clear();
                    values.push(value.as_bytes());
                }
                HeaderEdit::Append { value, .. } => values.push(value.as_bytes()),
            }
        }
        replaces
    }
}

impl<'a> Asked<'a, '_> {
    /// The writes of the only edit for its name. `room` is for how many the first one makes.
    fn write(&self, room: usize, writes: &mut Vec<HeaderWrite<'a>>) {
        let value = match self.edit {
            HeaderEdit::Remove { .. } if self.count == 0 => return,
            HeaderEdit::Remove { .. } => None,
            HeaderEdit::Append { value, .. } => Some(value.as_bytes()),
            HeaderEdit::Set { value, .. }
            | HeaderEdit::SetPath { value }
            | HeaderEdit::SetAuthority { value }
            | HeaderEdit::SetMethod { value } => {
                let value = value.as_bytes();
                match self.count {
                    1 if value == self.value => return,
                    1 => {
                        writes.reserve(room);
                        return writes.push(HeaderWrite::Replace(self.name, value));
                    }
                    _ => Some(value),
                }
            }
        };
        writes.reserve(room);
        let appends = matches!(self.edit, HeaderEdit::Append { .. });
        if self.count > 0 && !appends {
            writes.push(HeaderWrite::Remove(self.name));
        }
        writes.extend(value.map(|value| HeaderWrite::Add(self.name, value)));
    }
}

/// One bit for each length of a name up to 63, and then again.
fn length_bit(name: &[u8]) -> u64 {
    1_u64.rotate_left(u32::try_from(name.len() & 63).unwrap_or(0))
}

fn is_name(edit: &HeaderEdit, name: &[u8]) -> bool {
    edit.name().eq_ignore_ascii_case(name)
}

/// The writes that give one name its values.
fn add_writes<'a>(
    name: &'a [u8],
    replaces: bool,
    present: &[&[u8]],
    values: &[&'a [u8]],
    writes: &mut Vec<HeaderWrite<'a>>,
) {
    let mut values = values.iter();
    if replaces && !present.is_empty() {
        let only = (present.len() == 1).then(|| values.next()).flatten();
        writes.push(match only {
            Some(only) => HeaderWrite::Replace(name, only),
            None => HeaderWrite::Remove(name),
        });
    }
    writes.extend(values.map(|value| HeaderWrite::Add(name, value)));
}

impl HeaderEdit {
    /// The name of the header that the edit changes.
    pub fn name(&self) -> &[u8] {
        match self {
            HeaderEdit::Remove { name } => name,
            HeaderEdit::Set { name, .. } | HeaderEdit::Append { name, .. } => name.as_bytes(),
            HeaderEdit::SetPath { .. } => PATH,
            HeaderEdit::SetAuthority { .. } => AUTHORITY,
            HeaderEdit::SetMethod { .. } => METHOD,
        }
    }

    /// Pseudo headers and `host` are changed by the edits that are for them, or not at all.
    fn is_allowed(&self) -> bool {
        match self {
            HeaderEdit::SetPath { .. }
            | HeaderEdit::SetAuthority { .. }
            | HeaderEdit::SetMethod { .. } => true,
            HeaderEdit::Remove { .. } | HeaderEdit::Set { .. } | HeaderEdit::Append { .. } => {
                !self.name().starts_with(b":") && !self.name().eq_ignore_ascii_case(b"host")
            }
        }
    }
}

impl Extend<HeaderEdit> for HeaderEdits {
    fn extend<I: IntoIterator<Item = HeaderEdit>>(&mut self, edits: I) {
        self.0.extend(edits);
    }
}

impl FromIterator<HeaderEdit> for HeaderEdits {
    fn from_iter<I: IntoIterator<Item = HeaderEdit>>(edits: I) -> HeaderEdits {
        HeaderEdits(edits.into_iter().collect())
    }
}

impl IntoIterator for HeaderEdits {
    type Item = HeaderEdit;
    type IntoIter = std::vec::IntoIter<HeaderEdit>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a HeaderEdits {
    type Item = &'a HeaderEdit;
    type IntoIter = std::slice::Iter<'a, HeaderEdit>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> HeaderName {
        HeaderName::try_from(name).unwrap()
    }

    fn value(value: &str) -> HeaderValue {
        HeaderValue::try_from(value).unwrap()
    }

    fn headers() -> HeaderMap {
        HeaderMap::from_pairs([
            (":path", "/a"),
            ("host", "a"),
            ("x-one", "1"),
            ("x-two", "1"),
            ("x-two", "2"),
        ])
    }

    /// The writes that these edits take, as text.
    fn writes(make: impl FnOnce(&mut HeaderEdits)) -> Vec<String> {
        let mut edits = HeaderEdits::new();
        make(&mut edits);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let writes = edits.writes(&headers());
        writes
            .iter()
            .map(|write| match write {
                HeaderWrite::Remove(name) => format!("-{}", text(name)),
                HeaderWrite::Replace(name, value) => format!("{}={}", text(name), text(value)),
                HeaderWrite::Add(name, value) => format!("{}+{}", text(name), text(value)),
            })
            .collect()
    }

    #[test]
    fn what_is_so_already_costs_no_host_call() {
        assert!(writes(|_| ()).is_empty());
        assert!(writes(|edits| edits.remove(b"x-none")).is_empty());
        assert!(writes(|edits| edits.set(name("x-one"), value("1"))).is_empty());
        assert!(writes(|edits| edits.set_path(value("/a"))).is_empty());
        let twice = writes(|edits| {
            edits.remove(b"x-two");
            edits.append(name("x-two"), value("1"));
            edits.append(name("x-two"), value("2"));
        });
        assert!(twice.is_empty());
    }

    #[test]
    fn one_write_for_each_change() {
        assert_eq!(writes(|edits| edits.remove(b"x-one")), ["-x-one"]);
        assert_eq!(
            writes(|edits| edits.set(name("x-one"), value("2"))),
            ["x-one=2"]
        );
        assert_eq!(
            writes(|edits| edits.set(name("x-new"), value("2"))),
            ["x-new+2"]
        );
        assert_eq!(
            writes(|edits| edits.append(name("x-one"), value("2"))),
            ["x-one+2"]
        );
        assert_eq!(
            writes(|edits| edits.append(name("x-new"), value("2"))),
            ["x-new+2"]
        );
        assert_eq!(
            writes(|edits| edits.set_path(value("/b?c"))),
            [":path=/b?c"]
        );
    }

    #[test]
    fn a_removed_and_set_header_is_replaced() {
        // The usual pair: the client's copy goes, ours comes.
        let replaced = writes(|edits| {
            edits.remove(b"x-one");
            edits.set(name("x-one"), value("2"));
        });
        assert_eq!(replaced, ["x-one=2"]);
        let same = writes(|edits| {
            edits.remove(b"x-one");
            edits.set(name("x-one"), value("1"));
        });
        assert!(same.is_empty());
    }

    #[test]
    fn of_a_repeated_header_no_copy_survives() {
        // The host's replace changes the first copy; the client's second one would reach the upstream.
        assert_eq!(writes(|edits| edits.remove(b"x-two")), ["-x-two"]);
        assert_eq!(
            writes(|edits| edits.set(name("x-two"), value("1"))),
            ["-x-two", "x-two+1"]
        );
    }

    #[test]
    fn later_edits_win() {
        let removed = writes(|edits| {
            edits.set(name("x-one"), value("2"));
            edits.remove(b"X-One");
        });
        assert_eq!(removed, ["-x-one"]);
        let set_again = writes(|edits| {
            edits.append(name("x-one"), value("0"));
            edits.set(name("x-one"), value("2"));
            edits.append(name("x-one"), value("3"));
        });
        assert_eq!(set_again, ["x-one=2", "x-one+3"]);
        let path = writes(|edits| {
            edits.set_path(value("/b"));
            edits.set_path(value("/c"));
        });
        assert_eq!(path, [":path=/c"]);
        let back = writes(|edits| {
            edits.set_path(value("/b"));
            edits.set_path(value("/a"));
        });
        assert!(back.is_empty());
    }

    #[test]
    fn pseudo_headers_and_host_cannot_be_edited_away() {
        let none = writes(|edits| {
            edits.remove(b":path");
            edits.remove(b":authority");
            edits.remove(b"Host");
            edits.set(name("host"), value("b"));
        });
        assert!(none.is_empty());
        let own = writes(|edits| {
            edits.set_authority(value("b"));
            edits.set_method(value("PUT"));
        });
        assert_eq!(own, [":authority+b", ":method+PUT"]);
        // Nor does an edit without effect swallow the one after it.
        let path = writes(|edits| {
            edits.remove(b":path");
            edits.set_path(value("/b"));
        });
        assert_eq!(path, [":path=/b"]);
    }

    /// What a host does with the writes; `Replace` as carelessly as Envoy, which changes the first copy only.
    fn carry_out(headers: &HeaderMap, writes: &[HeaderWrite<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut map: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        for write in writes {
            match write {
                HeaderWrite::Remove(name) => map.retain(|(other, _)| other != name),
                HeaderWrite::Add(name, value) => map.push((name.to_vec(), value.to_vec())),
                HeaderWrite::Replace(name, value) => {
                    match map.iter_mut().find(|(other, _)| other == name) {
                        Some((_, old)) => *old = value.to_vec(),
                        None => map.push((name.to_vec(), value.to_vec())),
                    }
                }
            }
        }
        map
    }

    /// What the edits mean, one after the other.
    fn play(headers: &HeaderMap, edits: &HeaderEdits) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut map: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        for edit in edits {
            if !matches!(edit, HeaderEdit::Append { .. }) {
                map.retain(|(other, _)| other != edit.name());
            }
            match edit {
                HeaderEdit::Remove { .. } => {}
                HeaderEdit::Set { value, .. }
                | HeaderEdit::Append { value, .. }
                | HeaderEdit::SetPath { value }
                | HeaderEdit::SetAuthority { value }
                | HeaderEdit::SetMethod { value } => {
                    map.push((edit.name().to_vec(), value.as_bytes().to_vec()));
                }
            }
        }
        map
    }

    fn edit() -> impl Strategy<Value = HeaderEdit> {
        let names = || prop_oneof![Just("x-a"), Just("x-b"), Just("x-c")];
        let values = || "[12]".prop_map(|text| HeaderValue::try_from(text).unwrap());
        prop_oneof![
            names().prop_map(|name| HeaderEdit::Remove { name: name.into() }),
            (names(), values()).prop_map(|(text, value)| HeaderEdit::Set {
                name: name(text),
                value
            }),
            (names(), values()).prop_map(|(text, value)| HeaderEdit::Append {
                name: name(text),
                value
            }),
            values().prop_map(|value| HeaderEdit::SetPath { value }),
        ]
    }

    // A client's header of a protected name must not undo what we set.
    #[test]
    fn an_edit_without_effect_does_not_undo_another() {
        let path = || value("/b");
        let expected = [":path=/b"];
        assert_eq!(
            writes(|edits| {
                edits.set_path(path());
                edits.remove(b":path");
            }),
            expected
        );
        assert_eq!(
            writes(|edits| {
                edits.set_path(value("/c"));
                edits.set_path(path());
                edits.remove(b":path");
            }),
            expected
        );
    }

    proptest! {
        // Fewer writes than edits, and yet the same head: each name has the values, in the order, that the edits ask for.
        #[test]
        fn writes_mean_what_the_edits_mean(
            pairs in proptest::collection::vec((prop_oneof![Just("x-a"), Just("x-b")], "[12]"), 0..5),
            edits in proptest::collection::vec(edit(), 0..8),
        ) {
            let headers = HeaderMap::from_pairs([(":path".to_owned(), "0".to_owned())].into_iter()
                .chain(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))));
            let edits: HeaderEdits = edits.into_iter().collect();
            let writes = edits.writes(&headers);
            // Names may change places, which HTTP gives no meaning; values of one name may not.
            let sorted = |mut map: Vec<(Vec<u8>, Vec<u8>)>| {
                map.sort_by(|(a, _), (b, _)| a.cmp(b));
                map
            };
            let played = play(&headers, &edits);
            // An edit that comes later sees what those before it leave.
            for name in ["x-a", "x-b", "x-c"] {
                let seen: Vec<Vec<u8>> = edits.values(name.as_bytes(), &headers).iter()
                    .map(|value| value.as_bytes().to_vec()).collect();
                let left: Vec<Vec<u8>> = played.iter()
                    .filter(|(other, _)| other == name.as_bytes()).map(|(_, value)| value.clone()).collect();
                prop_assert_eq!(seen, left);
            }
            prop_assert_eq!(sorted(carry_out(&headers, &writes)), sorted(played));
            // A header that is repeated is removed and added.
            prop_assert!(writes.len() <= 2 * edits.iter().count());
        }
    }
}
