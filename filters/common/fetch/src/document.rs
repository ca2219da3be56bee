//! What was fetched last, as it is shared.

/// The bytes of the last good answer, and which answer they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// One more than that of the document before; never 0.
    pub generation: u64,
    /// The answer's body.
    pub body: Vec<u8>,
}

impl Document {
    /// Reads stored bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, body) = bytes.split_first_chunk::<8>()?;
        let generation = u64::from_le_bytes(*generation);
        (generation != 0).then(|| Self {
            generation,
            body: body.to_vec(),
        })
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.generation.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The document that follows `last` with this body.
    pub fn after(last: Option<&Self>, body: Vec<u8>) -> Self {
        let generation = last.map_or(0, |last| last.generation);
        Self {
            // Zero stands for none.
            generation: generation.wrapping_add(1).max(1),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A worker that took no document for one would install an empty key set.
    #[test]
    fn a_document_has_a_generation() {
        let document = Document::after(None, b"{}".to_vec());
        assert_eq!(document.generation, 1);
        assert_eq!(Document::decode(&document.encode()), Some(document.clone()));
        assert_eq!(Document::after(Some(&document), Vec::new()).generation, 2);
        for none in [&b""[..], b"1234567", &[0; 20]] {
            assert_eq!(Document::decode(none), None);
        }
    }
}
