//! What a configuration is compiled in.

/// What a VM has beside its configuration.
pub struct Surroundings<'a> {
    /// Its environment variables, which hold what a configuration must not: keys.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Random bytes that nobody can guess, by which long names of members are told apart.
    pub name_key: [u8; 16],
}

impl Surroundings<'static> {
    /// No variable, and a key that anybody can guess: enough to check a configuration.
    pub const NONE: Surroundings<'static> = Surroundings {
        environment: &|_| None,
        name_key: [0; 16],
    };
}
